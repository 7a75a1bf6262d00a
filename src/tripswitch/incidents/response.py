"""Response: from a verdict or an outcome to what is said and done about it.

A verdict opens an incident, joins one or raises one to a page; a page is triaged and plans a
rollback, and a plan that may act by itself becomes a command. One that did not help makes way for
the next rung of the ladder. What the spans show of it is seen to in `follow`, what people decide in
`decisions`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tripswitch.config.model import Config
from tripswitch.incidents.book import Book, Tracked, emit, with_rollback
from tripswitch.incidents.changes import ChangeLog
from tripswitch.incidents.contrast import Contrast
from tripswitch.incidents.exemplars import Exemplars
from tripswitch.incidents.facts import FactFinder, Facts
from tripswitch.incidents.follow import Follower
from tripswitch.incidents.ladder import VERSIONS
from tripswitch.incidents.plan import plan_rollback
from tripswitch.incidents.triage import Circumstances, triage
from tripswitch.model.clocktext import NS_PER_S, minutes_text
from tripswitch.model.incident import (
    COMMS_CLOSED,
    Confirmation,
    IncidentState,
    RollbackPlan,
    RollbackState,
    Severity,
)
from tripswitch.model.messages import Command, Event, EventName, Rollback, RollbackOutcome
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Verdict

MOST_PROPOSALS: Final = 4
"""How often a person is asked for one rollback; after that it is left to who looks."""


class Responder:
    """Makes commands, with the book, the change log and the exemplars at hand."""

    def __init__(
        self,
        book: Book,
        follower: Follower,
        changes: ChangeLog,
        exemplars: Exemplars,
        contrast: Contrast,
        fact_finder: FactFinder,
    ) -> None:
        self.book = book
        self.follower = follower
        self.changes = changes
        self.exemplars = exemplars
        self.contrast = contrast
        self.fact_finder = fact_finder

    def respond(self, verdict: Verdict, now_ns: int, config: Config) -> list[Command]:
        """Return what follows from one verdict that something regressed."""
        tracked = self.book.open.get(self.book.key_of(verdict))
        if tracked is None:
            return self._open(verdict, now_ns, config)
        if tracked.incident.state is IncidentState.RECOVERED and verdict.severity is Severity.PAGE:
            return self._relapse(tracked, verdict, now_ns, config)
        commands: list[Command] = []
        is_blame_new = self.book.is_blame_new(tracked, verdict)
        if tracked.incident.rollback is not None and tracked.blaming is None:
            # A restart without a snapshot forgot what the plan stands on, which the ladder needs.
            tracked.blaming = verdict
        if self.book.join(tracked, verdict):
            commands += emit(
                EventName.INCIDENT_UPDATED, now_ns, tracked, f"joined by {verdict.why}"
            )
        if verdict.severity is Severity.PAGE and tracked.incident.severity is not Severity.PAGE:
            self.book.escalate(tracked, verdict)
            self._refresh_exemplars(tracked, config)
            plan = self._triage(tracked, verdict, now_ns, config)
            commands += emit(EventName.INCIDENT_ESCALATED, now_ns, tracked, verdict.why)
            commands += self._carry(tracked, plan, now_ns)
        elif verdict.severity is Severity.PAGE and is_blame_new:
            # What paged by itself, a leak, is blamed on an arm once its control is proven better,
            # and so is a page that blamed nobody once another of its signals does.
            plan = self._triage(tracked, verdict, now_ns, config)
            commands += self._carry(tracked, plan, now_ns)
        return commands

    def outcome(self, outcome: RollbackOutcome, now_ns: int, config: Config) -> list[Command]:
        """Take in what became of a rollback; an outcome of no open incident changes nothing."""
        tracked = self.book.by_rollback(outcome.key)
        plan = None if tracked is None else tracked.incident.rollback
        if tracked is None or plan is None:
            return []
        if outcome.key not in plan.keys:
            return self._outcome_of_before(tracked, outcome, now_ns)
        if outcome.key != plan.key:
            return self._undo_outcome(tracked, plan, outcome, now_ns)
        states = {
            "acknowledged": (RollbackState.ACKNOWLEDGED, EventName.ROLLBACK_ACKNOWLEDGED),
            "unknown": (RollbackState.UNKNOWN, EventName.ROLLBACK_UNKNOWN),
            "failed": (RollbackState.FAILED, EventName.ROLLBACK_FAILED),
        }
        state, name = states[outcome.state]
        if plan.state in (state, RollbackState.CONFIRMED) or plan.state in _PAST_THE_CALL:
            return []
        with_rollback(tracked, state, outcome.detail)
        self._remember(tracked)
        if state is not RollbackState.FAILED:
            self.follower.start_after_call(tracked, now_ns)
            return emit(name, now_ns, tracked, outcome.detail)
        return emit(name, now_ns, tracked, outcome.detail) + self.climb(tracked, now_ns, config)

    def _outcome_of_before(
        self, tracked: Tracked, outcome: RollbackOutcome, now_ns: int
    ) -> list[Command]:
        """Take in what became of a rung that is behind: it is told, and moves nothing any more."""
        plans = tracked.incident.rollbacks
        old = next(plan for plan in plans if outcome.key in plan.keys)
        is_undo = outcome.key == old.undo_key
        if is_undo and old.state is RollbackState.UNDOING:
            states = {
                "acknowledged": (RollbackState.UNDONE, EventName.ROLLBACK_UNDONE),
                "unknown": (RollbackState.UNDOING, EventName.ROLLBACK_UNKNOWN),
                "failed": (RollbackState(old.state_before_undo), EventName.ROLLBACK_FAILED),
            }
            state, name = states[outcome.state]
        elif not is_undo and outcome.state == "acknowledged" and old.state is RollbackState.FAILED:
            state, name = old.state, EventName.ROLLBACK_ACKNOWLEDGED
        else:
            return []
        changed = replace(old, state=state, reason=outcome.detail)
        self.book.note_rollback(changed)
        kept = tuple(changed if plan is old else plan for plan in plans)
        tracked.incident = replace(tracked.incident, rollbacks=kept)
        what = "the way back" if is_undo else "the rung before"
        detail = f"{what} through {old.target} is {outcome.state}: {outcome.detail}"
        return emit(name, now_ns, tracked, detail)

    def climb(self, tracked: Tracked, now_ns: int, config: Config) -> list[Command]:
        """Plan the next rung, because this one was not to be had or did not help."""
        plan, verdict = tracked.incident.rollback, tracked.blaming
        if plan is None or verdict is None:
            return []
        tracked.tried.add((plan.path, plan.target))
        if plan.path in VERSIONS and RollbackState.CONFIRMED in (
            plan.state,
            plan.state_before_undo,
        ):
            # The version is gone, and that did not help: another lever on it would not either.
            tracked.tried.update(
                (path, target.name) for path in VERSIONS for target in config.rollback.targets
            )
        facts = self.fact_finder.facts(verdict, config, now_ns)
        following = plan_rollback(verdict, facts, config, now_ns, tracked.tried)
        if following is None:
            return []
        tracked.incident = replace(
            tracked.incident, rollbacks=(*tracked.incident.rollbacks, plan), rollback=None
        )
        tracked.called_ns = tracked.confirmed_ns = None
        tracked.is_overdue = tracked.is_unrecovered = tracked.is_hold_over = False
        return self._carry(tracked, following, now_ns)

    def propose_again(self, tracked: Tracked, now_ns: int, config: Config) -> list[Command]:
        """Ask once more, on the facts of now, unless the signal is well, where nobody has answered.

        Only for the very same move, and only as a proposal: silence decides nothing.
        """
        plan, verdict = tracked.incident.rollback, tracked.blaming
        if plan is None or verdict is None or plan.proposals >= MOST_PROPOSALS:
            return []
        if tracked.incident.state is not IncidentState.OPEN:
            return []
        if tracked.recovery is not None and tracked.recovery.is_well():
            return []
        facts = self.fact_finder.facts(verdict, config, now_ns)
        fresh = plan_rollback(verdict, facts, config, now_ns, tracked.tried)
        if fresh is None or fresh.key != plan.key or fresh.state is RollbackState.WITHHELD:
            return []
        if fresh.state is RollbackState.PLANNED:
            # What held it back is gone, but a person was asked: it does not go by itself now.
            expires_ns = now_ns + int(config.rollback.proposal_expires * NS_PER_S)
            reason = "nothing holds it back any more, but a person was asked"
            fresh = replace(
                fresh,
                state=RollbackState.PROPOSED,
                mode="propose",
                reason=reason,
                expires_ns=expires_ns,
            )
        return self._carry(tracked, replace(fresh, proposals=plan.proposals + 1), now_ns)

    def _undo_outcome(
        self, tracked: Tracked, plan: RollbackPlan, outcome: RollbackOutcome, now_ns: int
    ) -> list[Command]:
        if plan.state is not RollbackState.UNDOING:
            return []
        if outcome.state == "acknowledged":
            with_rollback(tracked, RollbackState.UNDONE, outcome.detail)
            self._remember(tracked)
            detail = f"taken back, {plan.from_version} serves again: {outcome.detail}"
            return emit(EventName.ROLLBACK_UNDONE, now_ns, tracked, detail)
        name = (
            EventName.ROLLBACK_UNKNOWN if outcome.state == "unknown" else EventName.ROLLBACK_FAILED
        )
        if outcome.state == "failed":
            with_rollback(tracked, RollbackState(plan.state_before_undo), outcome.detail)
            self._remember(tracked)
        detail = f"the way back is {outcome.state}: {outcome.detail}"
        return emit(name, now_ns, tracked, detail)

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
        if verdict.is_common and verdict.scope.route is None:
            through = self.fact_finder.comparisons.upstreams.through(verdict.scope)
            tracked.families = {scope.family() for scope in through}
        plan = None
        if verdict.severity is Severity.PAGE:
            plan = self._triage(tracked, verdict, now_ns, config)
        commands = emit(EventName.INCIDENT_OPENED, now_ns, tracked, verdict.why)
        commands += self._carry(tracked, plan, now_ns)
        self.follower.start(tracked, now_ns)
        return commands + self._merge_into(tracked, now_ns, config)

    def _relapse(
        self, tracked: Tracked, verdict: Verdict, now_ns: int, config: Config
    ) -> list[Command]:
        """Open anew what had recovered, was not closed yet and pages again: as loud as a page.

        It is the same incident, whose alert is still open at every pager. What was rolled back
        before stays a person's matter; where nothing was, it is planned now.
        """
        incident, old = tracked.incident, tracked.incident.rollback
        recovered_ns = incident.recovered_at_ns or now_ns
        # An all-clear that was given is none any more, and whoever was on it then may not be now.
        kept = tuple(one for one in incident.confirmations if one.what != COMMS_CLOSED)
        tracked.incident = replace(
            incident,
            state=IncidentState.OPEN,
            recovered_at_ns=None,
            confirmations=kept,
            acknowledged=None,
        )
        self.book.join(tracked, verdict)
        self.book.escalate(tracked, verdict)
        self._refresh_exemplars(tracked, config)
        self.follower.start(tracked, now_ns)
        # What helped once was not the wrong cause.
        tracked.is_unrecovered = old is not None and old.state is RollbackState.CONFIRMED
        plan = self._triage(tracked, verdict, now_ns, config)
        detail = (
            f"bad again {minutes_text(now_ns - recovered_ns)} after it recovered: {verdict.why}"
        )
        commands = emit(EventName.INCIDENT_UNRECOVERED, now_ns, tracked, detail)
        if old is not None and old.state is RollbackState.EXPIRED:
            return commands + self.propose_again(tracked, now_ns, config)
        return commands + self._carry(tracked, plan, now_ns)

    def _merge_into(self, wide: Tracked, now_ns: int, config: Config) -> list[Command]:
        """Close what turns out to be part of a provider's incident that has just opened.

        Only what blames nobody else (no control says otherwise) and moved nothing yet.
        """
        commands: list[Command] = []
        for subject, part in list(self.book.open.items()) if wide.families else ():
            plan = part.incident.rollback
            is_part = (
                part is not wide
                and subject.security == wide.incident.security
                and subject.scope.family() in wide.families
                and part.incident.shape is wide.incident.shape
                and all(
                    verdict.comparison is not Comparison.CONTROL
                    for verdict in part.verdicts.values()
                )
                and (plan is None or plan.state in _NOTHING_MOVED)
            )
            if is_part:
                note = f"part of {wide.incident.id} on {wide.incident.scope.label()}"
                merged = Confirmation("merged", "tripswitch", now_ns, note)
                part.incident = replace(part.incident, waiver=merged)
                commands += self.follower.resolve_if_complete(part, now_ns, config.incidents)
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

    def _triage(
        self, tracked: Tracked, verdict: Verdict, now_ns: int, config: Config
    ) -> RollbackPlan | None:
        """Say in the incident what is known of a page; return the plan that fits, if one does."""
        facts = self.fact_finder.facts(verdict, config, now_ns)
        plan = None
        if tracked.incident.rollback is None:
            plan = plan_rollback(verdict, facts, config, now_ns)
            if plan is not None:
                tracked.blaming = verdict
        around = Circumstances(
            facts=facts,
            changes=self.changes.before(verdict.scope, now_ns, most=50),
            exemplars=self.exemplars,
            contrast=self.contrast,
            arms=self._well(verdict, facts),
        )
        found = triage(tracked.incident, verdict, plan or tracked.incident.rollback, around)
        tracked.incident = replace(tracked.incident, triage=found)
        return plan

    def _well(self, verdict: Verdict, facts: Facts) -> list[Scope]:
        """Return the arms that serve the same prompt and are not the one to blame."""
        family = self.fact_finder.comparisons.families.get(verdict.scope.family())
        arms = [] if family is None else [arm for arm in family.arms if arm != verdict.scope.arm()]
        good = [arm for arm in arms if arm.prompt_version == facts.good_version]
        return good or arms or [verdict.scope.arm()]

    def _carry(self, tracked: Tracked, plan: RollbackPlan | None, now_ns: int) -> list[Command]:
        """Put a plan into its incident, tell of it, and command it where it may go."""
        if plan is None:
            return []
        plan = replace(plan, incident_id=tracked.incident.id)
        tracked.incident = replace(tracked.incident, rollback=plan)
        text = f"{plan.target}: {plan.from_version} back to {plan.to_version} on "
        asked = f" for the {plan.proposals}. time" if plan.proposals > 1 else ""
        text += f"{plan.pointer.label()} ({plan.state.value}{asked}"
        detail = text + (f": {plan.reason})" if plan.reason else ")")
        commands = emit(EventName.ROLLBACK_PLANNED, now_ns, tracked, detail)
        if plan.state is RollbackState.PLANNED:
            self.book.note_rollback(plan)
            event = commands[0]
            assert isinstance(event, Event)
            commands.append(Rollback(plan.key, plan, event))
        return commands

    def _remember(self, tracked: Tracked) -> None:
        if tracked.incident.rollback is not None:
            self.book.note_rollback(tracked.incident.rollback)


_NOTHING_MOVED = (
    RollbackState.PROPOSED,
    RollbackState.WITHHELD,
    RollbackState.REJECTED,
    RollbackState.EXPIRED,
)
_PAST_THE_CALL = (
    RollbackState.UNDOING,
    RollbackState.UNDONE,
    RollbackState.REVERTED,
    RollbackState.RELEASED,
)
