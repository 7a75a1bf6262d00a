"""Measures by name: rubrics, tools and harms, whose series are looked up value by value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.counted import Counted
from tripswitch.detect.leaves import NOWHERE, WIDTHS, Leaves
from tripswitch.model.calls import IntColumn
from tripswitch.windows.rings import Floats
from tripswitch.windows.scopes import Measure


@dataclass(slots=True)
class Named:
    """Values for the rings: rows (N, WIDTHS), positions in `Counted` (N), values (N)."""

    rows: IntColumn
    index: IntColumn
    values: Floats

    @classmethod
    def nothing(cls) -> Named:
        """Return no values."""
        none = np.zeros(0, dtype=np.int64)
        return cls(np.zeros((0, WIDTHS), dtype=np.int64), none, np.zeros(0))


def named_rows(
    leaves: Leaves,
    counted: Counted,
    codes: IntColumn,
    measures: Sequence[Measure],
    numbers: IntColumn,
    detect: Detect,
) -> tuple[IntColumn, int]:
    """Return the ring rows of each (code, measure), shape (N, WIDTHS), and how many are refused.

    ``numbers`` are positions in ``measures``. `NOWHERE` in a scope that has all that it may have of
    this sort. Each pair is looked up once.
    """
    pairs = (codes * len(measures) + numbers).tolist()
    found, refused = [], []
    known = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    for pair in known:
        code, number = divmod(pair, len(measures))
        leaf = counted.leaves[code]
        assert leaf is not None
        rows = leaves.of_named(leaf, measures[number], detect)
        found.append(rows)
        refused.append(rows[: len(leaf.records)].count(NOWHERE))
    of_each = np.array(list(map(known.__getitem__, pairs)), dtype=np.int64)
    all_refused = int(np.array(refused).take(of_each).sum()) if any(refused) else 0
    return np.array(found, dtype=np.int64).reshape(-1, WIDTHS).take(of_each, axis=0), all_refused
