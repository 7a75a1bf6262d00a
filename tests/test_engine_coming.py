"""Telemetry and traffic that stay away, end to end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.play import Played, config, play
from tests.traffic import Arm, Behaviour, Plan
from tripswitch.drive.session import Arrival, Session
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.incident import Incident, Severity
from tripswitch.model.messages import Command, Event
from tripswitch.model.scope import Scope

ARMS = [
    Arm(1.0, "v17", "control", Behaviour()),
    Arm(1.0, "v18", "canary", Behaviour()),
    Arm(1.0, "v3", None, Behaviour(), route="/other"),
]


def incidents(commands: list[Command], name: str = "incident.opened") -> list[Incident]:
    return [
        command.incident
        for command in commands
        if isinstance(command, Event) and command.name.value == name and command.incident
    ]


def test_an_exporter_that_falls_silent_is_a_fault_of_the_telemetry() -> None:
    played = play(lambda _: ARMS, 66)
    assert not incidents(played.commands)
    engine = played.session.engine
    last_ns = engine.now_ns
    told = incidents(engine.advance(last_ns + 14 * NS_PER_MINUTE))
    assert not told
    told = incidents(engine.advance(last_ns + 40 * NS_PER_MINUTE))
    assert [(one.signal, one.severity, one.scope) for one in told] == [
        ("telemetry_lost", Severity.PAGE, Scope())
    ]
    assert told[0].rollback is None
    assert not incidents(engine.advance(last_ns + 90 * NS_PER_MINUTE))


def test_telemetry_that_is_back_for_the_alert_window_ends_it() -> None:
    def plan(second: float) -> list[Arm]:
        return [] if 62 * 60 <= second < 84 * 60 else ARMS

    played = play(plan, 104, session=_Timed(config()))
    assert [one.signal for one in incidents(played.commands)] == ["telemetry_lost"]
    ended = incidents(played.commands, "incident.recovered")
    assert [one.signal for one in ended] == ["telemetry_lost"]
    assert 99 <= played.minute_of("incident.recovered") <= 102


class _Timed(Session):
    """A session to which empty requests do not come: nothing is sent while nothing happens."""

    def feed(self, arrivals: Sequence[Arrival]) -> list[Command]:
        full = [arrival for arrival in arrivals if len(arrival.body) > 60]
        return super().feed(full)


def test_traffic_that_a_route_lost_pages_and_nothing_is_rolled_back() -> None:
    """The weeks before are told to the watch; the rest is spans."""

    def plan(second: float) -> list[Arm]:
        left = 0.1 if second >= 10 * 60 else 1.0
        return [*ARMS[2:], *(Arm(left, arm.version, arm.cohort) for arm in ARMS[:2])]

    played = _play_with_known_weeks(plan, 30)
    found = incidents(played.commands)
    assert [(one.signal, one.scope, one.shape.value) for one in found] == [
        ("traffic_drop", Scope("/chat/refund", "refund-bot"), "outage")
    ]
    assert "expected at this time of the week" in found[0].why
    assert not played.rollbacks


def test_traffic_that_moves_from_one_arm_to_the_other_is_no_drop() -> None:
    def plan(second: float) -> list[Arm]:
        if second < 10 * 60:
            return ARMS
        return [*ARMS[2:], Arm(2.0, "v17", "control")]

    assert not incidents(_play_with_known_weeks(plan, 30).commands)


def _play_with_known_weeks(plan: Plan, minutes: float) -> Played:
    session = Session(config())
    watch = session.engine.coming.traffic
    for scope, calls in (
        (Scope("/chat/refund", "refund-bot"), 120),
        (Scope("/other", "refund-bot"), 60),
    ):
        row = watch.row(scope)
        assert row is not None
        watch.table[row], watch.weeks[row] = calls, 2
        watch._state[row, 4:6] = 1440.0, 1440.0
    played = play(plan, minutes, session=session)
    assert np.isfinite(watch.evidence()).all()
    return played
