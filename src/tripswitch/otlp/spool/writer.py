"""Appending with group commit: those who wait at the same time share one sync.

While one batch is written and synced in a thread the next one gathers. An append returns once the
sync that covers it has succeeded. A sync that failed leaves it unknown what the disk holds, and
asking again would say nothing: the segment is closed, opened anew, cut off at its last synced
record, verified, and never written to again; those who waited are told that they are not on disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import structlog

from tripswitch.errors import TripswitchError
from tripswitch.otlp.spool.disk import is_full
from tripswitch.otlp.spool.record import DamagedRecordError, content_of
from tripswitch.otlp.spool.segment import START_BYTES, Records, SegmentName, start_of_segment
from tripswitch.otlp.spool.shelf import Extent, Segment

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from tripswitch.otlp.spool.disk import File
    from tripswitch.otlp.spool.record import Draft
    from tripswitch.otlp.spool.shelf import Shelf

_log = structlog.get_logger(__name__)


class SpoolError(TripswitchError):
    """The disk did not take a request; it may be sent again."""


class SpoolFullError(SpoolError):
    """There is no room for a request: the spool's bound or the disk's."""


class _Waiting(NamedTuple):
    draft: Draft
    written: asyncio.Future[None]


class GroupWriter:
    """Appends to the newest segment of ``shelf``; disk work happens in ``thread``.

    ``syncs`` counts the syncs of segments, failed ones included.
    """

    def __init__(self, shelf: Shelf, segment_bytes: int, thread: Executor) -> None:
        self.syncs = 0
        self.reserved_bytes = 0
        self._shelf = shelf
        self.segment_bytes = segment_bytes
        self._thread = thread
        self._waiting: deque[_Waiting] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._active: Segment | None = None
        self._file: File | None = None

    @property
    def active(self) -> Segment | None:
        """Return the segment that the next append may go to."""
        return self._active

    async def append(self, draft: Draft) -> None:
        """Return once ``draft`` is on the disk for good. Raises SpoolFullError or SpoolError."""
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(draft, written))
        self.reserved_bytes += draft.record_bytes + START_BYTES
        await written

    def seal(self) -> bool:
        """Close the active segment so that it can be deleted; False while it is written to."""
        if self._committing is not None:
            return False
        self._close_active()
        return True

    async def close(self) -> None:
        """Wait for the appends under way and close the active segment."""
        while self._committing is not None:
            await asyncio.wait([self._committing])
        self._close_active()

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = self._next_batch()
                error: Exception | None = None
                try:
                    await loop.run_in_executor(
                        self._thread, self._commit, [each.draft for each in batch]
                    )
                except OSError as failure:
                    error = _as_ours(failure)
                except Exception as failure:  # noqa: BLE001 - those who wait must hear of it
                    error = failure
                self._answer(batch, error)
        finally:
            self._committing = None

    def _next_batch(self) -> list[_Waiting]:
        """Take those that fit one segment: the active one, or a new one for the first of them."""
        first_bytes = self._waiting[0].draft.record_bytes
        used_bytes = START_BYTES if self._active is None else self._active.extent.end_offset
        has_records = self._active is not None and self._active.extent.records > 0
        if has_records and used_bytes + first_bytes > self.segment_bytes:
            self._close_active()
            used_bytes = START_BYTES
        batch = [self._waiting.popleft()]
        used_bytes += first_bytes
        while self._waiting:
            used_bytes += self._waiting[0].draft.record_bytes
            if used_bytes > self.segment_bytes:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _answer(self, batch: list[_Waiting], error: Exception | None) -> None:
        for waiting in batch:
            self.reserved_bytes -= waiting.draft.record_bytes + START_BYTES
            if waiting.written.done():
                continue
            if error is None:
                waiting.written.set_result(None)
            else:
                waiting.written.set_exception(error)

    def _commit(self, drafts: list[Draft]) -> None:
        segment = self._active
        is_new = segment is None
        if segment is None:
            segment = self._begin()
        file = self._file
        assert file is not None
        end_offset, records = segment.extent
        parts: list[bytes] = []
        for place, draft in enumerate(drafts, start=records):
            header = draft.numbered(segment.name.first + place)
            parts += (header.written(segment.name.mark), draft.head, draft.body)
        try:
            file.write_at(end_offset, parts)
            self.syncs += 1
            file.sync()
            if is_new:
                self._shelf.disk.sync_directory(self._shelf.directory)
        except OSError:
            self._abandon(segment)
            raise
        added_bytes = sum(draft.record_bytes for draft in drafts)
        segment.extent = Extent(end_offset + added_bytes, records + len(drafts))
        self._shelf.next_sequence = segment.limit
        if is_new:
            self._shelf.segments.append(segment)

    def _begin(self) -> Segment:
        shelf = self._shelf
        name = SegmentName(shelf.next_sequence, shelf.disk.new_mark())
        self._file = shelf.disk.create(shelf.directory / name.segment)
        segment = Segment(name, Extent(START_BYTES, 0))
        segment.is_active = True
        self._active = segment
        try:
            self._file.write_at(0, [start_of_segment()])
        except OSError:
            self._abandon(segment)
            raise
        return segment

    def _abandon(self, segment: Segment) -> None:
        """Let go of a segment whose last write or sync failed; what was synced before stays."""
        self._close_active()
        path = self._shelf.directory / segment.name.segment
        try:
            if not segment.extent.records:
                self._shelf.disk.remove(path)
                return
            file = self._shelf.disk.open(path)
            try:
                file.truncate(segment.extent.end_offset)
                file.sync()
                _verify(file, segment)
            finally:
                file.close()
        except OSError as error:
            _log.warning("spool_segment_abandoned", segment=path.name, error=str(error))
            if not segment.extent.records:
                # The name is taken by a file that could not be removed.
                self._shelf.next_sequence += 1

    def _close_active(self) -> None:
        if self._active is not None:
            self._active.is_active = False
        self._active = None
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                _log.warning("spool_file_not_closed", error=str(error))


def _as_ours(error: OSError) -> SpoolError:
    reason = error.strerror or type(error).__name__
    if is_full(error):
        return SpoolFullError(f"no room on the disk of the spool: {reason}")
    return SpoolError(f"the disk of the spool failed: {reason}")


def _verify(file: File, segment: Segment) -> None:
    records = Records(file, segment.name, segment.extent.end_offset)
    readable = 0
    for found in records.all(segment.name.first, segment.limit):
        try:
            content_of(found.header, records.content(found))
        except DamagedRecordError:
            continue
        readable += 1
    report = _log.error if readable < segment.extent.records else _log.warning
    report(
        "spool_segment_verified_after_failed_write",
        segment=segment.name.segment,
        readable=readable,
        records=segment.extent.records,
    )
