"""The files of a spool, whatever has become of them: what is whole is sent, the rest counted."""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.otlp.spool.forgetful_disk import ForgetfulDisk, Inode
from tests.otlp.spool.stand import DIRECTORY, append_all, drain_all, make_spool, numbers, request
from tripswitch.otlp.delivery import Signal
from tripswitch.otlp.spool.dead_letters import DIRECTORY_NAME
from tripswitch.otlp.spool.done_log import append_places, read_places
from tripswitch.otlp.spool.record import DamagedRecordError, Header, content_of
from tripswitch.otlp.spool.segment import SegmentName
from tripswitch.otlp.spool.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable

MARK: Final = bytes(range(1, 9))
FIRST: Final = SegmentName(1, MARK)
SECOND: Final = SegmentName(4, MARK)

_PLACES: Final = 1_000
_NEW: Final = 12_345_678


def packed(first: bytes, done: bytes, second: bytes) -> bytes:
    """Return an input of `spool_files`: two segments, and the log of the first."""
    lengths = len(first).to_bytes(2, "big") + len(done).to_bytes(2, "big")
    return lengths + first + done + second


def spool_files(data: bytes) -> None:
    """It opens whatever stands in its files, sends what it can, and goes on taking requests."""
    first_bytes, done_bytes = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
    rest = data[4:]
    first, done = rest[:first_bytes], rest[first_bytes : first_bytes + done_bytes]
    disk = ForgetfulDisk()
    for folder in (DIRECTORY, DIRECTORY / DIRECTORY_NAME):
        _put(disk, folder / FIRST.segment, first)
        if done_bytes:
            _put(disk, folder / FIRST.done, done)
        if len(rest) > first_bytes + done_bytes:
            _put(disk, folder / SECOND.segment, rest[first_bytes + done_bytes :])
    for verify in (False, True):
        survey(disk, DIRECTORY, verify=verify)
    asyncio.run(_opened_and_drained(disk))
    assert disk.open_files == 0


def record_content(data: bytes) -> None:
    """Head and body behind a checksum that is right are a request, or damaged."""
    head_bytes, content = int.from_bytes(data[:2], "big"), data[2:]
    head_bytes = min(head_bytes, len(content))
    header = Header(
        1, 2, 3, Signal.TRACES, head_bytes, len(content) - head_bytes, zlib.crc32(content)
    )
    try:
        delivery, _ = content_of(header, content)
    except DamagedRecordError:
        return
    assert delivery.body == content[head_bytes:]


def done_log(data: bytes) -> None:
    """A log names places that there are; what is appended to it is read back."""
    disk = ForgetfulDisk()
    path = DIRECTORY / FIRST.done
    _put(disk, path, data)
    file = disk.open(path)
    before = read_places(file, MARK, _PLACES)
    assert len(before) <= min(_PLACES, len(data) // 8)
    append_places(file, MARK, [3, 999])
    after = read_places(file, MARK, _PLACES)
    assert 3 in after
    assert 999 in after
    file.close()


FILES: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target for target in (spool_files, record_content, done_log)
}
"""The targets that read files of the spool."""


def _put(disk: ForgetfulDisk, path: Path, content: bytes) -> None:
    disk.names_now[path] = disk.names_synced[path] = Inode(content, [], bytearray(content))


async def _opened_and_drained(disk: ForgetfulDisk) -> None:
    spool = make_spool(disk)
    await spool.open()
    sent = await drain_all(spool)
    assert len(sent) <= sum(len(each.content) for each in disk.names_now.values()) // 50 + 1
    await append_all(spool, [request(_NEW)])
    assert numbers(await drain_all(spool)) == [_NEW]
    assert spool.figures().records == 0
    await spool.close()
