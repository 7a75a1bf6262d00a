"""What comes at all: telemetry, and the traffic of each route, looked at once a minute."""

from __future__ import annotations

from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.arrivals import Arrivals
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.signals import CALLS, TELEMETRY_LOST, TRAFFIC_DROP
from tripswitch.detect.traffic import Drop, TrafficWatch
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.incident import Severity, Shape
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.model.verdict import Comparison, Finding, Verdict
from tripswitch.windows.rings import Rows
from tripswitch.windows.scopes import OVERFLOW, Scopes

# Calls become known some time after they ended.
_LAG_MINUTES: Final = 2
_FORGOTTEN_MINUTES: Final = 75


class Coming:
    """Arrivals and traffic; a drop of all traffic at once is a fault of the telemetry."""

    def __init__(self, scopes: Scopes, comparisons: Comparisons) -> None:
        self.scopes = scopes
        self.comparisons = comparisons
        self.arrivals = Arrivals()
        self.traffic = TrafficWatch(scopes.max_scopes)
        self.told: list[Verdict] = []
        self._marked: set[int] = set()
        self._series: tuple[int, Rows, Rows] | None = None

    @property
    def due_minute(self) -> int:
        """The last absolute minute whose calls were counted."""
        return self.scopes.rings.now_minute - 1 - _LAG_MINUTES

    def pass_minute(
        self,
        now_ns: int,
        taken: int,
        lost: int,
        detect: Detect,
        *,
        is_lossy: bool,
        is_unwatched: bool = False,
    ) -> list[Verdict]:
        """Take the minute that just ended; return what is to be told.

        A minute that is ``is_unwatched`` was seen in part only, because nobody watched in it.
        """
        minute = now_ns // NS_PER_MINUTE - 1
        if not is_unwatched:
            self.arrivals.pass_minute(taken, lost, is_lossy=is_lossy)
        if lost or not taken or is_unwatched:
            self._marked.add(minute)
        due = minute - _LAG_MINUTES
        # A call that ended in a minute may have come in any of those after it.
        is_marked = bool(self._marked & set(range(due, minute + 1)))
        self._marked = {marked for marked in self._marked if marked > due}
        self._count(due, detect, is_marked=is_marked)
        verdicts = [] if is_marked else self._drops(due, detect)
        told = self.arrivals.verdict(now_ns, detect.telemetry_lost.page_after)
        self.told = verdicts if told is None else [told]
        return self.told

    def pass_gap(self, last_minute: int, now_minute: int, detect: Detect) -> None:
        """Let the minutes pass in which nobody watched: they teach and prove nothing."""
        self.arrivals.pass_gap(now_minute - last_minute)
        self._marked = {now_minute}
        first = last_minute - _LAG_MINUTES
        # After so many the quarter that was begun is closed and no minute is remembered.
        last = min(now_minute - _LAG_MINUTES, first + _FORGOTTEN_MINUTES)
        nothing = np.zeros(len(self.traffic.table))
        for minute in range(first, last):
            self.traffic.pass_minute(minute, nothing, is_marked=True, alpha=detect.alpha_page)

    def save(self, snapshot: Snapshot) -> None:
        """Put what comes usually, and what fails to come, into ``snapshot``."""
        snapshot.facts["coming.arrivals"] = self.arrivals.as_json()
        snapshot.facts["coming.marked"] = sorted(self._marked)
        self.traffic.save(snapshot)

    def restore(self, snapshot: Snapshot) -> None:
        """Know again what `save` put there; nothing where it is from before there was any."""
        kept = snapshot.facts.get("coming.arrivals")
        if kept is not None:
            self.arrivals.restore(kept)
        self._marked = set(snapshot.facts.get("coming.marked", ()))
        self._series = None
        self.traffic.restore(snapshot)

    def good_minutes(self, verdict: Verdict) -> int:
        """Return for how many minutes what a verdict told of is over."""
        if verdict.signal == TELEMETRY_LOST:
            return self.arrivals.good_minutes
        row = self.traffic.rows.get(verdict.scope)
        return 0 if row is None else int(self.traffic.good_minutes[row])

    def _count(self, minute: int, detect: Detect, *, is_marked: bool) -> None:
        families, series = self._series_of_calls()
        rings = self.scopes.rings
        slot = minute % rings.minute.shape[1]
        counts = rings.minute[series, slot, 0]
        calls = np.zeros(len(self.traffic.table))
        np.add.at(calls, families, counts)
        self.traffic.pass_minute(minute, calls, is_marked=is_marked, alpha=detect.alpha_page)

    def _series_of_calls(self) -> tuple[Rows, Rows]:
        """Return the traffic row of each arm, and the series of its calls.

        They are the same while no scope is new and none is gone.
        """
        if self._series is not None and self._series[0] == self.scopes.revision:
            return self._series[1:]
        refused = self.traffic.refused
        families, series = [], []
        for scope, family in self.comparisons.families.items():
            row = None if scope.route == OVERFLOW.route else self.traffic.row(scope)
            if row is None:
                continue
            for arm in family.arms.values():
                of_calls = arm.series.get(CALLS)
                if of_calls is not None:
                    families.append(row)
                    series.append(of_calls)
        gone = [scope for scope in self.traffic.rows if scope not in self.comparisons.families]
        for scope in gone:
            self.traffic.forget(scope)
        found = np.array(families, dtype=np.int64), np.array(series, dtype=np.int64)
        # A family that was refused asks again, and is counted again, at every minute.
        is_settled = not gone and self.traffic.refused == refused
        self._series = (self.scopes.revision, *found) if is_settled else None
        return found

    def _drops(self, minute: int, detect: Detect) -> list[Verdict]:
        widest = max(
            [detect.traffic_drop.page_share]
            + [lines.traffic_drop.page_share for lines in detect.routes.values()]
        )
        verdicts = []
        for drop in self.traffic.drops(minute, widest, 5.0):
            lines = detect.for_route(drop.scope.route).traffic_drop
            is_enough = drop.expected >= lines.min_expected
            if is_enough and drop.calls < lines.page_share * drop.expected:
                verdicts.append(_told(drop, lines.page_share))
        return verdicts


def _told(drop: Drop, page_share: float) -> Verdict:
    share = drop.calls / drop.expected
    return Verdict(
        finding=Finding.REGRESSED,
        severity=Severity.PAGE,
        signal=TRAFFIC_DROP,
        rubric=None,
        shape=Shape.OUTAGE,
        direction="down",
        scope=drop.scope,
        comparison=Comparison.HISTORY,
        reference=None,
        estimate=1 - share,
        line=1 - page_share,
        value=drop.calls / drop.minutes,
        usual=drop.expected / drop.minutes,
        samples=round(drop.calls),
        usual_samples=round(drop.expected),
        window=f"{drop.minutes} min",
        evidence=drop.evidence,
        onset_ns=drop.onset_minute * NS_PER_MINUTE,
        is_common=True,
        why=traffic_sentence(
            drop.scope, drop.calls, drop.expected, drop.minutes, drop.evidence, page_share
        ),
        measured=drop.scope,
    )


def traffic_sentence(
    scope: Scope, calls: float, expected: float, minutes: int, evidence: float, page_share: float
) -> str:
    """Return what is told of the traffic of a scope."""
    share = calls / expected if expected > 0 else 1.0
    return (
        f"traffic_drop on {scope.label()} is {calls:,.0f} calls where {expected:,.0f} were "
        f"expected at this time of the week, {100 * share:.0f} % (line {100 * page_share:g} %), "
        f"over {minutes} min, evidence {min(evidence, 1e12):.3g} (acts at 1)"
    )
