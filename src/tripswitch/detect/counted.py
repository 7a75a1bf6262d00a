"""What of a batch is judged: the rows that lie within reach of now, with the leaf of each.

Calls, scores and closed requests are placed together, one kind after the other, since what has to
be known of each is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tripswitch.detect.leaves import NO_IDS, NO_ROWS, Leaf, Leaves
from tripswitch.model.calls import IntColumn
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import Scope, ScopeColumn
from tripswitch.windows.rings import MINUTES, Floats
from tripswitch.windows.scopes import Measure

Flags = npt.NDArray[np.bool_]


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
    positions in that batch. ``codes`` are positions in ``leaves``; a leaf without a row is None.
    ``arrival`` and ``now_ns`` are those of the OTLP request, ``moment_ns`` is the row's end as far
    as the rings reach: not after now, not before their first minute. ``refused`` says where the
    arm takes no more measures of this kind.
    """

    kinds: list[slice]
    rows: IntColumn
    codes: IntColumn
    arrival: IntColumn
    now_ns: IntColumn
    moment_ns: IntColumn
    scopes: list[Scope]
    refused: Flags
    leaves: list[Leaf | None] = field(default_factory=list)

    def meet(self, leaves: Leaves) -> None:
        """Find the leaf of every scope, making those that are new in order of arrival.

        Of one OTLP request the first kind arrived first.
        """
        size = len(self.scopes)
        values = np.bincount(self.codes, minlength=size)
        present: list[int] = values.nonzero()[0].tolist()
        latest_ns = np.zeros(size, dtype=np.int64)
        np.maximum.at(latest_ns, self.codes, self.now_ns)
        self.leaves = [None] * size
        for code in present:
            self.leaves[code] = leaves.known.get(self.scopes[code])
        new = [code for code in present if self.leaves[code] is None]
        if new:
            self._meet_new(new, values, leaves)
        for code, seen_ns in zip(present, latest_ns[present].tolist(), strict=True):
            leaf = self.leaves[code]
            assert leaf is not None
            for record in leaf.records:
                record.last_seen_ns = max(record.last_seen_ns, seen_ns)

    def _meet_new(self, new: list[int], values: IntColumn, leaves: Leaves) -> None:
        # Kind follows kind, so that the first row of a code in these columns came first, too.
        _, firsts = np.unique(self.codes, return_index=True)
        first_of = dict(zip(values.nonzero()[0].tolist(), firsts.tolist(), strict=True))
        for code in sorted(new, key=lambda code: (self.arrival[first_of[code]], first_of[code])):
            leaf = leaves.see(self.scopes[code], int(self.now_ns[first_of[code]]))
            self.leaves[code] = leaf
            # What is folded counts as a value in each of the scopes that it was meant for; one of
            # them is counted already.
            leaves.scopes.folded_values += leaf.folded * (int(values[code]) - 1)

    def ids(self) -> IntColumn:
        """Return the ids of the scopes of every leaf by code, shape (len(leaves), WIDTHS)."""
        return np.array([NO_IDS if leaf is None else leaf.ids for leaf in self.leaves])

    def fixed(self) -> IntColumn:
        """Return the ring rows of the fixed measures by code, (len(leaves), len(FIXED), WIDTHS)."""
        return np.array([NO_ROWS if leaf is None else leaf.fixed for leaf in self.leaves])

    def yardsticks(self, measure: Measure) -> tuple[Floats, Floats]:
        """Return by code what is usual and the limit of the family's yardstick, NaN for none."""
        known = [
            None if leaf is None else leaf.family.yardsticks.get(measure) for leaf in self.leaves
        ]
        usual = [np.nan if yardstick is None else yardstick.usual for yardstick in known]
        limit = [np.nan if yardstick is None else yardstick.limit for yardstick in known]
        return np.array(usual), np.array(limit)


def count(batches: list[Batch], now_ns: IntColumn, reach_ns: int) -> Counted:
    """Return the rows that end within ``reach_ns`` of their now; ``now_ns`` is by arrival."""
    arrival = np.concatenate([batch.arrival for batch in batches])
    end_ns = np.concatenate([batch.end_ns for batch in batches])
    now = now_ns[arrival]
    counted = (end_ns >= now - reach_ns) & (end_ns <= now + reach_ns)
    scopes: list[Scope] = []
    codes, firsts = [], [0]
    for batch in batches:
        first, last = firsts[-1], firsts[-1] + len(batch.arrival)
        if batch.wanted is not None:
            counted[first:last] &= batch.wanted
        firsts.append(last)
        codes.append(batch.scopes.codes + len(scopes))
        scopes.extend(batch.scopes.distinct)
    rows = counted.nonzero()[0]
    bounds = rows.searchsorted(firsts).tolist()
    kinds = [slice(*pair) for pair in pairwise(bounds)]
    codes_of_rows = np.concatenate(codes)[rows]
    arrival, now = arrival[rows], now[rows]
    oldest = (now // NS_PER_MINUTE - (MINUTES - 1)) * NS_PER_MINUTE
    moment_ns = np.minimum(np.maximum(end_ns[rows], oldest), now)
    for kind, first in zip(kinds, firsts[:-1], strict=True):
        rows[kind] -= first
    refused = np.zeros(len(rows), dtype=np.bool_)
    return Counted(kinds, rows, codes_of_rows, arrival, now, moment_ns, scopes, refused)
