"""Connections that are slow, silent or too many, cut off before they cost anybody else.

Uvicorn bounds the time between two requests; what it leaves open is a connection that never sends
its first request, or sends its headers a byte at a time. Each connection here has until
``header_timeout_s`` for the headers of a request, from when it was made or from when the last
answer ended for the first byte on. Beyond ``max_connections`` the connection that has waited
longest without a request is closed to make way, or else the one that has been sending the body of
one for longest; only where every one of them waits for its answer is the new one closed.

The parser is httptools', in C, at a fifth of the cost of one in Python. It bounds nothing, and
takes the body of a request that also asks for another protocol for that protocol's; both are made
good here.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

_TARGET: Final = re.compile(rb"[\x21-\x7e]+")


@dataclass(slots=True)
class ConnectionLimits:
    """The limits of one listener, in force from when they are set.

    Times in s. ``max_header_bytes`` bounds request line and headers, and whatever else is framing
    without content. ``closed`` counts connections cut off.
    """

    max_connections: int = 128
    header_timeout_s: float = 10.0
    idle_timeout_s: float = 5.0
    max_header_bytes: int = 16 << 10
    closed: int = 0
    waiting: dict[GuardedConnection, None] = field(default_factory=dict, repr=False)
    serving: dict[GuardedConnection, None] = field(default_factory=dict, repr=False)

    def protocol(self) -> Callable[..., GuardedConnection]:
        """Return what makes a connection within these limits, as uvicorn's ``http`` setting."""

        def make(**settings: Any) -> GuardedConnection:
            return GuardedConnection(self, **settings)

        return make

    def eldest(self) -> GuardedConnection | None:
        """Return the connection that makes way first, None where all wait for an answer."""
        eldest = next(iter(self.waiting), None)
        return eldest or next((each for each in self.serving if each.is_sending), None)


class GuardedConnection(HttpToolsProtocol):
    """One HTTP/1.1 connection that is given up when it is silent for too long."""

    def __init__(self, limits: ConnectionLimits, **settings: Any) -> None:
        super().__init__(**settings)
        self._limits = limits
        self._headers_due: asyncio.TimerHandle | None = None
        self._is_in_body = False
        self._header_bytes = 0
        self._unclaimed_bytes = 0
        self._deferred: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make way for the connection where there are too many, and start its time."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            (self._limits.eldest() or self).cut_off()
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Take in what came; the time for headers ends when they are all there."""
        self._feed(data)
        if self.is_serving:
            self._stop_waiting()
            self._limits.serving[self] = None
        elif self._headers_due is None:
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        self._limits.serving.pop(self, None)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._is_in_body = False
        self._header_bytes = self._unclaimed_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a piece of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header and keep it; trailers are nobody's."""
        self._count(len(name) + len(value) + 4)
        if self._is_in_body:
            return
        if name.lower() == b"transfer-encoding" and value.strip().lower() != b"chunked":
            # Its body would come out packed, with nobody told.
            raise ValueError("a transfer-encoding that is not supported")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Serve the request, with its target exactly as it came."""
        self._is_in_body = True
        if not _TARGET.fullmatch(self.url):
            raise ValueError("a target that is not of visible characters")
        if self.parser.should_upgrade():
            self._deferred = self._without_upgrade()
            return
        super().on_headers_complete()
        path, _, query = self.url.partition(b"?")
        self.scope["raw_path"] = path
        self.scope["query_string"] = query

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._unclaimed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body; there is none yet where another protocol was asked for."""
        if self._deferred is None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Count the connection among those that may make way again."""
        self.timeout_keep_alive = self._limits.idle_timeout_s  # type: ignore[assignment]
        super().on_response_complete()
        if not self.is_serving:
            self._limits.serving.pop(self, None)
        if not self.transport.is_closing() and not self.is_serving:
            self._limits.waiting[self] = None

    @property
    def is_serving(self) -> bool:
        """Return whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_sending(self) -> bool:
        """Return whether the request under way has not all come yet."""
        return self.cycle is not None and self.cycle.more_body

    def cut_off(self) -> None:
        """Close the connection at once, unsent bytes and all."""
        self._limits.closed += 1
        self._stop_waiting()
        self._limits.serving.pop(self, None)
        self.transport.abort()

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._unclaimed_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._unclaimed_bytes > self._limits.max_header_bytes:
                self._refuse()
        except httptools.HttpParserUpgrade as upgrade:
            head, self._deferred = self._deferred, None
            if head is None:
                self._refuse()
                return
            # The request is served as if it had not asked, which RFC 9110 section 7.8 allows.
            (taken,) = upgrade.args
            self.parser = httptools.HttpRequestParser(self)
            self._feed(head + data[taken:])
        except httptools.HttpParserError:
            self._refuse()

    def _without_upgrade(self) -> bytes | None:
        """Return the head just parsed without the header that asks for another protocol."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            return None
        lines = [method + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join((*lines, b"", b""))

    def _count(self, size_bytes: int) -> None:
        self._unclaimed_bytes = 0
        self._header_bytes += size_bytes
        if self._header_bytes > self._limits.max_header_bytes:
            raise ValueError("headers beyond the limit")

    def _refuse(self) -> None:
        """Answer what is no HTTP, or not within the limits, unless something was answered."""
        if self.is_serving:
            self.transport.abort()
        elif not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")

    def _wait_for_headers(self) -> None:
        if self.transport.is_closing():
            return
        self._limits.waiting[self] = None
        self._headers_due = self.loop.call_later(self._limits.header_timeout_s, self.cut_off)

    def _stop_waiting(self) -> None:
        self._limits.waiting.pop(self, None)
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None
