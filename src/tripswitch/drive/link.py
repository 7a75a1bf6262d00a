"""The link between the wire and the judge: one Unix socket pair, records one way, frames back.

    wire ──► judge   records: body length (4 bytes), kind (1), received_ns (8), then the body
    judge ──► wire   frames: one JSON object a line

A record is a tapped request or word of a loss. A frame says how many records the judge has taken
in so far, its counters, and once that it is ready. Neither side ever waits in a system call: the
wire sends what the socket takes and leaves the rest in the tap, which is bounded.

What the judge took and did not acknowledge is lost when it dies, and counted as that, also where
it had been judged already: the count errs upwards. A record that was sent in part goes to the next
judge, whole.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from tripswitch.otlp.delivery import Signal
from tripswitch.otlp.tap import Gap, Tap, Tapped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HEADER = struct.Struct(">IBQ")
_COUNT = struct.Struct(">Q")

# One turn of the event loop hands over no more than this, so that forwarding gets its turn too.
_BYTES_PER_TURN = 1 << 20

_SEND_BUFFER_BYTES = 4 << 20
_LONGEST_FRAME_BYTES = 1 << 20

_log = structlog.get_logger(__name__)


class RecordKind(IntEnum):
    """What a record holds: a request of traces or of logs, or how many requests were lost."""

    TRACES = 1
    LOST = 2
    LOGS = 3


SIGNAL_OF: Final = {RecordKind.TRACES: Signal.TRACES, RecordKind.LOGS: Signal.LOGS}
_KIND_OF: Final = {signal: kind for kind, signal in SIGNAL_OF.items()}


class Record(NamedTuple):
    """One record as the judge sees it. ``received_ns`` is wall time at the receiver."""

    kind: RecordKind
    received_ns: int
    body: bytes

    @property
    def lost_requests(self) -> int:
        """Return how many requests a `RecordKind.LOST` record speaks of."""
        (requests,) = _COUNT.unpack(self.body)
        return int(requests)


def encode(item: Tapped | Gap) -> tuple[bytes, bytes]:
    """Return header and body of the record that carries ``item``."""
    if isinstance(item, Gap):
        body = _COUNT.pack(item.requests)
        return _HEADER.pack(len(body), RecordKind.LOST, item.received_ns), body
    return _HEADER.pack(len(item.body), _KIND_OF[item.signal], item.received_ns), item.body


class RecordParser:
    """Cuts a stream of bytes into records; keeps at most one unfinished record.

    A body is kept in the pieces it came in and joined once: bodies of megabytes would otherwise be
    copied three times, and take that much memory.
    """

    def __init__(self) -> None:
        self._header = b""
        self._begun: tuple[RecordKind, int] | None = None
        self._pieces: list[bytes] = []
        self._missing_bytes = 0

    def feed(self, data: bytes) -> list[Record]:
        """Return the records that ``data`` completes, in order. Raises ValueError on bad kinds."""
        records: list[Record] = []
        at = 0
        while True:
            if self._begun is None:
                wanted = _HEADER.size - len(self._header)
                self._header += data[at : at + wanted]
                at += wanted
                if len(self._header) < _HEADER.size:
                    return records
                self._missing_bytes, kind, received_ns = _HEADER.unpack(self._header)
                self._begun = RecordKind(kind), received_ns
                self._header = b""
            piece = data[at : at + self._missing_bytes]
            at += len(piece)
            self._missing_bytes -= len(piece)
            self._pieces.append(piece)
            if self._missing_bytes:
                return records
            records.append(Record(*self._begun, b"".join(self._pieces)))
            self._pieces.clear()
            self._begun = None


def frame(content: Mapping[str, Any]) -> bytes:
    """Return ``content`` as one frame."""
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return the wire's and the judge's end of a fresh link."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    return ours, theirs


class JudgeLink:
    """The wire's end of the link to one judge; a new judge gets a new link.

    ``sent`` and ``consumed`` count records. ``counters`` and ``ready`` are what the judge last
    said, ``heard_at_s`` when it last said anything (event loop time). ``closed`` is set when the
    other end is gone; `close` then settles what was under way.
    """

    def __init__(self, link: socket.socket, tap: Tap, on_frame: Callable[[], None]) -> None:
        link.setblocking(False)
        self._socket = link
        self._tap = tap
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()
        self._item: Tapped | Gap | None = None
        self._unsent: list[memoryview] = []
        self._unacknowledged: deque[tuple[bool, Gap]] = deque()
        self._received = bytearray()
        self._writing = False
        self.sent = 0
        self.consumed = 0
        self.ready: dict[str, Any] | None = None
        self.counters: dict[str, float] = {}
        self.heard_at_s = self._loop.time()
        self.closed = asyncio.Event()

    def open(self) -> None:
        """Start reading frames; records go once the judge has said that it is ready.

        A judge that cannot start takes nothing with it that way.
        """
        self._loop.add_reader(self._socket, self._read)

    @property
    def is_drained(self) -> bool:
        """Return whether the judge has taken in everything there was."""
        return self._tap.is_empty() and self._item is None and not self._unacknowledged

    @property
    def oldest_ns(self) -> int | None:
        """Return when the oldest record came that the judge has not taken in, None without any."""
        if self._unacknowledged:
            return self._unacknowledged[0][1].received_ns
        return self._tap.oldest_ns if self._item is None else self._item.received_ns

    def close(self) -> None:
        """Close this end; give back what was not sent, count what was sent and not taken in."""
        if self._socket.fileno() < 0:
            return
        self._tap.listen(None)
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self.closed.set()
        if self._item is not None:
            self._tap.give_back(self._item)
            self._item = None
        for is_request, gap in self._unacknowledged:
            if is_request:
                self._tap.lose(gap)
            else:
                self._tap.remember(gap)
        self._unacknowledged.clear()

    def _wake(self) -> None:
        if not self._writing and not self.closed.is_set():
            self._writing = True
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        budget = _BYTES_PER_TURN
        try:
            while budget > 0:
                if not self._unsent and not self._take():
                    self._loop.remove_writer(self._socket)
                    self._writing = False
                    return
                count = self._socket.sendmsg(self._unsent)
                budget -= count
                self._advance(count)
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()

    def _take(self) -> bool:
        self._item = self._tap.take()
        if self._item is None:
            return False
        self._unsent = [memoryview(part) for part in encode(self._item)]
        return True

    def _advance(self, count: int) -> None:
        while self._unsent and count >= len(self._unsent[0]):
            count -= len(self._unsent.pop(0))
        if self._unsent:
            self._unsent[0] = self._unsent[0][count:]
        elif self._item is not None:
            is_request = isinstance(self._item, Tapped)
            requests = 1 if isinstance(self._item, Tapped) else self._item.requests
            self._unacknowledged.append((is_request, Gap(requests, self._item.received_ns)))
            self._item = None
            self.sent += 1

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        self.heard_at_s = self._loop.time()
        self._received += data
        *lines, rest = self._received.split(b"\n")
        self._received = bytearray(rest)
        try:
            for line in lines:
                self._take_in(json.loads(line))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            _log.error("judge_unintelligible", error=type(error).__name__)
            self._hang_up()
        if len(self._received) > _LONGEST_FRAME_BYTES:
            _log.error("judge_unintelligible", error="a frame without end")
            self._hang_up()

    def _take_in(self, content: dict[str, Any]) -> None:
        if "ready" in content:
            self.ready = dict(content["ready"])
            self._tap.listen(self._wake)
        if "counters" in content:
            self.counters = {name: float(value) for name, value in content["counters"].items()}
        for _ in range(min(int(content.get("consumed", 0)), self.sent) - self.consumed):
            self._unacknowledged.popleft()
            self.consumed += 1
        self._on_frame()

    def _hang_up(self) -> None:
        """Stop using the socket; the supervisor sees ``closed`` and ends the judge."""
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._tap.listen(None)
        self.closed.set()
