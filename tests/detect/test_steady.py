"""What a minute leaves alone: choices and yardsticks as if everything were looked at each time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detect.stand import Behaviour, Stand, Traffic, arm
from tripswitch.detect import family_yardsticks
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.lines import Lines
from tripswitch.detect.signals import SLOW
from tripswitch.detect.yardsticks import Bounds
from tripswitch.windows.rings import Rows
from tripswitch.windows.scopes import Measure

GOOD = Behaviour(latency_s=0.5)
BAD = Behaviour(score=0.6, refusals=0.3, latency_s=0.5)
SLOWER = Behaviour(latency_s=1.5, tokens=900.0)
ARMS = [
    *(arm("v17", "control", route=f"/{number}") for number in range(3)),
    *(arm("v18", "canary", route=f"/{number}") for number in range(3)),
    arm("v1", None, route="/alone"),
    arm("v2", None, route="/alone"),
    *(arm("v1", cohort, route="/three") for cohort in ("a", "b", "c")),
]
# What the three cohorts are added up in, before it has calls of its own.
WHOLE = arm("v1", None, route="/three")


def see_a_tool(stand: Stand, name: str) -> None:
    """Let a tool be seen in every arm, and nothing else be new."""
    for record in list(stand.scopes.records.values()):
        row = stand.scopes.tool_row(record, name)
        stand.scopes.tool_latencies.add(np.full(400, row), np.full(400, 0.5))


def played(stand: Stand, *, always_all: bool) -> list[tuple[object, ...]]:
    """Return by minute what every row is compared with, its evidence, and all yardsticks."""
    rng = np.random.default_rng(3)
    seen: list[tuple[object, ...]] = []
    serving = ARMS
    for minute in range(50):
        if minute % 4 == 0:
            # Arms stop and come back, so that controls change and are left without calls.
            serving = [one for one in ARMS if minute < 6 or rng.random() < 0.7]
        if minute == 30:
            serving = [*serving, WHOLE]
        behaviour = GOOD if minute < 8 else SLOWER
        for _ in range(2):
            for one in serving:
                stand.send(Traffic(one, 240, behaviour), ticks=2)
            if minute in (5, 12, 40):
                see_a_tool(stand, f"tool-{minute}")
            if always_all:
                comparisons = stand.comparisons
                comparisons._steady = None
                comparisons.yardsticks._laid_of = None
                comparisons.rollups._possible = (-1, [])
            stand.now_ns += 20 * 10**9
            stand.tick()
        roster, rows = stand.roster, stand.roster.rows()
        families, rollups = stand.comparisons.families.values(), stand.comparisons.rollups
        seen.append(
            (
                roster.control[rows].tolist(),
                roster.judged[rows].tolist(),
                [found.evidence(rows).tolist() for found in roster.detectors.values()],
                [(family.yardsticks.copy(), family.moved_minutes.copy()) for family in families],
                {str(scope): len(one.members) for scope, one in rollups.known.items()},
            )
        )
    return seen


def ticked(stand: Stand, *, always_anew: bool) -> list[tuple[object, ...]]:
    """Return by tick what was decided of every row, and its evidence.

    Within minutes arms come, one makes way as another comes, rows restart, and lines are set anew.
    """
    seen: list[tuple[object, ...]] = []
    for tick in range(80):
        serving = [one for one in ARMS if one.prompt_version != "v2" or tick > 44]
        if tick > 69:
            # A scope with as many rows in the place of one that made way.
            serving = [ARMS[1]._replace(route="/new") if one is ARMS[1] else one for one in serving]
        for one in serving:
            is_worse = tick > 50 and one.prompt_version in ("v18", "v2")
            stand.send(Traffic(one, 720, BAD if is_worse else GOOD))
        roster, rows = stand.roster, stand.roster.rows()
        if tick == 57:
            for row in rows[::3].tolist():
                roster.restart(row, stand.now_ns)
        if tick == 63:
            for row in rows.tolist():
                roster.set_lines(row, Lines(0.9, 0.9, 1.0, 1, 1, 0))
        if tick == 70:
            stand.comparisons.forget(ARMS[1])
        if always_anew:
            roster.revision += 1
        stand.tick()
        decision = stand.decision
        assert decision is not None
        seen.append(
            (
                [str(roster.scopes[row]) for row in stand.rows.tolist()],
                decision.level.tolist(),
                decision.window.tolist(),
                decision.evidence.tolist(),
                decision.is_control.tolist(),
                decision.is_previous.tolist(),
                decision.is_comparable.tolist(),
                [found.evidence(stand.rows).tolist() for found in roster.detectors.values()],
            )
        )
    return seen


def test_what_is_worked_out_for_a_minute_is_what_each_tick_would_work_out() -> None:
    kept = ticked(Stand(), always_anew=False)
    assert ticked(Stand(), always_anew=True) == kept
    assert len({str(tick[1]) for tick in kept}) > 3


def test_what_is_left_alone_would_have_been_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refreshed: list[int] = []
    refresh = Comparisons._refresh_family

    def counting(self: Comparisons, *args: object) -> bool:
        refreshed.append(1)
        return refresh(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Comparisons, "_refresh_family", counting)
    some = played(Stand(), always_all=False)
    chosen_of_some = len(refreshed)
    refreshed.clear()

    def everything(bounds: Bounds) -> Rows:
        return np.arange(len(bounds.moved))

    monkeypatch.setattr(family_yardsticks, "unsettled", everything)
    assert played(Stand(), always_all=True) == some
    assert chosen_of_some < 0.8 * len(refreshed)
    controls = {str(minute[0]) for minute in some}
    yardsticks = {str(minute[3]) for minute in some}
    assert min(len(controls), len(yardsticks)) > 3
    assert len({str(minute[4]) for minute in some}) > 1
    assert "tool-40" in str(some[-1][3])


def test_a_yardstick_that_only_seemed_to_move_is_looked_at_again() -> None:
    stand = Stand()
    slow = ARMS[0]

    def minute() -> dict[Measure, int]:
        for _ in range(6):
            stand.send(Traffic(slow, 240, GOOD))
            stand.tick()
        return dict(stand.comparisons.families[slow.family()].moved_minutes)

    for _ in range(8):
        assert minute() == {}
    reference = stand.scopes.records[slow.population()].id
    latencies = stand.scopes.latencies
    usual = latencies.counts[reference].copy()
    latencies.add(np.full(400, reference), np.full(400, 60.0))
    assert [minute(), minute()] == [{SLOW: 1}, {SLOW: 2}]
    latencies.counts[reference] = usual
    assert minute() == {}
