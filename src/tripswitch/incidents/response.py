"""Response: from a verdict, an outcome or a person's word to what is said and done about it.

A verdict opens an incident, joins one or raises one to a page; a page plans a rollback, and a plan
that may act by itself becomes a command. What the spans show of it later is seen to in `follow`.
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.config.model import Config
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.families import serving_version
from tripswitch.incidents.book import Book, Tracked, emit, with_rollback
from tripswitch.incidents.changes import ChangeLog
from tripswitch.incidents.exemplars import Exemplars
from tripswitch.incidents.follow import Follower
from tripswitch.incidents.plan import Facts, plan_rollback
from tripswitch.model.incident import RollbackState, Severity
from tripswitch.model.messages import (
    Command,
    Confirmed,
    Event,
    EventName,
    Rollback,
    RollbackOutcome,
)
from tripswitch.model.verdict import Comparison, Verdict
from tripswitch.windows.scopes import Scopes


class Responder:
    """Makes commands, with the book, the change log and the exemplars at hand."""

    def __init__(
        self,
        scopes: Scopes,
        comparisons: Comparisons,
        book: Book,
        follower: Follower,
        changes: ChangeLog,
        exemplars: Exemplars,
    ) -> None:
        self.scopes = scopes
        self.comparisons = comparisons
        self.book = book
        self.follower = follower
        self.changes = changes
        self.exemplars = exemplars

    def respond(self, verdict: Verdict, now_ns: int, config: Config) -> list[Command]:
        """Return what follows from one verdict that something regressed."""
        tracked = self.book.open.get(self.book.key_of(verdict))
        if tracked is None:
            return self._open(verdict, now_ns, config)
        commands: list[Command] = []
        is_blame_new = self.book.is_blame_new(tracked, verdict)
        if self.book.join(tracked, verdict):
            commands += emit(
                EventName.INCIDENT_UPDATED, now_ns, tracked, f"joined by {verdict.why}"
            )
        if verdict.severity is Severity.PAGE and tracked.incident.severity is not Severity.PAGE:
            self.book.escalate(tracked, verdict)
            self._refresh_exemplars(tracked, config)
            commands += emit(EventName.INCIDENT_ESCALATED, now_ns, tracked, verdict.why)
            commands += self._plan(tracked, verdict, now_ns, config)
        elif verdict.severity is Severity.PAGE and is_blame_new:
            # What paged by itself, a leak, is blamed on an arm once its control is proven better.
            commands += self._plan(tracked, verdict, now_ns, config)
        return commands

    def outcome(self, outcome: RollbackOutcome, now_ns: int) -> list[Command]:
        """Take in what became of a rollback; an outcome of no open incident changes nothing."""
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

    def confirm(self, confirmed: Confirmed, now_ns: int, config: Config) -> list[Command]:
        """Take a person's word; a recovered incident with every confirmation is resolved."""
        over = self.follower.reminders.note(confirmed.incident_id, confirmed.what, now_ns, config)
        tracked = self.book.by_id(confirmed.incident_id) or over
        if tracked is None:
            return []
        tracked.confirmations.add(confirmed.what)
        link = f" ({confirmed.link})" if confirmed.link else ""
        detail = f"{confirmed.what.replace('_', ' ')}, confirmed by {confirmed.by}{link}"
        commands = emit(EventName.INCIDENT_UPDATED, now_ns, tracked, detail)
        return commands + self.follower.resolve_if_complete(tracked, now_ns, config.incidents)

    def _open(self, verdict: Verdict, now_ns: int, config: Config) -> list[Command]:
        name = f"{verdict.signal}:{verdict.rubric}" if verdict.rubric else verdict.signal
        tracked = self.book.open_incident(
            self.book.key_of(verdict),
            verdict,
            now_ns,
            config.incidents,
            exemplars=self.exemplars.pick(
                verdict.scope, (name,), verdict.onset_ns, config.incidents.exemplars
            ),
            tenants=self.exemplars.tenants(verdict.scope, (name,), verdict.onset_ns),
            changes=self.changes.before(verdict.scope, now_ns),
        )
        commands = emit(EventName.INCIDENT_OPENED, now_ns, tracked, verdict.why)
        if verdict.severity is Severity.PAGE:
            commands += self._plan(tracked, verdict, now_ns, config)
        self.follower.start(tracked, now_ns)
        return commands

    def _refresh_exemplars(self, tracked: Tracked, config: Config) -> None:
        incident = tracked.incident
        found = self.exemplars.pick(
            incident.scope, incident.signals, incident.onset_ns, config.incidents.exemplars
        )
        tracked.incident = replace(
            incident,
            exemplars=found or incident.exemplars,
            tenants=self.exemplars.tenants(incident.scope, incident.signals, incident.onset_ns)
            or incident.tenants,
        )

    def _plan(
        self, tracked: Tracked, verdict: Verdict, now_ns: int, config: Config
    ) -> list[Command]:
        facts = self._facts(verdict)
        if facts is None or tracked.incident.rollback is not None:
            return []
        plan = plan_rollback(verdict, facts, config, now_ns)
        if plan is None:
            return []
        tracked.incident = replace(tracked.incident, rollback=plan)
        text = f"{plan.target}: {plan.from_version} back to {plan.to_version} on "
        text += f"{plan.pointer.label()} ({plan.state.value}"
        detail = text + (f": {plan.reason})" if plan.reason else ")")
        commands = emit(EventName.ROLLBACK_PLANNED, now_ns, tracked, detail)
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
