"""Cells in which nothing is wrong: months of a scope on its own, rollouts that change nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from bench.detect.cells import MINUTE_TICKS, Cell, Combo, combos, routes, spread, steadily
from bench.detect.scenes import Plan, alone, beside, replaced
from bench.detect.signals import ERRORS, REFUSALS, SLOWNESS, TOKEN_COUNTS, slow_share
from bench.detect.traffic import (
    DAY_MINUTES,
    LATE,
    MONTH_MINUTES,
    SPIKE_DROP,
    Course,
    Signal,
    Spikes,
    daily,
    mix,
    ramp,
    steady,
)

from tripswitch.windows.rings import Floats

PER_SESSION: Final = 6.0
MIX_POINTS: Final = 2.0
WEEK_MINUTES: Final = 7 * DAY_MINUTES

MONTHS: Final = ("iid", "mix", "sessions", "spikes")
MONTH_RATES: Final = (3.0, 30.0, 300.0)
_MONTH_SCOPES: Final = 14

ROLLOUT_MINUTES: Final = 480.0
ROLLOUT_WARM_MINUTES: Final = 120.0
ROLLOUTS_A_CHUNK: Final = 500
ROLLOUT_CHUNKS: Final = 10
# 200 requests a second, a tenth of them scored, of which the canary has 1 %.
_CANARY_AT_200: Final = 12.0
_CONTROL_AT_200: Final = 1_188.0
_ALL_AT_200: Final = _CANARY_AT_200 + _CONTROL_AT_200


def month_label(environment: str, rate: float) -> str:
    """Return the name of one environment at so many scores a minute."""
    return f"{environment} {rate:g}/min"


def _months(rng: np.random.Generator, scale: float) -> list[Combo]:
    """Run scopes in every environment and rate side by side, a week of warm-up before the month."""
    each = routes(_MONTH_SCOPES, scale)
    pairs = [(environment, rate) for environment in MONTHS for rate in MONTH_RATES]
    environments = np.repeat([environment for environment, _ in pairs], each)
    minutes = MONTH_MINUTES * (1.0 if scale >= 1 else max(scale, 1 / 30))
    warm = WEEK_MINUTES if scale >= 1 else DAY_MINUTES
    spikes = Spikes(rng, environments == "spikes", warm + minutes)
    points = np.where(environments == "mix", MIX_POINTS, 0.0)
    swing = mix(points)
    plan = Plan(
        detect=MINUTE_TICKS,
        per_minute=daily(spread([rate for _, rate in pairs], each)),
        change=steady(np.zeros(len(points))),
        minutes=minutes,
        warm_minutes=warm,
        usual=lambda minute: swing(minute) + spikes(minute),
        alike=np.where(environments == "sessions", PER_SESSION, 1.0),
        stops_at_page=False,
    )
    return combos((month_label(*pair) for pair in pairs), alone(plan, rng), each)


OTHERS: Final[dict[str, tuple[Signal, float]]] = {
    "refusal": (REFUSALS, 0.04),
    "error": (ERRORS, 0.01),
    "slow": (SLOWNESS, slow_share(1.0)),
    "tokens": (TOKEN_COUNTS, 0.0),
}


def _month_of(name: str) -> Cell:
    signal, usual = OTHERS[name]

    def simulate(rng: np.random.Generator, scale: float) -> list[Combo]:
        each = routes(_MONTH_SCOPES, scale)
        alike = spread([1.0, PER_SESSION], each)
        plan = steadily(
            np.full(len(alike), 30.0),
            np.zeros(len(alike)),
            minutes=MONTH_MINUTES * (1.0 if scale >= 1 else max(scale, 1 / 30)),
            warm_minutes=WEEK_MINUTES if scale >= 1 else DAY_MINUTES,
            usual=steady(np.full(len(alike), usual)),
            alike=alike,
            signal=signal,
            stops_at_page=False,
        )
        return combos(["iid 30/min", "sessions 30/min"], alone(plan, rng), each)

    return Cell(f"month-{name}", 1, simulate)


def canary_spikes(rng: np.random.Generator, size: int, drop: float = SPIKE_DROP) -> Course:
    """Return one spike of one to three minutes in every canary, at a random minute."""
    begins = rng.integers(0, int(ROLLOUT_MINUTES) - 3, size)
    lasting = rng.integers(1, 4, size)
    return lambda since: np.where((since >= begins) & (since < begins + lasting), drop, 0.0)


def _rollout(environment: str, rng: np.random.Generator, size: int) -> Plan:
    one: Floats = np.ones(size)
    first, last = ROLLOUT_WARM_MINUTES, ROLLOUT_WARM_MINUTES + ROLLOUT_MINUTES
    plan = steadily(
        _CANARY_AT_200 * one,
        0 * one,
        minutes=ROLLOUT_MINUTES,
        warm_minutes=ROLLOUT_WARM_MINUTES,
        control_per_minute=steady(_CONTROL_AT_200 * one),
        judged_share=0.1,
        stops_at_page=False,
    )
    drift = ramp(first, last, 0.06 * one)
    if environment == "iid 3/min":
        return replace(plan, per_minute=steady(3 * one), control_per_minute=steady(27 * one))
    if environment == "drift 200/s":
        return replace(plan, usual=drift)
    if environment == "ramp and mix 200/s":
        share = ramp(first, last, 0.49 * one)
        swing = mix(MIX_POINTS * one)
        return replace(
            plan,
            per_minute=lambda minute: 1_200 * (0.01 + share(minute)),
            control_per_minute=lambda minute: 1_200 * (0.99 - share(minute)),
            usual=lambda minute: drift(minute) + swing(minute),
        )
    if environment == "sessions 200/s":
        return replace(plan, alike=PER_SESSION * one)
    if environment == "canary spike 50/s":
        # A tenth of the traffic, a tenth of it scored.
        return replace(
            plan,
            per_minute=steady(30 * one),
            control_per_minute=steady(270 * one),
            change=canary_spikes(rng, size),
        )
    if environment == "canary spike 10 scored/s":
        return replace(
            plan,
            per_minute=steady(600 * one),
            control_per_minute=steady(5_400 * one),
            change=canary_spikes(rng, size),
        )
    if environment == "late 200/s":
        return replace(plan, lateness=LATE)
    return plan


ROLLOUTS: Final = (
    "iid 3/min",
    "iid 200/s",
    "drift 200/s",
    "ramp and mix 200/s",
    "sessions 200/s",
    "canary spike 50/s",
)
MORE_ROLLOUTS: Final = ("canary spike 10 scored/s", "late 200/s")
REPLACED: Final = {
    "replaced 3/min": (3.0, 1.0),
    "replaced 200/s": (_ALL_AT_200, 1.0),
    "replaced sessions 200/s": (_ALL_AT_200, PER_SESSION),
}
"""A new version that takes all of a route at once: scores a minute, and how many share an outcome.

