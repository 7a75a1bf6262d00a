"""Counts over fixed logarithmic cuts, from which quantiles are known to the cut.

Each cut is a quarter longer than the one before; a quantile is interpolated geometrically
between the two cuts around it. Counts decay like the baseline's moments: they describe the recent
past without holding single values.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.windows.rings import Floats, Rows

LATENCY_CUTS_S: Final[Floats] = np.asarray(0.001 * 1.25 ** np.arange(64), dtype=np.float64)
"""From 1 ms to beyond 20 minutes."""

TOKEN_CUTS: Final[Floats] = np.ceil(4.0 * 1.25 ** np.arange(64))
"""From 4 tokens to beyond five million."""

COST_CUTS_USD: Final[Floats] = np.asarray(1e-6 * 1.25 ** np.arange(80), dtype=np.float64)
"""From a millionth of a dollar to beyond forty dollars."""

_MANY: Final = 1000.0
"""Values from which a tail quantile is taken as it is."""
_SLACK: Final = 1e-9
_DECAY_PER_MINUTE: Final = 0.998
# Rows looked at at a time, so that they stay in the cache.
_BLOCK: Final = 512
# Values of which each waits with its rows; some 100 kB.
_MOST_WAITING: Final = 2048


class Histogram:
    """Counts by cut, one row a scope."""

    def __init__(self, cuts: Floats, capacity: int = 64) -> None:
        self.cuts = cuts
        self._counts: Floats = np.zeros((capacity, len(cuts) + 1))
        # What was added and is not counted yet: it is looked at once a minute, added to more
        # often, and many values cost little more than a few.
        self._waiting: list[tuple[Rows, Floats]] = []
        self._waiting_values = 0

    @property
    def counts(self) -> Floats:
        """Return the counts, shape (S, cuts + 1); the last column is "above all cuts"."""
        if self._waiting:
            self._count()
        return self._counts

    def reserve(self, rows: int) -> None:
        """Grow to at least ``rows`` rows, doubling."""
        old = self._counts
        if rows > len(old):
            self._counts = np.zeros((max(rows, 2 * len(old)), old.shape[1]))
            self._counts[: len(old)] = old

    def clear(self, row: int) -> None:
        """Forget one row."""
        self.counts[row] = 0

    def add(self, rows: Rows, values: Floats) -> None:
        """Count one value each for ``rows``."""
        self.add_widely(rows[:, None], values)

    def add_widely(self, rows: Rows, values: Floats) -> None:
        """Count each of ``values`` (N) in all its ``rows`` (N, any), which are its from now on.

        A value that is NaN, or a row below 0, is none.
        """
        if self._waiting and self._waiting[0][0].shape[1] != rows.shape[1]:
            self._count()
        self._waiting.append((rows, values))
        self._waiting_values += len(values)
        if self._waiting_values >= _MOST_WAITING:
            self._count()

    def _count(self) -> None:
        """Count what waits."""
        rows = np.concatenate([rows for rows, _ in self._waiting])
        values = np.concatenate([values for _, values in self._waiting])
        self._waiting, self._waiting_values = [], 0
        width = self._counts.shape[1]
        cells = rows * width + np.searchsorted(self.cuts, values)[:, None]
        is_one = (rows >= 0) & (values == values)[:, None]
        np.add.at(self._counts.reshape(-1), cells[is_one], 1.0)

    def pass_minutes(self, minutes: int) -> None:
        """Let a gap pass in which nothing was counted, as long as ``minutes``."""
        counts = self.counts
        counts *= _DECAY_PER_MINUTE**minutes

    def decay(self, frozen: npt.NDArray[np.bool_]) -> None:
        """Let a minute pass for every row that is not ``frozen``."""
        counts = self.counts
        counts *= np.where(frozen[: len(counts)], 1.0, _DECAY_PER_MINUTE)[:, None]

    def total(self, row: int) -> float:
        """Return how many values stand behind ``row``."""
        return float(self.counts[row].sum())

    def totals(self, rows: Rows) -> Floats:
        """Return how many values stand behind each of ``rows``."""
        return np.asarray(self.counts[rows].sum(axis=1))

    def quantile(self, row: int, share: float) -> float | None:
        """Return the value below which ``share`` of the values lie, None when empty."""
        found = float(self.quantiles(np.array([row]), share)[0])
        return None if np.isnan(found) else found

    def quantiles(self, rows: Rows, share: float) -> Floats:
        """Return for each of ``rows`` the value below which ``share`` lie, NaN when empty.

        With fewer than a thousand values the next higher order statistic is taken: a tail
        quantile of few values is as often too low as too high, and a baseline that is too low
        pages for nothing.
        """
        counts = self.counts[rows]
        total, rank, summed, cut = self._cuts_of(counts, share)
        each = np.arange(len(rows))
        count = counts[each, cut]
        inside = (rank - (summed[each, cut] - count)) / np.maximum(count, 1e-9)
        # Powers one by one: those of arrays differ in the last bit from machine to machine.
        between = [
            lower * (upper / lower) ** part
            for lower, upper, part in zip(
                self.cuts[cut - 1].tolist(),
                self.cuts[cut].tolist(),
                np.clip(inside, 0.0, 1.0).tolist(),
                strict=True,
            )
        ]
        found = np.where(cut == 0, self.cuts[0], between)
        return np.where(total < 1, np.nan, found)

    def surely_within(
        self, rows: Rows, share: float, lowest: Rows, highest: Rows
    ) -> npt.NDArray[np.bool_]:
        """Return where `quantiles` lie below one of the cuts ``lowest`` to ``highest``, or nowhere.

        Cuts are numbered from 0, and none of ``lowest`` is above its ``highest``. Where the last
        bits decide it is False. A fraction of what the quantiles themselves take.
        """
        found = np.empty(len(rows), dtype=np.bool_)
        width = self.counts.shape[1]
        for first in range(0, len(rows), _BLOCK):
            some = slice(first, first + _BLOCK)
            low, high = lowest[some], highest[some]
            starts = width * np.arange(len(low))
            edges = np.stack([starts, starts + low, starts + high + 1], axis=1).reshape(-1)
            flat = self.counts.take(rows[some], axis=0).reshape(-1)
            below, inside, above = np.add.reduceat(flat, edges).reshape(-1, 3).T
            # No cut is below the lowest of all, and the sum of none is not what reduceat gives.
            below = np.where(low > 0, below, 0.0)
            total = below + inside + above
            rank, near = _rank(total, share) - _SLACK, 1e-13 * (1.0 + total)
            is_last = high == len(self.cuts) - 1
            within = (below < rank - near) | (low == 0)
            within &= (below + inside > rank + near) | is_last
            within &= np.abs(total - _MANY) > near
            found[some] = within | (total < 1 - near)
        return found

    def _cuts_of(self, counts: Floats, share: float) -> tuple[Floats, Floats, Floats, Rows]:
        """Return totals, ranks of the quantile, counts summed up, and the cut it lies below."""
        total = counts.sum(axis=1)
        rank = _rank(total, share)
        summed = np.cumsum(counts, axis=1)
        below = (summed < (rank - _SLACK)[:, None]).sum(axis=1)
        return total, rank, summed, np.minimum(below, len(self.cuts) - 1)


def _rank(total: Floats, share: float) -> Floats:
    few = np.minimum(share * total + 1.0, total)
    return np.asarray(np.where(total >= _MANY, share * total, few))
