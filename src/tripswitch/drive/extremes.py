"""How far estimates stray while nothing is wrong, and how often that would make a false page.

At every minute of a recording, for every row, it is noted which page line would have held: the
highest line that the point rule, all of it but the evidence, would have seen reached. Of these the
highest of each block of minutes is kept. The highest of many nearly independent values follows a
Gumbel distribution, which is fitted to the blocks by their mean and spread, so that lines higher
than any that was reached can be told of too; of estimates that are nearly normal it says that far
lines are reached more often than they are, which errs on the safe side. Minutes of incidents say
nothing about a healthy time and are left out.

Sources: Gumbel, *Statistics of Extremes* (1958); Coles, *An Introduction to Statistical Modeling of
Extreme Values* (2001), on block maxima.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tripswitch.detect.decision import Decision, whole_windows
from tripswitch.detect.evidence import MINUTES_A_MONTH
from tripswitch.detect.nulls import SLOW_MULTIPLE
from tripswitch.detect.point_rule import SURE_SHARE_OF_LINE, WINDOWS, firm_estimate
from tripswitch.detect.signals import Kind, Rule, rules_of
from tripswitch.detect.terms import reader_of
from tripswitch.engine import Engine
from tripswitch.model.incident import Incident
from tripswitch.model.scope import Scope
from tripswitch.windows.rings import Floats, Rows
from tripswitch.windows.scopes import Measure

RowKey = tuple[Scope, Measure, Kind]

_MOST_VALUES: Final = 5_000_000
"""Row-minutes kept, 120 MB: a week of five hundred rows."""

_LONG_RECORDING_MINUTES: Final = 12 * 60
_LONG_BLOCK_MINUTES: Final = 60
_SHORT_BLOCK_MINUTES: Final = 15
_FEWEST_BLOCKS: Final = 4
_EULER: Final = 0.5772156649


@dataclass(frozen=True, slots=True)
class Extremes:
    """One row's Gumbel distribution of the highest line reached in a block, and its blocks.

    ``location`` and ``scale`` are in the line's unit; ``blocks_a_month`` is how many blocks of a
    month the row has traffic in, if it goes on as recorded.
    """

    key: RowKey
    location: float
    scale: float
    blocks: int
    blocks_a_month: float

    def times_a_month(self, line: float) -> float:
        """Return in how many blocks of a month ``line`` would be reached."""
        if self.scale <= 0:
            return self.blocks_a_month if self.location >= line else 0.0
        way = max(-700.0, min((line - self.location) / self.scale, 700.0))
        return self.blocks_a_month * -math.expm1(-math.exp(-way))


@dataclass(slots=True)
class Recorder:
    """Notes the lines that would have held, minute by minute; give `minute` to the engine.

    ``dropped`` counts row-minutes beyond what is kept.
    """

    engine: Engine
    dropped: int = 0
    minutes: list[int] = field(default_factory=list)
    _keys: dict[RowKey, int] = field(default_factory=dict)
    _values: list[tuple[Rows, Floats, Floats]] = field(default_factory=list)
    _kept: int = 0

    def minute(self, rows: Rows, decision: Decision) -> None:
        """Note one minute: the line that the windows would bear, and the estimate held."""
        engine = self.engine
        readable = engine.judge.roster.judged[rows] & decision.is_comparable
        readable &= decision.window >= 0
        at = np.flatnonzero(readable & (decision.reading.samples > 0))
        self.minutes.append(engine.scopes.rings.now_minute)
        if self._kept + len(at) > _MOST_VALUES:
            self.dropped += len(at)
            at = at[:0]
        self._kept += len(at)
        borne = _borne(engine, rows, decision, at)
        numbers = np.array([self._number(int(row)) for row in rows[at]], dtype=np.int64)
        self._values.append((numbers, borne, decision.reading.estimate[at].copy()))

    def extremes(self, incidents: Sequence[Incident]) -> list[Extremes]:
        """Return the distribution of every row that has blocks enough outside of ``incidents``."""
        if not self.minutes:
            return []
        first, last = self.minutes[0], self.minutes[-1]
        length = last - first + 1
        block = _LONG_BLOCK_MINUTES if length >= _LONG_RECORDING_MINUTES else _SHORT_BLOCK_MINUTES
        numbers, lines, estimates = (
            np.concatenate([values[column] for values in self._values]) for column in range(3)
        )
        sizes = [len(values[0]) for values in self._values]
        times = np.repeat(np.array(self.minutes, dtype=np.int64) - first, sizes)
        order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[order], np.arange(len(self._keys) + 1)).tolist()
        found = []
        for key, number in self._keys.items():
            at = order[bounds[number] : bounds[number + 1]]
            borne = self._held_lines(key, times[at], lines[at], estimates[at], length)
            for incident in incidents:
                _leave_out(borne, key[0], incident, first)
            one = _fitted(key, borne, block)
            if one is not None:
                found.append(one)
        return found

    def _number(self, row: int) -> int:
        roster = self.engine.roster
        scope = roster.scopes[row]
        assert scope is not None
        key = (scope, roster.measure(row), Kind(roster.kind[row]))
        return self._keys.setdefault(key, len(self._keys))

    def _held_lines(
        self, key: RowKey, times: Rows, lines: Floats, estimates: Floats, length: int
    ) -> Floats:
        """Return by minute the line that would have paged, NaN where nothing was read.

        Without a control a mean has to hold half the line for the whole alert window, or to be at
        twice the line.
        """
        borne = np.full(length, np.nan)
        borne[times] = lines
        row = self.engine.roster.by_key.get(key)
        roster = self.engine.roster
        if row is None or roster.is_rate[row] or roster.control[row] >= 0:
            return borne
        held = np.full(length, np.nan)
        held[times] = estimates
        window = max(1, round(self.engine.config.detect.alert_window / 60))
        padded = np.concatenate([np.full(window - 1, np.nan), held])
        lowest = np.lib.stride_tricks.sliding_window_view(padded, window).min(axis=1)
        slow = np.where(np.isnan(lowest), -np.inf, 2 * lowest)
        return np.asarray(np.minimum(borne, np.maximum(slow, held / 2)))


def _borne(engine: Engine, rows: Rows, decision: Decision, at: Rows) -> Floats:
    """Return the highest page line that the windows of the rows ``at`` would bear now."""
    judge, detect = engine.judge, engine.config.detect
    roster, chosen = judge.roster, decision.reading.at(at)
    is_rate = roster.is_rate[rows[at]]
    is_slow = rules_of(roster.kind[rows[at]]) == Rule.SLOW
    enough = chosen.events >= roster.fewest_events[rows[at]]
    of_rate = np.where(enough | roster.mirrored[rows[at]], chosen.estimate, -np.inf)
    doubled = chosen.value >= SLOW_MULTIPLE * chosen.usual
    multiplied = chosen.value >= roster.multiple[rows[at]] * chosen.usual
    multiplied |= roster.mirrored[rows[at]]
    of_rate = np.where(multiplied, of_rate, -np.inf)
    of_rate = np.where(is_slow, np.where(enough & doubled, chosen.value, 0.0), of_rate)
    of_rare = np.where(enough, chosen.value, 0.0)
    of_rate = np.where(roster.is_absolute[rows[at]], of_rare, of_rate)
    surest = np.full(len(at), -np.inf)
    means = np.flatnonzero(~is_rate)
    if len(means):
        read = reader_of(judge, rows, judge.baseline(rows, detect), detect)
        least = roster.fewest[rows[at[means]]]
        whole = whole_windows(judge, rows[at[means]])
        for position, window in enumerate(WINDOWS):
            reading = read(window, at[means])
            many = reading.samples >= least
            many &= ~decision.is_control[at[means]] | (reading.usual_samples >= least)
            firm = firm_estimate(reading, position, whole)
            line = np.minimum(reading.estimate, firm / SURE_SHARE_OF_LINE)
            surest[means] = np.maximum(surest[means], np.where(many, line, -np.inf))
    return np.where(is_rate, of_rate, surest)


def _leave_out(borne: Floats, scope: Scope, incident: Incident, first: int) -> None:
    """Blot out the minutes of an incident of the same prompt, from before its onset on."""
    if scope.family() != incident.scope.family():
        return
    begun = incident.onset_ns // 60_000_000_000 - first - 1
    end_ns = incident.resolved_at_ns or incident.recovered_at_ns
    ended = len(borne) if end_ns is None else end_ns // 60_000_000_000 - first + 1
    borne[max(0, begun) : max(0, ended)] = np.nan


def _fitted(key: RowKey, borne: Floats, block: int) -> Extremes | None:
    whole = borne[: len(borne) // block * block].reshape(-1, block)
    there = whole[~np.isnan(whole).all(axis=1)]
    if len(there) < _FEWEST_BLOCKS:
        return None
    highest = np.nanmax(there, axis=1)
    # Below no change at all it does not matter how far.
    highest = np.maximum(highest, 0.0)
    spread = float(highest.std(ddof=1))
    scale = spread * math.sqrt(6) / math.pi
    share = len(there) / len(whole)
    return Extremes(
        key,
        float(highest.mean()) - _EULER * scale,
        scale,
        len(there),
        MINUTES_A_MONTH / block * share,
    )


def lowest_line(rows: Sequence[Extremes], most_a_month: float, grid: Sequence[float]) -> float:
    """Return the lowest line of ``grid`` that all rows together reach no more often than allowed.

    The highest where none is high enough.
    """
    for line in grid:
        if sum(row.times_a_month(line) for row in rows) <= most_a_month:
            return line
    return grid[-1]
