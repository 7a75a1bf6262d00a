"""The engine: the whole judgement, without I/O.

In go what was sighted (`Sighted`), ticks, what became of commands (`RollbackOutcome`) and what
people confirmed (`Confirmed`); out come `Event`, `Notify` and `Rollback`. Time is an argument.
The same inputs in the same order give the same outputs, to the byte, however they were batched:

- requests are taken one after the other, each at its own time;
- ticks fall on fixed boundaries of that time, and a batch that crosses one is split there;
- nothing depends on a clock, a random number, or the order of a set.

Live, replay, demo and tests run this very class; they differ in who feeds it and who carries out
what it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from tripswitch.config.model import Config
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.decision import Decision
from tripswitch.detect.families import serving_version
from tripswitch.detect.findings import Findings
from tripswitch.detect.intake import Intake
from tripswitch.detect.judge import Judge
from tripswitch.detect.roster import Roster
from tripswitch.genai.sightings import Sighted
from tripswitch.genai.traces import TraceBook
from tripswitch.incidents.book import Book, Tracked, emit, with_rollback
from tripswitch.incidents.changes import ChangeLog
from tripswitch.incidents.exemplars import Exemplar, Exemplars
from tripswitch.incidents.follow import Follower
from tripswitch.incidents.plan import Facts, plan_rollback
from tripswitch.model.calls import Calls, Score
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_S
from tripswitch.model.incident import Incident, RollbackPlan, RollbackState, Severity
from tripswitch.model.messages import (
    Command,
    Confirmed,
    Event,
    EventName,
    Rollback,
    RollbackOutcome,
)
from tripswitch.model.requests import Requests
from tripswitch.model.settled import Settled
from tripswitch.model.verdict import Comparison, Verdict
from tripswitch.windows.rings import Rows
from tripswitch.windows.scopes import Scopes

_LONGEST_CATCH_UP_NS: Final = 2 * NS_PER_HOUR
_LOSSY_SHARE: Final = 0.01


class Engine:
    """Everything that is known of the traffic, and what follows from it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.scopes = Scopes(config.windows.max_scopes)
        self.roster = Roster()
        self.comparisons = Comparisons(self.scopes, self.roster)
        self.intake = Intake(self.scopes, self.comparisons)
        self.judge = Judge(self.scopes, self.roster, self.comparisons)
        self.findings = Findings(self.roster, self.comparisons)
        self.traces = TraceBook(config)
        self.changes = ChangeLog()
        self.exemplars = Exemplars()
        self.book = Book()
        self.follower = Follower(self.book, self.scopes, self.comparisons, self.roster)
        self.now_ns = 0
        self._restored_ns = 0
        self.counts: dict[str, int] = dict.fromkeys(
            (
                "reader_spans_total",
                "reader_calls_total",
                "reader_unreadable_requests_total",
                "reader_lost_requests_total",
                "judge_ticks_total",
            ),
            0,
        )
        self._tick_number = -1
        self._taken = 0
        self._lost = 0
        self._last: tuple[Rows, Decision] | None = None

    # --- what goes in -----------------------------------------------------------------------------

    def observe(self, sighted: Sighted, now_ns: Sequence[int]) -> list[Command]:
        """Take what was read from ``len(now_ns)`` requests, the i-th of them at ``now_ns[i]``.

        Times never go back; an earlier one counts as the latest seen. What was read is judged at
        the first tick after its trace is settled.
        """
        commands: list[Command] = []
        self.counts["reader_spans_total"] += sighted.spans
        self.counts["reader_unreadable_requests_total"] += sighted.unreadable
        first = 0
        for index, moment_ns in enumerate(now_ns):
            commands.extend(self.advance(moment_ns))
            last = sighted.ends[index]
            self.traces.add(sighted.items[first:last], self.now_ns)
            self._taken += 1
            first = last
        return commands

    def flush(self) -> list[Command]:
        """Settle every trace as it stands, because a recording ends."""
        self._take(self.traces.flush())
        return self._see_changes()

    def advance(self, now_ns: int) -> list[Command]:
        """Let time pass to ``now_ns``: every tick boundary up to it is judged."""
        tick_ns = int(self.config.detect.tick * NS_PER_S)
        number = now_ns // tick_ns
        if self._tick_number < 0:
            self._tick_number = number
            self.scopes.rings.advance(now_ns)
        commands: list[Command] = []
        # After a long gap (a laptop asleep, a hole in a recording) the ticks in between have
        # nothing to judge; only the last stretch is gone through.
        first = max(self._tick_number + 1, number - _LONGEST_CATCH_UP_NS // tick_ns)
        for due in range(first, number + 1):
            self._tick_number = due
            commands.extend(self._tick(due * tick_ns))
        self.now_ns = max(self.now_ns, now_ns)
        return commands

    def outcome(self, outcome: RollbackOutcome) -> list[Command]:
        """Take in what became of a rollback; an outcome of no open incident changes nothing."""
        now_ns = self.now_ns or self._restored_ns
        tracked = self.book.by_rollback(outcome.key)
        plan = None if tracked is None else tracked.incident.rollback
        if tracked is None or plan is None:
            return []
        states = {
            "acknowledged": (RollbackState.ACKNOWLEDGED, EventName.ROLLBACK_ACKNOWLEDGED),
            "unknown": (RollbackState.UNKNOWN, EventName.ROLLBACK_UNKNOWN),
            "failed": (RollbackState.FAILED, EventName.ROLLBACK_FAILED),
        }
        state, name = states[outcome.state]
        if plan.state in (state, RollbackState.CONFIRMED):
            return []
        with_rollback(tracked, state, outcome.detail)
        if state is not RollbackState.FAILED:
            self.follower.start_after_call(tracked, now_ns)
        return emit(name, now_ns, tracked, outcome.detail)

    def confirm(self, confirmed: Confirmed) -> list[Command]:
        """Take a person's word; a recovered incident with every confirmation is resolved."""
        now_ns = self.now_ns or self._restored_ns
        tracked = self.book.by_id(confirmed.incident_id)
        if tracked is None:
            return []
        tracked.confirmations.add(confirmed.what)
        link = f" ({confirmed.link})" if confirmed.link else ""
        detail = f"{confirmed.what.replace('_', ' ')}, confirmed by {confirmed.by}{link}"
        commands = emit(EventName.INCIDENT_UPDATED, now_ns, tracked, detail)
        return commands + self.follower.resolve_if_complete(tracked, now_ns, self.config.incidents)

    def lost(self, requests: int) -> None:
        """Note that ``requests`` were forwarded but never read in the current minute."""
        self._lost += requests
        self.counts["reader_lost_requests_total"] += requests

    def restore(self, incidents: Sequence[Incident], past_plans: Sequence[RollbackPlan]) -> None:
        """Take up what was open before a restart, and remember what was rolled back.

        Until traffic or a tick says what time it is, it is the latest time among the incidents.
        """
        for incident in incidents:
            latest_ns = max(incident.detected_at_ns, incident.recovered_at_ns or 0)
            self._restored_ns = max(self._restored_ns, latest_ns)
        self.book.restore(list(incidents), list(past_plans))

    def reload(self, config: Config) -> None:
        """Take new settings from the next tick on; evidence and windows stay."""
        self.config = config
        self.comparisons.set_lines(config.detect)
        self.traces.reload(config)

    # --- what is done with it ---------------------------------------------------------------------

    def _take(self, settled: Settled) -> None:
        self.counts["reader_calls_total"] += len(settled.calls)
        self.intake.add_calls(settled.calls, self.now_ns, self.config)
        self.intake.add_scores(settled.scores, self.now_ns, self.config)
        self._take_requests(settled.requests)
        self._offer_exemplars(settled.calls, settled.scores)

    def _take_requests(self, requests: Requests) -> None:
        self.intake.add_requests(requests, self.now_ns, self.config)
        for row in range(len(requests)):
            scope = requests.scope[row]
            family = self.comparisons.families.get(scope.family())
            yardstick = None if family is None else family.yardstick
            is_slow = yardstick is not None and requests.latency[row] > yardstick.slow_s
            tokens = float(requests.tokens[row])
            for signal, badness in (
                ("error_rate", 1.0 if requests.error[row] else 0.0),
                ("p99_latency", float(requests.latency[row]) if is_slow else 0.0),
                ("tokens_per_success", 0.0 if np.isnan(tokens) else tokens),
            ):
                if badness > 0:
                    self.exemplars.add(
                        scope.arm(),
                        signal,
                        Exemplar(
                            badness,
                            requests.trace_id[row],
                            requests.tenant[row],
                            None,
                            int(requests.end[row]),
                        ),
                    )

    def _offer_exemplars(self, batch: Calls, scores: Sequence[Score]) -> None:
        for row in range(len(batch)):
            if batch.refusal[row]:
                self.exemplars.add(
                    batch.scope(row).arm(),
                    "refusal_rate",
                    Exemplar(
                        1.0,
                        batch.trace_id[row],
                        batch.tenant[row],
                        batch.session[row],
                        int(batch.end[row]),
                    ),
                )
        for score in scores:
            if score.score < 1:
                self.exemplars.add(
                    score.scope.arm(),
                    f"eval_score:{score.rubric}",
                    Exemplar(1 - score.score, score.trace_id, score.tenant, None, score.end),
                )

    def _see_changes(self) -> list[Command]:
        commands: list[Command] = []
        for record in self.scopes.take_newcomers():
            family = self.comparisons.families.get(record.scope.family())
            if family is None or record.scope not in family.arms:
                continue
            change = self.changes.see_arm(
                record.scope, record.first_seen_ns, found_running=record.found_running
            )
            if change is not None:
                detail = f"{change.after} seen on {record.scope.label()}" + (
                    f", where {change.before} served" if change.before else ""
                )
                commands.append(
                    Event(EventName.CHANGE_SEEN, self.now_ns, None, change, detail=detail)
                )
        return commands

    def _tick(self, boundary_ns: int) -> list[Command]:
        self.now_ns = max(self.now_ns, boundary_ns)
        self.counts["judge_ticks_total"] += 1
        minute_crossed = self.scopes.rings.advance(boundary_ns)
        self._take(self.traces.settle(boundary_ns))
        commands = self._see_changes()
        total = self._lost + self._taken
        is_lossy = total > 0 and self._lost / total > _LOSSY_SHARE
        if minute_crossed:
            self._lost = self._taken = 0
            self._pass_minute()
        detect = self.config.detect
        rows, decision = self.judge.tick(
            boundary_ns, detect, minute_crossed=minute_crossed, is_lossy=is_lossy
        )
        self._last = (rows, decision)
        for verdict in self.findings.regressed(
            rows, decision, detect, boundary_ns, is_lossy=is_lossy
        ):
            commands.extend(self._act_on(verdict))
        commands.extend(self.follower.tick(self.now_ns, self.config, minute_crossed=minute_crossed))
        return commands

    def _pass_minute(self) -> None:
        troubled = {tracked.incident.scope.family() for tracked in self.book.open.values()}
        frozen_ids = np.zeros(len(self.scopes.latencies.counts), dtype=np.bool_)
        pinned = {scope for scope in self.roster.references if scope is not None}
        for record in self.scopes.records.values() if troubled else ():
            if record.scope.family() in troubled:
                frozen_ids[record.id] = True
                pinned.add(record.scope)
        self.scopes.latencies.decay(frozen_ids)
        self.scopes.tokens.decay(frozen_ids)
        for record in self.scopes.make_way(pinned):
            self.comparisons.forget(record.scope)
            self.intake.forget(record.scope)
            self.exemplars.forget(record.scope)
        self.comparisons.incident_families = troubled
        self.judge.incident_rows = {
            row
            for scope, rows in self.roster.by_scope.items()
            if self.book.covering(scope) is not None
            for row in rows
        }

    def _act_on(self, verdict: Verdict) -> list[Command]:
        key = self.book.key_of(verdict)
        tracked = self.book.open.get(key)
        if tracked is None:
            return self._open(verdict)
        commands: list[Command] = []
        if self.book.join(tracked, verdict):
            commands += emit(
                EventName.INCIDENT_UPDATED, self.now_ns, tracked, f"joined by {verdict.why}"
            )
        if verdict.severity is Severity.PAGE and tracked.incident.severity is not Severity.PAGE:
            self.book.escalate(tracked, verdict)
            self._refresh_exemplars(tracked)
            commands += emit(EventName.INCIDENT_ESCALATED, self.now_ns, tracked, verdict.why)
            commands += self._plan(tracked, verdict)
        return commands

    def _open(self, verdict: Verdict) -> list[Command]:
        key = self.book.key_of(verdict)
        name = f"{verdict.signal}:{verdict.rubric}" if verdict.rubric else verdict.signal
        tracked = self.book.open_incident(
            key,
            verdict,
            self.now_ns,
            self.config.incidents,
            exemplars=self.exemplars.pick(
                verdict.scope, (name,), verdict.onset_ns, self.config.incidents.exemplars
            ),
            tenants=self.exemplars.tenants(verdict.scope, (name,), verdict.onset_ns),
            changes=self.changes.before(verdict.scope, self.now_ns),
        )
        commands = emit(EventName.INCIDENT_OPENED, self.now_ns, tracked, verdict.why)
        if verdict.severity is Severity.PAGE:
            commands += self._plan(tracked, verdict)
        self.follower.start(tracked, self.now_ns)
        return commands

    def _refresh_exemplars(self, tracked: Tracked) -> None:
        incident = tracked.incident
        found = self.exemplars.pick(
            incident.scope, incident.signals, incident.onset_ns, self.config.incidents.exemplars
        )
        tracked.incident = replace(
            incident,
            exemplars=found or incident.exemplars,
            tenants=self.exemplars.tenants(incident.scope, incident.signals, incident.onset_ns)
            or incident.tenants,
        )

    def _plan(self, tracked: Tracked, verdict: Verdict) -> list[Command]:
        facts = self._facts(verdict)
        if facts is None or tracked.incident.rollback is not None:
            return []
        plan = plan_rollback(verdict, facts, self.config, self.now_ns)
        if plan is None:
            return []
        tracked.incident = replace(tracked.incident, rollback=plan)
        text = f"{plan.target}: {plan.from_version} back to {plan.to_version} on "
        text += f"{plan.pointer.label()} ({plan.state.value}"
        detail = text + (f": {plan.reason})" if plan.reason else ")")
        commands = emit(EventName.ROLLBACK_PLANNED, self.now_ns, tracked, detail)
        if plan.state is RollbackState.PLANNED:
            self.book.note_rollback(plan)
            event = commands[0]
            assert isinstance(event, Event)
            commands.append(Rollback(plan.key, plan, event))
        return commands

    def _facts(self, verdict: Verdict) -> Facts | None:
        arm = self.scopes.records.get(verdict.scope.arm())
        family = self.comparisons.families.get(verdict.scope.family())
        if arm is None or family is None or verdict.reference is None:
            return None
        good = verdict.reference.prompt_version
        if verdict.comparison is Comparison.CONTROL and good is None:
            good = serving_version(family, self.scopes, verdict.reference.population())
        return Facts(
            good_version=good,
            first_seen_ns=arm.first_seen_ns,
            found_running=arm.found_running,
            past=frozenset(self.book.past_rollbacks),
        )

    # --- what can be asked ------------------------------------------------------------------------

    def verdicts(self) -> list[Verdict]:
        """Return the verdict of every judged row at the last tick, quiet ones too."""
        if self._last is None:
            return []
        rows, decision = self._last
        return [
            self.findings.verdict(rows, decision, index, self.config.detect)
            for index in range(len(rows))
            if self.roster.judged[rows[index]] and self.roster.scopes[rows[index]] is not None
        ]

    def counters(self) -> dict[str, float]:
        """Return every counter and gauge by the name it has on the metrics page."""
        return {
            **self.counts,
            "reader_skewed_spans_total": self.intake.skewed,
            **{f"reader_{name}_total": count for name, count in self.traces.counters().items()},
            "reader_held_traces": self.traces.held,
            "reader_remembered_calls": len(self.traces.index),
            "windows_scopes": len(self.scopes.records),
            "windows_evicted_scopes_total": self.scopes.evicted_scopes,
            "windows_folded_values_total": self.scopes.folded_values,
            "windows_refused_rubrics_total": self.intake.refused_rubrics,
            "windows_refused_tokens_total": self.intake.refused_tokens,
            "incidents_open": len(self.book.open),
        }
