"""The point rule: the threshold a person set, on rolling windows that hold enough samples.

An estimate is positive when worse, in the unit of its line: difference of means for scores and
rates (0..1), share of slow requests for latency, ratio minus one for tokens. The window is the
smallest of 15 min, 1 h, 6 h and 24 h that holds enough samples in the scope (and in its control).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

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

    def put(self, at: Rows, other: Reading) -> None:
        """Write ``other``, a reading of the rows ``at``, over these."""
        for name in _COLUMNS:
            getattr(self, name)[at] = getattr(other, name)

    def at(self, rows: Rows | Flags) -> Reading:
        """Return the reading of some of the rows."""
        return Reading(*(getattr(self, name)[rows] for name in _COLUMNS))


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


def read_means(
    rings: Rings, window: str, rows: Rows, reference: Reference, mirrored: Flags, effect: Floats
) -> Reading:
    """Return the reading of plain means: scores and rates. ``effect`` is the design effect."""
    compared = reference.is_control.nonzero()[0]
    # What is read at once costs little more than one of them.
    stats = rings.window(np.concatenate([rows, reference.rows[compared]]), window)
    n, mean, error2 = _mean_and_error2(stats[: len(rows)], effect)
    control = np.zeros((len(rows), 3))
    control[compared] = stats[len(rows) :]
    ny, control_mean, control_error2 = _mean_and_error2(control, effect)
    usual = np.where(reference.is_control, control_mean, reference.mean)
    usual_error2 = np.where(reference.is_control, control_error2, reference.standard_error**2)
    usual_n = np.where(reference.is_control, ny, reference.samples)
    sign = np.where(mirrored, -1.0, 1.0)
    events = np.where(mirrored, n * (1 - mean), n * mean)
    return Reading(
        estimate=sign * (mean - usual),
        standard_error=np.sqrt(error2 + usual_error2),
        value=mean,
        usual=usual,
        samples=n,
        events=events,
        usual_samples=usual_n,
    )


def read_ratios(
    rings: Rings,
    window: str,
    raw: Rows,
    of_success: Rows,
    control_raw: Rows,
    control_of_success: Rows,
    reference: Reference,
) -> Reading:
    """Return the reading of a ratio of sums: tokens of all requests by successful request.

    The standard error is the delta method's, ``sum (tok - R*success)^2 / (sum success)^2``
    (Deng, Knoblich, Lu, KDD 2018).
    """
    rows = (raw, of_success, np.maximum(control_raw, 0), np.maximum(control_of_success, 0))
    stats = rings.window(np.concatenate(rows), window).reshape(len(rows), len(raw), 3)
    n, ratio, error2 = _ratio_and_error2(stats[0], stats[1])
    ny, control_ratio, control_error2 = _ratio_and_error2(stats[2], stats[3])
    usual = np.where(reference.is_control, control_ratio, reference.mean)
    usual_error2 = np.where(reference.is_control, control_error2, reference.standard_error**2)
    known = usual > 0
    safe = np.where(known, usual, 1.0)
    relative = np.where(known, ratio / safe, 1.0)
    error = np.sqrt(error2 + relative**2 * usual_error2) / safe
    return Reading(
        estimate=np.where(known, relative - 1.0, 0.0),
        standard_error=error,
        value=ratio,
        usual=usual,
        samples=n,
        events=n,
        usual_samples=np.where(reference.is_control, ny, reference.samples),
    )


def choose_window(
    read: Read, fewest: Floats, is_control: Flags, fewest_events: Floats | None = None
) -> tuple[Reading, Rows]:
    """Return the smallest window that holds enough samples (and events), and its index.

    Where none does the largest is returned, with index -1. A window is read only where none before
    it holds enough: most rows need no other than the first.
    """
    index = np.full(len(fewest), -1, dtype=np.int64)
    lacking = np.arange(len(fewest))
    chosen = read(WINDOWS[0], lacking)
    for position, window in enumerate(WINDOWS):
        if position > 0:
            chosen.put(lacking, read(window, lacking))
        enough = _holds_enough(chosen, lacking, fewest, is_control)
        if fewest_events is not None and position < len(WINDOWS) - 1:
            enough &= chosen.events[lacking] >= fewest_events[lacking]
        index[lacking[enough]] = position
        lacking = lacking[~enough]
        if not len(lacking):
            break
    return chosen, index


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


def _mean_and_error2(stats: Floats, effect: Floats) -> tuple[Floats, Floats, Floats]:
    n = stats[:, 0]
    safe = np.where(n > 0, n, 1.0)
    mean = np.where(n > 0, stats[:, 1] / safe, 0.0)
    variance = np.maximum(stats[:, 2] / safe - mean * mean, 0.0)
    return n, mean, variance * effect / safe


def _ratio_and_error2(raw: Floats, of_success: Floats) -> tuple[Floats, Floats, Floats]:
    successes = of_success[:, 0]
    known = successes > 0
    safe = np.where(known, successes, 1.0)
    ratio = np.where(known, raw[:, 1] / safe, 0.0)
    residual = raw[:, 2] - 2 * ratio * of_success[:, 1] + ratio * ratio * successes
    return raw[:, 0], ratio, np.maximum(residual, 0.0) / (safe * safe)
