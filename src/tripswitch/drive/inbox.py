"""The judge's end of the link: records come in, are bundled into batches, frames go out.

Many requests read at once cost less than one by one, and nobody waits for the answer, so a batch
is everything that is there, up to 4 MiB or 256 records, and a small batch waits up to 50 ms for
company. While a full batch waits to be taken the socket is not read: what piles up does so in the
tap, where it is bounded and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

from tripswitch.drive.link import Record, RecordParser, frame

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

BATCH_BYTES = 4 << 20
BATCH_RECORDS = 256
COMPANY_S = 0.05

# Frames are cumulative, so one that is not sent is made good by the next.
_MOST_UNSENT_BYTES = 1 << 20


class Inbox(asyncio.Protocol):
    """Collects records. ``is_closed`` is set when the wire is gone or has asked to stop."""

    def __init__(self) -> None:
        self.is_closed = False
        self._parser = RecordParser()
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._transport: Any = None

    @classmethod
    async def open(cls, link: socket.socket) -> Inbox:
        """Return the inbox of ``link``, a connected Unix stream socket."""
        inbox = cls()
        await asyncio.get_running_loop().create_unix_connection(lambda: inbox, sock=link)
        return inbox

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to pause it and to write to it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Cut records out of ``data``; stop reading once a batch is full."""
        for record in self._parser.feed(data):
            self._records.append(record)
            self._bytes += len(record.body)
        if self._records:
            self._some.set()
        if self._is_full():
            self._full.set()
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Let whoever waits for a batch see the end."""
        self.is_closed = True
        self._some.set()
        self._full.set()

    async def batch(self) -> list[Record]:
        """Wait for records and return some, in order; empty when no more will come."""
        await self._some.wait()
        if not self._full.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), COMPANY_S)
        batch: list[Record] = []
        taken_bytes = 0
        while self._records and len(batch) < BATCH_RECORDS and taken_bytes < BATCH_BYTES:
            record = self._records.popleft()
            taken_bytes += len(record.body)
            batch.append(record)
        self._bytes -= taken_bytes
        if not self.is_closed:
            if not self._records:
                self._some.clear()
            if not self._is_full():
                self._full.clear()
                self._transport.resume_reading()
        return batch

    def send(self, content: Mapping[str, Any]) -> None:
        """Send one frame, unless the wire has stopped reading them."""
        if not self.is_closed and self._transport.get_write_buffer_size() < _MOST_UNSENT_BYTES:
            self._transport.write(frame(content))

    def _is_full(self) -> bool:
        return self._bytes >= BATCH_BYTES or len(self._records) >= BATCH_RECORDS
