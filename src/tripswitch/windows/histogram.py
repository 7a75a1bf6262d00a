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

_DECAY_PER_MINUTE: Final = 0.998


class Histogram:
    """Counts by cut, one row a scope, shape (S, cuts + 1); the last column is "above all cuts"."""

    def __init__(self, cuts: Floats, capacity: int = 64) -> None:
        self.cuts = cuts
        self.counts: Floats = np.zeros((capacity, len(cuts) + 1))

    def reserve(self, rows: int) -> None:
        """Grow to at least ``rows`` rows, doubling."""
        if rows > len(self.counts):
            grown = np.zeros((max(rows, 2 * len(self.counts)), self.counts.shape[1]))
            grown[: len(self.counts)] = self.counts
            self.counts = grown

    def clear(self, row: int) -> None:
        """Forget one row."""
        self.counts[row] = 0

    def add(self, rows: Rows, values: Floats) -> None:
        """Count one value each for ``rows``."""
        cuts = np.searchsorted(self.cuts, values)
        np.add.at(self.counts.reshape(-1), rows * self.counts.shape[1] + cuts, 1.0)

    def decay(self, frozen: npt.NDArray[np.bool_]) -> None:
        """Let a minute pass for every row that is not ``frozen``."""
        factor = np.where(frozen[: len(self.counts)], 1.0, _DECAY_PER_MINUTE)
        self.counts *= factor[:, None]

    def total(self, row: int) -> float:
        """Return how many values stand behind ``row``."""
        return float(self.counts[row].sum())

    def quantile(self, row: int, share: float) -> float | None:
        """Return the value below which ``share`` of the values lie, None when empty.

        With fewer than a thousand values the next higher order statistic is taken: a tail
        quantile of few values is as often too low as too high, and a baseline that is too low
        pages for nothing.
        """
        counts = self.counts[row]
        total = float(counts.sum())
        if total < 1:
            return None
        rank = share * total if total >= 1000 else min(share * total + 1.0, total)
        summed = np.cumsum(counts)
        index = min(int(np.searchsorted(summed, rank - 1e-9)), len(self.cuts) - 1)
        if index == 0:
            return float(self.cuts[0])
        inside = (rank - (summed[index] - counts[index])) / max(counts[index], 1e-9)
        lower, upper = self.cuts[index - 1], self.cuts[index]
        return float(lower * (upper / lower) ** min(max(inside, 0.0), 1.0))
