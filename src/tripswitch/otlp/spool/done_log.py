"""Which records of a segment are done: a log beside it, eight bytes a record, only appended to.

An entry is the record's place in the segment (u32) and a checksum of mark and place (u32). A
damaged entry means that the record is delivered once more; it never means that one is skipped.

How many records a segment has is otherwise known from the first number of the one after it. When
that one is deleted before this one is, an entry with the highest bit set says how many it has, or
all that was in between would be taken for lost.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from tripswitch.otlp.spool.segment import read_for_certain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tripswitch.otlp.spool.disk import File

_ENTRY: Final = struct.Struct(">II")
_READ_BYTES: Final = 1 << 16
# No segment holds so many records: each takes a header.
_END: Final = 1 << 31


class Places:
    """A set of places in one segment, a bit each.

    ``end`` is how many records the segment has, None where its log does not say.
    """

    def __init__(self) -> None:
        self.end: int | None = None
        self._bits = bytearray()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, place: int) -> bool:
        byte, bit = divmod(place, 8)
        return byte < len(self._bits) and bool(self._bits[byte] >> bit & 1)

    def add(self, place: int) -> bool:
        """Add ``place``; return whether it is new."""
        if place in self:
            return False
        byte, bit = divmod(place, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit
        self._count += 1
        return True


def read_places(file: File, mark: bytes, records: int) -> Places:
    """Return the places below ``records`` that the log names; damaged entries are passed over."""
    places = Places()
    offset = 0
    while len(chunk := read_for_certain(file, offset, _READ_BYTES)) >= _ENTRY.size:
        whole_bytes = len(chunk) // _ENTRY.size * _ENTRY.size
        for place, check in _ENTRY.iter_unpack(chunk[:whole_bytes]):
            if check != _check(mark, place):
                continue
            if place < records:
                places.add(place)
            elif place & _END:
                places.end = place ^ _END
        offset += whole_bytes
    return places


def append_places(file: File, mark: bytes, places: Iterable[int]) -> None:
    """Append an entry for each of ``places``. Raises OSError."""
    entries = b"".join(_ENTRY.pack(place, _check(mark, place)) for place in places)
    # A torn entry at the end is written over, or all later ones would be out of step.
    file.write_at(file.size_bytes() // _ENTRY.size * _ENTRY.size, [entries])


def append_end(file: File, mark: bytes, records: int) -> None:
    """Append the entry that says how many records the segment has. Raises OSError."""
    append_places(file, mark, [_END | records])


def _check(mark: bytes, place: int) -> int:
    return zlib.crc32(place.to_bytes(4, "big"), zlib.crc32(mark))
