"""The e-detector: evidence that is valid however often it is looked at.

A Shiryaev-Roberts statistic with a budget: each bet's value M starts at ``alpha_start`` (when the
scope's start was seen) or 0, gains ``inject`` a minute, and is multiplied by the bucket's
likelihood bet. The evidence E is the mean over bets; E >= 1 is a crossing, and the probability of
a false one by time T is at most ``alpha_start + inject * T``, for any way of looking.

What one minute may add is capped, so that a page needs at least as many bad minutes as the cap
divides the budget into, whatever the volume. Ticks are shorter than minutes: what is capped is the
rise of the minute's running sum above its lowest point in that minute. A minute that keeps its
direction is therefore the same in one tick or in six but for the injection's rounding, and one
that began well, at high volume, cannot rise further than another. Increments are clipped from
above only; flooring them would destroy validity.

Source: Shin, Ramdas, Rinaldo, *E-detectors* (NEJSDS 2023).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.detect.kernels import BETS
from tripswitch.windows.rings import Floats, Rows

MINUTES_A_MONTH: Final = 43_200
_CEILING: Final = 1e12
_LOWEST_INCREMENT: Final = -700.0


class EDetector:
    """One e-detector a row, all rows of one kind side by side; arrays (R, K) of float64."""

    _COLUMNS: Final = (
        "bets",
        "_minute_sum",
        "_minute_low",
        "_applied",
        "_path",
        "_path_minimum",
        "_path_minimum_ns",
    )

    def __init__(self) -> None:
        self.bets: Floats = np.zeros((0, BETS))
        self._minute_sum: Floats = np.zeros((0, BETS))
        self._minute_low: Floats = np.zeros((0, BETS))
        self._applied: Floats = np.zeros((0, BETS))
        self._path: Floats = np.zeros((0, BETS))
        self._path_minimum: Floats = np.zeros((0, BETS))
        self._path_minimum_ns: npt.NDArray[np.int64] = np.zeros((0, BETS), dtype=np.int64)

    def reserve(self, rows: int) -> None:
        """Grow to at least ``rows`` rows."""
        if rows <= len(self.bets):
            return
        size = max(rows, 2 * len(self.bets), 64)
        for name in self._COLUMNS:
            old = getattr(self, name)
            grown = np.zeros((size, BETS), dtype=old.dtype)
            grown[: len(old)] = old
            setattr(self, name, grown)

    def start(self, row: int, budget: float, now_ns: int) -> None:
        """Begin anew at ``row`` with a start budget (0 for a scope found running)."""
        self.bets[row] = budget
        self._minute_sum[row] = self._minute_low[row] = self._applied[row] = 0.0
        self._path[row] = self._path_minimum[row] = 0.0
        self._path_minimum_ns[row] = now_ns

    def step(
        self,
        rows: Rows,
        increments: Floats,
        *,
        inject: Floats,
        cap: Floats,
        tick_minutes: float,
        now_ns: int,
    ) -> None:
        """Take one tick's log-increments, shape (len(rows), K).

        ``inject`` and ``cap`` are per minute and per row; ``tick_minutes`` is the tick's length.
        """
        # Taking is some times faster than indexing with rows.
        summed = self._minute_sum.take(rows, axis=0) + increments
        lowest = np.minimum(self._minute_low.take(rows, axis=0), summed)
        self._minute_sum[rows], self._minute_low[rows] = summed, lowest
        allowed = np.minimum(summed, lowest + cap[:, None])
        gain = np.maximum(allowed - self._applied.take(rows, axis=0), _LOWEST_INCREMENT)
        self._applied[rows] = allowed
        fed = self.bets.take(rows, axis=0) + (inject * tick_minutes)[:, None]
        self.bets[rows] = np.minimum(fed * np.exp(gain), _CEILING)
        path = self._path.take(rows, axis=0) + gain
        lowest_path = self._path_minimum.take(rows, axis=0)
        since_ns = self._path_minimum_ns.take(rows, axis=0)
        since_ns[path <= lowest_path] = now_ns
        self._path[rows] = path
        self._path_minimum[rows] = np.minimum(path, lowest_path)
        self._path_minimum_ns[rows] = since_ns

    def close_minute(self) -> None:
        """Let the cap's minute end."""
        self._minute_sum[:] = 0.0
        self._minute_low[:] = 0.0
        self._applied[:] = 0.0

    def evidence(self, rows: Rows) -> Floats:
        """Return E of ``rows``; E >= 1 is a crossing."""
        # Six columns one after the other are faster than sums along so short an axis.
        bets = self.bets.take(rows, axis=0)
        total = bets[:, 0].copy()
        for column in range(1, BETS):
            total += bets[:, column]
        return np.asarray(total / BETS)

    def lower(self, rows: Rows, factor: float) -> None:
        """Let the evidence of ``rows`` be what a budget of ``factor`` times, below 1, had given.

        It is proportional to what was put in; only the cap of a minute, which hangs on the
        budget's logarithm, would have been a little wider.
        """
        self.bets[rows] *= min(factor, 1.0)

    def columns(self) -> dict[str, Floats | npt.NDArray[np.int64]]:
        """Return every array by its name in a snapshot; they hold one row each."""
        return {name.lstrip("_"): getattr(self, name) for name in self._COLUMNS}

    def onset_ns(self, row: int) -> int:
        """Return the last tick at which the best bet's running sum was at its minimum."""
        best = int(np.argmax(self.bets[row]))
        return int(self._path_minimum_ns[row, best])
