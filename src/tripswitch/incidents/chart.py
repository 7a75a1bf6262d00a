"""The drift chart of an incident: drawn once, shown on the page, in the postmortem, in the chat.

`chart_of` says what is to be seen, `tripswitch.incidents.chart_svg.draw` draws it. The measured
scope and its reference with a 95 % band each, what was usual with the lines that went with it, and
what happened when. Everything on it is in the signal's own unit, times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tripswitch.incidents.case import Case
from tripswitch.incidents.values import difference_text, moment_text, signal_text, value_text
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.drift import DriftSeries, DriftSignal, Role, Unit
from tripswitch.model.scope import Scope

_Z95: Final = 1.96

_BEFORE_MINUTES: Final = 20
_AFTER_MINUTES: Final = 10
"""Shown before the onset, and after the end: the rest is another day's."""

MarkKind = Literal["change", "onset", "page", "rollback", "good"]
LineKind = Literal["usual", "investigate", "page"]


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """A value in the middle of the minutes it is of, with its 95 % band, n values behind it."""

    minute: float
    minutes: int
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """One line, with its name in the legend."""

    role: Role
    name: str
    points: tuple[ChartPoint, ...]


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A horizontal line at ``value``."""

    kind: LineKind
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class ChartMark:
    """Something that happened, in minutes since the epoch."""

    kind: MarkKind
    name: str
    minute: float


@dataclass(frozen=True, slots=True)
class Chart:
    """All there is to draw. Texts are plain lines, not yet escaped."""

    title: str
    subtitle: str
    description: str
    unit: Unit
    series: tuple[ChartSeries, ...]
    lines: tuple[ChartLine, ...]
    marks: tuple[ChartMark, ...]


def chart_of(case: Case, signal: str | None = None) -> Chart | None:
    """Return the chart of one signal of a case, its first by default; None without a series."""
    drift = case.signal_drift(signal)
    if drift is None:
        return None
    first, last = _shown(case, drift)
    series = tuple(
        ChartSeries(one.role, _series_name(one), points)
        for one in drift.series
        if (points := _points(one, drift.unit, first, last))
    )
    if not series:
        return None
    title = f"{signal_text(drift.name)} on {case.label}"
    return Chart(
        title=title,
        subtitle=_subtitle(case, drift),
        description=_description(case, drift, series),
        unit=drift.unit,
        series=series,
        lines=_lines(drift),
        marks=tuple(mark for mark in _marks(case) if first <= mark.minute <= last + 1),
    )


def _shown(case: Case, drift: DriftSignal) -> tuple[int, int]:
    """Return the first and the last minute to show."""
    minutes = [point.minute for one in drift.series for point in one.points]
    onset = case.onset_ns // NS_PER_MINUTE
    ends = [case.detected_ns, case.recovered_ns or 0]
    ended = max(ends) // NS_PER_MINUTE
    is_over = case.recovered_ns is not None
    first = max(min(minutes, default=onset), onset - _BEFORE_MINUTES)
    last = max(minutes, default=onset)
    return first, min(last, ended + _AFTER_MINUTES) if is_over else last


def _points(one: DriftSeries, unit: Unit, first: int, last: int) -> tuple[ChartPoint, ...]:
    points = []
    for point in one.points:
        value = point.value
        if value is None or not first <= point.minute <= last:
            continue
        low, high = _band(value, point.n, point.standard_error, unit)
        middle = point.minute + point.minutes / 2
        points.append(ChartPoint(middle, point.minutes, value, low, high, round(point.n)))
    return tuple(points)


def _band(value: float, n: float, error: float, unit: Unit) -> tuple[float, float]:
    """Return the 95 % band: Wilson's for shares, which holds near 0 too, else the normal one."""
    if unit == "share" and n > 0:
        z2 = _Z95 * _Z95
        middle = (value + z2 / (2 * n)) / (1 + z2 / n)
        variance = max(value * (1 - value) / n + z2 / (4 * n * n), 0.0)
        half = _Z95 / (1 + z2 / n) * variance**0.5
        return max(0.0, middle - half), min(1.0, middle + half)
    low, high = value - _Z95 * error, value + _Z95 * error
    return max(0.0, low), min(1.0, high) if unit == "score" else high


def _series_name(one: DriftSeries) -> str:
    match one.role:
        case "arm":
            return f"{_arm_text(one.scope)} (measured)"
        case "population":
            return f"{_arm_text(one.scope)}, every version"
        case _:
            return f"{_arm_text(one.scope)} (compared with)"


def _arm_text(scope: Scope) -> str:
    """Return a scope without route and prompt, which the title has."""
    parts = [
        scope.prompt_version,
        f"cohort {scope.cohort}" if scope.cohort else None,
        scope.request_model,
        f"via {scope.provider}" if scope.provider else None,
    ]
    return ", ".join(part for part in parts if part) or scope.label()


def _lines(drift: DriftSignal) -> tuple[ChartLine, ...]:
    wanted: tuple[tuple[LineKind, str, float | None], ...] = (
        ("usual", "usual", drift.usual),
        ("investigate", "investigate", drift.investigate),
        ("page", "page", drift.page),
    )
    return tuple(
        ChartLine(kind, f"{name} {value_text(value, drift.unit)}", value)
        for kind, name, value in wanted
        if value is not None
    )


def _marks(case: Case) -> list[ChartMark]:
    """Return what happened, in order of time."""
    rollout, plan = case.rollout(), case.rollback
    back = plan.after if plan is not None else "the version before"
    wanted: list[tuple[MarkKind, str, int | None]] = [
        (
            "change",
            f"{rollout.after} seen" if rollout else "",
            rollout.time_ns if rollout else None,
        ),
        ("onset", "onset", case.onset_ns),
        ("page", "page", case.paged_ns),
        ("page", "noticed", case.detected_ns if case.paged_ns is None else None),
        ("rollback", "rollback", case.called_ns),
        ("rollback", f"back on {back}", case.confirmed_ns),
        ("good", "recovered", case.recovered_ns),
        ("good", "resolved", case.resolved_ns),
    ]
    marks = [
        ChartMark(kind, name, time_ns / NS_PER_MINUTE)
        for kind, name, time_ns in wanted
        if time_ns is not None
    ]
    return sorted(marks, key=lambda mark: mark.minute)


def _subtitle(case: Case, drift: DriftSignal) -> str:
    parts = [f"incident {case.id}", f"onset {moment_text(case.onset_ns)}"]
    if drift.name == case.signal and drift.usual is not None:
        change = difference_text(case.estimate, case.baseline, drift.unit)
        parts.append(f"{change}, n = {case.samples:,}")
    return " · ".join(parts)


def _description(case: Case, drift: DriftSignal, series: tuple[ChartSeries, ...]) -> str:
    """Return what the chart shows in sentences, for who cannot see it."""
    said = [f"{drift.unit.replace('_', ' ')} by minute."]
    for one in series:
        values = [point.value for point in one.points]
        low, high = (value_text(value, drift.unit) for value in (min(values), max(values)))
        said.append(f"{one.name}: between {low} and {high}.")
    said += [f"Line {line.name}." for line in _lines(drift)]
    said += [
        f"{mark.name}: {moment_text(round(mark.minute * NS_PER_MINUTE))}." for mark in _marks(case)
    ]
    return " ".join(said)
