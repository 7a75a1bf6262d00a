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

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.detect.kernels import BETS
from tripswitch.windows.rings import Floats, Rows

MINUTES_A_MONTH: Final = 43_200
_CEILING: Final = 1e12
_LOWEST_INCREMENT: Final = -700.0
# Rows stepped at a time, so that what is between two arrays stays in the cache.
_BLOCK: Final = 4096
_WIDE: Final = np.dtype((np.void, 8 * BETS))
# The number of each array of a detector among its planes.
_PLANES: Final[Rows] = np.arange(7)[:, None]


class EDetector:
    """One e-detector a row, all rows of one kind side by side; arrays (R, K) of float64.

    ``planes`` (7, R, K) are all of them, one behind the other.
    """

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
        self.planes: Floats
        self.bets: Floats
        self._minute_sum: Floats
        self._minute_low: Floats
        self._applied: Floats
        self._path: Floats
        self._path_minimum: Floats
        self._path_minimum_ns: npt.NDArray[np.int64]
        self.hold(_planes(0))

    @classmethod
    def side_by_side(cls, parts: Sequence[EDetector], rows: int) -> EDetector:
        """Return one that holds ``parts`` one after the other, each grown to ``rows`` rows.

        Both see the same arrays: what is stepped in the whole is stepped in the part.
        """
        whole = cls()
        whole.reserve(len(parts) * rows)
        for number, part in enumerate(parts):
            planes = whole.planes[:, number * rows : (number + 1) * rows]
            planes[:, : len(part.bets)] = part.planes
            part.hold(planes)
        return whole

    def reserve(self, rows: int) -> None:
        """Grow to at least ``rows`` rows."""
        size = len(self.bets)
        if rows <= size:
            return
        grown = _planes(rows)
        grown[:, :size] = self.planes
        self.hold(grown)

    def hold(self, planes: Floats) -> None:
        """Have ``planes`` (7, R, K) for its arrays, in the order of their names."""
        self.planes = planes
        for name, plane in zip(self._COLUMNS, planes, strict=True):
            # Nanoseconds need all bits of an integer.
            setattr(self, name, plane.view(np.int64) if name.endswith("_ns") else plane)

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
        fed = inject * tick_minutes
        for first in range(0, len(rows), _BLOCK):
            some = slice(first, first + _BLOCK)
            self._step(rows[some], increments[some], fed[some, None], cap[some, None], now_ns)

    def _step(self, rows: Rows, increments: Floats, fed: Floats, cap: Floats, now_ns: int) -> None:
        # All columns are taken and put at once: taking is some times faster than indexing with
        # rows, and the bets of a row are written as one.
        places = _PLANES * len(self.bets) + rows
        found = self.planes.reshape(-1, BETS).take(places, axis=0)
        bets, summed, lowest, applied, path, path_lowest, since = found
        summed += increments
        np.minimum(lowest, summed, out=lowest)
        allowed = np.minimum(summed, lowest + cap)
        gain = allowed - applied
        np.maximum(gain, _LOWEST_INCREMENT, out=gain)
        applied[:] = allowed
        bets += fed
        path += gain
        bets *= np.exp(gain, out=gain)
        np.minimum(bets, _CEILING, out=bets)
        np.copyto(since.view(np.int64), now_ns, where=path <= path_lowest)
        np.minimum(path, path_lowest, out=path_lowest)
        self.planes.view(_WIDE).put(places, found.view(_WIDE))

    def close_minute(self) -> None:
        """Let the cap's minute end."""
        self._minute_sum[:] = 0.0
        self._minute_low[:] = 0.0
        self._applied[:] = 0.0

    def evidence(self, rows: Rows) -> Floats:
        """Return E of ``rows``; E >= 1 is a crossing."""
        # Along the first axis the columns are added one after the other.
        bets = np.ascontiguousarray(self.bets.take(rows, axis=0).T)
        return np.asarray(np.add.reduce(bets, axis=0) / BETS)

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


def _planes(rows: int) -> Floats:
    return np.zeros((len(_PLANES), rows, BETS))
