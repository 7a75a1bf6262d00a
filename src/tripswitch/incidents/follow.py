"""Following an incident: has the rollback taken, is the signal back, may it be closed.

Traffic back is seen when the bad version's share of its population is near zero in a whole minute
after the call; recovery is then proven on that population (see `recovery`). A rollback that was
answered but does not show in the spans in time is said to have failed, whatever the answer was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tripswitch.config.model import Config, Incidents
from tripswitch.detect.coming import Coming
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.families import serving_version
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import BY_ARRIVAL
from tripswitch.incidents.book import Book, Tracked, emit, with_rollback
from tripswitch.incidents.drift import Drifts
from tripswitch.incidents.due import Reminders
from tripswitch.incidents.ladder import BY_SIGNAL, HELD
from tripswitch.incidents.moving import FEWEST_CALLS, Mover
from tripswitch.incidents.recovery import Recovery
from tripswitch.incidents.triage import over
from tripswitch.incidents.watching import CALLED, Watcher, is_emptied
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S, minutes_text
from tripswitch.model.incident import Incident, IncidentState, RollbackPlan, RollbackState
from tripswitch.model.messages import Command, EventName
from tripswitch.windows.scopes import Scopes

_SOON_NS: Final = 5 * NS_PER_MINUTE
_NOT_FOLLOWED: Final = (
    RollbackState.PLANNED,
    RollbackState.UNDOING,
    RollbackState.UNDONE,
    RollbackState.REVERTED,
    RollbackState.RELEASED,
)


class Follower:
    """Follows every open incident of the book, tick by tick.

    ``on_spent`` is asked for the next rung when one did not help; ``on_undo`` takes one back;
    ``on_unanswered`` may propose again what nobody answered.
    """

    def __init__(
        self,
        book: Book,
        scopes: Scopes,
        comparisons: Comparisons,
        roster: Roster,
        coming: Coming,
    ) -> None:
        self.book = book
        self.scopes = scopes
        self.comparisons = comparisons
        self.roster = roster
        self.coming = coming
        self.mover = Mover(scopes, comparisons)
        self.watcher = Watcher(scopes, comparisons)
        self.on_spent: Callable[[Tracked, int, Config], list[Command]] = lambda *_: []
        self.on_undo: Callable[[Tracked, int], list[Command]] = lambda *_: []
        self.on_unanswered: Callable[[Tracked, int, Config], list[Command]] = lambda *_: []
        self.drifts = Drifts(scopes, comparisons, book)
        self.reminders = Reminders(book)
        book.on_resolved = self.reminders.take_resolved

    def start(self, tracked: Tracked, now_ns: int) -> None:
        """Begin to watch the incident's own scope for recovery."""
        tracked.recovery = Recovery([], now_ns // NS_PER_MINUTE)

    def start_after_call(self, tracked: Tracked, now_ns: int) -> None:
        """Begin anew from the moment a rollback was called: what came before proves nothing."""
        plan = tracked.incident.rollback
        assert plan is not None
        tracked.called_ns = now_ns
        tracked.recovery = Recovery([], now_ns // NS_PER_MINUTE)
        before = self.mover.moved(plan, now_ns // NS_PER_MINUTE - 2)
        if before.total >= FEWEST_CALLS:
            tracked.share_before = before.share

    def tick(self, now_ns: int, config: Config, *, minute_crossed: bool) -> list[Command]:
        """Look at every open incident; most of it happens once a minute."""
        commands: list[Command] = []
        for key in list(self.book.open) if minute_crossed else ():
            tracked = self.book.open[key]
            commands += self._follow_call(tracked, now_ns, config)
            commands += self._follow_signal(tracked, now_ns, config)
            commands += self._follow_help(tracked, now_ns, config)
        if minute_crossed:
            commands += self.reminders.follow(now_ns, config)
        return commands + self.drifts.follow(now_ns, config, minute_crossed=minute_crossed)

    def resolve_if_complete(
        self, tracked: Tracked, now_ns: int, settings: Incidents
    ) -> list[Command]:
        """Resolve an incident that misses nothing any more (`Incident.missing`).

        A page needs the signal back, a fix in review and comms closed; an investigation only the
        signal; a waiver stands in for the rest.
        """
        incident = tracked.incident
        if incident.missing:
            return []
        tracked.incident = replace(incident, state=IncidentState.RESOLVED, resolved_at_ns=now_ns)
        if incident.state is IncidentState.OPEN and not incident.opened_by:
            found = over(incident.triage, is_proven=False)
            tracked.incident = replace(tracked.incident, triage=found)
        key = next(key for key, other in self.book.open.items() if other is tracked)
        self.book.close(key, now_ns, settings)
        lasted = minutes_text(now_ns - incident.onset_ns)
        waived = ""
        if incident.waiver is not None:
            waiver = incident.waiver
            waived = f": {waiver.note}"
            if waiver.what != "merged":
                waived = f", by a waiver of {waiver.by}"
        return emit(
            EventName.INCIDENT_RESOLVED,
            now_ns,
            tracked,
            f"resolved {lasted} after its onset{waived}",
        )

    def _follow_call(self, tracked: Tracked, now_ns: int, config: Config) -> list[Command]:
        plan = tracked.incident.rollback
        if plan is None or plan.state in _NOT_FOLLOWED:
            return []
        if plan.state is RollbackState.CONFIRMED:
            return self._follow_confirmed(tracked, plan, now_ns)
        if plan.state is RollbackState.PROPOSED and _has_expired(plan, now_ns):
            with_rollback(tracked, RollbackState.EXPIRED)
            detail = (
                f"nobody answered the proposal within {_lasting(plan)}; it cannot be approved now"
            )
            commands = emit(EventName.ROLLBACK_EXPIRED, now_ns, tracked, detail)
            return commands + self.on_unanswered(tracked, now_ns, config)
        if tracked.called_ns is None:
            # Nobody was called by us (proposed, withheld, or taken up after a restart), yet a
            # person may move the pointer: from here on the spans are watched just the same.
            self.start_after_call(tracked, now_ns)
            return []
        if plan.path in BY_SIGNAL:
            return []
        moved = self.mover.moved(plan, tracked.called_ns // NS_PER_MINUTE + 1)
        if moved.is_gone(tracked.share_before):
            who = "the call" if plan.state in CALLED else "it was planned, by another hand"
            detail = (
                f"traffic is back on {plan.to_version}: {plan.from_version} has "
                f"{100 * moved.share:.1f} % of {int(moved.total)} calls of {plan.pointer.label()}, "
                f"{minutes_text(now_ns - tracked.called_ns)} after {who}"
            )
            return self._confirmed(tracked, now_ns, detail)
        if plan.state not in CALLED:
            return []
        deadline_ns = tracked.called_ns + int(config.rollback.confirm_within * NS_PER_S)
        if now_ns < deadline_ns or tracked.is_overdue:
            return []
        tracked.is_overdue = True
        if moved.total < FEWEST_CALLS:
            detail = (
                f"{plan.target} was called, but only {int(moved.total)} calls of "
                f"{plan.pointer.label()} were seen since, too few to tell whether it took"
            )
            return emit(EventName.ROLLBACK_UNKNOWN, now_ns, tracked, detail)
        detail = (
            f"{plan.target} was called, but {plan.from_version} still has "
            f"{100 * moved.share:.1f} % of {int(moved.total)} calls of {plan.pointer.label()} "
            f"after {minutes_text(now_ns - tracked.called_ns)}; it is not called again, a person "
            "must act"
        )
        with_rollback(tracked, RollbackState.FAILED, detail)
        self.book.note_rollback(_plan_of(tracked))
        commands = emit(EventName.ROLLBACK_FAILED, now_ns, tracked, detail)
        return commands + self.on_spent(tracked, now_ns, config)

    def _confirmed(self, tracked: Tracked, now_ns: int, detail: str) -> list[Command]:
        plan = _plan_of(tracked)
        # One that failed may have been ours after all; one that never went was not.
        is_ours = plan.state in (*CALLED, RollbackState.FAILED)
        tracked.incident = replace(tracked.incident, rollback=replace(plan, by_another=not is_ours))
        with_rollback(tracked, RollbackState.CONFIRMED, detail)
        tracked.confirmed_ns = now_ns
        waited_ns = now_ns - (tracked.called_ns or now_ns)
        is_well = tracked.recovery is not None and tracked.recovery.is_well()
        if waited_ns > _SOON_NS and not is_well:
            # So many minutes of before the traffic moved would have to leave the window first.
            self.start(tracked, now_ns)
        self.book.note_rollback(_plan_of(tracked))
        return emit(EventName.ROLLBACK_CONFIRMED, now_ns, tracked, detail)

    def _follow_confirmed(self, tracked: Tracked, plan: RollbackPlan, now_ns: int) -> list[Command]:
        """Notice when somebody else undoes what was confirmed; that is told, never fought."""
        if tracked.confirmed_ns is None:
            tracked.confirmed_ns = now_ns
        if plan.path in BY_SIGNAL:
            return []
        moved = self.mover.moved(plan, max(now_ns // NS_PER_MINUTE - 2, _minute_after(tracked)))
        if not moved.is_back(tracked.share_before):
            return []
        detail = (
            f"{plan.from_version} serves again, {100 * moved.share:.1f} % of {int(moved.total)} "
            f"calls of {plan.pointer.label()}: somebody else put it back; it is not rolled back "
            "twice, a person must act"
        )
        with_rollback(tracked, RollbackState.REVERTED, detail)
        self.book.note_rollback(_plan_of(tracked))
        return emit(EventName.ROLLBACK_REVERTED, now_ns, tracked, detail)

    def _follow_help(self, tracked: Tracked, now_ns: int, config: Config) -> list[Command]:
        """Say when a lever that took did not help, and when it has been held for long."""
        incident, plan = tracked.incident, tracked.incident.rollback
        if plan is None or incident.state is IncidentState.RESOLVED:
            return []
        took = plan.state is RollbackState.CONFIRMED
        since_ns = tracked.confirmed_ns if took else tracked.called_ns
        if since_ns is None or not (took or (plan.path in BY_SIGNAL and plan.state in CALLED)):
            return []
        commands: list[Command] = []
        hold_ns = int(config.rollback.failover.hold * NS_PER_S)
        if plan.path in HELD and not tracked.is_hold_over and now_ns - since_ns >= hold_ns:
            tracked.is_hold_over = True
            detail = (
                f"{plan.from_version} has been on {plan.to_version} for {minutes_text(hold_ns)}; "
                "look whether it can go back, and undo it"
            )
            commands += emit(EventName.ROLLBACK_HOLD_OVER, now_ns, tracked, detail)
        deadline_ns = since_ns + int(config.rollback.recover_within * NS_PER_S)
        is_due = now_ns >= deadline_ns and not tracked.is_unrecovered
        if incident.state is not IncidentState.OPEN or not is_due or tracked.recovery is None:
            return commands
        if not tracked.recovery.is_failing():
            return commands
        tracked.is_unrecovered = True
        window_minutes = max(1, round(config.detect.alert_window / 60))
        detail = (
            f"{plan.from_version} back to {plan.to_version} did not help within "
            f"{minutes_text(now_ns - since_ns)}, so it was the wrong cause: "
            f"{tracked.recovery.sentence(window_minutes)}"
        )
        commands += emit(EventName.INCIDENT_UNRECOVERED, now_ns, tracked, detail)
        if config.rollback.undo_when_wrong:
            commands += self.on_undo(tracked, now_ns)
        return commands + self.on_spent(tracked, now_ns, config)

    def _follow_signal(self, tracked: Tracked, now_ns: int, config: Config) -> list[Command]:
        incident = tracked.incident
        if incident.state is not IncidentState.OPEN:
            return []
        plan = incident.rollback
        if plan is not None and plan.state is RollbackState.PLANNED:
            return []
        if tracked.recovery is None:
            self.start(tracked, now_ns)
        assert tracked.recovery is not None
        tracked.recovery.watch_also(self.watcher.watched(tracked, config))
        tracked.recovery.drop(
            {
                verdict.rubric
                for verdict in tracked.verdicts.values()
                if is_emptied(tracked, verdict)
            }
        )
        window_minutes = max(1, round(config.detect.alert_window / 60))
        tracked.recovery.advance(self.scopes.rings, window_minutes)
        by_signal = plan is not None and plan.path in BY_SIGNAL
        if plan is not None and plan.state in CALLED and not by_signal:
            # Until the traffic is seen to be back, good numbers may be somebody else's.
            return []
        detail = self._proof(tracked, now_ns, window_minutes)
        if detail is None:
            return []
        commands: list[Command] = []
        if by_signal and plan is not None and plan.state in CALLED:
            took = f"{plan.from_version} on {plan.to_version}: the signal is back, {detail}"
            commands += self._confirmed(tracked, now_ns, took)
        incident = tracked.incident
        tracked.incident = replace(
            incident,
            state=IncidentState.RECOVERED,
            recovered_at_ns=now_ns,
            triage=over(incident.triage, is_proven=True),
        )
        self.forget_evidence(incident, now_ns)
        commands += emit(EventName.INCIDENT_RECOVERED, now_ns, tracked, detail)
        return commands + self.resolve_if_complete(tracked, now_ns, config.incidents)

    def _proof(self, tracked: Tracked, now_ns: int, window_minutes: int) -> str | None:
        """Return how every signal of an incident is proven back, None when one is not."""
        assert tracked.recovery is not None
        left = [
            verdict for verdict in tracked.verdicts.values() if not is_emptied(tracked, verdict)
        ]
        by_arrival = [verdict for verdict in left if verdict.signal in BY_ARRIVAL]
        if any(self.coming.good_minutes(verdict) < window_minutes for verdict in by_arrival):
            return None
        if not left and tracked.verdicts:
            confirmed_ns = tracked.confirmed_ns or now_ns
            if now_ns - confirmed_ns < window_minutes * NS_PER_MINUTE:
                return None
            plan = _plan_of(tracked)
            return f"{plan.from_version} has been off for {window_minutes} min, and is not judged"
        is_all = len(by_arrival) == len(left) and bool(by_arrival)
        if not is_all and not tracked.recovery.is_proven(window_minutes):
            return None
        if by_arrival:
            names = ", ".join(sorted({verdict.signal for verdict in by_arrival}))
            return f"{names} is over for {window_minutes} min"
        return "back inside the line: " + tracked.recovery.sentence(window_minutes)

    def forget_evidence(self, incident: Incident, now_ns: int) -> None:
        """Let a recovered scope start from zero, so that only new evidence can trip it again."""
        through = set(self.comparisons.upstreams.through(incident.scope))
        for scope in list(self.roster.by_scope):
            is_of_arm = incident.scope.route is not None and (
                scope.arm() == incident.scope.arm() or scope.family() == incident.scope
            )
            if is_of_arm or scope in through:
                for row in self.roster.by_scope[scope]:
                    for detector in self.roster.detectors.values():
                        detector.start(row, 0.0, now_ns)

    def serving(self, incident: Incident) -> str | None:
        """Return the version that serves the incident's population now."""
        family = self.comparisons.families.get(incident.scope.family())
        if family is None:
            return None
        return serving_version(family, self.scopes, incident.scope.population())


def _plan_of(tracked: Tracked) -> RollbackPlan:
    plan = tracked.incident.rollback
    assert plan is not None
    return plan


def _minute_after(tracked: Tracked) -> int:
    """Return the first whole minute after the traffic was seen to have moved."""
    return (tracked.confirmed_ns or 0) // NS_PER_MINUTE + 1


def _has_expired(plan: RollbackPlan, now_ns: int) -> bool:
    return plan.expires_ns is not None and now_ns > plan.expires_ns


def _lasting(plan: RollbackPlan) -> str:
    return minutes_text((plan.expires_ns or plan.planned_at_ns) - plan.planned_at_ns)
