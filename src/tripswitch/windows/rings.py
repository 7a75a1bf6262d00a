"""Ring buffers: per series the count, sum and sum of squares in slots of time.

A *series* is one measure of one scope; it owns one row in every array here. Three rings overlap:
15 slots of a minute, 24 of a quarter of an hour, 24 of an hour. A slot is addressed by absolute
time modulo the ring's length, so all rows share one clock and a slot is cleared when time reaches
it again. Sums are float64: the variance formula ``q - 2*m*s + n*m*m`` cancels badly in float32.

What arrived since the last tick is kept apart by the call's minute (`fresh`), because evidence
must take each value once: at its arrival for one-sample tests, in the stratum of its minute for
two-sample tests. What leaves the minute ring is folded into `moments`, sums over minute blocks
with an exponential memory, from which baselines and the design effect are computed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.snapshot import Snapshot

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

MINUTES: Final = 15
QUARTERS: Final = 24
HOURS: Final = 24
STRATA: Final = 4
"""Slots for the strata of minutes: this one, the two before, and the one about to open."""

MOMENT_COLUMNS: Final = 6
"""Of a block with count n and sum s: n, s, q, s*s, s*n, n*n, each summed over blocks."""

# Half-life of about six hours: long enough to hold thousands of samples, short enough that
# yesterday's model does not define today's normal. Same-hour history is kept in `by_hour`.
_MOMENT_DECAY_PER_MINUTE: Final = 0.998
# A same-hour entry loses a seventh at each visit, one a day: a memory of about seven days.
_HOUR_DECAY_PER_DAY: Final = 6 / 7
# Rows summed at a time, so that what is turned stays in the cache.
_BLOCK: Final = 1024
# By then the last hour with data has left its ring, see `_open_minute`.
_LEARNT_WITHIN_MINUTES: Final = HOURS * 60


class Rings:
    """All rings of all series, growing by doubling up to what the caller registers.

    Array shapes, S being the capacity: ``minute`` (S, 15, 3), ``quarter`` (S, 24, 3), ``hour``
    (S, 24, 3), ``fresh`` (S, 5, 3) with index 4 of the second axis for the carry, ``moments``
    (S, 6). The last axis of the first four is (n, sum, sum of squares).

    Of the larger part of all series nobody asks for the same hour of other days: ``by_hour``
    (D, 24, 6) has an entry only for those that `learn_by_hour` named, ``place`` (S) says which. The
    first entry is of nobody and stays empty.

    A ``frozen`` series (S) neither learns nor forgets; ``tainted`` (S, 24) marks the slots of
    `hour` in which it was frozen at any time, which are never learnt from.
    """

    COLUMNS: Final = (
        "minute",
        "quarter",
        "hour",
        "fresh",
        "moments",
        "place",
        "frozen",
        "tainted",
    )
    """Every array that holds one row a series."""

    def __init__(self, capacity: int = 256) -> None:
        self.now_minute = -1
        self.minute: Floats = np.zeros((capacity, MINUTES, 3))
        self.quarter: Floats = np.zeros((capacity, QUARTERS, 3))
        self.hour: Floats = np.zeros((capacity, HOURS, 3))
        self.fresh: Floats = np.zeros((capacity, STRATA + 1, 3))
        self.moments: Floats = np.zeros((capacity, MOMENT_COLUMNS))
        self.place: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self.by_hour: Floats = np.zeros((1, 24, MOMENT_COLUMNS))
        self._places = 1
        self.frozen: npt.NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self.tainted: npt.NDArray[np.bool_] = np.zeros((capacity, HOURS), dtype=np.bool_)

    @property
    def capacity(self) -> int:
        """Return how many series fit before the arrays grow."""
        return len(self.minute)

    @property
    def bytes_per_series(self) -> int:
        """Return the memory one series takes here, without its hours of the day."""
        return sum(array.nbytes for array in self._arrays()) // self.capacity

    @property
    def bytes_by_hour(self) -> int:
        """Return the memory that the hours of the day take of all series that have them."""
        return int(self._places * self.by_hour[0].nbytes)

    def reserve(self, rows: int) -> None:
        """Grow to at least ``rows`` series, doubling; existing rows keep their place."""
        if rows <= self.capacity:
            return
        capacity = max(rows, 2 * self.capacity)
        for name in self.COLUMNS:
            old = getattr(self, name)
            grown = np.zeros((capacity, *old.shape[1:]), dtype=old.dtype)
            grown[: len(old)] = old
            setattr(self, name, grown)

    def learn_by_hour(self, row: int) -> None:
        """Keep the hours of the day of one series from now on."""
        if self.place[row]:
            return
        if self._places == len(self.by_hour):
            grown = np.zeros((max(64, 2 * self._places), 24, MOMENT_COLUMNS))
            grown[: self._places] = self.by_hour
            self.by_hour = grown
        self.place[row], self._places = self._places, self._places + 1

    def hours_of(self, row: int) -> Floats:
        """Return the entries of one series by hour of the day, (24, 6), all empty for none."""
        return np.asarray(self.by_hour[self.place[row]])

    def clear(self, row: int) -> None:
        """Forget everything about one series, so that its row can serve another."""
        place = self.place[row]
        for array in self._arrays():
            array[row] = 0
        # An entry stays with the row, so that there are never more than rows.
        self.by_hour[place] = 0.0
        self.place[row] = place

    def advance(self, now_ns: int) -> bool:
        """Move the clock to ``now_ns``; return whether a minute boundary was crossed.

        Slots that time reaches are cleared; minutes that leave the ring are folded first. Going
        backwards is ignored: the clock of the data never does.
        """
        minute = now_ns // NS_PER_MINUTE
        if self.now_minute < 0:
            self.now_minute = minute
            return False
        if minute <= self.now_minute:
            return False
        learnt = minute
        if minute - self.now_minute > HOURS * 60 + MINUTES:
            learnt = self.now_minute + _LEARNT_WITHIN_MINUTES
        for passed in range(self.now_minute + 1, learnt + 1):
            self._open_minute(passed)
        if learnt < minute:
            self._skip(learnt, minute)
        self.now_minute = minute
        return True

    def add(self, rows: Rows, minutes: Rows, values: Floats) -> None:
        """Add one value each to the series ``rows``, in the slots of absolute ``minutes``.

        ``minutes`` must lie within the last 15 up to now. Values are added one after the other
        (``numpy.add.at``), so the sums do not depend on how arrivals were batched.
        """
        self._add(rows, minutes, (1.0, values, values * values))

    def add_buckets(self, rows: Rows, minutes: Rows, buckets: Floats) -> None:
        """Add one bucket each, (n, sum, sum of squares) of shape (B, 3), as `add` does its values.

        The rings then hold what they would hold had the values come one by one.
        """
        self._add(rows, minutes, (buckets[:, 0], buckets[:, 1], buckets[:, 2]))

    def _add(
        self, rows: Rows, minutes: Rows, columns: tuple[Floats | float, Floats, Floats]
    ) -> None:
        is_open = minutes > self.now_minute - (STRATA - 1)
        for ring, slots in (
            (self.minute, minutes % MINUTES),
            (self.quarter, minutes // 15 % QUARTERS),
            (self.hour, minutes // 60 % HOURS),
            (self.fresh, np.where(is_open, minutes % STRATA, STRATA)),
        ):
            # On one axis with one index `add.at` is some times faster than on three with two.
            flat = ring.reshape(-1)
            first = 3 * (rows * ring.shape[1] + slots)
            for column, added in enumerate(columns):
                np.add.at(flat, first + column, added)

    def add_fresh(self, rows: Rows, fresh: Floats) -> None:
        """Add to each of ``rows``, all different, what arrived elsewhere since the last call.

        ``fresh`` is as `take_fresh` returns it, shape (len(rows), 5, 3), and stays out of it. Of
        the carry it is not known in which minute it ended; it counts before the open ones.
        """
        first = self.now_minute - (STRATA - 1)
        minutes = [first + (slot - first) % STRATA for slot in range(STRATA)] + [first - 1]
        for slot, minute in enumerate(minutes):
            added = fresh[:, slot]
            self.minute[rows, minute % MINUTES] += added
            self.quarter[rows, minute // 15 % QUARTERS] += added
            self.hour[rows, minute // 60 % HOURS] += added

    def take_fresh(self) -> Floats:
        """Return what arrived since the last call, shape (S, 5, 3), and start anew."""
        taken = self.fresh
        self.fresh = np.zeros_like(taken)
        return taken

    def window(self, rows: Rows, name: str) -> Floats:
        """Return (n, s, q) of the series ``rows`` over the window ``name``, shape (len, 3).

        ``5m`` and ``15m`` are sums of minutes, ``1h`` and ``6h`` of quarters, ``24h`` of hours;
        each includes the slot being filled.
        """
        if name == "5m":
            return _summed(self.minute, rows, (self.now_minute - np.arange(5)) % MINUTES)
        if name == "15m":
            return _summed(self.minute, rows)
        if name == "1h":
            return _summed(self.quarter, rows, (self.now_minute // 15 - np.arange(4)) % QUARTERS)
        if name == "6h":
            return _summed(self.quarter, rows)
        return _summed(self.hour, rows)

    def save(self, snapshot: Snapshot, rows: int) -> None:
        """Put the first ``rows`` series into ``snapshot``."""
        snapshot.facts["rings.now_minute"] = self.now_minute
        snapshot.put("rings", ((name, getattr(self, name)) for name in self.COLUMNS), rows)
        snapshot.put("rings", [("by_hour", self.by_hour)], self._places)

    def restore(self, snapshot: Snapshot, rows: int) -> None:
        """Take the first ``rows`` series from ``snapshot``; a column that it lacks stays empty."""
        self.now_minute = int(snapshot.facts["rings.now_minute"])
        self.reserve(rows)
        for name in self.COLUMNS:
            column = getattr(self, name)
            kept = snapshot.column(f"rings.{name}", column.shape[1:])
            if kept is not None:
                column[:rows] = kept[:rows]
        hours = snapshot.column("rings.by_hour", self.by_hour.shape[1:])
        if hours is None:
            self.place[:] = 0
            return
        if "rings.place" not in snapshot.arrays:
            # From when every series had an entry.
            self.place[:rows] = np.arange(1, rows + 1)
            hours = np.concatenate([self.by_hour[:1], hours[:rows]])
        self.by_hour, self._places = hours.copy(), len(hours)

    def last_minutes(self, row: int, count: int) -> Floats:
        """Return (n, s, q) of the last ``count`` minutes, oldest first, shape (count, 3)."""
        slots = (self.now_minute - np.arange(count - 1, -1, -1)) % MINUTES
        return np.asarray(self.minute[row, slots])

    def history(self, rows: Rows) -> Floats:
        """Return `moments` of ``rows`` with the minutes still in the ring folded in."""
        blocks = self.minute[rows]
        return np.asarray(self.moments[rows] + _moments_of(blocks).sum(axis=1))

    def learnt(self, rows: Rows) -> Floats:
        """Return the sums of `by_hour` over all hours of the day, shape (len(rows), 6)."""
        return _summed(self.by_hour, self.place[rows].astype(np.int64))

    def known_hours(self, rows: Rows) -> Floats:
        """Return `learnt` with the last day's hours added that nothing suspect happened in."""
        blocks = self.hour[rows] * ~self.tainted[rows][:, :, None]
        return np.asarray(self.learnt(rows) + _moments_of(blocks).sum(axis=1))

    def learnt_at(self, rows: Rows, hour: int) -> Floats:
        """Return the entries of one hour of the day, shape (len(rows), 6)."""
        return np.asarray(self.by_hour[self.place[rows], hour])

    def _open_minute(self, minute: int) -> None:
        thawed = ~self.frozen[:, None]
        self.tainted[:, (minute - 1) // 60 % HOURS] |= self.frozen
        leaving = self.minute[:, minute % MINUTES]
        learnt = self.moments * _MOMENT_DECAY_PER_MINUTE + _moments_of(leaving)
        self.moments = np.where(thawed, learnt, self.moments)
        self.minute[:, minute % MINUTES] = 0
        if minute % 15 == 0:
            self.quarter[:, (minute // 15) % QUARTERS] = 0
        if minute % 60 == 0:
            # An hour is learnt as it leaves the ring, a day later and in time for the same hour
            # of the next: a small regression in thin traffic is weighed for longer than a day, and
            # would else become its own baseline before it is proven.
            slot, learns = minute // 60 % HOURS, np.flatnonzero(self.place)
            learns = learns[~self.frozen[learns] & ~self.tainted[learns, slot]]
            settled, into = self.hour[learns, slot], self.place[learns]
            decayed = self.by_hour[into, slot] * _HOUR_DECAY_PER_DAY + _moments_of(settled)
            self.by_hour[into, slot] = decayed
            self.hour[:, slot] = 0
            self.tainted[:, slot] = False

    def _skip(self, learnt: int, minute: int) -> None:
        """Let a gap longer than every ring pass at once: all slots empty, what is learnt fades."""
        for slots in (self.minute, self.quarter, self.hour, self.tainted):
            slots[:] = 0
        thawed = ~self.frozen[:, None]
        faded = _MOMENT_DECAY_PER_MINUTE ** (minute - learnt)
        self.moments *= np.where(thawed, faded, 1.0)
        first, hours = learnt // 60 + 1, minute // 60 - learnt // 60
        visits = np.full(24, hours // 24)
        visits[(first + np.arange(hours % 24)) % 24] += 1
        learns = np.flatnonzero(self.place)
        fading = self.place[learns[~self.frozen[learns]]]
        self.by_hour[fading] *= (_HOUR_DECAY_PER_DAY**visits)[:, None]

    def _arrays(self) -> tuple[npt.NDArray[np.generic], ...]:
        return tuple(getattr(self, name) for name in self.COLUMNS)


def _summed(ring: Floats, rows: Rows, slots: Rows | None = None) -> Floats:
    """Return the sums of ``rows`` over ``slots``, all of them if None.

    Slots are added one after the other in their order, as ``ring[rows].sum(axis=1)`` does. That
    adds three or six numbers at a time; with the slots in front it is whole blocks of rows.
    """
    sums = np.empty((len(rows), ring.shape[2]))
    flat = ring.reshape(len(ring), -1)
    for first in range(0, len(rows), _BLOCK):
        taken = flat.take(rows[first : first + _BLOCK], axis=0)
        by_slot = np.ascontiguousarray(taken.T).reshape(*ring.shape[1:], -1)
        chosen = by_slot if slots is None else by_slot[slots]
        sums[first : first + _BLOCK] = chosen.sum(axis=0).T
    return sums


def _moments_of(blocks: Floats) -> Floats:
    """Return the six moment columns of blocks whose last axis is (n, s, q)."""
    n, s, q = blocks[..., 0], blocks[..., 1], blocks[..., 2]
    return np.stack([n, s, q, s * s, s * n, n * n], axis=-1)
