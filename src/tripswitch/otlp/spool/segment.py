"""A segment: its name, its header, and finding the records in it whatever has become of the bytes.

A segment is named ``<sequence of its first record>-<mark in hex>.spool``. So the number of records
in it is known from the name of the next one, and nothing that a reader cannot do without stands in
the file itself. Record after record follows a header of 16 bytes.

Where a record's header is damaged its length is unknown; the next one is found by its mark, and the
sequence numbers say how many were lost between. Where only head or body are damaged the header
leads on to the next record.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from tripswitch.otlp.spool.record import HEADER_BYTES, MARK_BYTES, Header, header_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tripswitch.otlp.spool.disk import File

VERSION: Final = 1
_MAGIC: Final = b"TRIPSPL"
_START: Final = struct.Struct(">7sBI4x")
START_BYTES: Final = _START.size

_NAME: Final = re.compile(rf"(\d{{20}})-([0-9a-f]{{{2 * MARK_BYTES}}})\.(spool|done)")
# No spool gets this far, and the next numbers must still fit a record.
_LEAST_FOREIGN_NUMBER: Final = 1 << 63
_SCAN_BYTES: Final = 1 << 18
# What of a file that cannot be read whole is tried piece by piece: a page.
_PIECE_BYTES: Final = 4096


class SegmentName(NamedTuple):
    """What the name of a segment says."""

    first: int
    mark: bytes

    @property
    def segment(self) -> str:
        """Return the name of the file of records."""
        return f"{self.first:020d}-{self.mark.hex()}.spool"

    @property
    def done(self) -> str:
        """Return the name of the log of those that are done."""
        return f"{self.first:020d}-{self.mark.hex()}.done"


class Found(NamedTuple):
    """A record whose header is whole, at ``offset`` of its segment."""

    offset: int
    header: Header

    @property
    def content_offset(self) -> int:
        """Return where head and body are."""
        return self.offset + HEADER_BYTES

    @property
    def end_offset(self) -> int:
        """Return where the record ends."""
        return self.offset + self.header.record_bytes


def segments_among(names: list[str]) -> list[SegmentName]:
    """Return the segments among the names of files, oldest first; others are passed over."""
    return sorted(name for name, kind in _parsed(names) if kind == "spool")


def done_logs_among(names: list[str]) -> list[SegmentName]:
    """Return the segments that have a log of done records, oldest first."""
    return sorted(name for name, kind in _parsed(names) if kind == "done")


def start_of_segment() -> bytes:
    """Return the header of a segment."""
    magic = _MAGIC + bytes([VERSION])
    return _START.pack(_MAGIC, VERSION, zlib.crc32(magic))


def is_foreign(start: bytes) -> bool:
    """Return whether these first bytes are those of another version's segment, undamaged."""
    if len(start) < START_BYTES:
        return False
    magic, version, crc = _START.unpack(start[:START_BYTES])
    return bool(magic == _MAGIC and version != VERSION and crc == zlib.crc32(start[:8]))


def read_for_certain(file: File, offset: int, most_bytes: int) -> bytes:
    """Return what can be read, with zeros in place of what the disk cannot give back."""
    try:
        return file.read_at(offset, most_bytes)
    except OSError:
        size_bytes = max(0, min(most_bytes, file.size_bytes() - offset))
    pieces = []
    for start in range(offset, offset + size_bytes, _PIECE_BYTES):
        piece_bytes = min(_PIECE_BYTES, offset + size_bytes - start)
        try:
            piece = file.read_at(start, piece_bytes)
        except OSError:
            piece = b""
        pieces.append(piece.ljust(piece_bytes, b"\0"))
    return b"".join(pieces)


class Records:
    """The records of one segment. ``first`` is the sequence number of its first.

    ``end_offset`` is where it ends for this reader. With ``is_patient`` false, what the disk
    cannot read counts as damage; otherwise reading raises OSError, so that it can be tried again.
    """

    def __init__(
        self, file: File, name: SegmentName, end_offset: int, *, is_patient: bool = True
    ) -> None:
        self.end_offset = end_offset
        self._file = file
        self._mark = name.mark
        self._is_patient = is_patient

    def next(self, offset: int, sequences: range) -> Found | None:
        """Return the first record from ``offset`` on whose number is among ``sequences``."""
        here = self.at(offset, sequences)
        if here is not None or offset >= self.end_offset:
            return here
        for candidate in self._marks(offset + 1):
            found = self.at(candidate, sequences)
            if found is not None:
                return found
        return None

    def at(self, offset: int, sequences: range) -> Found | None:
        """Return the record at ``offset``, None where there is none that fits."""
        if offset + HEADER_BYTES > self.end_offset:
            return None
        header = header_of(self._read(offset, HEADER_BYTES), self._mark)
        if header is None or header.sequence not in sequences:
            return None
        found = Found(offset, header)
        return found if found.end_offset <= self.end_offset else None

    def all(self, first: int, limit: int) -> Iterator[Found]:
        """Yield every record whose header is whole, numbered ``first`` to ``limit`` - 1."""
        offset = START_BYTES
        while (found := self.next(offset, range(first, limit))) is not None:
            yield found
            offset, first = found.end_offset, found.header.sequence + 1

    def content(self, found: Found) -> bytes:
        """Return head and body, to be checked by `content_of`."""
        return self._read(found.content_offset, found.header.content_bytes)

    def marks_from(self, offset: int) -> int:
        """Return how many marks stand at ``offset`` or later."""
        return sum(1 for _ in self._marks(offset))

    def _marks(self, offset: int) -> Iterator[int]:
        while offset + MARK_BYTES <= self.end_offset:
            chunk = self._read(offset, min(_SCAN_BYTES, self.end_offset - offset))
            at = chunk.find(self._mark)
            while at >= 0:
                yield offset + at
                at = chunk.find(self._mark, at + 1)
            if len(chunk) < MARK_BYTES:
                return
            # A mark may lie across two chunks.
            offset += len(chunk) - MARK_BYTES + 1

    def _read(self, offset: int, most_bytes: int) -> bytes:
        if self._is_patient:
            return self._file.read_at(offset, most_bytes)
        return read_for_certain(self._file, offset, most_bytes)


def _parsed(names: list[str]) -> Iterator[tuple[SegmentName, str]]:
    for name in names:
        match = _NAME.fullmatch(name)
        if match and int(match[1]) < _LEAST_FOREIGN_NUMBER:
            yield SegmentName(int(match[1]), bytes.fromhex(match[2])), match[3]
