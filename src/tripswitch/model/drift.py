"""Drift: what the signals of an incident measured, minute by minute, as the ledger keeps it.

The engine takes a stretch of minutes from its rings now and then (`Drift`); each stretch repeats
minutes of the one before, because scores come late. The ledger puts stretches together (`joined`)
and stays below `MOST_POINTS` a series by letting older points cover more minutes each. A point is
sums, so points add: nothing is lost but the resolution.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from tripswitch.model.scope import Scope

MOST_POINTS: Final = 240
"""Points of one series; at one a minute these are four hours."""

_FRESH_MINUTES: Final = 60
"""The latest minutes always stay single: they are still being repeated, and looked at most."""

Role = Literal["arm", "population", "reference"]
"""The scope that is bad, the cohort that it serves whatever the version, what it is compared to."""

Unit = Literal["score", "share", "tokens", "usd", "calls_per_minute"]
"""What a value counts: 0..1, 0..1 to be shown as %, tokens or US dollars by success, calls."""


class DriftPoint(NamedTuple):
    """The sums of some minutes. ``minute`` is the first, in minutes since the epoch.

    ``n`` values of sum ``total`` and sum of squares ``squares``; the value is ``total / parts``:
    parts are the values themselves, for a ratio the successes, for traffic the minutes.
    """

    minute: int
    minutes: int
    n: float
    total: float
    squares: float
    parts: float

    @property
    def value(self) -> float | None:
        """Return what was measured, in the signal's own unit; None where nothing was."""
        return self.total / self.parts if self.parts > 0 else None

    @property
    def standard_error(self) -> float:
        """Return the standard error of `value`, taking values as independent; 0 where unknown."""
        if self.n <= 0 or self.parts <= 0:
            return 0.0
        mean = self.total / self.n
        variance = max(self.squares / self.n - mean * mean, 0.0)
        return math.sqrt(variance * self.n) / self.parts

    def plus(self, later: DriftPoint) -> DriftPoint:
        """Return this and the next point as one."""
        sums = (mine + theirs for mine, theirs in zip(self[2:], later[2:], strict=True))
        return DriftPoint(self.minute, later.minute + later.minutes - self.minute, *sums)


@dataclass(frozen=True, slots=True)
class DriftSeries:
    """One scope's points, in order of time. Minutes without a value have no point."""

    role: Role
    scope: Scope
    points: tuple[DriftPoint, ...]


@dataclass(frozen=True, slots=True)
class DriftSignal:
    """The series of one signal around an incident.

    ``name`` is the signal's, with its rubric after a colon. ``usual`` is what it was compared
    with when the incident opened, ``investigate`` and ``page`` the lines that went with it, all in
    the unit of the values; None where there is none. ``worse`` says which way is worse.
    """

    name: str
    unit: Unit
    worse: Literal["up", "down"]
    usual: float | None
    investigate: float | None
    page: float | None
    series: tuple[DriftSeries, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the signal as plain values that `of_json` reads, exact to the bit."""
        return asdict(self) | {
            "series": [
                {
                    "role": one.role,
                    "scope": list(one.scope),
                    "points": [list(p) for p in one.points],
                }
                for one in self.series
            ]
        }

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> DriftSignal:
        """Return the signal that `as_json` wrote."""
        series = tuple(
            DriftSeries(
                one["role"],
                Scope(*one["scope"]),
                tuple(DriftPoint(*point) for point in one["points"]),
            )
            for one in kept["series"]
        )
        return cls(**kept | {"series": series})


@dataclass(frozen=True, slots=True)
class Drift:
    """To be written down: the latest minutes of every signal around an incident."""

    incident_id: str
    time_ns: int
    signals: tuple[DriftSignal, ...]


def joined(before: DriftSignal, later: DriftSignal, most: int = MOST_POINTS) -> DriftSignal:
    """Return both stretches as one; where they tell of one minute, the later one is right.

    A stretch tells of every minute from its first point on. The lines are those that were known
    first: what was usual when the incident opened stays what it is measured by.
    """
    known = {(one.role, one.scope): one for one in before.series}
    for one in later.series:
        old = known.get((one.role, one.scope))
        if old is not None and one.points:
            first = one.points[0].minute
            kept = tuple(point for point in old.points if point.minute < first)
            known[one.role, one.scope] = DriftSeries(one.role, one.scope, kept + one.points)
        elif old is None:
            known[one.role, one.scope] = one
    lines = before if before.usual is not None else later
    series = tuple(
        DriftSeries(one.role, one.scope, thinned(one.points, most)) for one in known.values()
    )
    return DriftSignal(
        before.name,
        before.unit,
        before.worse,
        lines.usual,
        lines.investigate,
        lines.page,
        series,
    )


def thinned(points: tuple[DriftPoint, ...], most: int = MOST_POINTS) -> tuple[DriftPoint, ...]:
    """Return ``points`` with neighbours put together until at most ``most`` are left.

    The older they are the wider they become; those of the last hour stay as they are while the
    others can make room.
    """
    width = 1
    while len(points) > most:
        fresh = points[-1].minute - _FRESH_MINUTES
        width *= 2
        thinner: list[DriftPoint] = []
        for point in points:
            if (
                thinner
                and (point.minute < fresh or width > _FRESH_MINUTES)
                and thinner[-1].minute // width == point.minute // width
            ):
                thinner[-1] = thinner[-1].plus(point)
            else:
                thinner.append(point)
        points = tuple(thinner)
    return points
