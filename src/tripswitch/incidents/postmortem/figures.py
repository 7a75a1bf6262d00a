"""The figures of a postmortem: bad version against its reference, over the same minutes.

All of them come from the series of the ledger. The bad minutes are those of the bad scope from the
onset to the rollback (or the recovery, or the end of what is known).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tripswitch.incidents.case import Case
from tripswitch.incidents.values import difference_text, signal_text, value_text
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.drift import DriftPoint, DriftSignal, Role, Unit

_Z95: Final = 1.96

_SURE: Final = 1.5
"""Of half of a 95 % interval: about three standard errors."""

_Z_POWER: Final = 1.96 + 1.2816
"""Two-sided 5 % and 90 % power, in standard errors: the usual size of an offline comparison."""

_SPREAD_OF_EVIDENCE: Final = 3.0
"""How many times the floor the evidence rule takes (docs/detection.md, measured)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One signal in the bad minutes, and in its reference.

    ``value`` and ``usual`` are in the signal's own unit, ``n`` and ``usual_n`` count what they
    stand on; ``variance`` is that of a single value in that unit. ``usual_n`` is 0 where the usual
    value is the one that the incident was opened with. ``investigate`` and ``page`` are distances
    from the usual value, None where there is no such line.
    """

    name: str
    unit: Unit
    falls: bool
    value: float
    n: int
    usual: float
    usual_n: int
    variance: float
    usual_variance: float
    minutes: float
    investigate: float | None
    page: float | None

    @property
    def worse_by(self) -> float:
        """Return by how much it got worse, negative where it got better."""
        return self.usual - self.value if self.falls else self.value - self.usual

    @property
    def half_width(self) -> float:
        """Return half of the 95 % interval of the difference."""
        error = self.variance / max(self.n, 1)
        if self.usual_n:
            error += self.usual_variance / self.usual_n
        return _Z95 * math.sqrt(error)

    @property
    def has_moved(self) -> bool:
        """Return whether it got worse beyond scatter, and beyond the investigate line."""
        return self.is_sure and self.worse_by >= (self.investigate or 0.0)

    @property
    def is_sure(self) -> bool:
        """Return whether it got worse by more than three standard errors.

        Of several signals that are looked at one is soon off by two.
        """
        return self.worse_by > _SURE * self.half_width

    @property
    def per_minute(self) -> float:
        """Return how many values a minute the bad scope gave."""
        return self.n / self.minutes if self.minutes > 0 else 0.0

    def label(self) -> str:
        """Return the signal's name in words."""
        return signal_text(self.name)

    def sentence(self) -> str:
        """Return what was measured against what, with the interval."""
        if self.usual_n:
            against = f"against {value_text(self.usual, self.unit)} (n = {self.usual_n:,})"
        else:
            against = f"against the usual {value_text(self.usual, self.unit)}"
        return (
            f"{self.label()} {value_text(self.value, self.unit)} (n = {self.n:,}) {against}: "
            f"{difference_text(self.value, self.usual, self.unit)}"
        )

    def interval_text(self) -> str:
        """Return the difference with its 95 % interval, in the unit of differences."""
        centre, half = self.worse_by, self.half_width
        if self.unit == "share" and self.usual_n:
            centre, half = self._of_shares()
        return f"{self.amount(centre - half)} to {self.amount(centre + half)}"

    def _of_shares(self) -> tuple[float, float]:
        """Return the centre and half of the 95 % interval of a difference of two shares.

        One more of either kind is added to both, so that a share of which none was seen is not
        certain to be nothing (Agresti and Caffo 2000).
        """
        added = [
            ((share * n + 1) / (n + 2), n + 2)
            for share, n in ((self.value, self.n), (self.usual, self.usual_n))
        ]
        (bad, _), (good, _) = added
        error = sum(max(share * (1 - share), 0.0) / n for share, n in added)
        return (good - bad if self.falls else bad - good), _Z95 * math.sqrt(error)

    def amount(self, distance: float) -> str:
        """Return a distance in words: points, or per cent of the usual value."""
        if self.unit in ("score", "share"):
            # Adding zero takes the sign off a rounded nothing.
            return f"{round(100 * distance, 1) + 0.0:.1f} points"
        if self.usual > 0:
            return f"{100 * distance / self.usual:.0f} %"
        return value_text(distance, self.unit)

    def cases_to_see(self, distance: float) -> int:
        """Return how many cases a version an offline comparison needs to see ``distance``.

        Two-sided 5 %, power 90 %, independent cases of the variance seen here.
        """
        variance = max(self.variance, self.usual_variance, 1e-9)
        return math.ceil(2 * variance * (_Z_POWER / max(distance, 1e-6)) ** 2)

    def minutes_to_page(self, distance: float, per_minute: float, alpha_start: float) -> float:
        """Return about how many minutes a page takes for a shift of ``distance``.

        The rule of thumb of docs/detection.md: three times ``ln(1/alpha) * 2 var / distance^2``
        values of the bad scope.
        """
        values = _SPREAD_OF_EVIDENCE * math.log(1 / alpha_start)
        values *= 2 * max(self.variance, 1e-9) / max(distance, 1e-6) ** 2
        return values / per_minute if per_minute > 0 else math.inf


