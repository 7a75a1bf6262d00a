"""Cells of one question: how many bad minutes a page must span, at 1, 2, 3 and 5 of them.

Looked at every ten seconds, as the program does. What is asked of each number is how often a spike
of one to three minutes pages, which a spike must not, and how long a lasting change then takes.
Spikes begin at the edge of a minute, which is the worst that they can do.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from bench.detect.cells import Cell, Combo, Scene, combos, routes, steadily, with_bad_minutes
from bench.detect.nulls import ROLLOUT_MINUTES, canary_spikes
from bench.detect.scenes import alone, beside, replaced
from bench.detect.signals import ERRORS, REFUSALS, SCORE
from bench.detect.traffic import SPIKE_DROP, Course, Signal, steady

from tripswitch.windows.rings import Floats

NUMBERS: Final = (1, 2, 3, 5)
SCENES: Final[dict[str, Scene]] = {"history": alone, "canary": beside, "first-span": replaced}
RATES: Final = (30.0, 600.0)

# What each signal usually is, what a spike makes of it, and the lasting change.
SIGNALS: Final[dict[str, tuple[Signal, float, float, float]]] = {
    "score": (SCORE, 0.0, SPIKE_DROP, 0.09),
    "refusal": (REFUSALS, 0.04, 0.5, 0.18),
    "error": (ERRORS, 0.01, 0.5, 0.19),
}
SPIKES_A_CELL: Final = 400
_LASTING: Final = 40
_LASTING_MINUTES: Final = 90.0
# Long enough for a settled baseline and, beside a canary, for a design effect.
_WARM_MINUTES: Final[dict[str, float]] = {"history": 480.0, "canary": 120.0, "first-span": 240.0}


def _cell(scene_name: str, signal_name: str) -> Cell:
    signal, usual, spike, lasting = SIGNALS[signal_name]
    scene = SCENES[scene_name]

    def outcomes(
        rng: np.random.Generator,
        number: int,
        per_minute: Floats,
        course: Course | None,
        minutes: float,
    ) -> Any:
        plan = steadily(
            per_minute,
            np.full(len(per_minute), lasting),
            minutes=minutes,
            warm_minutes=_WARM_MINUTES[scene_name],
            detect=with_bad_minutes(number, 10.0),
            control_per_minute=steady(9 * per_minute),
            usual=steady(np.full(len(per_minute), usual)),
            signal=signal,
            stops_at_page=course is None,
        )
        if course is not None:
            plan.change = course
        return scene(plan, rng)

    def simulate(rng: np.random.Generator, scale: float) -> list[Combo]:
        found = []
        for number in NUMBERS:
            for rate in RATES:
                many, few = routes(SPIKES_A_CELL, scale), routes(_LASTING, scale)
                spikes = canary_spikes(rng, many, spike)
                quick = outcomes(rng, number, np.full(many, rate), spikes, ROLLOUT_MINUTES)
                found += combos([f"{number} spike {rate:g}/min"], quick, many)
                slow = outcomes(rng, number, np.full(few, rate), None, _LASTING_MINUTES)
                found += combos([f"{number} lasting {rate:g}/min"], slow, few)
        return found

    return Cell(f"bad-minutes-{scene_name}-{signal_name}", 1, simulate)


CELLS: Final = [_cell(scene, signal) for scene in SCENES for signal in SIGNALS]
