"""Roll-ups: ten thin routes behind one model, in a month without and with a change of the model.

What happens to a model happens to all its routes at the same time, so a swing of the questions and
a spike are common to them: nothing of it averages out in their sum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from bench.detect.cells import MINUTE_TICKS, Cell, Combo, combos, routes, steadily
from bench.detect.nulls import MIX_POINTS, MONTHS, PER_SESSION
from bench.detect.scenes import Outcome, Plan
from bench.detect.signals import ERRORS, SCORE
from bench.detect.traffic import (
    DAY_MINUTES,
    MONTH_MINUTES,
    Law,
    Signal,
    Spikes,
    daily,
    mix,
    run,
    steady,
)
from bench.detect.world import Alarm, World

from tripswitch.detect.decision import PAGE
from tripswitch.model.scope import Scope
from tripswitch.windows.rings import Floats

ROUTES: Final = 10
_MODELS: Final = 4
_RUNS: Final = 20
_CHANGES: Final[dict[str, tuple[Signal, float, float]]] = {
    "score -9": (SCORE, 0.0, 0.09),
    "errors +19": (ERRORS, 0.01, 0.19),
}


def _behind(models: int) -> list[Scope]:
    return [
        Scope(f"/{model}/{route}", "bot", "v1", None, f"model-{model}", "provider")
        for model in range(models)
        for route in range(ROUTES)
    ]


def _watched(plan: Plan, models: int, rng: np.random.Generator) -> tuple[list[Outcome], ...]:
    """Return what was raised of each model, and of each of its routes alone."""
    scopes = _behind(models)
    world = World(plan.detect, 8 * len(scopes) + 16)
    rolled_up = [Outcome() for _ in range(models)]
    alone = [Outcome() for _ in scopes]

    def worse(minute: float) -> Floats:
        since = minute - plan.warm_minutes
        return plan.usual(minute) + plan.change(since) if since >= 0 else plan.usual(minute)

    def take(alarms: list[Alarm]) -> bool:
        for alarm in alarms:
            measured, since = alarm.verdict.measured, alarm.minute - plan.warm_minutes
            if measured.provider is not None and measured.request_model is None:
                continue
            if measured.route is None:
                model = int((measured.request_model or "").removeprefix("model-"))
                _note(rolled_up[model], alarm.level, since)
            else:
                model, route = (int(part) for part in measured.route.split("/")[1:])
                _note(alone[model * ROUTES + route], alarm.level, since)
        alarms.clear()
        return plan.stops_at_page and all(one.page is not None for one in alone)

    law = Law(scopes, plan.signal, plan.per_minute, worse, plan.alike)
    take(run(world, [law], plan.warm_minutes + plan.minutes, rng, is_done=take))
    return rolled_up, alone


def _note(outcome: Outcome, level: int, since: float) -> None:
    if since <= 0:
        outcome.early += level == PAGE
        return
    if outcome.look is None:
        outcome.look = since
    if level == PAGE:
        outcome.pages += 1
        outcome.page = since if outcome.page is None else outcome.page


def _months(rng: np.random.Generator, scale: float) -> list[Combo]:
    each = routes(_MODELS, scale)
    models = len(MONTHS) * each
    environments = np.repeat([*MONTHS], each)
    minutes = MONTH_MINUTES * (1.0 if scale >= 1 else max(scale, 1 / 30))
    warm = 7 * DAY_MINUTES if scale >= 1 else DAY_MINUTES
    spikes = Spikes(rng, environments == "spikes", warm + minutes)
    swing = mix(np.where(environments == "mix", MIX_POINTS, 0.0))
    alike = np.where(environments == "sessions", PER_SESSION, 1.0)
    plan = Plan(
        detect=MINUTE_TICKS,
        per_minute=daily(np.full(models * ROUTES, 0.5)),
        change=steady(np.zeros(models * ROUTES)),
        minutes=minutes,
        warm_minutes=warm,
        usual=lambda minute: np.repeat(swing(minute) + spikes(minute), ROUTES),
        alike=np.repeat(alike, ROUTES),
        stops_at_page=False,
    )
    rolled_up, _ = _watched(plan, models, rng)
    return combos(MONTHS, rolled_up, each)


def _delays(rng: np.random.Generator, scale: float) -> list[Combo]:
    found: list[Combo] = []
    each = routes(_RUNS, scale)
    for name, (signal, usual, change) in _CHANGES.items():
        size = each * ROUTES
        plan = steadily(
            np.full(size, 1.0),
            np.full(size, change),
            minutes=2 * DAY_MINUTES,
            warm_minutes=DAY_MINUTES,
            usual=steady(np.full(size, usual)),
            signal=signal,
        )
        plan = replace(plan, stops_at_page=True)
        rolled_up, alone = _watched(plan, each, rng)
        found += combos([f"{name}, the model"], rolled_up, each)
        found += combos([f"{name}, a route"], alone, size)
    return found


CELLS: Final = [Cell("rolled-up-months", 1, _months), Cell("rolled-up", 1, _delays)]
