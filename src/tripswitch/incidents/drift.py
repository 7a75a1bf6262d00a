"""What the signals around an incident measured, taken from the rings while they still hold it.

The rings keep a quarter of an hour by the minute. Whenever an incident takes a step, and every
five minutes while it is open, the last complete minutes of its signals go out as a `Drift`: those
it was opened or joined by, and beside them what else is judged of the same scope, because what did
*not* move tells as much. The ledger puts the stretches together.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tripswitch.config.model import Config
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.lines import Lines, lines_of
from tripswitch.detect.signals import (
    ABSOLUTE,
    CALLS,
    ERROR,
    RATIOS,
    REFUSAL,
    SIGNALS,
    SLOW,
    TRAFFIC_DROP,
    Kind,
    Rule,
    Signal,
    kind_of,
    kinds_of,
)
from tripswitch.incidents.book import Book, Tracked
from tripswitch.model.drift import Drift, DriftPoint, DriftSeries, DriftSignal, Role, Unit
from tripswitch.model.incident import Incident, IncidentState
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Verdict
from tripswitch.windows.rings import MINUTES, Floats
from tripswitch.windows.scopes import Measure, ScopeRecord, Scopes

EVERY_MINUTES: Final = 5
MOST_SIGNALS: Final = 8

_BESIDE: Final = ("eval_score", REFUSAL.name, ERROR.name, SLOW.name)
"""Measures that are kept beside those of an incident's own signals, in this order."""


class _Subject(NamedTuple):
    """One signal to take: where it is measured, what it is compared with, what was usual."""

    name: str
    signal: str
    rubric: str | None
    direction: str
    measured: Scope
    reference: Scope | None
    usual: float | None


class Drifts:
    """Takes the series of every incident of the book. Called at the end of each tick."""

    def __init__(self, scopes: Scopes, comparisons: Comparisons, book: Book) -> None:
        self.scopes = scopes
        self.comparisons = comparisons
        self.book = book
        self._followed: dict[str, Tracked] = {}

    def follow(self, now_ns: int, config: Config, *, minute_crossed: bool) -> list[Drift]:
        """Return the series that are due now, those of just resolved incidents a last time."""
        is_due = minute_crossed and self.scopes.rings.now_minute % EVERY_MINUTES == 0
        followed = self._followed | {
            tracked.incident.id: tracked for tracked in self.book.open.values()
        }
        taken = []
        for incident_id, tracked in followed.items():
            step = _step_of(tracked.incident)
            if is_due or step != tracked.drift_step:
                tracked.drift_step = step
                signals = self._signals(tracked, config)
                if signals:
                    taken.append(Drift(incident_id, now_ns, signals))
        self._followed = {
            incident_id: tracked
            for incident_id, tracked in followed.items()
            if tracked.incident.state is not IncidentState.RESOLVED
        }
        return taken

    def _signals(self, tracked: Tracked, config: Config) -> tuple[DriftSignal, ...]:
        subjects = [_subject_of(verdict) for verdict in tracked.verdicts.values()]
        if not subjects:
            # Taken up after a restart: the ledger knows no verdicts, but which signal it was.
            incident = tracked.incident
            name = incident.signals[0] if incident.signals else incident.signal
            subjects = [
                _Subject(name, incident.signal, incident.rubric, "up", incident.scope, None, None)
            ]
        unique = {subject.name: subject for subject in reversed(subjects)}
        ordered = [unique[name] for name in dict.fromkeys(subject.name for subject in subjects)]
        ordered += self._beside(ordered)
        found = (self._signal(subject, config) for subject in ordered[:MOST_SIGNALS])
        return tuple(signal for signal in found if signal is not None)

    def _beside(self, subjects: list[_Subject]) -> list[_Subject]:
        """Return what else is judged of the first subject's scope."""
        first = subjects[0]
        record = self.scopes.records.get(first.measured)
        if record is None or first.measured.route is None:
            return []
        known = {subject.name for subject in subjects}
        beside = []
        for wanted in _BESIDE:
            for measure in sorted(record.series, key=lambda item: item.rubric or ""):
                kinds = kinds_of(measure)
                if measure.name != wanted or not kinds:
                    continue
                signal = SIGNALS[kinds[0]].name
                name = f"{signal}:{measure.rubric}" if measure.rubric else signal
                if name not in known:
                    beside.append(
                        first._replace(
                            name=name,
                            signal=signal,
                            rubric=measure.rubric,
                            direction="up",
                            usual=None,
                        )
                    )
        return beside

    def _signal(self, subject: _Subject, config: Config) -> DriftSignal | None:
        if subject.signal == TRAFFIC_DROP:
            return self._traffic(subject, config)
        try:
            kind = kind_of(subject.signal, subject.rubric, subject.direction)
        except KeyError:
            return None
        signal = SIGNALS[kind]
        measure = Measure(signal.measure, subject.rubric)
        scopes: list[tuple[Role, Scope]] = [("arm", subject.measured)]
        population = subject.measured.population()
        if subject.measured.prompt_version is not None:
            scopes.append(("population", population))
        if subject.reference is not None:
            scopes.append(("reference", subject.reference))
        series = tuple(
            DriftSeries(role, scope, points)
            for role, scope in scopes
            if (points := self._points(scope, measure, signal))
        )
        if not series:
            return None
        usual = subject.usual if subject.usual is not None else _mean_of_reference(series)
        lines = lines_of(kind, config.detect.for_route(subject.measured.route))
        investigate, page = _line_values(signal.rule, usual, lines)
        falls = signal.rule in (Rule.SCORE, Rule.FALL)
        return DriftSignal(
            subject.name,
            _unit(kind),
            "down" if falls else "up",
            usual,
            investigate,
            page,
            series,
        )

    def _points(self, scope: Scope, measure: Measure, signal: Signal) -> tuple[DriftPoint, ...]:
        record = self.scopes.records.get(scope)
        sums = None if record is None else self._minutes(record, measure)
        if record is None or sums is None:
            return ()
        parts = sums[:, 0]
        if signal.rule is Rule.RATIO:
            raw, of_success = RATIOS[Measure(signal.measure)]
            spent, successes = self._minutes(record, raw), self._minutes(record, of_success)
            if spent is None or successes is None:
                return ()
            sums, parts = spent, successes[:, 0]
        n, s, q = sums[:, 0], sums[:, 1], sums[:, 2]
        if signal.rule is Rule.SCORE:
            # The rings hold badness; people read scores.
            s, q = n - s, n - 2 * s + q
        first = self.scopes.rings.now_minute - len(sums)
        return tuple(
            DriftPoint(first + at, 1, float(n[at]), float(s[at]), float(q[at]), float(parts[at]))
            for at in range(len(sums))
            if parts[at] > 0
        )

    def _minutes(self, record: ScopeRecord, measure: Measure) -> Floats | None:
        """Return the complete minutes that the ring holds of a series, oldest first."""
        row = record.series.get(measure)
        return None if row is None else self.scopes.rings.last_minutes(row, MINUTES)[:-1]

    def _traffic(self, subject: _Subject, config: Config) -> DriftSignal | None:
        family = self.comparisons.families.get(subject.measured.family())
        calls = [
            minutes[:, 0]
            for record in (() if family is None else family.arms.values())
            if (minutes := self._minutes(record, CALLS)) is not None
        ]
        if not calls:
            return None
        first = self.scopes.rings.now_minute - len(calls[0])
        # Counts scatter as Poisson's do; a sum of squares of twice the count says just that.
        points = tuple(
            DriftPoint(first + at, 1, count, count, 2 * count, 1.0)
            for at, count in enumerate(float(sum(column)) for column in zip(*calls, strict=True))
        )
        share = config.detect.for_route(subject.measured.route).traffic_drop.page_share
        return DriftSignal(
            subject.name,
            "calls_per_minute",
            "down",
            subject.usual,
            None,
            None if subject.usual is None else share * subject.usual,
            (DriftSeries("arm", subject.measured, points),),
        )


