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
    detect: Detect,
) -> tuple[IntColumn, int]:
    """Return the ring rows of each (code, measure), shape (N, WIDTHS), and how many are refused.

    `NOWHERE` in a scope that has all that it may have of this sort. Each pair is looked up once.
    """
    pairs: dict[tuple[int, Measure], int] = {}
    numbers = [
        pairs.setdefault(pair, len(pairs)) for pair in zip(codes.tolist(), measures, strict=True)
    ]
    rows = np.full((len(pairs), WIDTHS), NOWHERE)
    refused = np.zeros(len(pairs), dtype=np.int64)
    for (code, measure), number in pairs.items():
        leaf = counted.leaves[code]
        assert leaf is not None
        found = leaves.of_named(leaf, measure, detect)
        rows[number] = found
        refused[number] = found[: len(leaf.records)].count(NOWHERE)
    of_each = np.array(numbers, dtype=np.int64)
    return rows[of_each], int(refused[of_each].sum())
