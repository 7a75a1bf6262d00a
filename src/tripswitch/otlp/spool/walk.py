"""Walking through the records that wait, oldest first, and finding each again.

The walk goes forward; `Walk.rewind` sends it back to the oldest record that is still undone. What
turns out to be damaged is counted once and passed over. All of it is disk work, for one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from tripswitch.otlp.spool.record import DamagedRecordError, content_of
from tripswitch.otlp.spool.segment import START_BYTES, Found, Records
from tripswitch.otlp.spool.shelf import Segment, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.otlp.delivery import Delivery
    from tripswitch.otlp.spool.record import Header

# So many headers are looked at before others get the thread.
_MOST_STEPS: Final = 2_000
# A disk that cannot read gets so many chances before what it cannot read is given up.
_READ_ATTEMPTS: Final = 5

_log = structlog.get_logger(__name__)


class Waiting(NamedTuple):
    """A record that is undone, and where it is."""

    segment: Segment
    found: Found

    @property
    def sequence(self) -> int:
        """Return the record's number."""
        return self.found.header.sequence

    @property
    def place(self) -> int:
        """Return the record's place in its segment."""
        return self.sequence - self.segment.name.first


class Walk:
    """Where the drain is. ``corrupt`` counts the records that are damaged or not there."""

    def __init__(self, shelf: Shelf) -> None:
        self.corrupt = 0
        self.is_at_end = False
        self._shelf = shelf
        self._segment: Segment | None = None
        self._offset = START_BYTES
        self._expected = 0
        self._failed_reads = 0
        self._is_progress_written = True

    def rewind(self) -> None:
        """Begin again at the oldest record."""
        self._segment = None

    def next(self, is_due: Callable[[Header], bool]) -> tuple[Waiting, Delivery] | None:
        """Return the next record that is undone and due.

        None with ``is_at_end`` set where there is none from here on, without it to be called again.
        Raises OSError where the disk cannot read for now.
        """
        self.is_at_end = False
        for _ in range(_MOST_STEPS):
            segment = self._current()
            if segment is None:
                break
            found = self._find(segment)
            if found is None:
                if self._shelf.after(segment.name.first) is None:
                    break
                self._shelf.close(segment)
                self._enter(self._shelf.after(segment.name.first))
                continue
            waiting = Waiting(segment, found)
            is_wanted = waiting.place not in segment.done and is_due(found.header)
            delivery = self.read(waiting) if is_wanted else None
            # What is damaged may be shorter than it says: the next one is looked for in it.
            is_damaged = is_wanted and delivery is None
            self._offset = found.content_offset if is_damaged else found.end_offset
            self._expected = waiting.sequence + 1
            if delivery is not None:
                return waiting, delivery
        else:
            return None
        self.is_at_end = True
        return None

    def read(self, waiting: Waiting) -> Delivery | None:
        """Return the request of a record, None (counted, and done) where it is damaged.

        Raises OSError where the disk cannot read for now.
        """
        try:
            content = self._records(waiting.segment).content(waiting.found)
        except OSError:
            self._failed_reads += 1
            raise
        self._failed_reads = 0
        try:
            return content_of(waiting.found.header, content)[0]
        except DamagedRecordError as damage:
            self._count_corrupt(waiting.segment, 1, str(damage))
            self.finish(waiting)
            return None

    def finish(self, waiting: Waiting) -> None:
        """Note that a record needs no more attention; on disk too, unless that fails."""
        if not waiting.segment.done.add(waiting.place):
            return
        try:
            self._shelf.note_done(waiting.segment, waiting.place)
        except OSError as error:
            # It is sent again after a restart: allowed, and better than stopping here. A full disk
            # refuses every one, which is said once.
            if self._is_progress_written:
                _log.warning("spool_progress_not_written", error=str(error))
            self._is_progress_written = False
        else:
            self._is_progress_written = True

    def oldest_ns(self) -> int | None:
        """Return since when the oldest record waits, None where that is not seen at a glance.

        Raises OSError.
        """
        segment = self._shelf.after(-1)
        if segment is None:
            return None
        records, offset, expected = self._shelf.records_of(segment), START_BYTES, segment.name.first
        for _ in range(_MOST_STEPS):
            found = records.at(offset, segment.sequences(expected))
            if found is None:
                return None
            if Waiting(segment, found).place not in segment.done:
                return found.header.kept_ns
            offset, expected = found.end_offset, found.header.sequence + 1
        return None

    def _current(self) -> Segment | None:
        segment = self._segment
        if segment is None or segment.is_gone:
            segment = self._shelf.after(-1 if segment is None else segment.name.first)
            self._enter(segment)
        return segment

    def _enter(self, segment: Segment | None) -> None:
        if segment is not None:
            self._segment = segment
            self._offset, self._expected = START_BYTES, segment.name.first

    def _find(self, segment: Segment) -> Found | None:
        # Taken before the reader looks, so that what is appended meanwhile is not missed here.
        extent = segment.extent
        try:
            records = self._records(segment)
        except OSError as error:
            self._fail_reading(error)
            self._shelf.set_aside(segment)
            self._count_corrupt(segment, segment.undone, "cannot be opened")
            return None
        try:
            found = records.next(self._offset, segment.sequences(self._expected))
        except OSError as error:
            self._fail_reading(error)
            return None
        reached = segment.name.first + extent.records if found is None else found.header.sequence
        lost = segment.lose_until(reached, self._expected)
        if lost:
            self._count_corrupt(segment, lost, "not found")
        if found is None:
            self._offset, self._expected = extent.end_offset, reached
        return found

    def _records(self, segment: Segment) -> Records:
        return self._shelf.records_of(segment, is_patient=self._failed_reads < _READ_ATTEMPTS)

    def _fail_reading(self, error: OSError) -> None:
        """Raise ``error`` as long as trying again may help."""
        self._failed_reads += 1
        if self._failed_reads <= _READ_ATTEMPTS:
            raise error

    def _count_corrupt(self, segment: Segment, records: int, what: str) -> None:
        self.corrupt += records
        _log.error(
            "spool_records_corrupt", segment=segment.name.segment, records=records, what=what
        )
