"""What a minute leaves alone: choices and yardsticks as if everything were looked at each time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detect.stand import Behaviour, Stand, Traffic, arm
from tripswitch.detect import family_yardsticks
from tripswitch.detect.comparison import Comparisons
from tripswitch.windows.rings import Rows

GOOD = Behaviour(latency_s=0.5)
SLOWER = Behaviour(latency_s=1.5, tokens=900.0)
ARMS = [
    *(arm("v17", "control", route=f"/{number}") for number in range(3)),
    *(arm("v18", "canary", route=f"/{number}") for number in range(3)),
    arm("v1", None, route="/alone"),
    arm("v2", None, route="/alone"),
]


def played(stand: Stand, *, always_all: bool) -> list[tuple[object, ...]]:
    """Return by minute what every row is compared with, its evidence, and all yardsticks."""
    rng = np.random.default_rng(3)
    seen: list[tuple[object, ...]] = []
    serving = ARMS
    for minute in range(50):
        if minute % 4 == 0:
            # Arms stop and come back, so that controls change and are left without calls.
            serving = [one for one in ARMS if minute < 6 or rng.random() < 0.7]
        behaviour = GOOD if minute < 8 else SLOWER
        for _ in range(2):
            for one in serving:
                stand.send(Traffic(one, 240, behaviour), ticks=2)
            if always_all:
                stand.comparisons._steady = None
            stand.now_ns += 20 * 10**9
            stand.tick()
        roster, rows = stand.roster, stand.roster.rows()
        families = stand.comparisons.families.values()
        seen.append(
            (
                roster.control[rows].tolist(),
                roster.judged[rows].tolist(),
                [found.evidence(rows).tolist() for found in roster.detectors.values()],
                [(family.yardsticks.copy(), family.moved_minutes.copy()) for family in families],
            )
        )
    return seen


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

    def everything(_: object, __: object, multiples: Rows, ___: object) -> Rows:
        return np.arange(len(multiples))

    monkeypatch.setattr(family_yardsticks, "unsettled", everything)
    assert played(Stand(), always_all=True) == some
    assert chosen_of_some < 0.8 * len(refreshed)
    controls = {str(minute[0]) for minute in some}
    yardsticks = {str(minute[3]) for minute in some}
    assert min(len(controls), len(yardsticks)) > 3