def _step_of(incident: Incident) -> str:
    """Return where an incident stands; another step means that its series are taken at once."""
    rollback = "" if incident.rollback is None else incident.rollback.state.value
    parts = (incident.severity.value, incident.state.value, rollback, str(len(incident.signals)))
    return "/".join(parts)


def _subject_of(verdict: Verdict) -> _Subject:
    name = f"{verdict.signal}:{verdict.rubric}" if verdict.rubric else verdict.signal
    return _Subject(
        name,
        verdict.signal,
        verdict.rubric,
        verdict.direction,
        verdict.measured,
        verdict.reference,
        verdict.usual,
    )


def _mean_of_reference(series: tuple[DriftSeries, ...]) -> float | None:
    """Return what the reference shows now, for signals that no verdict compared."""
    points = [point for one in series if one.role == "reference" for point in one.points]
    parts = sum(point.parts for point in points)
    return sum(point.total for point in points) / parts if parts > 0 else None


def _unit(kind: Kind) -> Unit:
    if kind is Kind.EVAL:
        return "score"
    return {Kind.TOKENS: "tokens", Kind.COST: "usd"}.get(kind, "share")  # type: ignore[return-value]


def _line_values(
    rule: Rule, usual: float | None, lines: Lines
) -> tuple[float | None, float | None]:
    """Return the investigate and the page line in the signal's own unit, None where none is."""
    if rule in ABSOLUTE:
        return None, _finite(max(lines.page, lines.usual))
    if usual is None:
        return None, None
    look, page = lines.investigate, lines.page
    match rule:
        case Rule.SCORE | Rule.FALL:
            values = (usual - look, usual - page)
        case Rule.RATIO:
            values = (usual * (1 + look), usual * (1 + page))
        case Rule.SLOW:
            values = (look, max(page, lines.page_multiple * usual))
        case Rule.ERRORS:
            values = (usual + look, max(usual + page, lines.page_multiple * usual))
        case _:
            values = (usual + look, usual + page)
    return _finite(values[0]), _finite(values[1])


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
