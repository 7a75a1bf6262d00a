"""Traffic of many scopes under one law, and a run of it through a world.

A law says how many judged values a minute come (with their daily shape), how far they are from
usual (question mix, provider drift, spikes, the regression itself), how many of them share one
outcome (sessions), how late they come, and what part of the calls is judged at all (sampling).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from bench.detect.world import Alarm, Arms, World

from tripswitch.model.scope import Scope
from tripswitch.windows.rings import Floats
from tripswitch.windows.scopes import Measure

DAY_MINUTES: Final = 1440.0
MONTH_MINUTES: Final = 43_200.0
SPIKE_EVERY_MINUTES: Final = 3 * DAY_MINUTES
SPIKE_DROP: Final = 0.35

ON_TIME: Final = ((0, 1.0),)
LATE: Final = ((0, 0.5), (1, 0.3), (4, 0.2))
"""Minutes late, and the part of the scores that are: a judge that works in batches."""

Course = Callable[[float], Floats]
"""What holds at a minute since the start, one value a scope."""


Draw = Callable[[np.random.Generator, Floats, Floats, Floats], Sequence[Floats]]
"""Draws buckets, one array a measure, from the expected counts, the badness and `Law.alike`."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What is judged, and how its buckets are drawn."""

    measures: tuple[Measure, ...]
    draw: Draw


@dataclass(slots=True)
class Law:
    """How S scopes behave.

    ``per_minute`` are judged values a minute. ``worse`` is what the signal's draw takes: the drop
    of the mean score, the share of events, the multiple of tokens. ``alike`` values share an
    outcome. ``judged_share`` is the part of the calls that is judged.
    """

    scopes: Sequence[Scope]
    signal: Signal
    per_minute: Course
    worse: Course
    alike: Floats
    judged_share: float = 1.0
    begins_minute: float = 0.0
    ends_minute: float = math.inf
    lateness: Sequence[tuple[int, float]] = ON_TIME
    arms: Arms | None = field(default=None, init=False)

    def arrive(self, world: World, rng: np.random.Generator) -> None:
        """Let a tick's share of the traffic arrive now, if it serves now."""
        minute, part = world.minute, 1 / world.ticks_a_minute
        if minute < self.begins_minute:
            return
        if self.arms is None:
            self.arms = world.open(self.scopes, self.signal.measures)
        if minute < self.ends_minute:
            world.call(self.arms, self.per_minute(minute) * part / self.judged_share)
        for late, share in self.lateness:
            ended = minute - late
            if self.begins_minute <= ended < self.ends_minute:
                expected = self.per_minute(ended) * part * share
                buckets = self.signal.draw(rng, expected, self.worse(ended), self.alike)
                world.arrive(self.arms, buckets, late)


def run(
    world: World,
    laws: Sequence[Law],
    minutes: float,
    rng: np.random.Generator,
    *,
    is_done: Callable[[list[Alarm]], bool] = lambda _: False,
) -> list[Alarm]:
    """Let minutes pass; return every alarm. ``is_done`` may end it sooner, asked once an hour."""
    alarms: list[Alarm] = []
    ticks = round(minutes * world.ticks_a_minute)
    for number in range(ticks):
        for law in laws:
            law.arrive(world, rng)
        alarms += world.tick()
        if number % (60 * world.ticks_a_minute) == 0 and is_done(alarms):
            break
    return alarms


# --- courses --------------------------------------------------------------------------------------


def steady(values: Floats) -> Course:
    """Return what never changes."""
    return lambda _: values


def daily(values: Floats, swing: float = 0.5) -> Course:
    """Return what swings over the day by ``swing`` of itself, least at night."""
    return lambda minute: values * (1 - swing * math.cos(2 * math.pi * minute / DAY_MINUTES))


def mix(points: Floats) -> Course:
    """Return the drop of a question mix that swings over the day by ``points`` / 100 either way."""
    return lambda minute: points / 100 * math.sin(2 * math.pi * minute / DAY_MINUTES)


def ramp(first: float, last: float, values: Floats) -> Course:
    """Return what grows evenly from nothing at ``first`` to ``values`` at ``last``."""
    return lambda minute: values * min(max((minute - first) / (last - first), 0.0), 1.0)


class Spikes:
    """Drops of 35 points for one to three minutes at random times, S scopes apart."""

    def __init__(
        self,
        rng: np.random.Generator,
        hit: Floats,
        minutes: float,
        *,
        every_minutes: float = SPIKE_EVERY_MINUTES,
    ) -> None:
        self.count = 0
        self._drops: dict[int, Floats] = {}
        for stream in np.flatnonzero(hit).tolist():
            at = rng.exponential(every_minutes)
            while at < minutes:
                self.count += 1
                for minute in range(int(at), int(at) + int(rng.integers(1, 4))):
                    drops = self._drops.setdefault(minute, np.zeros(len(hit)))
                    drops[stream] = SPIKE_DROP
                at += 5.0 + rng.exponential(every_minutes)
        self._none = np.zeros(len(hit))

    def __call__(self, minute: float) -> Floats:
        return self._drops.get(int(minute), self._none)
