"""How slots lie in memory: one behind the other, each with all series."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
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
_MINUTES_KEPT: Final = 8
# Values added at a time, so that what is around them takes a megabyte.
_BLOCK: Final = 16_384


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


@lru_cache(_MINUTES_KEPT)
def slots_of_minutes(now_minute: int, count: int) -> Rows:
    """Return in which slot of each ring a minute lies, shape (4, count).

    The first is that of the oldest minute that the rings hold; slots are numbered over all rings.
    Of what is fresh, the last slot is for every minute that is not open any more.
    """
    minutes = np.arange(count) + (now_minute - MINUTES + 1)
    is_open = minutes > now_minute - (STRATA - 1)
    fresh = np.where(is_open, minutes % STRATA, STRATA)
    slots: Rows = np.array([minutes, minutes // 15, minutes // 60, fresh]) % LENGTHS + FIRSTS
    slots.setflags(write=False)
    return slots


def add_in_order(slots: Floats, cells: Rows, n: Floats | float, s: Floats, q: Floats) -> None:
    """Add (n, s, q), each (N), to ``slots`` (slots, S, 3), one after the other.

    ``cells`` (rings, N) says where in each ring, as positions in all slots of all series.
    """
    counts = slots.reshape(-1)[::3]
    # A complex number is added part by part: one `add.at` in place of two, over one index.
    sums = np.ndarray(counts.shape, np.complex128, slots, counts.itemsize, counts.strides)
    pairs = np.empty(cells.shape, dtype=np.complex128)
    pairs.real, pairs.imag = s, q
    for first in range(0, cells.shape[1], _BLOCK):
        some = slice(first, first + _BLOCK)
        into = cells[:, some].reshape(-1)
        np.add.at(sums, into, pairs[:, some].reshape(-1))
        np.add.at(counts, into, n if isinstance(n, float) else np.tile(n[some], len(cells)))


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
