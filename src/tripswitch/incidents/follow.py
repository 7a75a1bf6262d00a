"""Following an incident: has the rollback taken, is the signal back, may it be closed.

Traffic back is seen when the bad version's share of its population is near zero in a whole minute
after the call; recovery is then proven on that population (see `recovery`). A rollback that was
answered but does not show in the spans in time is said to have failed, whatever the answer was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tripswitch.config.model import Config, Incidents
from tripswitch.detect.coming import Coming
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.families import serving_version
from tripswitch.detect.lines import lines_of
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import BY_ARRIVAL, CALLS, SIGNALS, Rule, kind_of
from tripswitch.incidents.book import Book, Tracked, emit, with_rollback
from tripswitch.incidents.drift import Drifts
from tripswitch.incidents.due import Reminders
from tripswitch.incidents.recovery import Recovery, Watched
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S, minutes_text
from tripswitch.model.incident import Incident, IncidentState, RollbackState, Severity
from tripswitch.model.messages import Command, EventName
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Verdict
from tripswitch.windows.scopes import Measure, Scopes

_GONE_SHARE: Final = 0.05
_GONE_OF_BEFORE: Final = 0.2
_FEWEST_CALLS: Final = 5
_CONFIRMATIONS: Final = frozenset({"fix_in_review", "comms_closed"})
_CALLED: Final = (RollbackState.ACKNOWLEDGED, RollbackState.UNKNOWN)


class Follower:
    """Follows every open incident of the book, tick by tick."""

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
        bad = plan.pointer._replace(prompt_version=plan.from_version)
        before = now_ns // NS_PER_MINUTE - 2
        total = self._calls_since(plan.pointer, before)
        if total >= _FEWEST_CALLS:
            tracked.share_before = self._calls_since(bad, before) / total

    def tick(self, now_ns: int, config: Config, *, minute_crossed: bool) -> list[Command]:
        """Look at every open incident; most of it happens once a minute."""
        commands: list[Command] = []
        for key in list(self.book.open) if minute_crossed else ():
            tracked = self.book.open[key]
            commands += self._follow_call(tracked, now_ns, config)
            commands += self._follow_signal(tracked, now_ns, config)
        if minute_crossed:
            commands += self.reminders.follow(now_ns, config)
        return commands + self.drifts.follow(now_ns, config, minute_crossed=minute_crossed)

    def resolve_if_complete(
        self, tracked: Tracked, now_ns: int, settings: Incidents
    ) -> list[Command]:
        """Resolve a recovered incident once every confirmation is in.

        A page needs the signal back, a fix in review and comms closed; an investigation only the
        signal.
        """
        incident = tracked.incident
        if incident.state is not IncidentState.RECOVERED:
            return []
        if incident.severity is Severity.PAGE and not tracked.confirmations >= _CONFIRMATIONS:
            return []
        tracked.incident = replace(incident, state=IncidentState.RESOLVED, resolved_at_ns=now_ns)
        key = next(key for key, other in self.book.open.items() if other is tracked)
        self.book.close(key, now_ns, settings)
        lasted = minutes_text(now_ns - incident.onset_ns)
        return emit(
            EventName.INCIDENT_RESOLVED, now_ns, tracked, f"resolved {lasted} after its onset"
        )

    def _follow_call(self, tracked: Tracked, now_ns: int, config: Config) -> list[Command]:
        plan = tracked.incident.rollback
        if plan is None or plan.state in (RollbackState.PLANNED, RollbackState.CONFIRMED):
            return []
        if tracked.called_ns is None:
            # Nobody was called by us (proposed, withheld, or taken up after a restart), yet a
            # person may move the pointer: from here on the spans are watched just the same.
            self.start_after_call(tracked, now_ns)
            return []
        bad = plan.pointer._replace(prompt_version=plan.from_version)
        good = plan.pointer._replace(prompt_version=plan.to_version)
        since = tracked.called_ns // NS_PER_MINUTE + 1
        total = self._calls_since(plan.pointer, since)
        if total >= _FEWEST_CALLS:
            share = self._calls_since(bad, since) / total
            gone = min(_GONE_SHARE, _GONE_OF_BEFORE * tracked.share_before)
            if share <= gone and self._calls_since(good, since) > 0:
                who = "the call" if plan.state in _CALLED else "it was planned, by another hand"
                detail = (
                    f"traffic is back on {plan.to_version}: {plan.from_version} has "
                    f"{100 * share:.1f} % of {int(total)} calls of {plan.pointer.label()}, "
                    f"{minutes_text(now_ns - tracked.called_ns)} after {who}"
                )
                with_rollback(tracked, RollbackState.CONFIRMED, detail)
                return emit(EventName.ROLLBACK_CONFIRMED, now_ns, tracked, detail)
        if plan.state not in _CALLED:
            return []
        deadline_ns = tracked.called_ns + int(config.rollback.confirm_within * NS_PER_S)
        if now_ns < deadline_ns or tracked.is_overdue:
            return []
        tracked.is_overdue = True
        if total < _FEWEST_CALLS:
            detail = (
                f"{plan.target} was called, but only {int(total)} calls of {plan.pointer.label()} "
                "were seen since, too few to tell whether it took"
            )
            return emit(EventName.ROLLBACK_UNKNOWN, now_ns, tracked, detail)
        share = self._calls_since(bad, since) / total
        detail = (
            f"{plan.target} was called, but {plan.from_version} still has {100 * share:.1f} % of "
            f"{int(total)} calls of {plan.pointer.label()} after "
            f"{minutes_text(now_ns - tracked.called_ns)}; it is not called again, a person must act"
        )
        with_rollback(tracked, RollbackState.FAILED, detail)
        return emit(EventName.ROLLBACK_FAILED, now_ns, tracked, detail)

    def _calls_since(self, scope: Scope, minute: int) -> float:
        """Return the calls of a scope in the complete minutes from ``minute`` on, at most two."""
        record = self.scopes.records.get(scope)
        row = None if record is None else record.series.get(CALLS)
        if row is None:
            return 0.0
        rings = self.scopes.rings
        complete = min(rings.now_minute - minute, 2)
        if complete <= 0:
            return 0.0
        return float(rings.last_minutes(row, complete + 1)[:-1, 0].sum())

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
        tracked.recovery.watch_also(self._watched(tracked, config))
        window_minutes = max(1, round(config.detect.alert_window / 60))
        tracked.recovery.advance(self.scopes.rings, window_minutes)
        if plan is not None and plan.state in _CALLED:
            # Until the traffic is seen to be back, good numbers may be somebody else's.
            return []
        by_arrival = [
            verdict for verdict in tracked.verdicts.values() if verdict.signal in BY_ARRIVAL
        ]
        if any(self.coming.good_minutes(verdict) < window_minutes for verdict in by_arrival):
            return []
        is_all = len(by_arrival) == len(tracked.verdicts) and bool(by_arrival)
        if not is_all and not tracked.recovery.is_proven(window_minutes):
            return []
        detail = "back inside the line: " + tracked.recovery.sentence(window_minutes)
        if by_arrival:
            names = ", ".join(sorted({verdict.signal for verdict in by_arrival}))
            detail = f"{names} is over for {window_minutes} min"
        tracked.incident = replace(incident, state=IncidentState.RECOVERED, recovered_at_ns=now_ns)
        self.forget_evidence(incident, now_ns)
        commands = emit(EventName.INCIDENT_RECOVERED, now_ns, tracked, detail)
        return commands + self.resolve_if_complete(tracked, now_ns, config.incidents)

    def _watched(self, tracked: Tracked, config: Config) -> list[Watched]:
        """Return what has to be proven, on the population that was put back."""
        incident = tracked.incident
        plan = incident.rollback
        moved = plan is not None and plan.state in (*_CALLED, RollbackState.CONFIRMED)
        watched = []
        for verdict in tracked.verdicts.values():
            found = self._watch(verdict, config, on_population=moved)
            if found is not None:
                watched.append(found)
        return watched

    def _watch(self, verdict: Verdict, config: Config, *, on_population: bool) -> Watched | None:
        if verdict.signal in BY_ARRIVAL:
            return None
        kind = kind_of(verdict.signal, verdict.rubric, verdict.direction)
        signal = SIGNALS[kind]
        measure = Measure(signal.measure, verdict.rubric)
        scope = verdict.measured.population() if on_population else verdict.measured
        record = self.scopes.records.get(scope)
        row = None if record is None else record.series.get(measure)
        if row is None:
            return None
        control_row = None
        if verdict.comparison is Comparison.CONTROL and verdict.reference is not None:
            control = self.scopes.records.get(verdict.reference)
            control_row = None if control is None else control.series.get(measure)
        usual = 1 - verdict.usual if signal.rule is Rule.SCORE else verdict.usual
        if signal.rule is Rule.RATIO:
            usual = self._usual_spent(verdict, measure)
        return Watched(
            kind=kind,
            name=f"{verdict.signal}:{verdict.rubric}" if verdict.rubric else verdict.signal,
            row=row,
            control_row=control_row,
            usual_y=usual,
            mirrored=signal.is_mirrored,
            lines=lines_of(kind, config.detect.for_route(verdict.measured.route)),
        )

    def _usual_spent(self, verdict: Verdict, measure: Measure) -> float:
        """Return the usual linearised badness, which the raw ratio of a verdict is not."""
        family = self.comparisons.families.get(verdict.measured.family())
        yardstick = None if family is None else family.yardsticks.get(measure)
        if yardstick is None or yardstick.limit + yardstick.usual <= 0:
            return 0.5
        return yardstick.usual / (yardstick.limit + yardstick.usual)

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
