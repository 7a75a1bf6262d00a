"""Looking at a spool from outside: what waits, what is dead, what is damaged.

It takes no lock and changes nothing, and tolerates a process that writes and deletes meanwhile: a
segment that is gone was drained, and a record at the end that is not whole yet is being written.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tripswitch.otlp.spool.dead_letters import DIRECTORY_NAME
from tripswitch.otlp.spool.done_log import Places, read_places
from tripswitch.otlp.spool.record import HEADER_BYTES, DamagedRecordError, content_of, header_of
from tripswitch.otlp.spool.segment import (
    START_BYTES,
    Found,
    Records,
    SegmentName,
    is_foreign,
    read_for_certain,
    segments_among,
    start_of_segment,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tripswitch.otlp.delivery import Signal
    from tripswitch.otlp.spool.disk import Disk, File


@dataclass
class Shelved:
    """What one directory holds. ``record_bytes`` is that of the records counted.

    ``damaged`` counts records that cannot be read, ``damaged_starts`` the segments whose header
    cannot (which costs no record), ``unfinished_bytes`` what stands at an end after a crash or
    while it is written, ``foreign`` the segments of another version.
    """

    segments: int = 0
    file_bytes: int = 0
    records: int = 0
    record_bytes: int = 0
    oldest_ns: int | None = None
    by_signal: Counter[Signal] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)
    damaged: int = 0
    damaged_starts: int = 0
    unfinished_bytes: int = 0
    foreign: int = 0

    def count(self, found: Found) -> None:
        """Take in a record."""
        header = found.header
        self.records += 1
        self.record_bytes += header.record_bytes
        self.by_signal[header.signal] += 1
        if self.oldest_ns is None or header.kept_ns < self.oldest_ns:
            self.oldest_ns = header.kept_ns


@dataclass(frozen=True, slots=True)
class Survey:
    """What a spool holds. Checksums of head and body were read only where ``is_verified``."""

    waiting: Shelved
    dead_letters: Shelved
    is_verified: bool

    @property
    def damage(self) -> int:
        """Return how many records and segment headers are damaged."""
        return sum(
            shelved.damaged + shelved.damaged_starts
            for shelved in (self.waiting, self.dead_letters)
        )


def survey(disk: Disk, directory: Path, *, verify: bool) -> Survey:
    """Return what the spool in ``directory`` holds; with ``verify`` every byte is read.

    Raises OSError where it cannot be read at all.
    """
    return Survey(
        _shelved(disk, directory, verify=verify, reads_heads=False),
        _shelved(disk, directory / DIRECTORY_NAME, verify=verify, reads_heads=True),
        verify,
    )


def _shelved(disk: Disk, directory: Path, *, verify: bool, reads_heads: bool) -> Shelved:
    shelved = Shelved()
    names = segments_among(disk.names(directory))
    for name in names:
        following = next((each.first for each in names if each.first > name.first), None)
        try:
            file = disk.open_to_read(directory / name.segment)
        except FileNotFoundError:
            continue
        try:
            surveyor = _Surveyor(shelved, file, name, _done_of(disk, directory, name))
            surveyor.walk(following, is_content_read=verify or reads_heads)
        finally:
            file.close()
    return shelved


def _done_of(disk: Disk, directory: Path, name: SegmentName) -> Places:
    try:
        file = disk.open_to_read(directory / name.done)
    except FileNotFoundError:
        return Places()
    try:
        return read_places(file, name.mark, file.size_bytes())
    finally:
        file.close()


class _Surveyor:
    """Counts the records of one segment."""

    def __init__(self, shelved: Shelved, file: File, name: SegmentName, done: Places) -> None:
        self._shelved = shelved
        self._file = file
        self._name = name
        self._done = done
        self._size_bytes = file.size_bytes()

    def walk(self, following: int | None, *, is_content_read: bool) -> None:
        """Count all records; ``following`` is the first number of the next segment."""
        shelved, first = self._shelved, self._name.first
        shelved.segments += 1
        shelved.file_bytes += self._size_bytes
        start = read_for_certain(self._file, 0, START_BYTES)
        if is_foreign(start):
            shelved.foreign += 1
            return
        if len(start) == START_BYTES and start != start_of_segment():
            shelved.damaged_starts += 1
        most = self._size_bytes // HEADER_BYTES
        if following is not None and self._done.end is not None:
            following = min(following, first + self._done.end)
        limit = first + most if following is None else following
        records = Records(self._file, self._name, self._size_bytes, is_patient=False)
        offset, expected = min(START_BYTES, self._size_bytes), first
        for found in records.all(first, min(limit, first + most)):
            self._count_damage(found.header.sequence - expected)
            offset, expected = found.end_offset, found.header.sequence + 1
            if found.header.sequence - first not in self._done:
                self._count(records, found, is_content_read=is_content_read)
        if following is not None:
            self._count_damage(following - expected)
        elif offset < self._size_bytes:
            self._judge_tail(records, offset)

    def _count(self, records: Records, found: Found, *, is_content_read: bool) -> None:
        if is_content_read:
            try:
                _, death = content_of(found.header, records.content(found))
            except DamagedRecordError:
                self._count_damage(1)
                return
            if death is not None:
                self._shelved.by_reason[death.why] += 1
        self._shelved.count(found)

    def _judge_tail(self, records: Records, offset: int) -> None:
        """Tell a record that is not whole from one that is damaged.

        Not whole are a header that says more than there is, and fewer bytes than a header.
        """
        start = read_for_certain(self._file, offset, HEADER_BYTES)
        is_unfinished = len(start) < HEADER_BYTES or header_of(start, self._name.mark) is not None
        if is_unfinished or not start.strip(b"\0"):
            self._shelved.unfinished_bytes += self._size_bytes - offset
        else:
            self._count_damage(max(1, records.marks_from(offset)))

    def _count_damage(self, records: int) -> None:
        self._shelved.damaged += records
