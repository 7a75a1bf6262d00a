"""Cells: the independent parts of the whole simulation, each in chunks with seeds of their own.

A chunk is what is run, kept and skipped as one; a scale below 1 runs a fraction of its routes. The
cells of the null come in months and rollouts, those of a change in delays.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from bench.detect.scenes import Outcome, Plan
from bench.detect.traffic import steady

from tripswitch.config.detect_sections import BadMinutes, Detect
from tripswitch.windows.rings import Floats

MINUTE_TICKS: Final = Detect(tick=60.0)
"""The defaults of the configuration, looked at once a minute, as the reference was simulated."""


@dataclass(slots=True)
class Combo:
    """What became of the routes that had one thing in common; minutes since the change.

    ``look``, ``page`` and ``rollback`` are as in `Outcome`, one a route.
    """

    label: str
    look: list[float | None]
    page: list[float | None]
    rollback: list[float | None]
    pages: int
    early: int

    @property
    def runs(self) -> int:
        """Return the number of routes."""
        return len(self.page)


@dataclass(frozen=True, slots=True)
class Cell:
    """``simulate`` runs one chunk from its random numbers, at a scale of at most 1."""

    name: str
    chunks: int
    simulate: Callable[[np.random.Generator, float], list[Combo]]

    def run(self, chunk: int, scale: float) -> list[Combo]:
        """Return the combos of one chunk; the same chunk and scale always give the same."""
        seed = [zlib.crc32(self.name.encode()), chunk]
        return self.simulate(np.random.default_rng(seed), scale)


Scene = Callable[[Plan, np.random.Generator], list[Outcome]]


def routes(count: int, scale: float) -> int:
    """Return how many routes a scale leaves, at least one."""
    return max(1, round(count * scale))


def spread(values: Iterable[float], each: int) -> Floats:
    """Return every value ``each`` times, one after the other."""
    return np.repeat(np.array(list(values), dtype=np.float64), each)


def combos(labels: Iterable[str], outcomes: list[Outcome], each: int) -> list[Combo]:
    """Return the outcomes by label, ``each`` a label."""
    found = []
    for number, label in enumerate(labels):
        some = outcomes[number * each : (number + 1) * each]
        found.append(
            Combo(
                label,
                [one.look for one in some],
                [one.page for one in some],
                [one.rollback for one in some],
                sum(one.pages for one in some),
                sum(one.early for one in some),
            )
        )
    return found


def joined(parts: Iterable[list[Combo]]) -> dict[str, Combo]:
    """Return the combos of some chunks put together, by label."""
    whole: dict[str, Combo] = {}
    for combo in (combo for part in parts for combo in part):
        known = whole.get(combo.label)
        if known is None:
            whole[combo.label] = Combo(**asdict(combo))
            continue
        for name in ("look", "page", "rollback", "pages", "early"):
            setattr(known, name, getattr(known, name) + getattr(combo, name))
    return whole


def with_bad_minutes(minutes: int, tick_s: float) -> Detect:
    """Return the defaults with every number of bad minutes a page must span set to ``minutes``."""
    spans = BadMinutes(concurrent_control=minutes, previous_version=minutes, own_history=minutes)
    return Detect(tick=tick_s, bad_minutes=spans)


def steadily(
    per_minute: Floats, change: Floats, *, minutes: float, warm_minutes: float, **more: Any
) -> Plan:
    """Return the plan of steady traffic, one value a route; ``more`` are fields of `Plan`."""
    base: dict[str, Any] = {
        "detect": MINUTE_TICKS,
        "usual": steady(np.zeros(len(per_minute))),
        "alike": np.ones(len(per_minute)),
    }
    return Plan(
        per_minute=steady(per_minute),
        change=steady(change),
        minutes=minutes,
        warm_minutes=warm_minutes,
        **{**base, **more},
    )
