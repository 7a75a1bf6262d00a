"""What of a batch is judged: the rows that lie within reach of now, with the leaf of each.

Calls, scores and closed requests are placed together, one kind after the other, since what has to
be known of each is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.detect.leaves import NO_IDS, NO_ROWS, WIDTHS, Leaf, Leaves
from tripswitch.detect.signals import COST, SLOW, TOKENS, TTFT
from tripswitch.model.calls import IntColumn
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import Scope, ScopeColumn
from tripswitch.windows.rings import MINUTES, Floats
from tripswitch.windows.scopes import Measure

Flags = npt.NDArray[np.bool_]

# Before any time that there is.
_NEVER: Final = -1

MEASURED: Final = (SLOW, TTFT, TOKENS, COST)
"""The fixed measures that a yardstick is taken of."""

_NO_YARDSTICKS: Final = [np.nan] * (2 * len(MEASURED))


@dataclass(slots=True)
class Batch:
    """What is placed of rows of one kind; columns of equal length, times in ns.

    ``arrival`` is the position of the OTLP request they came with, ``wanted`` may leave rows out.
    """

    scopes: ScopeColumn
    end_ns: IntColumn
    arrival: IntColumn
    wanted: Flags | None = None


@dataclass(slots=True)
class Counted:
    """The rows that are judged, as columns of equal length, and where they belong.

    ``kinds`` are the parts of the columns that come from each kind of batch, and ``rows`` are
    positions in that batch. ``codes`` are positions in ``leaves``; a leaf without a row may be
    None. ``arrival`` and ``now_ns`` are those of the OTLP request, ``moment_ns`` is the row's end
    as far as the rings reach: not after now, not before their first minute. ``between_ns`` are the
    first now and the last, of all OTLP requests that came together. ``refused`` says where
    the arm takes no more measures of this kind. ``usual`` and ``limits``, of shape
    (len(MEASURED), len(leaves)), are the yardsticks of a leaf's family, NaN where it has none.
    """

    kinds: list[slice]
    rows: IntColumn
    codes: IntColumn
    arrival: IntColumn
    now_ns: IntColumn
    moment_ns: IntColumn
    between_ns: tuple[int, int]
    scopes: list[Scope]
    refused: Flags
    leaves: list[Leaf | None] = field(default_factory=list)
    usual: Floats = field(default_factory=lambda: np.zeros((len(MEASURED), 0)))
    limits: Floats = field(default_factory=lambda: np.zeros((len(MEASURED), 0)))

    def meet(self, leaves: Leaves) -> None:
        """Find the leaf of every scope, making those that are new in order of arrival.

        Of one OTLP request the first kind arrived first.
        """
        size = len(self.scopes)
        latest_ns = np.full(size, _NEVER)
        np.maximum.at(latest_ns, self.codes, self.now_ns)
        self.leaves = list(map(leaves.known.get, self.scopes))
        seen = latest_ns.tolist()
        if None in self.leaves:
            new = [
                code
                for code, (leaf, seen_ns) in enumerate(zip(self.leaves, seen, strict=True))
                if leaf is None and seen_ns > _NEVER
            ]
            self._meet_new(new, leaves)
        for leaf, seen_ns in zip(self.leaves, seen, strict=True):
            if leaf is not None:
                for record in leaf.records:
                    if seen_ns > record.last_seen_ns:
                        record.last_seen_ns = seen_ns
        self.usual, self.limits = _yardsticks_of(self.leaves)

    def _meet_new(self, new: list[int], leaves: Leaves) -> None:
        # Kind follows kind, so that of one OTLP request they are in order here already.
        order = np.argsort(self.arrival, kind="stable")
        present, firsts, values = np.unique(
            self.codes[order], return_index=True, return_counts=True
        )
        columns = present.tolist(), firsts.tolist(), values.tolist()
        of_code = {code: (first, count) for code, first, count in zip(*columns, strict=True)}
        for code in sorted(new, key=of_code.__getitem__):
            first, count = of_code[code]
            leaf = leaves.see(self.scopes[code], int(self.now_ns[order[first]]))
            self.leaves[code] = leaf
            # What is folded counts as a value in each of the scopes that it was meant for; one of
            # them is counted already.
            leaves.scopes.folded_values += leaf.folded * (count - 1)

    def ids(self, rows: slice) -> IntColumn:
        """Return the ids of the scopes that some of the rows count in, shape (N, WIDTHS)."""
        ids = [NO_IDS if leaf is None else leaf.ids for leaf in self.leaves]
        return np.concatenate(ids).reshape(-1, WIDTHS).take(self.codes[rows], axis=0)

    def fixed(self) -> IntColumn:
        """Return the ring rows of the fixed measures, shape (len(leaves) * len(FIXED), WIDTHS).

        By code, and of each code by place in `FIXED`.
        """
        return np.concatenate([NO_ROWS if leaf is None else leaf.fixed for leaf in self.leaves])

    def limit(self, measure: Measure, rows: slice) -> Floats:
        """Return the limit for some of the rows by their family's yardstick, NaN for none."""
        limits: Floats = self.limits[MEASURED.index(measure)]
        return limits.take(self.codes[rows])


