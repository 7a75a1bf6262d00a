"""Yardsticks of a family: what "slow" and "much" mean there, fixed before judging.

All arms of one family (a prompt on a route) are measured with the same yardsticks, taken from its
reference arm: the share of requests slower than twice the usual p99 is the same statement as a
p99 twice the usual, and can be counted. A yardstick is fixed once enough was seen and moves only
when the reference itself has moved by more than the histogram's resolution while nothing was
wrong; what was counted with the old one is then dropped. Each measure has one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tripswitch.detect.signals import COST, RATIOS, SLOW, TOKENS, TOOL_SLOW, TTFT
from tripswitch.windows.histogram import Histogram
from tripswitch.windows.rings import Floats, Rows
from tripswitch.windows.scopes import Measure, ScopeRecord, Scopes

_RESOLUTION: Final = 1.26
_SHARE: Final = 0.99

_HISTOGRAMS: Final = {
    SLOW.name: "latencies",
    TTFT.name: "first_tokens",
    TOKENS.name: "tokens",
    COST.name: "costs",
    TOOL_SLOW: "tool_latencies",
}
"""The histogram of `Scopes` that a measure's yardstick is read from."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What is usual, and the limit that is counted by.

    Of a latency (s): the usual p99, and the cut above which one is slow. Of something spent
    (tokens, dollars): R, spent by success, and C, the cap of one request's part (`signals`).
    """

    usual: float
    limit: float

    def badness(self, spent: float, *, success: bool) -> float:
        """Return y of one request that spent so much, 0..1."""
        return (min(spent, self.limit) + (0.0 if success else self.usual)) / (
            self.limit + self.usual
        )


class Wanted(NamedTuple):
    """A yardstick to take: of which measure, from whom, and which multiple of the p99 is slow."""

    reference: ScopeRecord
    measure: Measure
    multiple: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a reference gives now, and the ``values`` it stands on."""

    yardstick: Yardstick
    values: float


def measure(scopes: Scopes, wanted: Sequence[Wanted], fewest: int) -> list[Measured | None]:
    """Return the yardstick each reference gives now, None with fewer than ``fewest`` values."""
    found: list[Measured | None] = [None] * len(wanted)
    places: dict[str, list[tuple[int, int]]] = {}
    for index, item in enumerate(wanted):
        name, row = place_of(item)
        if row >= 0:
            places.setdefault(name, []).append((index, row))
    by_success: list[float | None] | None = None
    for name, pairs in places.items():
        histogram: Histogram = getattr(scopes, name)
        rows = np.array([row for _, row in pairs], dtype=np.int64)
        totals = histogram.totals(rows)
        ready = (totals >= fewest).nonzero()[0]
        if not len(ready):
            continue
        p99s = histogram.quantiles(rows[ready], _SHARE).tolist()
        for number, p99 in zip(ready.tolist(), p99s, strict=True):
            index = pairs[number][0]
            item, values = wanted[index], float(totals[number])
            if item.measure not in RATIOS:
                found[index] = Measured(Yardstick(p99, item.multiple * p99), values)
                continue
            if by_success is None:
                by_success = _by_success(scopes, wanted)
            usual = by_success[index]
            if usual is not None:
                found[index] = Measured(Yardstick(usual, p99), values)
    return found


class _Within(NamedTuple):
    """The cuts of one histogram that some yardsticks have not moved while they lie between them."""

    histogram: Histogram
    positions: Rows
    rows: Rows
    lowest: Rows
    highest: Rows


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which cuts each of some yardsticks may lie, for as long as no limit is another.

    ``moved`` says by position which are not known, or surely have moved.
    """

    moved: npt.NDArray[np.bool_]
    within: list[_Within]


def bounds_of(
    scopes: Scopes, places: Mapping[str, tuple[Rows, Rows]], multiples: Floats, limits: Floats
) -> Bounds:
    """Return the bounds of some yardsticks.

    ``places`` are by histogram the positions of its yardsticks and their rows, ``multiples`` and
    the ``limits`` known so far are by position, NaN for none.
    """
    moved, found = np.isnan(limits), []
    width = _RESOLUTION - 1e-6
    for name, (all_of, rows) in places.items():
        histogram: Histogram = getattr(scopes, name)
        known = (~moved[all_of]).nonzero()[0]
        at = all_of[known]
        # A quantile lies between two cuts, and has not moved where neither is too far from the old
        # one, nor they from each other.
        cuts, old = histogram.cuts, limits[at] / multiples[at]
        lowest = np.searchsorted(cuts, old / width)
        lowest += lowest > 0
        highest = np.searchsorted(cuts, old * width, side="right") - 1
        is_wide = np.append(False, cuts[1:] > width * cuts[:-1])
        wide = np.append(0, np.cumsum(is_wide))
        moved[at] = True
        some = (lowest <= highest).nonzero()[0]
        some = some[wide[highest[some] + 1] == wide[lowest[some]]]
        if len(some):
            found.append(
                _Within(histogram, at[some], rows[known[some]], lowest[some], highest[some])
            )
    return Bounds(moved, found)


def unsettled(bounds: Bounds) -> Rows:
    """Return which of some yardsticks may have moved, or are not known: the others have not."""
    moved = bounds.moved.copy()
    for histogram, positions, rows, lowest, highest in bounds.within:
        settled = histogram.surely_within(rows, _SHARE, lowest, highest)
        moved[positions[settled]] = False
    return moved.nonzero()[0]


def place_of(item: Wanted) -> tuple[str, int]:
    """Return the histogram that a yardstick is read from, and the row there, -1 for none."""
    name = _HISTOGRAMS.get(item.measure.name, "")
    if name == "tool_latencies":
        return name, item.reference.tools.get(item.measure.rubric or "", -1)
    return name, item.reference.id


def _by_success(scopes: Scopes, wanted: Sequence[Wanted]) -> list[float | None]:
    """Return what each reference usually spends by success, None where none succeeded."""
    # Row 0 stands in for what is not there, and is not used.
    pairs = [
        tuple(item.reference.series.get(companion) for companion in RATIOS[item.measure])
        if item.measure in RATIOS
        else (None, None)
        for item in wanted
    ]
    raw = scopes.rings.history(np.array([pair[0] or 0 for pair in pairs], dtype=np.int64))[:, 1]
    of_success = np.array([pair[1] or 0 for pair in pairs], dtype=np.int64)
    successes = scopes.rings.history(of_success)[:, 0]
    return [
        None if None in pair or count <= 0 else spent / count
        for pair, spent, count in zip(pairs, raw.tolist(), successes.tolist(), strict=True)
    ]


def has_moved(old: Yardstick, new: Yardstick) -> bool:
    """Return whether ``new`` differs from ``old`` by more than the histogram can resolve."""
    return max(old.limit, new.limit) > _RESOLUTION * min(old.limit, new.limit)
