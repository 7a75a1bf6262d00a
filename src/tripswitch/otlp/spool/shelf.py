"""The segments of one directory: what is there at the start, and what becomes of each.

Opening takes memory for the segments, not for what is in them: names and sizes say how many records
there are, and only the last segment is walked, header by header, to find where it really ends.
Nothing that stands in a file can make opening fail.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import structlog

from tripswitch.otlp.spool.done_log import Places, append_end, append_places, read_places
from tripswitch.otlp.spool.record import HEADER_BYTES
from tripswitch.otlp.spool.segment import (
    START_BYTES,
    Records,
    SegmentName,
    done_logs_among,
    is_foreign,
    read_for_certain,
    segments_among,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tripswitch.otlp.spool.disk import Disk, File

_log = structlog.get_logger(__name__)


class Extent(NamedTuple):
    """How far a segment reaches: what is on the disk for good."""

    end_offset: int
    records: int


class Segment:
    """One segment. ``done`` are the places of the records that need no more attention.

    ``lost`` counts the records that could not be found when they were looked for, ``seen_until``
    is the sequence number up to which that has happened.
    """

    def __init__(self, name: SegmentName, extent: Extent, done: Places | None = None) -> None:
        self.name = name
        self.extent = extent
        self.done = Places() if done is None else done
        self.lost = 0
        self.seen_until = name.first
        self.is_active = False
        self.is_gone = False
        self.records_file: File | None = None
        self.done_file: File | None = None
        self.has_unsynced_done = False

    @property
    def limit(self) -> int:
        """Return the sequence number after that of the last record."""
        return self.name.first + self.extent.records

    @property
    def undone(self) -> int:
        """Return how many records still need attention."""
        return self.extent.records - len(self.done) - self.lost

    def lose_until(self, sequence: int, expected: int) -> int:
        """Note that the records from ``expected`` to ``sequence`` - 1 are not there.

        Return how many of them were not known to be lost before.
        """
        lost = sum(
            1
            for place in range(
                max(expected, self.seen_until) - self.name.first,
                min(sequence - self.name.first, self._most_records()),
            )
            if place not in self.done
        )
        # Places beyond what the file can hold: counted, never walked.
        beyond = sequence - max(expected, self.seen_until, self.name.first + self._most_records())
        lost += max(0, beyond)
        self.seen_until = max(self.seen_until, sequence)
        self.lost += lost
        return lost

    def sequences(self, expected: int) -> range:
        """Return the numbers that a record from here on can have."""
        return range(expected, min(self.limit, self.name.first + self._most_records()))

    def _most_records(self) -> int:
        return max(0, self.extent.end_offset - START_BYTES) // HEADER_BYTES


class Shelf:
    """The segments of ``directory``, oldest first.

    ``next_sequence`` is the number of the next record. ``torn_tails`` counts the ends that were
    cut off on opening.
    """

    def __init__(self, disk: Disk, directory: Path) -> None:
        self.disk = disk
        self.directory = directory
        self.segments: list[Segment] = []
        self.next_sequence = 1
        self.torn_tails = 0

    @property
    def size_bytes(self) -> int:
        """Return what the segments take on the disk, without the logs of done records."""
        return sum(segment.extent.end_offset for segment in self.segments)

    @property
    def undone(self) -> int:
        """Return how many records still need attention."""
        return sum(segment.undone for segment in self.segments)

    @property
    def has_unsynced_done(self) -> bool:
        """Return whether a crash of the machine would have something sent again."""
        return any(segment.has_unsynced_done for segment in self.segments)

    def open(self) -> None:
        """Take in what is there. Raises OSError where the directory cannot be used at all."""
        self.disk.make_directory(self.directory)
        listing = self.disk.names(self.directory)
        names = segments_among(listing)
        for orphan in set(done_logs_among(listing)).difference(names):
            self._remove_file(orphan.done)
        firsts = sorted({name.first for name in names})
        following = dict(pairwise([*firsts, None]))
        for name in names:
            segment = self._opened(name, following[name.first])
            if segment is not None:
                self.segments.append(segment)
            limit = name.first + 1 if segment is None else segment.limit
            self.next_sequence = max(self.next_sequence, limit)
        for segment in tuple(self.segments):
            if segment.undone <= 0:
                self.remove(segment)

    def after(self, first: int) -> Segment | None:
        """Return the oldest segment that begins after the sequence number ``first``."""
        return next((each for each in tuple(self.segments) if each.name.first > first), None)

    def records_of(self, segment: Segment, *, is_patient: bool = True) -> Records:
        """Return a reader of ``segment`` as far as it reaches now. Raises OSError."""
        if segment.records_file is None:
            segment.records_file = self.disk.open(self.directory / segment.name.segment)
        return Records(
            segment.records_file, segment.name, segment.extent.end_offset, is_patient=is_patient
        )

    def note_done(self, segment: Segment, place: int) -> None:
        """Write to its log that a record is done; it is so in memory already. Raises OSError."""
        if segment.is_gone:
            return
        append_places(self._done_file(segment), segment.name.mark, [place])
        segment.has_unsynced_done = True

    def sync_done(self) -> None:
        """Return once all that is done is so on the disk for good. Raises OSError."""
        unsynced = [segment for segment in tuple(self.segments) if segment.has_unsynced_done]
        for segment in unsynced:
            self._done_file(segment).sync()
            segment.has_unsynced_done = False
        if unsynced:
            self.disk.sync_directory(self.directory)

    def remove(self, segment: Segment) -> None:
        """Delete ``segment``. Where that fails it stays on the shelf, to be tried again."""
        self.close(segment)
        self._note_end_before(segment)
        if not self._remove_file(segment.name.segment):
            return
        self._take_off(segment)
        # The records must be gone for good before the word that they are done goes.
        try:
            self.disk.sync_directory(self.directory)
        except OSError as error:
            _log.warning("spool_directory_not_synced", error=str(error))
            return
        self._remove_file(segment.name.done)

    def set_aside(self, segment: Segment) -> None:
        """Leave ``segment`` where it is until the next start: it cannot be opened for now."""
        self.close(segment)
        self._take_off(segment)

    def close(self, segment: Segment) -> None:
        """Close the files of ``segment``; they are opened again when needed."""
        for file in (segment.records_file, segment.done_file):
            if file is not None:
                file.close()
        segment.records_file = segment.done_file = None

    def _note_end_before(self, segment: Segment) -> None:
        """Have the segment before, which is not done yet, say itself how many records it has."""
        place = self.segments.index(segment)
        if not place:
            return
        before = self.segments[place - 1]
        if before.done.end is not None:
            return
        before.done.end = before.extent.records
        try:
            file = self._done_file(before)
            append_end(file, before.name.mark, before.extent.records)
            file.sync()
        except OSError as error:
            _log.warning("spool_end_not_written", segment=before.name.segment, error=str(error))

    def _take_off(self, segment: Segment) -> None:
        segment.is_gone = True
        self.segments.remove(segment)

    def _opened(self, name: SegmentName, next_first: int | None) -> Segment | None:
        try:
            file = self.disk.open(self.directory / name.segment)
        except OSError as error:
            _log.warning("spool_segment_unreadable", segment=name.segment, error=str(error))
            return None
        try:
            end_offset = file.size_bytes()
            if is_foreign(read_for_certain(file, 0, START_BYTES)):
                _log.warning("spool_segment_of_another_version", segment=name.segment)
                return None
            if next_first is not None:
                extent = Extent(end_offset, next_first - name.first)
            else:
                extent = self._extent_of_last(file, name, end_offset)
        finally:
            file.close()
        segment = Segment(name, extent)
        segment.done = self._done_of(name, len(segment.sequences(name.first)))
        end = segment.done.end
        if end is not None and end < extent.records:
            segment.extent = extent._replace(records=end)
        return segment

    def _extent_of_last(self, file: File, name: SegmentName, size_bytes: int) -> Extent:
        records = Records(file, name, size_bytes, is_patient=False)
        end_offset, limit = min(START_BYTES, size_bytes), name.first
        for found in records.all(name.first, name.first + size_bytes):
            end_offset, limit = found.end_offset, found.header.sequence + 1
        if end_offset < size_bytes:
            self.torn_tails += max(1, records.marks_from(end_offset))
            _log.warning("spool_tail_torn", segment=name.segment, cut_bytes=size_bytes - end_offset)
            try:
                file.truncate(end_offset)
                file.sync()
            except OSError as error:
                _log.warning("spool_tail_not_cut", segment=name.segment, error=str(error))
        return Extent(end_offset, limit - name.first)

    def _done_file(self, segment: Segment) -> File:
        if segment.done_file is None:
            path = self.directory / segment.name.done
            try:
                segment.done_file = self.disk.open(path)
            except FileNotFoundError:
                segment.done_file = self.disk.create(path)
        return segment.done_file

    def _done_of(self, name: SegmentName, records: int) -> Places:
        try:
            file = self.disk.open(self.directory / name.done)
        except OSError:
            return Places()
        try:
            return read_places(file, name.mark, records)
        finally:
            file.close()

    def _remove_file(self, name: str) -> bool:
        try:
            self.disk.remove(self.directory / name)
        except FileNotFoundError:
            return True
        except OSError as error:
            _log.warning("spool_file_not_removed", file=name, error=str(error))
            return False
        return True
