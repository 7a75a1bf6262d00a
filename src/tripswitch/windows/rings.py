"""Ring buffers: per series the count, sum and sum of squares in slots of time.

A *series* is one measure of one scope; it owns one row in every array here. Three rings overlap:
15 slots of a minute, 24 of a quarter of an hour, 24 of an hour. A slot is addressed by absolute
time modulo the ring's length, so all rows share one clock and a slot is cleared when time reaches
it again. Sums are float64: the variance formula ``q - 2*m*s + n*m*m`` cancels badly in float32.

In memory slot lies behind slot, each with all series, so that a window of every series is the sum
of a few whole blocks; that is some times cheaper than row by row, and kept until something arrives.

What arrived since the last tick is kept apart by the call's minute (`fresh`), because evidence
must take each value once: at its arrival for one-sample tests, in the stratum of its minute for
two-sample tests. What leaves the minute ring is folded into `moments`, sums over minute blocks
with an exponential memory, from which baselines and the design effect are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.snapshot import Snapshot
from tripswitch.windows.layout import (
    ALL_SLOTS,
    FIRSTS,
    HOURS,
    MINUTES,
    MOMENT_COLUMNS,
    QUARTERS,
    STRATA,
    WIDE,
    Floats,
    Rows,
    add_in_order,
    by_slot,
    fade_and_add,
    hours_of_day,
    moments_of,
    slots_of_minutes,
    summed,
    summed_moments,
)

__all__ = ["HOURS", "MINUTES", "QUARTERS", "STRATA", "WIDE", "Floats", "Rings", "Rows", "by_slot"]

# Half-life of about six hours: long enough to hold thousands of samples, short enough that
# yesterday's model does not define today's normal. Same-hour history is kept in `by_hour`.
_MOMENT_DECAY_PER_MINUTE: Final = 0.998
# A same-hour entry loses a seventh at each visit, one a day: a memory of about seven days.
_HOUR_DECAY_PER_DAY: Final = 6 / 7
# A window is summed for all series where one in so many of them is asked for, or there are few.
_FEW: Final = 8
_FEW_SERIES: Final = 1024
# Series whose single minutes are taken at a time, so that they stay in the cache.
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
        self.taken_slots: list[int] = []
        """The slots of what `take_fresh` returned last that hold anything."""
        self._slots: Floats = np.zeros((ALL_SLOTS, 0, 3))
        self.minute: Floats
        self.quarter: Floats
        self.hour: Floats
        self.fresh: Floats
        self._lay_slots(capacity)
        self.moments: Floats = np.zeros((MOMENT_COLUMNS, capacity)).T
        self.place: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self.by_hour: Floats = hours_of_day(1)
        self._places = 1
        self.frozen: npt.NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self.tainted: npt.NDArray[np.bool_] = np.zeros((HOURS, capacity), dtype=np.bool_).T
        self._sums: dict[str, Floats] = {}
        self._learnt: Floats | None = None
        self._arrived: npt.NDArray[np.bool_] = np.zeros(STRATA + 1, dtype=np.bool_)

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
        self._lay_slots(capacity)
        for name in self.COLUMNS[4:]:
            old = getattr(self, name)
            grown = np.zeros((*old.shape[1:], capacity), dtype=old.dtype).T
            grown[: len(old)] = old
            setattr(self, name, grown)
        self._sums.clear()

    def learn_by_hour(self, row: int) -> None:
        """Keep the hours of the day of one series from now on."""
        if self.place[row]:
            return
        if self._places == len(self.by_hour):
            grown = hours_of_day(max(64, 2 * self._places))
            grown[: self._places] = self.by_hour
            self.by_hour, self._learnt = grown, None
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
        self._sums.clear()
        if self._learnt is not None:
            self._learnt[place] = 0.0

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
        self._sums.clear()
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
        self._add(rows, minutes, 1.0, values, values * values)

    def add_buckets(self, rows: Rows, minutes: Rows, buckets: Floats) -> None:
        """Add one bucket each, (n, sum, sum of squares) of shape (B, 3), as `add` does its values.

        The rings then hold what they would hold had the values come one by one.
        """
        self._add(rows, minutes, *buckets.T)

    def _add(self, rows: Rows, minutes: Rows, n: Floats | float, s: Floats, q: Floats) -> None:
        since = minutes - (self.now_minute - MINUTES + 1)
        came = np.bincount(since, minlength=MINUTES)
        slots = slots_of_minutes(self.now_minute, len(came))
        self._arrived[slots[-1].take(came.nonzero()[0]) - FIRSTS[-1]] = True
        self._sums.clear()
        cells = (slots * self.capacity).take(since, axis=1)
        cells += rows
        add_in_order(self._slots, cells, n, s, q)

    def add_fresh(self, rows: Rows, slots: Rows, added: Floats) -> None:
        """Add to each of ``rows``, all different, what arrived elsewhere in ``slots`` of `fresh`.

        ``added`` is of shape (len(slots), len(rows), 3) and stays out of `fresh`. Of the carry it
        is not known in which minute it ended; it counts before the open ones.
        """
        first = self.now_minute - (STRATA - 1)
        flat = self._slots.reshape(-1, 3)
        wide = flat.view(WIDE)
        # One slot after the other: slots of minutes are mostly of one quarter.
        for slot, some in zip(slots.tolist(), added, strict=True):
            minute = first - 1 if slot == STRATA else first + (slot - first) % STRATA
            of_rings = (
                minute % MINUTES,
                MINUTES + minute // 15 % QUARTERS,
                MINUTES + QUARTERS + minute // 60 % HOURS,
            )
            into = np.array([[slot * self.capacity] for slot in of_rings]) + rows
            held = flat.take(into, axis=0)
            held += some
            wide.put(into, held.view(WIDE))
        self._sums.clear()

    def take_fresh(self) -> Floats:
        """Return what arrived since the last call, shape (S, 5, 3), and start anew."""
        self.taken_slots = self._arrived.nonzero()[0].tolist()
        taken = np.zeros((STRATA + 1, self.capacity, 3))
        fresh = by_slot(self.fresh)
        for slot in self.taken_slots:
            taken[slot] = fresh[slot]
            fresh[slot] = 0.0
        self._arrived[:] = False
        return by_slot(taken)

    def window(self, rows: Rows, name: str) -> Floats:
        """Return (n, s, q) of the series ``rows`` over the window ``name``, shape (len, 3).

        ``5m`` and ``15m`` are sums of minutes, ``1h`` and ``6h`` of quarters, ``24h`` of hours;
        each includes the slot being filled.
        """
        known = self._window_of_all(name, len(rows))
        if known is not None:
            return known.take(rows, axis=0)
        ring, slots = self._slots_of(name)
        flat = by_slot(ring).reshape(-1, 3)
        each = np.array(slots)[:, None] * self.capacity + rows
        return np.asarray(np.add.reduce(flat.take(each, axis=0), axis=0))

    def counts(self, rows: Rows, name: str) -> Floats:
        """Return n of the series ``rows`` over a `window`."""
        known = self._window_of_all(name, len(rows))
        if known is not None:
            return known.reshape(-1).take(3 * rows)
        return self.window(rows, name)[:, 0]

    def _window_of_all(self, name: str, wanted: int) -> Floats | None:
        """Return a window of all series, None where it is not known and worth its sums."""
        known = self._sums.get(name)
        if known is None and (wanted * _FEW >= self.capacity or self.capacity <= _FEW_SERIES):
            ring, slots = self._slots_of(name)
            known = self._sums[name] = summed(by_slot(ring), slots)
        return known

    def _slots_of(self, name: str) -> tuple[Floats, Sequence[int]]:
        """Return the ring of a window, and its slots in the order they are added in."""
        if name == "5m":
            return self.minute, [(self.now_minute - ago) % MINUTES for ago in range(5)]
        if name == "15m":
            return self.minute, range(MINUTES)
        if name == "1h":
            return self.quarter, [(self.now_minute // 15 - ago) % QUARTERS for ago in range(4)]
        if name == "6h":
            return self.quarter, range(QUARTERS)
        return self.hour, range(HOURS)

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
        self._sums.clear()
        self._arrived[:] = True
        self._learnt = None
        hours = snapshot.column("rings.by_hour", self.by_hour.shape[1:])
        if hours is None:
            self.place[:] = 0
            return
        if "rings.place" not in snapshot.arrays:
            # From when every series had an entry.
            self.place[:rows] = np.arange(1, rows + 1)
            hours = np.concatenate([self.by_hour[:1], hours[:rows]])
        self.by_hour, self._places = hours_of_day(len(hours)), len(hours)
        self.by_hour[:] = hours

    def last_minutes(self, row: int, count: int) -> Floats:
        """Return (n, s, q) of the last ``count`` minutes, oldest first, shape (count, 3)."""
        slots = (self.now_minute - np.arange(count - 1, -1, -1)) % MINUTES
        return np.asarray(self.minute[row, slots])

    def lately(self, rows: Rows) -> Floats:
        """Return `moments` of ``rows``, (len, 6)."""
        return np.asarray(self.moments.T.take(rows, axis=1).T)

    def history(self, rows: Rows) -> Floats:
        """Return `moments` of ``rows`` with the minutes still in the ring folded in, (len, 6)."""
        found = self.moments.T.take(rows, axis=1)
        flat = by_slot(self.minute).reshape(-1, 3)
        firsts = np.arange(MINUTES)[:, None] * self.capacity
        for first in range(0, len(rows), _BLOCK):
            some = slice(first, first + _BLOCK)
            found[:, some] += summed_moments(flat.take(firsts + rows[some], axis=0))
        return np.asarray(found.T)

    def learnt(self, rows: Rows) -> Floats:
        """Return the sums of `by_hour` over all hours of the day, shape (len(rows), 6)."""
        if self._learnt is None:
            self._learnt = np.add.reduce(by_slot(self.by_hour), axis=0)
        return self._learnt.take(self.place[rows], axis=0)

    def known_hours(self, rows: Rows) -> Floats:
        """Return `learnt` with the last day's hours added that nothing suspect happened in."""
        blocks = self.hour[rows] * ~self.tainted[rows][:, :, None]
        return np.asarray(self.learnt(rows) + moments_of(blocks).sum(axis=1))

    def learnt_at(self, rows: Rows, hour: int) -> Floats:
        """Return the entries of one hour of the day, shape (len(rows), 6)."""
        return np.asarray(self.by_hour[self.place[rows], hour])

    def _open_minute(self, minute: int) -> None:
        self.tainted[:, (minute - 1) // 60 % HOURS] |= self.frozen
        thawed = ~self.frozen if self.frozen.any() else True
        leaving = self.minute[:, minute % MINUTES]
        fade_and_add(self.moments, _MOMENT_DECAY_PER_MINUTE, leaving, thawed)
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
            decayed = self.by_hour[into, slot] * _HOUR_DECAY_PER_DAY + moments_of(settled)
            self.by_hour[into, slot] = decayed
            self._learnt = None
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
        self._learnt = None

    def _lay_slots(self, capacity: int) -> None:
        """Make room for the slots of so many series; what they hold stays."""
        old, self._slots = self._slots, np.zeros((ALL_SLOTS, capacity, 3))
        self._slots[:, : old.shape[1]] = old
        rings = np.split(self._slots, FIRSTS[1:, 0])
        self.minute, self.quarter, self.hour, self.fresh = map(by_slot, rings)

    def _arrays(self) -> tuple[npt.NDArray[np.generic], ...]:
        return tuple(getattr(self, name) for name in self.COLUMNS)
