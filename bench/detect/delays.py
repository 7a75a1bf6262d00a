"""Cells in which something goes wrong: how long it takes, and whether it is found at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from bench.detect.cells import Cell, Combo, Scene, combos, routes, spread, steadily
from bench.detect.nulls import OTHERS, WEEK_MINUTES
from bench.detect.scenes import alone, beside, replaced
from bench.detect.signals import REFUSALS, SCORE, slow_share
from bench.detect.traffic import DAY_MINUTES, Signal, steady

DROPS: Final = (0.02, 0.03, 0.05, 0.055, 0.09, 0.15)
START_DROPS: Final = (0.03, 0.04, 0.05, 0.055, 0.06, 0.07, 0.09, 0.15)
CANARY_DROPS: Final = (0.03, 0.05, 0.055, 0.09, 0.15)
REFUSAL_RISES: Final = (0.05, 0.18)
_RUNS: Final = 100


class Span(NamedTuple):
    """How long it is watched for, and how long it was well before."""

    minutes: float
    warm_minutes: float


def label(rate: float, change: float) -> str:
    """Return the name of a change at so many judged values a minute."""
    return f"{rate:g}/min {change:g}"


def _delays(
    name: str,
    scene: Scene,
    rates: Sequence[float],
    changes: Sequence[float],
    *,
    span: Span,
    control: float = 9.0,
    signal: Signal = SCORE,
    usual: float = 0.0,
    runs: int = _RUNS,
) -> Cell:
    """Return the cell of one scene at every rate with every change, ``control`` times beside."""

    def simulate(rng: np.random.Generator, scale: float) -> list[Combo]:
        each = routes(runs, scale)
        pairs = [(rate, change) for rate in rates for change in changes]
        per_minute = spread([rate for rate, _ in pairs], each)
        plan = steadily(
            per_minute,
            spread([change for _, change in pairs], each),
            minutes=span.minutes,
            warm_minutes=span.warm_minutes,
            control_per_minute=steady(control * per_minute),
            usual=steady(np.full(len(per_minute), usual)),
            signal=signal,
        )
        return combos((label(*pair) for pair in pairs), scene(plan, rng), each)

    return Cell(name, 1, simulate)


_DAY: Final = Span(DAY_MINUTES, 2 * DAY_MINUTES)
_FRESH: Final = Span(DAY_MINUTES, 480.0)
_THREE_DAYS: Final = 3 * DAY_MINUTES

OTHER_CHANGES: Final[dict[str, dict[str, float]]] = {
    "refusal": {"4 -> 9 %": 0.05, "4 -> 14 %": 0.10, "4 -> 22 %": 0.18},
    "error": {"1 -> 3 %": 0.02, "1 -> 6 %": 0.05, "1 -> 20 %": 0.19},
    "slow": {
        f"p99 x {multiple:g}": slow_share(multiple) - slow_share(1.0)
        for multiple in (1.5, 2.0, 3.0, 5.0)
    },
    "tokens": {"x 1.3": 0.3, "x 1.5": 0.5, "x 2": 1.0, "x 3": 2.0},
}

CELLS: Final = [
    _delays("history-3", alone, (3.0,), DROPS, span=Span(_THREE_DAYS, WEEK_MINUTES)),
    _delays("history", alone, (30.0, 300.0, 2_880.0), DROPS, span=_DAY),
    _delays("start-3", replaced, (3.0,), START_DROPS, span=Span(_THREE_DAYS, 2 * DAY_MINUTES)),
    _delays("start", replaced, (30.0,), START_DROPS, span=_FRESH),
    _delays("canary-3", beside, (3.0,), CANARY_DROPS, span=Span(_THREE_DAYS, 480.0)),
    _delays("canary", beside, (13.0,), CANARY_DROPS, span=_FRESH),
    _delays("canary-200s", beside, (12.0,), CANARY_DROPS, control=99.0, span=_FRESH),
    *(
        _delays(
            f"canary-refusal{suffix}",
            beside,
            (rate,),
            REFUSAL_RISES,
            control=control,
            signal=REFUSALS,
            usual=0.04,
            span=_FRESH,
        )
        for suffix, rate, control in (("-3", 3.0, 9.0), ("", 13.0, 9.0), ("-200s", 12.0, 99.0))
    ),
    *(
        _delays(
            f"other-{name}",
            alone,
            (30.0,),
            tuple(changes.values()),
            signal=OTHERS[name][0],
            usual=OTHERS[name][1],
            span=_DAY,
        )
        for name, changes in OTHER_CHANGES.items()
    ),
]