Nothing serves beside it, so that the version before is what it is held against, from two hours.
Such a page names a version to go back to, and counts here as a rollback; as configured by default
one that moves a whole route waits for a person.
"""


def _cell_name(environment: str) -> str:
    return "rollouts-" + environment.replace(" ", "-").replace("/", "-")


def _replaced(environment: str) -> Cell:
    rate, alike = REPLACED[environment]

    def simulate(rng: np.random.Generator, scale: float) -> list[Combo]:
        size = routes(ROLLOUTS_A_CHUNK, scale)
        plan = steadily(
            np.full(size, rate),
            np.zeros(size),
            minutes=ROLLOUT_MINUTES,
            warm_minutes=ROLLOUT_WARM_MINUTES,
            alike=np.full(size, alike),
            stops_at_page=False,
        )
        return combos([environment], replaced(plan, rng), size)

    return Cell(_cell_name(environment), ROLLOUT_CHUNKS, simulate)


def _rollouts(environment: str) -> Cell:
    def simulate(rng: np.random.Generator, scale: float) -> list[Combo]:
        size = routes(ROLLOUTS_A_CHUNK, scale)
        return combos([environment], beside(_rollout(environment, rng, size), rng), size)

    chunks = ROLLOUT_CHUNKS if environment in ROLLOUTS else 2
    return Cell(_cell_name(environment), chunks, simulate)


CELLS: Final = [
    Cell("months", 3, _months),
    *(_rollouts(environment) for environment in (*ROLLOUTS, *MORE_ROLLOUTS)),
    *(_replaced(environment) for environment in REPLACED),
    *(_month_of(name) for name in OTHERS),
]
