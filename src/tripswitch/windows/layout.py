"""How slots lie in memory: one behind the other, each with all series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

MINUTES: Final = 15
QUARTERS: Final = 24
HOURS: Final = 24
STRATA: Final = 4
"""Slots for the strata of minutes: this one, the two before, and the one about to open."""

MOMENT_COLUMNS: Final = 6
"""Of a block with count n and sum s: n, s, q, s*s, s*n, n*n, each summed over blocks."""

LENGTHS: Final[Rows] = np.array([[MINUTES], [QUARTERS], [HOURS], [STRATA + 1]])
"""Slots of the minutes, the quarters, the hours and what is fresh, in the order they lie in."""

FIRSTS: Final[Rows] = np.cumsum(np.concatenate([[[0]], LENGTHS[:-1]]), axis=0)
ALL_SLOTS: Final = int(LENGTHS.sum())
WIDE: Final = np.dtype((np.void, 3 * 8))
"""The three numbers of a slot, to be written at once."""
_COLUMN: Final[Rows] = np.arange(3)[:, None]
# Values added at a time, so that what is around them stays in the cache.
_BLOCK: Final = 1024


def by_slot(ring: Floats) -> Floats:
    """Return a view of a ring (S, slots, 3) with its slots in front, or the other way round."""
    return ring.transpose(1, 0, 2)


def hours_of_day(places: int) -> Floats:
    """Return empty entries of every hour of the day, shape (places, 24, 6)."""
    return by_slot(np.zeros((24, places, MOMENT_COLUMNS)))


def moments_of(blocks: Floats) -> Floats:
    """Return the six moment columns of blocks whose last axis is (n, s, q)."""
    n, s, q = blocks[..., 0], blocks[..., 1], blocks[..., 2]
    return np.stack([n, s, q, s * s, s * n, n * n], axis=-1)


def add_in_order(flat: Floats, firsts: Rows, values: Floats) -> None:
    """Add ``values`` (3, N) to ``flat``, one after the other, at each of ``firsts`` (rings, N)."""
    for first in range(0, firsts.shape[1], _BLOCK):
        some = slice(first, first + _BLOCK)
        # On one axis with one index `add.at` is some times faster than on three with two.
        into = firsts[:, None, some] + _COLUMN
        added = np.empty(into.shape)
        added[:] = values[:, some]
        np.add.at(flat, into.reshape(-1), added.reshape(-1))


def summed(blocks: Floats, slots: Sequence[int]) -> Floats:
    """Return the sums of ``blocks`` (slots, S, 3) over some slots, one after the other in order."""
    if len(slots) == len(blocks):
        return np.asarray(np.add.reduce(blocks, axis=0))
    total = blocks[slots[0]] + blocks[slots[1]]
    for slot in slots[2:]:
        total += blocks[slot]
    return np.asarray(total)


def summed_moments(blocks: Floats) -> Floats:
    """Return the sums of the six moments over ``blocks`` (slots, B, 3), shape (6, B)."""
    # With the columns before the rows, slots are added one after the other.
    moments = np.empty((len(blocks), MOMENT_COLUMNS, blocks.shape[1]))
    moments[:, :3] = blocks.transpose(0, 2, 1)
    n, s = moments[:, 0], moments[:, 1]
    np.multiply(s, s, out=moments[:, 3])
    np.multiply(s, n, out=moments[:, 4])
    np.multiply(n, n, out=moments[:, 5])
    return np.asarray(np.add.reduce(moments, axis=0))


def fade_and_add(
    moments: Floats, decay: float, blocks: Floats, where: npt.NDArray[np.bool_] | bool
) -> None:
    """Let ``moments`` (S, 6) fade and learn a block (n, s, q) each, (S, 3), in place."""
    n, s, q = np.ascontiguousarray(blocks.T)
    for column, added in zip(moments.T, (n, s, q, s * s, s * n, n * n), strict=True):
        np.multiply(column, decay, out=column, where=where)
        np.add(column, added, out=column, where=where)
