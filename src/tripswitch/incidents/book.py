"""The book of incidents: opened, joined, escalated, recovered, resolved; one episode, one incident.

An incident belongs to an arm (or, when every arm is hit, to the family) and an episode. The first
verdict gives its shape; later signals join it. A scope that trips again within the quiet period
carries the same episode number, so that every notifier sees one dedup key and not a flood.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from tripswitch.config.model import Incidents
from tripswitch.detect.signals import SECURITY
from tripswitch.incidents.owed import Owed
from tripswitch.incidents.recovery import Recovery
from tripswitch.incidents.triage import triage_by_hand
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.incident import (
    Change,
    Incident,
    IncidentState,
    RollbackPlan,
    RollbackState,
    Severity,
)
from tripswitch.model.instruction import Opening
from tripswitch.model.messages import Command, Event, EventName, Notify
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Verdict

_MOST_CLOSED: Final = 1_000
# As many as the ledger keeps.
_MOST_ROLLBACKS: Final = 10_000

_UNDECIDED: Final = (RollbackState.PLANNED, RollbackState.UNKNOWN, RollbackState.UNDOING)

QUIET_EVENTS: Final = frozenset(
    {
        EventName.ACTION_ANSWERED,
        EventName.ACTION_SENT,
        EventName.CHANGE_SEEN,
        EventName.CONFIG_LOADED,
        EventName.LEAK_NOTED,
        EventName.EVIDENCE_SEALED,
        EventName.CONFIG_LOADED,
        EventName.ACTION_SENT,
        EventName.ACTION_ANSWERED,
    }
)
"""Events that are recorded but wake nobody."""


@dataclass(slots=True)
class Tracked:
    """An open incident with what the engine needs to follow it.

    ``called_ns`` is when its rollback was answered (or may have been), ``share_before`` the bad
    version's share of its population then, ``confirmed_ns`` when the spans showed the traffic
    moved; ``blaming`` is the verdict that a rollback was planned on, ``tried`` the rungs and
    targets that are behind, ``families`` those whose traffic went through a provider that failed.
    ``is_overdue``, ``is_unrecovered`` and ``is_hold_over`` have been told;
    ``drift_step`` is where it stood when its series were last taken.
    """

    incident: Incident
    verdicts: dict[tuple[str, str | None, str], Verdict] = field(default_factory=dict)
    recovery: Recovery | None = None
    called_ns: int | None = None
    share_before: float = 1.0
    confirmed_ns: int | None = None
    blaming: Verdict | None = None
    tried: set[tuple[str, str]] = field(default_factory=set)
    families: set[Scope] = field(default_factory=set)
    is_overdue: bool = False
    is_unrecovered: bool = False
    is_hold_over: bool = False
    drift_step: str = ""


class Subject(NamedTuple):
    """What an incident is about. Security has one of its own beside any other of the scope."""

    scope: Scope
    security: bool


class Book:
    """Open incidents by subject, and how the closed ones ended.

    ``remembered`` are incidents as a snapshot knew them, until the ledger says what is open.
    """

    def __init__(self) -> None:
        self.open: dict[Subject, Tracked] = {}
        self.remembered: dict[str, Tracked] = {}
        self.episodes: dict[Subject, tuple[int, int]] = {}
        self.past_rollbacks: OrderedDict[str, RollbackPlan] = OrderedDict()
        self.owed: dict[str, Owed] = {}
        self.on_resolved: Callable[[Incident], None] | None = None

    def key_of(self, verdict: Verdict) -> Subject:
        """Return the subject whose incident a verdict belongs to."""
        security = verdict.signal in SECURITY
        for upstream in _upstreams(verdict):
            # What a provider does to all is told once, and not again of each.
            if upstream == verdict.scope or self._is_going_on(Subject(upstream, security)):
                return Subject(upstream, security)
        for subject, tracked in self.open.items():
            # What was said of a provider holds for those that it served, also once they left it.
            if (
                verdict.scope.family() in tracked.families
                and tracked.incident.shape is verdict.shape
                and verdict.comparison is not Comparison.CONTROL
                and subject.security == security
                and self._is_going_on(subject)
            ):
                return subject
        arm = Subject(verdict.scope.arm(), security)
        family = Subject(verdict.scope.family(), security)
        return family if verdict.is_common or self._is_going_on(family) else arm

    def _is_going_on(self, subject: Subject) -> bool:
        """Return whether an incident is open that has not recovered: only that takes others in."""
        tracked = self.open.get(subject)
        return tracked is not None and tracked.incident.state is IncidentState.OPEN

    def covering(self, scope: Scope) -> Tracked | None:
        """Return the open incident on the arm or family of ``scope``."""
        for security in (False, True):
            for covering in (scope.arm(), scope.family()):
                tracked = self.open.get(Subject(covering, security))
                if tracked is not None:
                    return tracked
        return None

    def by_id(self, incident_id: str) -> Tracked | None:
        """Return the open incident with this id."""
        for tracked in self.open.values():
            if tracked.incident.id == incident_id:
                return tracked
        return None

    def by_rollback(self, key: str) -> Tracked | None:
        """Return the open incident whose rollback, or its way back, has this idempotency key."""
        for tracked in self.open.values():
            plans = (*tracked.incident.rollbacks, tracked.incident.rollback)
            if any(plan is not None and key in plan.keys for plan in plans):
                return tracked
        return None

    def undecided(self) -> list[str]:
        """Return the keys of the calls of open incidents of which no end is known yet."""
        return [
            plan.undo_key if plan.state is RollbackState.UNDOING else plan.key
            for tracked in self.open.values()
            for plan in (*tracked.incident.rollbacks, tracked.incident.rollback)
            if plan is not None and plan.state in _UNDECIDED
        ]

    def episodes_of(self, verdict: Verdict) -> int:
        """Return the number of the episode of a verdict's subject, 1 for the first."""
        return max(1, self.episodes.get(self.key_of(verdict), (1, 0))[0])

    def restore(self, incidents: list[Incident], past_plans: list[RollbackPlan]) -> list[Incident]:
        """Take up incidents that were open before a restart, and what was rolled back before.

        The ledger's word holds for what an incident is; what only a snapshot knew of it is taken
        from there. Return those that the snapshot still had open and that were over since.
        """
        remembered, self.remembered = self.remembered, {}
        order = {incident_id: number for number, incident_id in enumerate(remembered)}
        for incident in sorted(incidents, key=lambda one: order.get(one.id, len(order))):
            if incident.state is IncidentState.RESOLVED:
                if self.on_resolved is not None:
                    self.on_resolved(incident)
                continue
            scope = incident.scope.arm() if incident.scope.prompt_version else incident.scope
            key = Subject(scope, incident.security)
            tracked = remembered.get(incident.id, Tracked(incident))
            if tracked.incident.state is incident.state:
                remembered.pop(incident.id, None)
            tracked.incident = incident
            self.open[key] = tracked
            episode, _ = self.episodes.get(key, (0, 0))
            if episode != incident.episode:
                self._note_episode(key, incident.episode, incident.detected_at_ns)
        for plan in past_plans:
            self.note_rollback(plan)
        return [tracked.incident for tracked in remembered.values()]

    def note_rollback(self, plan: RollbackPlan) -> None:
        """Remember a rollback that went out or was decided upon: it never goes out again."""
        if plan.state in (RollbackState.PROPOSED, RollbackState.WITHHELD) or plan.undoes:
            return
        self.past_rollbacks[plan.key] = plan
        self.past_rollbacks.move_to_end(plan.key)
        while len(self.past_rollbacks) > _MOST_ROLLBACKS:
            self.past_rollbacks.popitem(last=False)

    def open_incident(
        self,
        key: Subject,
        verdict: Verdict,
        now_ns: int,
        settings: Incidents,
        *,
        exemplars: tuple[str, ...],
        tenants: tuple[tuple[str, int], ...],
        changes: tuple[Change, ...],
    ) -> Tracked:
        """Open the incident of ``key`` from its first verdict."""
        episode, quiet_until_ns = self.episodes.get(key, (0, 0))
        if episode == 0 or now_ns > quiet_until_ns:
            episode += 1
        assert verdict.severity is not None
        is_wide = key.scope == verdict.scope.family() or key.scope.route is None
        scope = key.scope if is_wide else verdict.scope
        incident = Incident(
            id=_incident_id(key, verdict.shape.value, verdict.onset_ns),
            shape=verdict.shape,
            signal=verdict.signal,
            rubric=verdict.rubric,
            severity=verdict.severity,
            state=IncidentState.OPEN,
            security=key.security,
            scope=scope,
            episode=episode,
            onset_ns=min(verdict.onset_ns, now_ns),
            detected_at_ns=now_ns,
            estimate=verdict.value,
            baseline=verdict.usual,
            samples=verdict.samples,
            evidence=verdict.evidence,
            why=verdict.why,
            signals=(_signal_name(verdict),),
            exemplars=exemplars,
            changes=changes,
            tenants=tenants,
        )
        tracked = Tracked(incident, {_verdict_key(verdict): verdict})
        self.open[key] = tracked
        quiet_ns = int(settings.quiet_period * NS_PER_S)
        self._note_episode(key, episode, now_ns + quiet_ns)
        return tracked

    def open_by_hand(self, opening: Opening, now_ns: int, settings: Incidents) -> Tracked | None:
        """Open an incident that a person knows of; None where one of that subject is open."""
        security = opening.trigger is not None
        key = Subject(opening.scope, security)
        if key in self.open:
            return None
        episode, quiet_until_ns = self.episodes.get(key, (0, 0))
        if episode == 0 or now_ns > quiet_until_ns:
            episode += 1
        what = "by hand" if opening.trigger is None else opening.trigger.value
        incident = Incident(
            id=_incident_id(key, f"{opening.shape.value} {what}", now_ns),
            shape=opening.shape,
            signal=what,
            rubric=None,
            severity=Severity.PAGE,
            state=IncidentState.OPEN,
            security=security,
            scope=opening.scope,
            episode=episode,
            onset_ns=now_ns,
            detected_at_ns=now_ns,
            estimate=0.0,
            baseline=0.0,
            samples=0,
            evidence=0.0,
            why=opening.sentence,
            signals=(what,),
            exemplars=opening.traces,
            opened_by=opening.by,
            triage=triage_by_hand(opening.trigger, opening.sentence),
        )
        tracked = self.open[key] = Tracked(incident)
        self._note_episode(key, episode, now_ns + int(settings.quiet_period * NS_PER_S))
        return tracked

    def join(self, tracked: Tracked, verdict: Verdict) -> bool:
        """Add a verdict to an open incident; return whether its signal is new there."""
        key = _verdict_key(verdict)
        is_new = key not in tracked.verdicts
        tracked.verdicts[key] = verdict
        name = _signal_name(verdict)
        if name in tracked.incident.signals:
            return False
        tracked.incident = replace(tracked.incident, signals=(*tracked.incident.signals, name))
        return is_new

    def is_blame_new(self, tracked: Tracked, verdict: Verdict) -> bool:
        """Return whether a verdict blames an arm and its signal blamed none until now."""
        before = tracked.verdicts.get(_verdict_key(verdict))
        return verdict.comparison is Comparison.CONTROL and (
            before is None or before.comparison in (None, Comparison.HISTORY)
        )

    def escalate(self, tracked: Tracked, verdict: Verdict) -> None:
        """Raise an incident to a page with the numbers of the verdict that paged."""
        tracked.incident = replace(
            tracked.incident,
            severity=Severity.PAGE,
            estimate=verdict.value,
            baseline=verdict.usual,
            samples=verdict.samples,
            evidence=verdict.evidence,
            why=verdict.why,
        )

    def close(self, key: Subject, now_ns: int, settings: Incidents) -> None:
        """Take a resolved incident off the book; the quiet period begins."""
        tracked = self.open.pop(key)
        if self.on_resolved is not None:
            self.on_resolved(tracked.incident)
        quiet_ns = int(settings.quiet_period * NS_PER_S)
        self._note_episode(key, tracked.incident.episode, now_ns + quiet_ns)

    def _note_episode(self, key: Subject, episode: int, quiet_until_ns: int) -> None:
        self.episodes.pop(key, None)
        self.episodes[key] = (episode, quiet_until_ns)
        while len(self.episodes) > _MOST_CLOSED:
            oldest = next((known for known in self.episodes if known not in self.open), None)
            if oldest is None:
                return
            del self.episodes[oldest]


