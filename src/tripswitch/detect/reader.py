"""Reading the windows of many rows: each as a mean or as a ratio of sums, against its reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tripswitch.detect.point_rule import Flags, Means, Ratios, Reading, Reference
from tripswitch.windows.rings import Floats, Rings, Rows


class Reader:
    """Reads windows of N rows, or of some of them, for as long as their references stay the same.

    ``means`` is the reference of each row's own y; ``ratios``, where ``is_ratio``, that of what is
    spent by success, read from ``of_ratios``, the series that `point_rule.Ratios` wants.
    """

    def __init__(
        self,
        rings: Rings,
        *,
        series: Rows,
        means: Reference,
        mirrored: Flags,
        effect: Floats,
        is_ratio: Flags,
        of_ratios: Sequence[Rows],
        ratios: Reference,
    ) -> None:
        self._rings = rings
        self._series = series
        self._means = means
        self._mirrored = mirrored
        self._effect = effect
        self._is_ratio = is_ratio
        self._of_ratios = of_ratios
        self._ratios = ratios
        self._all = self._some(None)

    def __call__(self, window: str, at: Rows) -> Reading:
        """Return the reading of one window for the rows at some positions."""
        means, spent, ratios = self._all if len(at) == len(self._series) else self._some(at)
        reading = means.read(*self._rings.window_columns(means.series, window))
        if ratios is not None:
            columns = self._rings.window_columns(ratios.series.reshape(-1), window)
            reading.put(spent, ratios.read(*(column.reshape(4, -1) for column in columns)))
        return reading

    def several(self, windows: Sequence[str], at: Rows) -> Reading:
        """Return the readings of several windows, columns of shape (windows, len(at))."""
        means, spent, ratios = self._all if len(at) == len(self._series) else self._some(at)
        size = len(means.series)
        series = means.series
        if ratios is not None:
            series = np.concatenate([series, ratios.series.reshape(-1)])
        found = np.array([self._rings.window(series, window) for window in windows])
        reading = means.read(*np.moveaxis(found[:, :size], -1, 0))
        if ratios is not None:
            of_ratios = found[:, size:].reshape(len(windows), 4, -1, 3)
            reading.put((..., spent), ratios.read(*np.moveaxis(of_ratios, -1, 0)))
        return reading

    def _some(self, at: Rows | None) -> tuple[Means, Rows, Ratios | None]:
        """Return the means of some rows, where among them the ratios are, and these."""
        some = slice(None) if at is None else at
        means = Means.of(
            self._series[some], _at(self._means, some), self._mirrored[some], self._effect[some]
        )
        spent = self._is_ratio[some].nonzero()[0]
        if not len(spent):
            return means, spent, None
        of_spent = spent if at is None else at[spent]
        return (
            means,
            spent,
            Ratios.of([series[of_spent] for series in self._of_ratios], self._ratios.at(of_spent)),
        )


def _at(reference: Reference, some: Rows | slice) -> Reference:
    return reference if isinstance(some, slice) else reference.at(some)
