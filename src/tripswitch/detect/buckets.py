"""Buckets: whole minutes of a scope at once, in place of calls one by one.

A bucket is a count, a sum and a sum of squares of badness: all that the rings, the kernels and the
point rule ever use of the values. Traffic that is simulated can therefore be drawn as buckets, and
is judged exactly as calls with the same values would be. They count in the same scopes as a value
does that comes through the `Intake`, since both ask the same `Leaves`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.leaves import NOWHERE, UNMADE, WIDTHS, Leaf, Leaves
from tripswitch.detect.signals import FIXED
from tripswitch.model.scope import Scope
from tripswitch.windows.rings import Floats, Rows
from tripswitch.windows.scopes import Measure


@dataclass(slots=True, eq=False)
class Place:
    """Where the buckets of one measure of some leaves go, one after the other.

    ``rows`` (len(leaves), WIDTHS) are ring rows, NOWHERE where a leaf counts in fewer scopes.
    """

    leaves: list[Leaf]
    rows: Rows


class Buckets:
    """Adds buckets of calls to the rings, beside the `Intake` of the same `Leaves`."""

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = leaves

    def place(
        self, scopes: Sequence[Scope], measure: Measure, now_ns: int, detect: Detect
    ) -> Place:
        """Return the place of one measure of leaves, which are first seen now where they are new.

        It holds for as long as none of them has to make way.
        """
        met = [self.leaves.see(scope, now_ns) for scope in scopes]
        rows = [self._rows(leaf, measure, detect) for leaf in met]
        return Place(met, np.array(rows, dtype=np.int64).reshape(-1, WIDTHS))

    def add(self, place: Place, buckets: Floats, minute: int, now_ns: int) -> None:
        """Add one bucket a leaf, (n, sum, sum of squares) of badness, shape (len(leaves), 3).

        ``minute`` is the absolute minute that the calls ended in, within the last 15 up to now.
        Leaves whose bucket holds nothing are not touched.
        """
        some = (buckets[:, 0] > 0).nonzero()[0]
        for leaf in map(place.leaves.__getitem__, some.tolist()):
            for record in leaf.records:
                record.last_seen_ns = max(record.last_seen_ns, now_ns)
        flat = place.rows[some].ravel()
        there = (flat != NOWHERE).nonzero()[0]
        self.leaves.scopes.rings.add_buckets(
            flat[there], np.full(len(there), minute), buckets[some[there // WIDTHS]]
        )

    def _rows(self, leaf: Leaf, measure: Measure, detect: Detect) -> Sequence[int]:
        if measure not in FIXED:
            return self.leaves.of_named(leaf, measure, detect)
        place = FIXED.index(measure)
        if UNMADE in leaf.fixed[place]:
            self.leaves.make(leaf, place, detect)
        found: list[int] = leaf.fixed[place].tolist()
        return found
