"""A snapshot: all that an engine knows at one moment, as plain values and arrays.

Each room writes what it holds under names of its own and reads it back by these names, so that a
snapshot from before a column existed restores with that column's default, and one from after it is
read without it. Scopes are written once and referred to by number. Nothing of a prompt or a
completion is in here, for nothing of it is known to an engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tripswitch.model.scope import Scope

Array = npt.NDArray[Any]

NO_SCOPE: Final = -1
"""In place of a scope's number where there is none."""


class SnapshotMismatch(ValueError):  # noqa: N818 - it says what does not fit, nothing broke
    """A snapshot that is whole but cannot be taken up here; the message says why."""


@dataclass(slots=True)
class Snapshot:
    """What was known at ``taken_ns``, the engine's time in ns since the epoch.

    ``facts`` are JSON values, ``arrays`` of booleans or numbers, both by name. ``scopes`` are those
    that numbers refer to. Arrays are copies: an engine that goes on does not change them.
    ``left_out`` counts by kind what there was no room for; it is not written.
    """

    taken_ns: int
    facts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    scopes: list[Scope] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    _numbers: dict[Scope, int] = field(default_factory=dict)
    _by_identity: dict[int, int] = field(default_factory=dict)

    def number(self, scope: Scope | None) -> int:
        """Return the number of ``scope``, giving it one when it has none; `NO_SCOPE` for None."""
        if scope is None:
            return NO_SCOPE
        # Most scopes are met as one and the same object, and six texts take long to hash.
        found = self._by_identity.get(id(scope))
        if found is None:
            found = self._numbers.setdefault(scope, len(self._numbers))
            if found == len(self.scopes):
                self.scopes.append(scope)
            if self.scopes[found] is scope:
                self._by_identity[id(scope)] = found
        return found

    def numbers(self, scopes: Iterable[Scope | None]) -> npt.NDArray[np.int64]:
        """Return the numbers of ``scopes`` as a column."""
        return np.array([self.number(scope) for scope in scopes], dtype=np.int64)

    def scope(self, number: int) -> Scope | None:
        """Return the scope with a number; None for `NO_SCOPE`. Raises IndexError for an unknown."""
        if number == NO_SCOPE:
            return None
        if number < 0:
            raise IndexError(number)
        return self.scopes[number]

    def put(self, prefix: str, columns: Iterable[tuple[str, Array]], rows: int) -> None:
        """Copy the first ``rows`` rows of each of ``columns`` under ``prefix.name``."""
        for name, column in columns:
            self.arrays[f"{prefix}.{name}"] = column[:rows].copy()

    def column(self, name: str, shape: Sequence[int] | None = None) -> Array | None:
        """Return the array of a name; None where it is not there or its rows are not of ``shape``.

        ``shape`` is that of one row.
        """
        found = self.arrays.get(name)
        if found is None or (shape is not None and found.shape[1:] != tuple(shape)):
            return None
        return found

    def whole(self, name: str) -> list[Any]:
        """Return a column of numbers as a list. Raises SnapshotMismatch where it is not there."""
        found = self.arrays.get(name)
        if found is None or found.ndim != 1:
            raise SnapshotMismatch(f"it has no column {name}")
        listed: list[Any] = found.tolist()
        return listed
