"""What has to be proven before an incident is recovered: its signals, on the scope to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.config.target_sections import TOOL_BREAKER
from tripswitch.detect.lines import lines_of
from tripswitch.detect.signals import BY_ARRIVAL, SIGNALS, Rule, kind_of
from tripswitch.incidents.recovery import Watched
from tripswitch.model.incident import RollbackState
from tripswitch.model.verdict import Comparison, Verdict
from tripswitch.windows.scopes import Measure, Scopes

if TYPE_CHECKING:
    from tripswitch.config.model import Config
    from tripswitch.detect.comparison import Comparisons
    from tripswitch.incidents.book import Tracked

CALLED: Final = (RollbackState.ACKNOWLEDGED, RollbackState.UNKNOWN)
"""A target was called and the spans have not shown the traffic moved yet."""

_OF_TOOLS: Final = ("tool_latency", "tool_errors")


class Watcher:
    """Finds the series to watch."""

    def __init__(self, scopes: Scopes, comparisons: Comparisons) -> None:
        self.scopes = scopes
        self.comparisons = comparisons

    def watched(self, tracked: Tracked, config: Config) -> list[Watched]:
        """Return what has to be proven, on the population that was put back."""
        incident = tracked.incident
        plan = incident.rollback
        moved = plan is not None and plan.state in (*CALLED, RollbackState.CONFIRMED)
        watched = []
        for verdict in tracked.verdicts.values():
            if is_emptied(tracked, verdict):
                continue
            found = self._watch(verdict, config, on_population=moved)
            if found is not None:
                watched.append(found)
        return watched

    def _watch(self, verdict: Verdict, config: Config, *, on_population: bool) -> Watched | None:
        if verdict.signal in BY_ARRIVAL:
            return None
        kind = kind_of(verdict.signal, verdict.rubric, verdict.direction)
        signal = SIGNALS[kind]
        measure = Measure(signal.measure, verdict.rubric)
        scope = verdict.measured.population() if on_population else verdict.measured
        record = self.scopes.records.get(scope)
        row = None if record is None else record.series.get(measure)
        if row is None:
            return None
        control_row = None
        if verdict.comparison is Comparison.CONTROL and verdict.reference is not None:
            control = self.scopes.records.get(verdict.reference)
            control_row = None if control is None else control.series.get(measure)
        usual = 1 - verdict.usual if signal.rule is Rule.SCORE else verdict.usual
        if signal.rule is Rule.RATIO:
            usual = self._usual_spent(verdict, measure)
        return Watched(
            kind=kind,
            name=f"{verdict.signal}:{verdict.rubric}" if verdict.rubric else verdict.signal,
            row=row,
            control_row=control_row,
            usual_y=usual,
            mirrored=signal.is_mirrored,
            lines=lines_of(kind, config.detect.for_route(verdict.measured.route)),
        )

    def _usual_spent(self, verdict: Verdict, measure: Measure) -> float:
        """Return the usual linearised badness, which the raw ratio of a verdict is not."""
        family = self.comparisons.families.get(verdict.measured.family())
        yardstick = None if family is None else family.yardsticks.get(measure)
        if yardstick is None or yardstick.limit + yardstick.usual <= 0:
            return 0.5
        return yardstick.usual / (yardstick.limit + yardstick.usual)


def is_emptied(tracked: Tracked, verdict: Verdict) -> bool:
    """Return whether we took the traffic away that a verdict speaks of, so that it says no more."""
    plan = tracked.incident.rollback
    return (
        plan is not None
        and plan.path == TOOL_BREAKER
        and plan.state is RollbackState.CONFIRMED
        and verdict.signal in _OF_TOOLS
        and verdict.rubric == plan.from_version
    )
