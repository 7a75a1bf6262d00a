"""Reading the windows of many rows: each as a mean or as a ratio of sums, against its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

from tripswitch.detect.point_rule import WINDOWS, Flags, Means, Ratios, Reading, Reference
from tripswitch.windows.rings import Floats, Rings, Rows

# So few rows are looked at in all windows at once: that takes no longer than in one.
_FEW_ROWS: Final = 512


@dataclass(slots=True)
class _Part:
    """Some rows, N of them, with what does not hang on the window.

    ``series`` are the rings' rows of all that is read of them, K in all: those of ``means``, and of
    the ``ratios`` that are ``spent``; ``row`` (K) says whose each is. ``counts`` (3, N) are places
    in the numbers of these on one axis, of a row's samples, of its control's and of its events, and
    ``fewest`` (3, N) how many of each are enough.
    """

    series: Rows
    row: Rows
    means: Means
    spent: Rows
    ratios: Ratios | None
    counts: Rows
    fewest: Floats

    def holds_enough(self, numbers: Floats, *, of_events: bool) -> Flags:
        """Return which rows have samples, and events, enough; of ``numbers`` (..., K, 3)."""
        wanted = 3 if of_events else 2
        flat = numbers.reshape(*numbers.shape[:-2], -1)
        enough = flat.take(self.counts[:wanted], axis=-1) >= self.fewest[:wanted]
        return np.asarray(np.logical_and.reduce(enough, axis=-2))

    def read(self, numbers: Floats) -> Reading:
        """Return the reading of ``numbers`` (..., K, 3), as columns (..., N)."""
        columns = np.ascontiguousarray(np.moveaxis(numbers, -1, 0))
        size = len(self.means.series)
        reading = self.means.read(*columns[..., :size])
        if self.ratios is not None:
            of_ratios = columns[..., size:].reshape(*columns.shape[:-1], 4, -1)
            reading.put((..., self.spent), self.ratios.read(*of_ratios))
        return reading


class _Taken(NamedTuple):
    """What one window holds of some rows ``at`` their positions: numbers (K, 3) of a part."""

    at: Rows
    part: _Part
    numbers: Floats


@dataclass(slots=True)
class Chosen:
    """The smallest window of each row that holds enough, by index, and what it shows.

    Where none does the index is -1, and what is shown is the largest. Few ticks ask what that is,
    so the numbers are kept as they were, and read when somebody does.
    """

    window: Rows
    _taken: list[_Taken] = field(default_factory=list)
    _reading: Reading | None = None

    @property
    def reading(self) -> Reading:
        """Return the reading of all rows."""
        if self._reading is None:
            # The first is of all rows, and the others stand over it.
            (_, part, numbers), *wider = self._taken
            self._reading = part.read(numbers)
            for at, of_some, held in wider:
                self._reading.put(at, of_some.read(held))
            self._taken = []
        return self._reading

    def beside(self, part: _Part, numbers: Floats) -> Reading:
        """Return the reading of other ``numbers`` of all rows, made in one with this."""
        if self._reading is not None or len(self._taken) > 1:
            return part.read(numbers)
        both = part.read(np.array([self._taken[0].numbers, numbers]))
        self._reading, other = both.one(0), both.one(1)
        return other

    def take(self, at: Rows, part: _Part, numbers: Floats) -> None:
        """Let rows be read from these ``numbers`` of theirs."""
        self._taken.append(_Taken(at, part, numbers))


class Reader:
    """Reads windows of N rows, or of some of them, for as long as their references stay the same.

    ``means`` is the reference of each row's own y; ``ratios``, where ``is_ratio``, that of what is
    spent by success, read from ``of_ratios``, the series that `point_rule.Ratios` wants.

    A window holds enough with ``fewest`` samples of a row (of its control too where it is judged
    ``by_control``) and ``fewest_events`` of what is rare. The largest needs no events: of what is
    rare they are looked for until there are enough.
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
        fewest: Floats,
        fewest_events: Floats,
        by_control: Flags,
    ) -> None:
        self._rings = rings
        self._series = series
        self._means = means
        self._mirrored = mirrored
        self._effect = effect
        self._is_ratio = is_ratio
        self._of_ratios = of_ratios
        self._ratios = ratios
        self._fewest = fewest
        self._fewest_events = fewest_events
        self._by_control = by_control
        self._every = np.arange(len(series))
        self._all = self._some(None)
        self._last = (self._every, self._all)

    def renew(self, means: Reference, effect: Floats, ratios: Reference) -> None:
        """Take other numbers of the same references; what was chosen before keeps the old ones."""
        self._means, self._effect, self._ratios = means, effect, ratios
        part = self._all
        self._all = replace(part, means=part.means.renewed(means, effect))
        if part.ratios is not None:
            self._all.ratios = Ratios.of(
                [column[part.spent] for column in self._of_ratios], ratios.at(part.spent)
            )
        self._last = (self._every, self._all)

    def __call__(self, window: str, at: Rows) -> Reading:
        """Return the reading of one window for the rows at some positions."""
        part = self._part(at)
        return part.read(self._rings.window(part.series, window))

    def recent(self, chosen: Chosen) -> Reading:
        """Return what the last five minutes show of all rows, for which a window is ``chosen``."""
        return chosen.beside(self._all, self._rings.window(self._all.series, "5m"))

    def choose(self) -> Chosen:
        """Choose the smallest window of each row that holds enough.

        A window is looked at only where none before it holds enough: most rows need no other than
        the first. Few rows are looked at in all at once.
        """
        part, numbers, enough = self._looked_at(WINDOWS[0], self._every)
        if enough.all():
            chosen = Chosen(np.zeros(len(enough), dtype=np.int64))
            chosen.take(self._every, part, numbers)
            return chosen
        chosen = Chosen(np.where(enough, 0, -1))
        chosen.take(self._every, part, numbers)
        lacking = (~enough).nonzero()[0]
        if len(lacking) <= _FEW_ROWS:
            self._choose_wider(chosen, lacking)
            return chosen
        lacking = self._choose_for_rare(chosen, lacking)
        for position, window in enumerate(WINDOWS[1:], start=1):
            part, numbers, enough = self._looked_at(window, lacking)
            chosen.take(lacking, part, numbers)
            chosen.window[lacking[enough]] = position
            lacking = lacking[~enough]
            if not len(lacking):
                break
        return chosen

    def _looked_at(self, window: str, at: Rows) -> tuple[_Part, Floats, Flags]:
        part = self._part(at)
        numbers = self._rings.window(part.series, window)
        return part, numbers, part.holds_enough(numbers, of_events=window != WINDOWS[-1])

    def _choose_wider(self, chosen: Chosen, rows: Rows) -> None:
        """Choose among all windows but the first for some rows."""
        part = self._part(rows)
        of_windows = np.array([self._rings.window(part.series, name) for name in WINDOWS[1:]])
        enough = np.empty((len(of_windows), len(rows)), dtype=np.bool_)
        enough[:-1] = part.holds_enough(of_windows[:-1], of_events=True)
        enough[-1] = part.holds_enough(of_windows[-1], of_events=False)
        some, first = enough.any(axis=0), enough.argmax(axis=0)
        chosen.window[rows] = np.where(some, first + 1, -1)
        found = np.where(some, first, len(enough) - 1).take(part.row)
        size = len(part.series)
        places = found * size + np.arange(size)
        chosen.take(rows, part, of_windows.reshape(-1, 3).take(places, axis=0))

    def _choose_for_rare(self, chosen: Chosen, rows: Rows) -> Rows:
        """Choose the largest window where it holds too few events; return the others of ``rows``.

        Where the largest does not hold the events none does, for it holds all of the others.
        """
        at = (self._fewest_events[rows] > 0).nonzero()[0]
        if not len(at):
            return rows
        asked = rows[at]
        part = self._part(asked)
        numbers = self._rings.window(part.series, WINDOWS[-1])
        rare = numbers.reshape(-1).take(part.counts[2]) < part.fewest[2]
        found = asked[rare]
        part, numbers, enough = self._looked_at(WINDOWS[-1], found)
        chosen.take(found, part, numbers)
        chosen.window[found[enough]] = len(WINDOWS) - 1
        return np.delete(rows, at[rare])

    def _part(self, at: Rows) -> _Part:
        """Return what is known of some rows; mostly they are all, or those of the last time."""
        if len(at) == len(self._series):
            return self._all
        known, part = self._last
        if len(at) != len(known) or not np.array_equal(at, known):
            part = self._some(at)
            self._last = at, part
        return part

    def _some(self, at: Rows | None) -> _Part:
        some = slice(None) if at is None else at
        means = Means.of(
            self._series[some], _at(self._means, some), self._mirrored[some], self._effect[some]
        )
        series, spent, ratios = means.series, self._is_ratio[some].nonzero()[0], None
        size, first_ratio = len(means.mean), len(means.series)
        own = np.arange(size)
        row = np.concatenate([own, means.compared])
        samples, control = own.copy(), own.copy()
        control[means.compared] = size + np.arange(len(means.compared))
        if len(spent):
            of_spent = spent if at is None else at[spent]
            ratios = Ratios.of(
                [column[of_spent] for column in self._of_ratios], self._ratios.at(of_spent)
            )
            series = np.concatenate([series, ratios.series.reshape(-1)])
            row = np.concatenate([row, np.tile(spent, 4)])
            samples[spent] = first_ratio + np.arange(len(spent))
            control[spent] = samples[spent] + 2 * len(spent)
        fewest, by_control = self._fewest[some], self._by_control[some]
        events = self._fewest_events[some]
        return _Part(
            series=series,
            row=row,
            means=means,
            spent=spent,
            ratios=ratios,
            counts=3 * np.array([samples, np.where(by_control, control, samples), own])
            + [[0], [0], [1]],
            fewest=np.array([fewest, fewest, np.where(events > 0, events, -np.inf)]),
        )


def _at(reference: Reference, some: Rows | slice) -> Reference:
    return reference if isinstance(some, slice) else reference.at(some)
