"""A world of scopes under the engine's own judgement, fed with buckets, a tick at a time.

What judges here is what judges in the `Engine`: its registry and rings, comparisons, judge and
findings. In place of the book of incidents there is the one thing of it that reaches back into
detection: a row that has shown anything within the last hour does not teach its own baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.buckets import Buckets, Place
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.decision import NOTHING
from tripswitch.detect.findings import Findings
from tripswitch.detect.judge import Judge
from tripswitch.detect.leaves import Leaves
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import CALLS
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Verdict
from tripswitch.windows.rings import Floats, Rows
from tripswitch.windows.scopes import Measure, Scopes

START_NS: Final = 1_795_536_000 * NS_PER_S
QUIET_MINUTES: Final = 60
"""What is raised again after so long a silence is another alarm."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One verdict that was raised, or raised to a page, ``minute`` minutes after the start."""

    minute: float
    level: int
    verdict: Verdict


@dataclass(slots=True, eq=False)
class Arms:
    """Leaves that serve under one law, with a place a judged measure, and that of their calls."""

    judged: list[Place]
    calls: Place


class World:
    """So many scopes at most, from nothing known at minute 0."""

    def __init__(self, detect: Detect, most_scopes: int) -> None:
        self.detect = detect
        self.scopes = Scopes(most_scopes)
        self.roster = Roster()
        self.comparisons = Comparisons(self.scopes, self.roster)
        self.leaves = Leaves(self.scopes, self.comparisons)
        self.buckets = Buckets(self.leaves)
        self.judge = Judge(self.scopes, self.roster, self.comparisons)
        self.findings = Findings(self.roster, self.comparisons)
        self.now_ns = START_NS
        self.ticks_a_minute = round(60 / detect.tick)
        self.scopes.rings.advance(self.now_ns)
        self._level: Rows = np.zeros(0, dtype=np.int64)
        self._shown_minute: Floats = np.zeros(0)

    @property
    def minute(self) -> float:
        """Minutes since the start."""
        return (self.now_ns - START_NS) / NS_PER_MINUTE

    def open(self, scopes: Sequence[Scope], measures: Sequence[Measure]) -> Arms:
        """Let leaves begin to serve now."""
        *judged, calls = (
            self.buckets.place(scopes, each, self.now_ns, self.detect)
            for each in (*measures, CALLS)
        )
        return Arms(judged, calls)

    def arrive(self, arms: Arms, buckets: Sequence[Floats], late_minutes: int) -> None:
        """Let buckets (S, 3), one array a measure, of calls that ended some minutes ago arrive."""
        minute = self.now_ns // NS_PER_MINUTE - late_minutes
        for place, values in zip(arms.judged, buckets, strict=True):
            self.buckets.add(place, values, minute, self.now_ns)

    def call(self, arms: Arms, calls: Floats) -> None:
        """Let so many calls (S,) end now; only their count is used."""
        minute = self.now_ns // NS_PER_MINUTE
        self.buckets.add(arms.calls, np.stack([calls] * 3, axis=-1), minute, self.now_ns)

    def tick(self) -> list[Alarm]:
        """Let a tick pass and be judged; return what was raised."""
        self.now_ns += NS_PER_MINUTE // self.ticks_a_minute
        crossed = self.scopes.rings.advance(self.now_ns)
        rows, decision = self.judge.tick(
            self.now_ns, self.detect, minute_crossed=crossed, is_lossy=False
        )
        missing = len(self.roster) - len(self._level)
        if missing > 0:
            self._level = np.concatenate([self._level, np.zeros(missing, dtype=np.int64)])
            self._shown_minute = np.concatenate([self._shown_minute, np.full(missing, -np.inf)])
        minute = self.minute
        over = self._shown_minute < minute - QUIET_MINUTES
        self._level[over] = NOTHING
        raised = []
        for index in np.flatnonzero(decision.level > self._level[rows]).tolist():
            row = int(rows[index])
            scope = self.roster.scopes[row]
            assert scope is not None
            if self.now_ns - self.scopes.records[scope].last_seen_ns > NS_PER_MINUTE:
                continue
            self._level[row] = decision.level[index]
            verdict = self.findings.verdict(rows, decision, index, self.detect)
            raised.append(Alarm(minute, int(decision.level[index]), verdict))
        shown = rows[(decision.level > NOTHING) & (self._level[rows] > NOTHING)]
        self._shown_minute[shown] = minute
        if crossed:
            self.judge.incident_rows = set(np.flatnonzero(self._level > NOTHING).tolist())
        return raised
