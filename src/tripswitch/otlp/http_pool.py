"""The connections to one HTTP upstream: kept, used again, and closed when they grew old.

An upstream may hang up on an idle connection just as a request goes out on it. That says nothing
about the request, so one that got no byte of an answer on a kept connection is sent once more, on
a new one. On a new connection it is the upstream that hung up, and nobody's guess what it did.

Source: RFC 9112 section 9.3.1 (retrying requests).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from tripswitch.otlp.http_connection import Answer, HttpConnection, HungUpError

if TYPE_CHECKING:
    from tripswitch.otlp.tls import ClientTls

IDLE_S: Final = 30.0
"""Longest a connection is kept without a request; the Collector closes after a minute."""

MAX_CONNECTIONS: Final = 256

MAX_RESPONSE_BYTES: Final = 4 << 20
"""Most of an answer that is read; OTLP recommends 4 MiB."""

# How long the first address of a name is waited for before the second is tried too (RFC 8305).
_NEXT_ADDRESS_S: Final = 0.25

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where an upstream listens. ``authority`` is what the Host header says."""

    host: str
    port: int
    is_tls: bool
    authority: str
    prefix: str


def origin_of(url: str) -> Origin:
    """Return the parts of an ``http://`` or ``https://`` URL; a trailing slash is no prefix."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    authority = f"[{host}]" if ":" in host else host
    if port != _DEFAULT_PORTS[parts.scheme]:
        authority = f"{authority}:{port}"
    return Origin(host, port, parts.scheme == "https", authority, parts.path.rstrip("/"))


class HttpPool:
    """At most `MAX_CONNECTIONS` connections to ``origin``; more requests wait for their turn.

    Raises OSError or ValueError where the files of ``tls`` cannot be used.
    """

    def __init__(self, origin: Origin, tls: ClientTls | None) -> None:
        self._origin = origin
        self._server_name: str | None = None
        self._context: ssl.SSLContext | None = None
        if origin.is_tls:
            self._context = ssl.create_default_context() if tls is None else tls.ssl_context()
            self._context.set_alpn_protocols(["http/1.1"])
            self._server_name = (tls.server_name if tls is not None else "") or origin.host
        self._places = asyncio.Semaphore(MAX_CONNECTIONS)
        self._all: set[HttpConnection] = set()
        self._idle: list[HttpConnection] = []
        self._is_leaving = False

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._all)

    async def post(self, head: bytes, body: bytes) -> Answer:
        """Send one request and return its answer.

        Raises OSError where the upstream cannot be reached, HungUpError where it hung up.
        """
        async with self._places:
            kept = self._kept()
            if kept is not None:
                try:
                    return await self._exchange(kept, head, body)
                except HungUpError:
                    if kept.has_begun_answer:
                        raise
            return await self._exchange(await self._connect(), head, body)

    def leave(self) -> None:
        """Close each connection as soon as nothing is under way on it."""
        self._is_leaving = True
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def close(self) -> None:
        """Close every connection; requests under way fail."""
        self.leave()
        for connection in tuple(self._all):
            connection.abort()

    async def _exchange(self, connection: HttpConnection, head: bytes, body: bytes) -> Answer:
        answer = await connection.post(head, body)
        if not connection.is_reusable:
            return answer
        if self._is_leaving:
            connection.abort()
        else:
            connection.idle_since_s = asyncio.get_running_loop().time()
            self._idle.append(connection)
        return answer

    def _kept(self) -> HttpConnection | None:
        """Return the connection used last; those that are too old are closed."""
        oldest_s = asyncio.get_running_loop().time() - IDLE_S
        while self._idle and self._idle[0].idle_since_s < oldest_s:
            self._idle.pop(0).abort()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
        return None

    async def _connect(self) -> HttpConnection:
        _, connection = await asyncio.get_running_loop().create_connection(
            self._made,
            self._origin.host,
            self._origin.port,
            ssl=self._context,
            server_hostname=self._server_name,
            happy_eyeballs_delay=_NEXT_ADDRESS_S,
        )
        self._all.add(connection)
        return connection

    def _made(self) -> HttpConnection:
        return HttpConnection(MAX_RESPONSE_BYTES, self._forget)

    def _forget(self, connection: HttpConnection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
