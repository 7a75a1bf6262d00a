"""The point rule: the threshold a person set, on rolling windows that hold enough samples.

An estimate is positive when worse, in the unit of its line: difference of means for scores and
rates (0..1), share of slow requests for latency, ratio minus one for tokens. The window is the
smallest of 15 min, 1 h, 6 h and 24 h that holds enough samples in the scope (and in its control).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tripswitch.windows.rings import Floats, Rings, Rows

WINDOWS: Final = ("15m", "1h", "6h", "24h")
WINDOW_MINUTES: Final = (15, 60, 360, 1440)
WINDOW_TEXT: Final = ("15 min", "1 h", "6 h", "24 h")

SURE_STANDARD_ERRORS: Final = (3.5, 2.7, 2.5, 2.0)
"""By window: each look is a fresh chance to exceed the line, and the shorter a window the more of
them a day holds: 96, 24, 4 and one."""
SURE_OF_WHOLE_STANDARD_ERRORS: Final = 2.0
SURE_SHARE_OF_LINE: Final = 0.7

Flags = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Reading:
    """What one window shows, as columns. ``usual`` is the control's or the baseline's value.

    ``estimate`` and ``standard_error`` are in the line's unit; ``value`` and ``usual`` in the
    signal's own; ``samples`` and ``events`` count the scope's, ``usual_samples`` the reference's.
    """

    estimate: Floats
    standard_error: Floats
    value: Floats
    usual: Floats
    samples: Floats
    events: Floats
    usual_samples: Floats

    def put(self, at: Rows | tuple[Any, ...], other: Reading) -> None:
        """Write ``other``, a reading of the rows ``at``, over these."""
        for name in _COLUMNS:
            getattr(self, name)[at] = getattr(other, name)

    def at(self, rows: Rows | Flags | tuple[Rows, ...]) -> Reading:
        """Return the reading of some of the rows."""
        return Reading(*(getattr(self, name)[rows] for name in _COLUMNS))

    def one(self, number: int) -> Reading:
        """Return one of several windows."""
        return Reading(*(getattr(self, name)[number] for name in _COLUMNS))


_COLUMNS: Final = tuple(column.name for column in fields(Reading))

Read = Callable[[str, Rows], Reading]
"""Reads one window, by name, for some of the rows, by their positions."""


@dataclass(slots=True)
class Reference:
    """What a group of scopes is compared with: control rows, or a baseline where row is -1.

    ``mean``, ``standard_error`` and ``samples`` describe the baseline of the same y (for tokens:
    of the raw ratio).
    """

    rows: Rows
    mean: Floats
    standard_error: Floats
    samples: Floats

    @property
    def is_control(self) -> Flags:
        """Return where a concurrent control is the reference."""
        return self.rows >= 0

    def at(self, rows: Rows) -> Reference:
        """Return the references of some of the rows."""
        return Reference(
            self.rows[rows], self.mean[rows], self.standard_error[rows], self.samples[rows]
        )


@dataclass(slots=True)
class Means:
    """Rows whose windows are read as plain means, with what does not hang on the window.

    ``series`` are the rings' rows of N scopes and then of the controls of those at ``compared``,
    the design ``effect`` is of all of them; ``mean``, ``error2`` and ``samples`` of the baselines.
    """

    series: Rows
    compared: Rows
    effect: Floats
    mean: Floats
    error2: Floats
    samples: Floats
    sign: Floats
    mirrored: Flags

    @classmethod
    def of(cls, rows: Rows, reference: Reference, mirrored: Flags, effect: Floats) -> Means:
        """Return the series ``rows`` as they are compared. ``effect`` is the design effect."""
        compared = reference.is_control.nonzero()[0]
        return cls(
            series=np.concatenate([rows, reference.rows[compared]]),
            compared=compared,
            effect=np.concatenate([effect, effect[compared]]),
            mean=reference.mean,
            error2=reference.standard_error**2,
            samples=reference.samples,
            sign=np.where(mirrored, -1.0, 1.0),
            mirrored=mirrored,
        )

    def renewed(self, reference: Reference, effect: Floats) -> Means:
        """Return the same rows with other numbers of the same references."""
        effect = np.concatenate([effect, effect[self.compared]])
        numbers = reference.mean, reference.standard_error**2, reference.samples
        return Means(self.series, self.compared, effect, *numbers, self.sign, self.mirrored)

    def read(self, n: Floats, s: Floats, q: Floats) -> Reading:
        """Return the reading of windows of all `series`, shape (..., len(series))."""
        safe = np.where(n > 0, n, 1.0)
        means = s / safe
        error2s = q / safe
        error2s -= means * means
        np.maximum(error2s, 0.0, out=error2s)
        error2s *= self.effect
        error2s /= safe
        size = len(self.mean)
        mean, samples = means[..., :size], n[..., :size]
        usual = self._beside(self.mean, means)
        estimate = mean - usual
        estimate *= self.sign
        error2 = self._beside(self.error2, error2s)
        error2 += error2s[..., :size]
        return Reading(
            estimate=estimate,
            standard_error=np.sqrt(error2, out=error2),
            value=mean,
            usual=usual,
            samples=samples,
            # Counted, not taken back out of the mean, which made 1.9999 of 2 of 49.
            events=np.where(self.mirrored, samples - s[..., :size], s[..., :size]),
            usual_samples=self._beside(self.samples, n),
        )

    def _beside(self, of_baseline: Floats, of_all: Floats) -> Floats:
        """Return what each is compared with: its control's of all, else its baseline's."""
        size = len(of_baseline)
        found = np.empty((*of_all.shape[:-1], size))
        found[:] = of_baseline
        found[..., self.compared] = of_all[..., size:]
        return found


@dataclass(slots=True)
class Ratios:
    """Rows whose windows are read as ratios of sums: tokens of all requests by successful request.

    ``series`` (4, N) are the rings' rows of what was spent, of what the successful spent, and of
    both for the control. The standard error is the delta method's,
    ``sum (tok - R*success)^2 / (sum success)^2`` (Deng, Knoblich, Lu, KDD 2018).
    """

    series: Rows
    reference: Reference
    is_control: Flags
    error2: Floats

    @classmethod
    def of(cls, series: Sequence[Rows], reference: Reference) -> Ratios:
        """Return the rows of those series; -1 stands for none."""
        found = np.maximum(np.array(series), 0)
        return cls(found, reference, reference.is_control, reference.standard_error**2)

    def read(self, n: Floats, s: Floats, q: Floats) -> Reading:
        """Return the reading of windows of all `series`, shape (..., 4, N)."""
        successes = n[..., 1::2, :]
        known = successes > 0
        safe = np.where(known, successes, 1.0)
        ratio = np.where(known, s[..., ::2, :] / safe, 0.0)
        residual = q[..., ::2, :] - 2 * ratio * s[..., 1::2, :] + ratio * ratio * successes
        error2 = np.maximum(residual, 0.0) / (safe * safe)
        usual = np.where(self.is_control, ratio[..., 1, :], self.reference.mean)
        usual_error2 = np.where(self.is_control, error2[..., 1, :], self.error2)
        is_known = usual > 0
        divisor = np.where(is_known, usual, 1.0)
        relative = np.where(is_known, ratio[..., 0, :] / divisor, 1.0)
        samples = n[..., 0, :]
        return Reading(
            estimate=np.where(is_known, relative - 1.0, 0.0),
            standard_error=np.sqrt(error2[..., 0, :] + relative**2 * usual_error2) / divisor,
            value=ratio[..., 0, :],
            usual=usual,
            samples=samples,
            events=samples,
            usual_samples=np.where(self.is_control, n[..., 2, :], self.reference.samples),
        )


def read_means(
    rings: Rings, window: str, rows: Rows, reference: Reference, mirrored: Flags, effect: Floats
) -> Reading:
    """Return the reading of plain means: scores and rates. ``effect`` is the design effect."""
    means = Means.of(rows, reference, mirrored, effect)
    return means.read(*rings.window(means.series, window).T)


def read_ratios(
    rings: Rings,
    window: str,
    raw: Rows,
    of_success: Rows,
    control_raw: Rows,
    control_of_success: Rows,
    reference: Reference,
) -> Reading:
    """Return the reading of a ratio of sums; -1 stands for a row that is not there."""
    ratios = Ratios.of((raw, of_success, control_raw, control_of_success), reference)
    columns = rings.window(ratios.series.reshape(-1), window).T
    return ratios.read(*columns.reshape(3, 4, -1))


def whole_window(age_minutes: Rows) -> Rows:
    """Return the index of the window that holds all of a scope of so many minutes, -1 for none.

    None holds the whole of what is older than the largest; in its first hour a spike of a minute
    is a large part of it, so that it is no window of its own yet.
    """
    covering = np.searchsorted(np.array(WINDOW_MINUTES), age_minutes)
    is_whole = (age_minutes > WINDOW_MINUTES[1]) & (covering < len(WINDOWS))
    return np.asarray(np.where(is_whole, covering, -1))


def firm_estimate(reading: Reading, position: int, whole: Rows) -> Floats:
    """Return what a reading of the window at ``position`` shows at least, its error taken off."""
    errors = np.where(
        whole == position, SURE_OF_WHOLE_STANDARD_ERRORS, SURE_STANDARD_ERRORS[position]
    )
    return np.asarray(reading.estimate - errors * reading.standard_error)


def sure_window(
    read: Read, line: Floats, fewest: Floats, is_control: Flags, whole: Rows
) -> tuple[Reading, Rows]:
    """Return the smallest window that shows the line reached, its own error taken into account.

    Its index is -1 where no window is sure; the reading then says nothing. Evidence only says
    "worse than the tolerance" and stays crossed; without this every later look at a noisy window is
    a fresh chance to exceed the line. The window at ``whole`` holds all that was ever seen of a
    row, which is one growing sample and not many, so that fewer standard errors do.
    """
    index = np.full(len(line), -1, dtype=np.int64)
    unsure = np.arange(len(line))
    chosen = read(WINDOWS[0], unsure)
    for position, window in enumerate(WINDOWS):
        if position > 0:
            chosen.put(unsure, read(window, unsure))
        reading = chosen.at(unsure)
        firm = firm_estimate(reading, position, whole[unsure])
        sure = _holds_enough(chosen, unsure, fewest, is_control)
        sure &= (reading.estimate >= line[unsure]) & (firm >= SURE_SHARE_OF_LINE * line[unsure])
        index[unsure[sure]] = position
        unsure = unsure[~sure]
        if not len(unsure):
            break
    return chosen, index


def _holds_enough(reading: Reading, rows: Rows, fewest: Floats, is_control: Flags) -> Flags:
    least = fewest[rows]
    enough = reading.samples[rows] >= least
    return np.asarray(enough & (~is_control[rows] | (reading.usual_samples[rows] >= least)))