def bad_minutes(case: Case) -> tuple[int, int]:
    """Return the first and last minute in which the bad scope counts."""
    first = case.onset_ns // NS_PER_MINUTE
    ended_ns = case.called_ns or case.confirmed_ns or case.recovered_ns
    if ended_ns is None:
        return first, 1 << 62
    return first, max(first, (ended_ns - 1) // NS_PER_MINUTE)


def figures_of(case: Case) -> tuple[Figure, ...]:
    """Return the figures of every signal of a case that has values in the bad minutes."""
    first, last = bad_minutes(case)
    found = (_figure(drift, first, last) for drift in case.drift)
    return tuple(figure for figure in found if figure is not None)


def served_while_bad(case: Case) -> int:
    """Return how many answers the bad scope gave, as far as they were seen."""
    first, last = bad_minutes(case)
    counts = [
        sum(point.n for point in _within(drift, "arm", first, last))
        for drift in case.drift
        if drift.unit == "share"
    ]
    return round(max(counts, default=0.0))


def share_of_traffic(case: Case) -> float | None:
    """Return the bad scope's share of what it and its reference served, None where unknown."""
    first, last = bad_minutes(case)
    for name in ("refusal_rate", "error_rate", case.signal):
        drift = case.signal_drift(name)
        if drift is None:
            continue
        arm, reference = (
            sum(point.n for point in _within(drift, role, first, last))
            for role in ("arm", "reference")
        )
        if arm > 0 and reference > 0:
            return float(arm / (arm + reference))
    return None


def _figure(drift: DriftSignal, first: int, last: int) -> Figure | None:
    arm = _sum(_within(drift, "arm", first, last))
    if arm is None or arm.value is None or drift.unit == "calls_per_minute":
        return None
    reference = _sum(_within(drift, "reference", first, last))
    if reference is not None and reference.value is not None:
        usual, usual_n = reference.value, round(reference.n)
    elif drift.usual is not None:
        usual, usual_n, reference = drift.usual, 0, None
    else:
        return None
    distances = (
        None if line is None or drift.usual is None else abs(line - drift.usual)
        for line in (drift.investigate, drift.page)
    )
    investigate, page = distances
    return Figure(
        name=drift.name,
        unit=drift.unit,
        falls=drift.worse == "down",
        value=arm.value,
        n=round(arm.n),
        usual=usual,
        usual_n=usual_n,
        variance=_variance(arm),
        usual_variance=0.0 if reference is None else _variance(reference),
        minutes=float(arm.minutes),
        investigate=investigate,
        page=page,
    )


def _variance(point: DriftPoint) -> float:
    """Return the variance of a single value, such that ``variance / n`` is that of the mean."""
    return float(point.standard_error**2 * point.n)


def _within(drift: DriftSignal, role: Role | str, first: int, last: int) -> list[DriftPoint]:
    return [
        point
        for one in drift.series
        if one.role == role
        for point in one.points
        if first <= point.minute <= last
    ]


def _sum(points: Iterable[DriftPoint]) -> DriftPoint | None:
    """Return the points as one, whose ``minutes`` counts only minutes that have a value."""
    total: DriftPoint | None = None
    minutes = 0
    for point in points:
        minutes += point.minutes
        total = point if total is None else total.plus(point)
    return None if total is None else total._replace(minutes=minutes)
