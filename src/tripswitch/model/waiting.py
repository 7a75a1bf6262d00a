"""What was taken and is counted later: much at once costs little more than a little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# The columns of a batch are some kilobytes, however few rows they have.
_ROWS_A_BATCH: Final = 32


class Waiting(Generic[T]):
    """Batches that wait, up to so many rows, until somebody looks at what they are counted in.

    A batch takes the room of some rows of its own, so that small ones do not add up to much.

    Whoever has one calls `count` before anything is read of what ``counted`` writes to. That gets
    the batches in the order in which they came.
    """

    def __init__(self, most_rows: int, counted: Callable[[list[T]], None]) -> None:
        self._most_rows = most_rows
        self._counted = counted
        self._batches: list[T] = []
        self._rows = 0

    def put(self, batch: T, rows: int) -> None:
        """Have a batch of so many rows wait; count all that waits when that is too much."""
        self._batches.append(batch)
        self._rows += rows + _ROWS_A_BATCH
        if self._rows >= self._most_rows:
            self.count()

    def count(self) -> None:
        """Count everything that waits."""
        if self._batches:
            batches, self._batches, self._rows = self._batches, [], 0
            self._counted(batches)
