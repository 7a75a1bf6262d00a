"""Damaging a spool that nobody has open: which records are hit, and what was in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.survive.sink import ids_of
from tripswitch.otlp.spool.disk import LocalDisk
from tripswitch.otlp.spool.done_log import Places, read_places
from tripswitch.otlp.spool.record import content_of
from tripswitch.otlp.spool.segment import Found, Records, SegmentName, segments_among

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

_SHARE = 0.05
_LOG_FLIPS = 3


class Damage(NamedTuple):
    """How many records that still waited were damaged, and the ids of the spans in them."""

    records: int
    spans: set[int]


def damage(directory: Path, choice: random.Random) -> Damage:
    """Flip a byte in some of the records that wait, and a few in the logs of those that are done.

    The last records of all are spared: what is damaged there looks like an append that a crash
    cut off, and is counted as that. A damaged log may only have something sent again.
    """
    waiting = list(_waiting(directory))[:-2]
    hit = [each for each in waiting if choice.random() < _SHARE] or waiting[:1]
    spans: set[int] = set()
    for path, found, ids in hit:
        _flip(path, choice.randrange(found.offset, found.end_offset), choice)
        spans.update(ids)
    for path in sorted(directory.glob("*.done")):
        size_bytes = path.stat().st_size
        for _ in range(_LOG_FLIPS if size_bytes else 0):
            _flip(path, choice.randrange(size_bytes), choice)
    return Damage(len(hit), spans)


def _waiting(directory: Path) -> Iterator[tuple[Path, Found, list[int]]]:
    disk = LocalDisk()
    for name in segments_among(disk.names(directory)):
        path = directory / name.segment
        file = disk.open_to_read(path)
        try:
            size_bytes = file.size_bytes()
            records = Records(file, name, size_bytes)
            done = _done(disk, directory, name)
            for found in records.all(name.first, name.first + size_bytes):
                if found.header.sequence - name.first not in done:
                    delivery, _ = content_of(found.header, records.content(found))
                    ids = ids_of(delivery.body, delivery.content_type, delivery.content_encoding)
                    yield path, found, ids
        finally:
            file.close()


def _done(disk: LocalDisk, directory: Path, name: SegmentName) -> Places:
    try:
        file = disk.open_to_read(directory / name.done)
    except FileNotFoundError:
        return Places()
    try:
        return read_places(file, name.mark, file.size_bytes())
    finally:
        file.close()


def _flip(path: Path, offset: int, choice: random.Random) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        before = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([before ^ 1 << choice.randrange(8)]))
