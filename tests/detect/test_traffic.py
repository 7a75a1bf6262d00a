"""Traffic that stays away, against the same time of earlier weeks."""

from __future__ import annotations

import numpy as np
import pytest

from tripswitch.detect.traffic import Drop, TrafficWatch
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.windows.rings import Floats

WEEK = 7 * 24 * 60
BEGUN = 100 * WEEK
SIZES = (3.0, 30.0, 300.0)
SCOPES = [Scope(f"/{size:g}") for size in SIZES]


def usual(minute: int) -> Floats:
    """Return the expected calls of a minute: a daily curve, and half of it at weekends."""
    day, hour = minute // 1440 % 7, minute % 1440 / 60
    curve = 1 + 0.7 * np.sin((hour - 9) / 24 * 2 * np.pi)
    calls: Floats = np.array(SIZES) * curve * (0.5 if day in (2, 3) else 1.0)
    return calls


class World:
    """Seeded bursty traffic of three sizes, minute by minute."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.watch = TrafficWatch(100)
        for scope in SCOPES:
            self.watch.row(scope)
        self.minute = BEGUN
        self.found: list[tuple[int, Drop]] = []

    def run(self, minutes: int, share: float = 1.0, *, is_marked: bool = False) -> list[Drop]:
        """Let minutes pass with this share of the usual traffic; return the drops told of."""
        told = []
        for _ in range(minutes):
            mean = usual(self.minute) * share
            calls = np.zeros(len(self.watch.table))
            calls[: len(SIZES)] = self.rng.poisson(mean * self.rng.gamma(20, 1 / 20, len(SIZES)))
            self.watch.pass_minute(self.minute, calls, is_marked=is_marked, alpha=1e-3)
            drops = self.watch.drops(self.minute, 0.5, 30.0)
            self.found += [(self.minute, drop) for drop in drops]
            told += drops
            self.minute += 1
        return told


@pytest.fixture(scope="module")
def known() -> World:
    """Two weeks and a working day that were as usual."""
    world = World()
    assert not world.run(2 * WEEK + 1440 + 12 * 60)
    return world


def again(known: World) -> World:
    """Return a world that goes on from ``known``, which stays as it is."""
    world = World(seed=2)
    for name in ("table", "weeks", "_state", "_bets", "_path", "_recent", "_onset", "good_minutes"):
        setattr(world.watch, name, getattr(known.watch, name).copy())
    world.minute = known.minute
    return world


@pytest.mark.parametrize(("left", "within"), [(0.4, 240), (0.2, 40), (0.0, 25)])
def test_a_drop_is_told_of_at_every_size(known: World, left: float, within: int) -> None:
    world = again(known)
    begun = world.minute
    drops = world.run(within, left)
    assert {drop.scope for drop in drops} == set(SCOPES)
    for drop in drops:
        assert drop.calls < 0.5 * drop.expected
        assert begun - 15 <= drop.onset_minute <= begun + 30
        assert drop.evidence >= 1


def test_weekend_ramp_and_a_day_at_two_thirds_are_no_drops(known: World) -> None:
    world = again(known)
    # The next weekend is as those before.
    assert not world.run(3 * 1440)
    assert not world.run(1440, 0.67)
    for step in range(24):
        assert not world.run(60, 1 + step / 6)


def test_two_bad_minutes_are_no_drop(known: World) -> None:
    world = again(known)
    for _ in range(6):
        assert not world.run(2, 0.0)
        assert not world.run(60)


def test_what_is_over_is_told_of_no_more(known: World) -> None:
    world = again(known)
    assert world.run(30, 0.0)
    world.run(5)
    assert not world.run(60)
    assert (world.watch.good_minutes[:2] > 0).all()


def test_marked_minutes_prove_and_teach_nothing(known: World) -> None:
    world = again(known)
    world.run(1)
    table = world.watch.table.copy()
    assert not world.run(240, 0.0, is_marked=True)
    assert (world.watch.table == table).all()
    assert (world.watch.evidence() < 1).all()


def test_nothing_is_claimed_before_two_weeks_are_known() -> None:
    world = World()
    world.run(WEEK + 1440)
    assert not world.run(300, 0.0)


def test_rows_are_bounded_and_used_again() -> None:
    watch = TrafficWatch(20)
    rows = [watch.row(Scope(f"/{number}")) for number in range(21)]
    assert rows == [*range(20), None]
    assert watch.refused == 1
    watch.table[3] = 7
    watch.forget(Scope("/3"))
    assert watch.row(Scope("/new")) == 3
    assert not watch.table[3].any()


def test_what_is_expected_is_known_after_a_restart_too(known: World) -> None:
    one, other = again(known), again(known)
    one.run(10, 0.3)
    other.run(10, 0.3)
    snapshot = Snapshot(0)
    one.watch.save(snapshot)
    other.watch = TrafficWatch(100)
    other.watch.restore(snapshot)
    assert one.run(30, 0.3) == other.run(30, 0.3) != []
    other.watch.lower(0.5)
    assert (other.watch.evidence() == one.watch.evidence() / 2).all()
    other.watch.restart()
    assert not other.watch.evidence().any()


def test_minutes_before_a_family_was_there_are_none_of_its_own() -> None:
    watch = TrafficWatch(4)
    nothing = np.zeros(len(watch.table))
    for minute in range(BEGUN, BEGUN + 60):
        watch.pass_minute(minute, nothing, is_marked=False, alpha=1e-3)
    row = watch.row(SCOPES[0])
    assert not watch.weeks[row].any()
    assert watch.good_minutes[row] == 0
