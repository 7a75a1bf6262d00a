"""One connection over HTTP/1.1 to an upstream, on asyncio with httptools' parser.

A general HTTP client costs ten times the processor time of what is needed here: requests whose
head is ready and whose body is in memory, answers of a few bytes. What is kept of one:

- an answer may come before the whole request is sent (413 does); the rest is then not sent, and
  an answer that came together with a reset still counts;
- a connection is used again only where both sides are done with it and the upstream agrees;
- interim answers (1xx) are passed over, trailers are not part of an answer's headers;
- an answer is bounded: its head is an error beyond `MAX_HEAD_BYTES`, its body is cut off.

Source: RFC 9112 (message format, section 9.3 on persistence), RFC 9110 section 15.2 (1xx).
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HEAD_BYTES: Final = 64 << 10
"""Most bytes of an answer's headers, of its trailers, and of framing without content."""

# The transport keeps a copy of what it could not send at once; pieces keep that copy small.
_PIECE_BYTES: Final = 256 << 10

# Below this, head and body go out in one system call and one packet.
_JOINED_BYTES: Final = 64 << 10

_CHUNKED: Final = b"chunked"


class HungUpError(Exception):
    """The connection ended, or spoke no HTTP, before there was an answer."""


class Answer(NamedTuple):
    """An answer. ``headers`` are as they came; ``body`` is None where it was cut off."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | None


class HttpConnection(asyncio.Protocol):
    """One connection; make it by ``loop.create_connection``. It carries one request at a time.

    ``on_lost`` is called once when it has ended. ``idle_since_s`` is for whoever keeps it.
    """

    def __init__(self, max_body_bytes: int, on_lost: Callable[[HttpConnection], None]) -> None:
        self.idle_since_s = 0.0
        self._max_body_bytes = max_body_bytes
        self._on_lost = on_lost
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._answer: asyncio.Future[Answer | HungUpError] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_paused = False
        self._is_lost = False
        self._is_all_sent = False
        self._is_reusable = False
        self._begin_answer()

    @property
    def is_reusable(self) -> bool:
        """Return whether another request may be sent."""
        return self._is_reusable and not self._transport.is_closing()

    @property
    def has_begun_answer(self) -> bool:
        """Return whether any byte of the answer to the last request has come."""
        return self._has_begun

    async def post(self, head: bytes, body: bytes) -> Answer:
        """Send a request, ``head`` with its empty line, and return the answer.

        Raises HungUpError where there is none. Cancelled, it ends the connection.
        """
        if self._is_lost:
            raise HungUpError("the connection is closed")
        self._begin_answer()
        self._is_reusable = self._is_all_sent = False
        answer: asyncio.Future[Answer | HungUpError] = asyncio.get_running_loop().create_future()
        self._answer = answer
        try:
            await self._send(head, body, answer)
            answered = await answer
        except BaseException:
            self._is_reusable = False
            raise
        finally:
            self._answer = None
            if not self._is_reusable:
                self.abort()
        if isinstance(answered, HungUpError):
            raise answered
        return answered

    def abort(self) -> None:
        """Close the connection at once; nothing that is still buffered would be of use."""
        if self._transport is not None:
            self._transport.abort()

    async def _send(
        self, head: bytes, body: bytes, answer: asyncio.Future[Answer | HungUpError]
    ) -> None:
        if len(head) + len(body) <= _JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            view = memoryview(body)
            for start in range(0, len(body), _PIECE_BYTES):
                if self._is_paused:
                    await self._until_drained()
                if answer.done():
                    return
                self._transport.write(view[start : start + _PIECE_BYTES])
        self._is_all_sent = True

    async def _until_drained(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()
        try:
            await self._drained
        finally:
            self._drained = None

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Take in what an upstream said before it hung up; otherwise there is no answer."""
        self._is_lost = True
        if exc is not None and self._answer is not None:
            self._read_what_is_left()
        if exc is None:
            self._settle_at_end()
        self._fail(HungUpError(type(exc).__name__ if exc else "closed without an answer"))
        self.resume_writing()
        self._on_lost(self)

    def pause_writing(self) -> None:
        """Let the sender wait."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Let the sender go on."""
        self._is_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Parse what came; anything that is no answer to a request ends the connection."""
        if self._answer is None:
            self._is_reusable = False
            self.abort()
            return
        self._has_begun = True
        self._unclaimed_bytes += len(data)
        try:
            self._parser.feed_data(data)
            if self._unclaimed_bytes > MAX_HEAD_BYTES:
                self._fail(HungUpError("the head of the answer is too large"))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(HungUpError("the answer is no HTTP"))

    # The parser's side.

    def on_message_begin(self) -> None:
        """Refuse a second answer."""
        if self._answer is None or self._answer.done():
            raise ValueError("an answer that was not asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what comes after the body are trailers."""
        name = name.lower()
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("too large")
        self._unclaimed_bytes = 0
        if self._is_head_complete:
            return
        if name == b"transfer-encoding":
            self._has_end = True
            if value.strip().lower() != _CHUNKED:
                # Its body would come out packed, with nobody told.
                raise ValueError("a transfer-encoding that was not asked for")
        elif name == b"content-length":
            self._has_end = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note that the body comes next."""
        self._is_head_complete = True
        self._unclaimed_bytes = 0

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body; beyond the bound the answer is what there is of it."""
        self._unclaimed_bytes = 0
        self._body_bytes += len(piece)
        if self._body_bytes > self._max_body_bytes:
            self._settle(None)
        else:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        """Settle the answer; an interim one is followed by another."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._begin_answer()
            self._has_begun = True
            return
        if self._answer is not None and not self._answer.done():
            self._is_reusable = self._parser.should_keep_alive() and self._is_all_sent_off()
            self._settle(b"".join(self._body))

    def _begin_answer(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._unclaimed_bytes = 0
        self._has_begun = False
        self._is_head_complete = False
        self._has_end = False

    def _is_all_sent_off(self) -> bool:
        return self._is_all_sent and not self._transport.get_write_buffer_size()

    def _read_what_is_left(self) -> None:
        """Parse what the kernel still holds of a connection that was reset while sending to it.

        Not over TLS, where it would have to be decrypted first.
        """
        if self._transport.get_extra_info("sslcontext") is not None:
            return
        socket = self._transport.get_extra_info("socket")
        try:
            while self._answer is not None and not self._answer.done():
                data = os.read(socket.fileno(), 1 << 16)
                if not data:
                    return
                self.data_received(data)
        except OSError:
            return

    def _settle_at_end(self) -> None:
        """Settle an answer whose body lasts until the connection ends."""
        if self._is_head_complete and not self._has_end:
            self._is_reusable = False
            self._settle(b"".join(self._body))

    def _settle(self, body: bytes | None) -> None:
        if self._answer is not None and not self._answer.done():
            status = self._parser.get_status_code()
            self._answer.set_result(Answer(status, self._headers, body))
            self.resume_writing()

    def _fail(self, error: HungUpError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(error)
            self.resume_writing()
        self._is_reusable = False
        if not self._is_lost:
            self.abort()