def emit(name: EventName, now_ns: int, tracked: Tracked, detail: str) -> list[Command]:
    """Return the event of one step of an incident's life, and who is to be told."""
    return told_of(Event(name, now_ns, tracked.incident, detail=detail))


def told_of(event: Event) -> list[Command]:
    """Return an event of an incident, and the command to tell of it where somebody is told."""
    assert event.incident is not None
    if event.name in QUIET_EVENTS:
        return [event]
    text = json.dumps([event.incident.id, event.name.value, event.time_ns])
    key = "nt_" + hashlib.sha256(text.encode()).hexdigest()[:32]
    return [event, Notify(key, event)]


def with_rollback(tracked: Tracked, state: RollbackState, reason: str | None = None) -> None:
    """Set the state of an incident's rollback."""
    plan = tracked.incident.rollback
    assert plan is not None
    changed = replace(plan, state=state, reason=plan.reason if reason is None else reason)
    tracked.incident = replace(tracked.incident, rollback=changed)


def _upstreams(verdict: Verdict) -> list[Scope]:
    """Return the upstreams that a verdict may belong to, the narrowest first."""
    if verdict.upstream is None or verdict.comparison is Comparison.CONTROL:
        return []
    return [verdict.upstream, Scope(provider=verdict.upstream.provider)]


def _verdict_key(verdict: Verdict) -> tuple[str, str | None, str]:
    return (verdict.signal, verdict.rubric, verdict.direction)


def _signal_name(verdict: Verdict) -> str:
    return f"{verdict.signal}:{verdict.rubric}" if verdict.rubric else verdict.signal


def _incident_id(key: Subject, shape: str, onset_ns: int) -> str:
    """Return the id: a hash of scope, shape and onset, the same on every replay."""
    parts = [list(key.scope), shape, onset_ns]
    text = json.dumps([*parts, "security"] if key.security else parts, ensure_ascii=False)
    return "inc_" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
