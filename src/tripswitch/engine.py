"""The engine: the whole judgement, without I/O.

In go what was sighted (`Sighted`), ticks, what became of commands (`RollbackOutcome`) and what
people want (`Instruction`, `Opening`); out come `Event`, `Notify` and `Rollback`. Time is an
argument.
The same inputs in the same order give the same outputs, to the byte, however they were batched:

- every request is taken at its own time, and what came first counts first;
- ticks fall on fixed boundaries of that time; a batch is split where it crosses one, and nowhere
  else;
- nothing depends on a clock, a random number, or the order of a set.

Live, replay, demo and tests run this very class; they differ in who feeds it and who carries out
what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from tripswitch.config.model import Config
from tripswitch.detect.coming import Coming
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.decision import Decision
from tripswitch.detect.explanation import Explained, explain
from tripswitch.detect.findings import Findings
from tripswitch.detect.intake import Intake
from tripswitch.detect.judge import Judge
from tripswitch.detect.roster import Roster
from tripswitch.detect.snapshot import pass_gap, restore_detection, save_detection
from tripswitch.detect.validity import Kept, depends_on, keep_valid
from tripswitch.genai.census import Census
from tripswitch.genai.sightings import Evaluation, Sighted
from tripswitch.genai.snapshot import restore_understanding, save_understanding
from tripswitch.genai.traces import TraceBook
from tripswitch.incidents.book import Book
from tripswitch.incidents.changes import ChangeLog
from tripswitch.incidents.contrast import Contrast
from tripswitch.incidents.exemplars import Exemplars
from tripswitch.incidents.facts import FactFinder
from tripswitch.incidents.follow import Follower
from tripswitch.incidents.instructions import Instructor
from tripswitch.incidents.mix import MixLog
from tripswitch.incidents.news import News
from tripswitch.incidents.offers import Judged
from tripswitch.incidents.response import Responder
from tripswitch.incidents.snapshot import restore_incidents, save_incidents
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S
from tripswitch.model.incident import Change, Incident, RollbackPlan, Severity
from tripswitch.model.instruction import Instruction, Opening
from tripswitch.model.messages import Command, RollbackOutcome
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores
from tripswitch.model.settled import Settled
from tripswitch.model.snapshot import Snapshot, SnapshotMismatch
from tripswitch.model.verdict import Verdict
from tripswitch.windows.rings import Rows
from tripswitch.windows.scopes import Scopes

_LONGEST_CATCH_UP_NS: Final = 2 * NS_PER_HOUR
_LOSSY_SHARE: Final = 0.01
_LONGEST_AHEAD_NS: Final = NS_PER_MINUTE


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
        self.census = Census()
        self.changes = ChangeLog()
        self.exemplars = Exemplars()
        self.book = Book()
        self.coming = Coming(self.scopes, self.comparisons)
        self.news = News(self.changes, self.comparisons)
        self.contrast = Contrast()
        self.mixes = MixLog()
        self.follower = Follower(self.book, self.scopes, self.comparisons, self.roster, self.coming)
        self.responder = Responder(
            self.book,
            self.follower,
            self.changes,
            self.exemplars,
            self.contrast,
            FactFinder(self.scopes, self.comparisons, self.book, self.changes, self.mixes),
        )
        self.instructor = Instructor(self.book, self.follower)
        self.follower.on_spent = self.responder.climb
        self.follower.on_undo = self.instructor.undo_by_policy
        self.follower.on_unanswered = self.responder.propose_again
        self.now_ns = 0
        self._restored_ns = 0
        self._unwatched_until_ns = 0
        self.is_lossy = False
        self.on_minute: Callable[[Rows, Decision], None] | None = None
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
        self.last: tuple[Rows, Decision] | None = None

    # --- what goes in -----------------------------------------------------------------------------

    def observe(self, sighted: Sighted, now_ns: Sequence[int]) -> list[Command]:
        """Take what was read from ``len(now_ns)`` requests, the i-th of them at ``now_ns[i]``.

        Times never go back; an earlier one counts as the latest seen. What was read is judged at
        the first tick after its trace is settled.
        """
        self.counts["reader_spans_total"] += sighted.spans
        self.counts["reader_unreadable_requests_total"] += sighted.unreadable
        commands: list[Command] = []
        first = 0
        for last, moment_ns in zip(sighted.ends, now_ns, strict=True):
            commands.extend(self.advance(moment_ns))
            self.traces.add(sighted.items[first:last], self.now_ns)
            self._taken += 1
            first = last
        return commands

    def flush(self) -> list[Command]:
        """Settle every trace as it stands, because a recording ends."""
        return self._take(self.traces.flush())

    def take_scores(self, evaluations: Sequence[Evaluation], now_ns: int) -> None:
        """Take scores that came by another way than OTLP; they are judged with the next tick."""
        for evaluation in evaluations:
            self.traces.add_evaluation(evaluation, max(now_ns, self.now_ns))

    def take_changes(self, changes: Sequence[Change]) -> list[Command]:
        """Take changes that people or their tools posted."""
        return self.news.of_changes(changes, self.now_ns)

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
        return self.responder.outcome(outcome, self.now_ns or self._restored_ns, self.config)

    def instruct(self, instruction: Instruction) -> list[Command]:
        """Take a person's word. Raises InstructionError where nothing can follow from it."""
        return self.instructor.instruct(instruction, self.now_ns or self._restored_ns, self.config)

    def open_by_hand(self, opening: Opening) -> list[Command]:
        """Open an incident that a person knows of. Raises InstructionError as `instruct` does."""
        return self.instructor.open(opening, self.now_ns or self._restored_ns, self.config)

    def lost(self, requests: int) -> None:
        """Note that ``requests`` were forwarded but never read in the current minute."""
        self._lost += requests
        self.counts["reader_lost_requests_total"] += requests

    def restore(self, incidents: Sequence[Incident], past_plans: Sequence[RollbackPlan]) -> None:
        """Take up what was open before a restart, and remember what was rolled back.

        Until traffic or a tick says what time it is, it is the latest time among the incidents. A
        snapshot is resumed before this: what was over since it was taken has no evidence any more.
        """
        for incident in incidents:
            latest_ns = max(incident.detected_at_ns, incident.recovered_at_ns or 0)
            self._restored_ns = max(self._restored_ns, latest_ns)
        for over in self.book.restore(list(incidents), list(past_plans)):
            self.follower.forget_evidence(over, self.now_ns)

    def reload(self, config: Config) -> Kept:
        """Take new settings from the next tick on; return what became of the evidence.

        What is still valid stays, see `detect.validity`.
        """
        before, self.config = depends_on(self.config), config
        self.traces.reload(config)
        return keep_valid(before, config, self.comparisons, self.coming, self.now_ns)

    def snapshot(self) -> Snapshot:
        """Return all that is known now; what is not settled yet is not in it."""
        snapshot = Snapshot(self.now_ns)
        snapshot.facts["engine.depends_on"] = depends_on(self.config)
        snapshot.facts["engine.requests"] = [self._lost, self._taken, self._unwatched_until_ns]
        self.scopes.save(snapshot)
        save_detection(snapshot, self.judge)
        self.intake.leaks.save(snapshot)
        self.coming.save(snapshot)
        save_understanding(snapshot, self.traces)
        save_incidents(snapshot, self.book, self.changes, self.exemplars)
        self.mixes.save(snapshot)
        self.contrast.save(snapshot)
        return snapshot

    def resume(self, snapshot: Snapshot, now_ns: int) -> Kept:
        """Be what ``snapshot`` was, in a new engine; return what became of the evidence.

        The time from then to ``now_ns`` counts as lost telemetry. Raises SnapshotMismatch for one
        that was taken on another clock or in the future; this engine is then of no use.
        """
        before = snapshot.facts["engine.depends_on"]
        if before["clock"] != self.config.clock.source:
            raise SnapshotMismatch(f"its time is that of the clock {before['clock']}")
        if snapshot.taken_ns > now_ns + _LONGEST_AHEAD_NS:
            raise SnapshotMismatch("it was taken later than now, says the clock of this machine")
        self.scopes.restore(snapshot)
        taken = restore_detection(snapshot, self.judge, self.config.detect)
        self.intake.leaks.restore(snapshot)
        self.coming.restore(snapshot)
        restore_understanding(snapshot, self.traces)
        restore_incidents(snapshot, self.book, self.changes, self.exemplars)
        self.mixes.restore(snapshot)
        self.contrast.restore(snapshot)
        self._lost, self._taken, self._unwatched_until_ns = snapshot.facts["engine.requests"]
        self.now_ns = snapshot.taken_ns
        self._tick_number = self.now_ns // int(self.config.detect.tick * NS_PER_S)
        kept = keep_valid(before, self.config, self.comparisons, self.coming, self.now_ns)
        if taken.unplaced:
            kept.dropped.append(f"{taken.unplaced} rows of kinds that are not judged any more")
        self._pass_gap(max(now_ns, self.now_ns), kept)
        return kept

    def _pass_gap(self, now_ns: int, kept: Kept) -> None:
        """Let the time pass in which nobody watched: it is lost telemetry, not silence."""
        tick_ns = int(self.config.detect.tick * NS_PER_S)
        gap_ns = now_ns - self.now_ns
        if gap_ns < tick_ns:
            return
        # The minute that is running was seen in part only.
        self._unwatched_until_ns = (now_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE
        if now_ns // NS_PER_MINUTE == self.now_ns // NS_PER_MINUTE:
            return
        pass_gap(self.judge, self.coming, now_ns, gap_ns, self.config.detect, kept)
        self.now_ns = now_ns
        self._tick_number = now_ns // tick_ns

    # --- what is done with it ---------------------------------------------------------------------

    def _take(self, settled: Settled) -> list[Command]:
        """Count what became settled up to now; return the changes it shows."""
        self.counts["reader_calls_total"] += len(settled.calls)
        self.census.add_calls(settled.calls)
        if not (len(settled.calls) or settled.scores or len(settled.requests)):
            return []
        scores = Scores.of(settled.scores)
        counted = self.intake.add(
            self.config,
            np.array([self.now_ns], dtype=np.int64),
            calls=settled.calls,
            scores=scores,
            requests=settled.requests,
        )
        self.exemplars.take(Judged(settled.calls, scores, settled.requests, counted))
        self.contrast.take(settled.calls)
        self.mixes.take(settled.calls)
        changes = [*settled.changes, *self.changes.see_rubrics(scores)]
        return [
            *self.news.of_arms(self.scopes.take_newcomers(), self.now_ns),
            *self.news.of_changes(changes, self.now_ns),
            *self.news.of_leaks(self.intake.leaks.take_first_hits(), self.now_ns),
        ]

    def _tick(self, boundary_ns: int) -> list[Command]:
        self.now_ns = max(self.now_ns, boundary_ns)
        self.counts["judge_ticks_total"] += 1
        minute_crossed = self.scopes.rings.advance(boundary_ns)
        commands = self._take(self.traces.settle(boundary_ns))
        total = self._lost + self._taken
        is_lossy = total > 0 and self._lost / total > _LOSSY_SHARE
        is_unwatched = boundary_ns <= self._unwatched_until_ns
        self.is_lossy = is_lossy = is_lossy or is_unwatched
        detect = self.config.detect
        coming: list[Verdict] = []
        if minute_crossed:
            coming = self.coming.pass_minute(
                boundary_ns,
                self._taken,
                self._lost,
                detect,
                is_lossy=is_lossy,
                is_unwatched=is_unwatched,
            )
            self._lost = self._taken = 0
            self._pass_minute()
        rows, decision = self.judge.tick(
            boundary_ns, detect, minute_crossed=minute_crossed, is_lossy=is_lossy
        )
        self.last = (rows, decision)
        if minute_crossed and self.on_minute is not None:
            self.on_minute(rows, decision)
        found = self.findings.regressed(rows, decision, detect, boundary_ns, is_lossy=is_lossy)
        for verdict in [*coming, *found]:
            commands.extend(self.responder.respond(verdict, self.now_ns, self.config))
        commands.extend(self.follower.tick(self.now_ns, self.config, minute_crossed=minute_crossed))
        return commands

    def _pass_minute(self) -> None:
        troubled = {tracked.incident.scope.family() for tracked in self.book.open.values()}
        frozen = []
        pinned = {scope for scope in self.roster.references if scope is not None}
        for record in self.scopes.records.values() if troubled else ():
            if record.scope.family() in troubled:
                frozen.append(record)
                pinned.add(record.scope)
        self.scopes.decay(frozen)
        for record in self.scopes.make_way(pinned):
            self.comparisons.forget(record.scope)
            self.intake.forget(record.scope)
            self.exemplars.forget(record.scope)
            self.contrast.forget(record.scope)
        self.comparisons.incident_families = troubled
        self.judge.incident_rows = {
            row
            for scope, rows in self.roster.by_scope.items()
            if self.book.covering(scope) is not None
            for row in rows
        }

    # --- what can be asked ------------------------------------------------------------------------

    def verdicts(self) -> list[Verdict]:
        """Return the verdict of every judged row at the last tick, quiet ones too."""
        if self.last is None:
            return []
        rows, decision = self.last
        return [
            self.findings.verdict(rows, decision, index, self.config.detect)
            for index in range(len(rows))
            if self.roster.judged[rows[index]] and self.roster.scopes[rows[index]] is not None
        ]

    def explain(self, wants: Callable[[Scope], bool], most_scopes: int) -> Explained:
        """Return what was seen at the last tick of the scopes that are wanted, worst first."""
        if self.last is None:
            return Explained()
        rows, decision = self.last
        return explain(
            self.judge,
            self.findings,
            rows,
            decision,
            self.config.detect,
            wants=wants,
            most_scopes=most_scopes,
            is_lossy=self.is_lossy,
            coming=self.coming,
        )

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
            "windows_refused_tools_total": self.intake.refused_tools,
            "windows_refused_tokens_total": self.intake.refused_tokens,
            "windows_refused_costs_total": self.intake.refused_costs,
            "windows_unpriced_requests_total": self.intake.unpriced_requests,
            "windows_refused_traffic_total": self.coming.traffic.refused,
            "incidents_open": len(self.book.open),
            "incidents_paging": sum(
                one.incident.severity is Severity.PAGE for one in self.book.open.values()
            ),
            "incidents_untold_changes_total": self.news.untold_changes,
        }
