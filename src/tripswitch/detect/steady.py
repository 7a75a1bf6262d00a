"""Steady families: those of which every comparison stays as it is while the same questions do.

Choosing asks of each arm whether it and its control serve, and which scopes were active lately.
While no scope and no series is new, the same answers lead to the same choice, and answering the
questions of all families at once takes a small part of what choosing takes.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.families import Candidates, Family, Traffic, serve_beside
from tripswitch.model.clocktext import NS_PER_HOUR
from tripswitch.windows.rings import Rows
from tripswitch.windows.scopes import ScopeRecord

ACTIVE_NS: Final = NS_PER_HOUR
"""A scope without traffic for so long is not compared."""

_LAST_SEEN_NS: Final = attrgetter("last_seen_ns")


class Steady:
    """What was asked and answered as the comparisons of some families were left as they were."""

    def __init__(self, revision: int, detect: Detect) -> None:
        self.revision = revision
        self.detect = detect
        self._families: list[Family] = []
        self._records: list[ScopeRecord] = []
        self._of_record: list[int] = []
        self._pairs: list[tuple[int, int, int, bool]] = []
        self._table: tuple[Rows, Rows, Rows] | None = None
        self._known = 0

    def note(self, family: Family, candidates: Candidates) -> None:
        """Note a family that was left as it was, and what was asked of its ``candidates``."""
        number = len(self._families)
        self._families.append(family)
        self._records += family.arms.values()
        for leaves in family.leaves.values():
            self._records += leaves.values()
        self._of_record += [number] * (len(self._records) - len(self._of_record))
        self._pairs += [(number, *asked) for asked in candidates.asked]

    def holds(self, revision: int, detect: Detect) -> bool:
        """Return whether no scope and no series is new, and the configuration is the same."""
        return self.revision == revision and self.detect is detect

    def begin(self, now_ns: int) -> None:
        """Take the answers of now as those that everything was left as it was by."""
        if self._known == len(self._families):
            # Nothing was noted since, and no answer is another: else all of it were new.
            return
        self._known = len(self._families)
        pairs = np.array(self._pairs, dtype=np.int64).reshape(-1, 4).T.copy()
        self._table = (np.array(self._of_record, dtype=np.int64), self._is_active(now_ns), pairs)

    def changed(self, traffic: Traffic, now_ns: int) -> set[int]:
        """Return by identity the families of which any answer is another now."""
        if self._table is None:
            return set()
        of_record, was_active, (number, control, record, was_serving) = self._table
        others = of_record[self._is_active(now_ns) != was_active]
        serving = serve_beside(traffic, control, record)
        moved = np.concatenate([others, number[serving != was_serving]])
        return {id(self._families[one]) for one in moved.tolist()}

    def families(self) -> set[int]:
        """Return all that were left as they were, by identity."""
        return {id(family) for family in self._families}

    def _is_active(self, now_ns: int) -> npt.NDArray[np.int64]:
        last_ns = np.fromiter(map(_LAST_SEEN_NS, self._records), np.int64, len(self._records))
        return (now_ns - last_ns <= ACTIVE_NS).astype(np.int64)