def count(batches: list[Batch], now_ns: IntColumn, reach_ns: int) -> Counted:
    """Return the rows that end within ``reach_ns`` of their now; ``now_ns`` is by arrival."""
    arrival = np.concatenate([batch.arrival for batch in batches])
    end_ns = np.concatenate([batch.end_ns for batch in batches])
    column = ScopeColumn.joined([batch.scopes for batch in batches])
    now = now_ns.take(arrival)
    counted = (end_ns >= now - reach_ns) & (end_ns <= now + reach_ns)
    firsts = [0]
    for batch in batches:
        first, last = firsts[-1], firsts[-1] + len(batch.arrival)
        if batch.wanted is not None:
            counted[first:last] &= batch.wanted
        firsts.append(last)
    rows = counted.nonzero()[0]
    bounds = rows.searchsorted(firsts).tolist()
    kinds = [slice(*pair) for pair in pairwise(bounds)]
    arrival, now, end_ns = arrival.take(rows), now.take(rows), end_ns.take(rows)
    codes = column.codes.take(rows)
    oldest_ns = (now_ns // NS_PER_MINUTE - (MINUTES - 1)) * NS_PER_MINUTE
    moment_ns = np.minimum(np.maximum(end_ns, oldest_ns.take(arrival)), now)
    for kind, first in zip(kinds[1:], firsts[1:], strict=False):
        rows[kind] -= first
    refused = np.zeros(len(rows), dtype=np.bool_)
    between_ns = (int(now_ns[0]), int(now_ns[-1])) if len(now_ns) else (0, 0)
    return Counted(
        kinds, rows, codes, arrival, now, moment_ns, between_ns, column.distinct, refused
    )


def _yardsticks_of(leaves: list[Leaf | None]) -> Floats:
    """Return what is usual and the limits: shape (2, len(MEASURED), len(leaves))."""
    found: list[float] = []
    of_family: dict[int, list[float]] = {}
    for leaf in leaves:
        # Many leaves share a family.
        of_leaf = _NO_YARDSTICKS if leaf is None else of_family.get(id(leaf.family))
        if of_leaf is None:
            assert leaf is not None
            of_leaf = of_family[id(leaf.family)] = []
            for measure in MEASURED:
                yardstick = leaf.family.yardsticks.get(measure)
                of_leaf += [np.nan] * 2 if yardstick is None else (yardstick.usual, yardstick.limit)
        found += of_leaf
    by_leaf = np.array(found, dtype=np.float64).reshape(-1, len(MEASURED), 2)
    return np.ascontiguousarray(by_leaf.T)
