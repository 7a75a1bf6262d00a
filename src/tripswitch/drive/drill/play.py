"""Plays a drill: simulated traffic into the engine, and what it commands done in the simulation.

The engine, the configuration, the guards and the routing of messages are the real ones. What is
simulated is the world around them: spans, and targets that do as they are asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tripswitch.actions.notify.routing import hearers
from tripswitch.config.target_sections import COST_BREAKER, PROVIDER_FAILOVER
from tripswitch.drive.drill.scenario import Scenario
from tripswitch.drive.drill.traffic import STEP_S, Served, Traffic, begin
from tripswitch.drive.explaining import explain_of
from tripswitch.drive.replay import replay_session
from tripswitch.drive.session import Arrival, Session
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.incident import IncidentState, RollbackState, Severity
from tripswitch.model.instruction import Act, Instruction, InstructionError
from tripswitch.model.messages import Event, EventName, Notify, Rollback, RollbackOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tripswitch.config.model import Config
    from tripswitch.model.incident import Incident, RollbackPlan
    from tripswitch.model.messages import Command
    from tripswitch.model.scope import Scope

_PAGED = (EventName.INCIDENT_OPENED, EventName.INCIDENT_ESCALATED)
_BACK = "the drill's stand-in did as it was asked"
_GOES_ON_MINUTES = 15.0


@dataclass(frozen=True, slots=True)
class Told:
    """A piece of news and who would hear it; ``veiled`` hear only that there is something."""

    event: Event
    hearers: tuple[str, ...]
    veiled: tuple[str, ...] = ()


@dataclass(slots=True)
class Played:
    """What came of a drill.

    ``rollbacks`` are the plans as they were when made, with the event that told of each;
    ``explained`` is why nothing paged, as ``/v1/explain`` says it, taken at the end.
    ``ended_minute`` is when the drill was over.
    """

    scenario: Scenario
    events: list[Event] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    rollbacks: list[tuple[RollbackPlan, Event]] = field(default_factory=list)
    explained: dict[str, Any] = field(default_factory=dict)
    ended_minute: float = 0.0

    def first(self, *names: EventName, severity: Severity | None = None) -> Event | None:
        """Return the first event of such a name since it went bad."""
        for event in self.events:
            if event.incident is None or event.time_ns < self.scenario.bad_ns:
                continue
            if event.name in names and severity in (None, event.incident.severity):
                return event
        return None

    @property
    def noticed(self) -> Event | None:
        """Return the first event that says something is wrong."""
        return self.first(EventName.INCIDENT_OPENED)

    @property
    def paged(self) -> Event | None:
        """Return the first event that wakes somebody."""
        return self.first(*_PAGED, severity=Severity.PAGE)

    @property
    def incidents(self) -> list[Incident]:
        """Return every incident of the drill as it stood last, in the order they were opened."""
        latest: dict[str, Incident] = {}
        for event in self.events:
            if event.incident is not None and event.time_ns >= self.scenario.bad_ns:
                latest[event.incident.id] = event.incident
        return list(latest.values())


def play(
    config: Config, scenario: Scenario, on_minute: Callable[[float], None] = lambda _minute: None
) -> Played:
    """Play ``scenario`` under ``config``; ``on_minute`` is told how many minutes were played.

    Nothing is called out. It ends when all is over, or when nothing more can follow.
    """
    return _Player(config, scenario, on_minute).play()


class _Player:
    def __init__(
        self, config: Config, scenario: Scenario, on_minute: Callable[[float], None]
    ) -> None:
        self._session: Session = replay_session(config)
        self._config = self._session.config
        self._scenario = scenario
        self._on_minute = on_minute
        self._served = Served()
        self._played = Played(scenario)
        self._heard: dict[str, set[str]] = {}
        self._proposed_ns: dict[str, int] = {}

    def play(self) -> Played:
        scenario = self._scenario
        traffic = Traffic(scenario)
        calm_s, end_s = 60 * scenario.calm, 60 * (scenario.calm + scenario.bad)
        now_s, has_begun, last_news_s = 0.0, False, calm_s
        while now_s < end_s:
            if now_s >= calm_s and not has_begun:
                self._served, has_begun = begin(scenario, self._served), True
            before = len(self._played.events)
            self._take(self._session.feed([Arrival(traffic.step(now_s, self._served), 0)]))
            self._approve()
            now_s += STEP_S
            if len(self._played.events) > before:
                last_news_s = now_s
            self._on_minute(now_s / 60)
            if has_begun and self._is_over((now_s - last_news_s) / 60):
                break
        self._played.ended_minute = (now_s - calm_s) / 60
        self._played.explained = self._explained()
        self._take(self._session.finish())
        return self._played

    def _is_over(self, quiet_minutes: float) -> bool:
        """Return whether nothing more can follow: recovered, or paged with nobody who acts."""
        found = self._played.incidents
        if self._played.paged is None or not found:
            return False
        if all(one.state is not IncidentState.OPEN for one in found):
            return quiet_minutes >= 1
        moving = (RollbackState.PLANNED, RollbackState.ACKNOWLEDGED, RollbackState.CONFIRMED)
        waits = self._scenario.approve_after is not None and bool(self._proposed_ns)
        is_moving = waits or any(
            one.rollback is not None and one.rollback.state in moving for one in found
        )
        return not is_moving and quiet_minutes >= _GOES_ON_MINUTES

    def _take(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, Event):
                self._played.events.append(command)
                self._note_plan(command)
            elif isinstance(command, Notify):
                self._tell(command.event)
            elif isinstance(command, Rollback):
                self._move(command.plan)
                outcome = RollbackOutcome(command.key, "acknowledged", _BACK)
                self._take(self._session.outcome(outcome))

    def _note_plan(self, event: Event) -> None:
        if event.name is not EventName.ROLLBACK_PLANNED or event.incident is None:
            return
        plan = event.incident.rollback
        if plan is not None:
            self._played.rollbacks.append((plan, event))
            if plan.state is RollbackState.PROPOSED:
                self._proposed_ns[event.incident.id] = event.time_ns

    def _tell(self, event: Event) -> None:
        thread = "" if event.incident is None else event.incident.dedup_key
        told = self._heard.setdefault(thread, set()) if thread else set()
        found = hearers(event, self._config, told)
        told.update(one.name for one in found)
        self._played.told.append(
            Told(
                event,
                tuple(one.name for one in found),
                tuple(one.name for one in found if one.is_veiled),
            )
        )

    def _move(self, plan: RollbackPlan) -> None:
        """Let the world be as the target would make it."""
        if plan.path == PROVIDER_FAILOVER:
            self._served.is_failed_over = True
        elif plan.path == COST_BREAKER:
            self._served.is_limited = True
        else:
            self._served.canary_is_new = False

    def _approve(self) -> None:
        after = self._scenario.approve_after
        if after is None:
            return
        now_ns = self._session.engine.now_ns
        for incident_id, proposed_ns in list(self._proposed_ns.items()):
            if now_ns - proposed_ns >= int(after * NS_PER_MINUTE):
                del self._proposed_ns[incident_id]
                try:
                    word = Instruction(incident_id, Act.APPROVE, "drill")
                    self._take(self._session.instruct(word))
                except InstructionError:
                    # It expired, or is not what is proposed any more.
                    continue

    def _explained(self) -> dict[str, Any]:
        scenario = self._scenario

        def is_bad(scope: Scope) -> bool:
            return scope.route in (*scenario.routes, None) and scope.prompt_version in (
                None,
                scenario.new_version,
                scenario.old_version,
            )

        return explain_of(self._session.engine, scope_is=is_bad)
