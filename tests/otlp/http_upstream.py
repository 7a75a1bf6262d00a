"""A real HTTP upstream on loopback: keeps every request it gets and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tripswitch.web.connections import ConnectionLimits
from tripswitch.web.listener import Listener

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType

HeaderPairs = tuple[tuple[str, str], ...]


class HttpGot(NamedTuple):
    """One request as it arrived; ``target`` is path and query as on the wire."""

    target: str
    headers: HeaderPairs
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, None where it was not sent."""
        return dict(self.headers).get(name)


class HttpAnswer(NamedTuple):
    """What to answer; ``hold`` is waited for first. A status of 0 hangs up instead."""

    status: int = 200
    body: bytes = b""
    headers: HeaderPairs = (("content-type", "application/x-protobuf"),)
    hold: asyncio.Event | None = None


class HttpUpstream:
    """An async context manager; ``url`` is where it listens."""

    def __init__(
        self,
        answer: Callable[[HttpGot], HttpAnswer] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.got: list[HttpGot] = []
        self.left = 0
        self.answer = answer or (lambda _got: HttpAnswer())
        self.arrived = asyncio.Event()
        self.url = ""
        self._tls = tls
        self._stack = contextlib.AsyncExitStack()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        pieces: list[bytes] = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                # What arrived of the body is no request.
                return
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"".join(pieces)
        target = scope["raw_path"].decode()
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode()
        headers = tuple((key.decode(), value.decode("latin-1")) for key, value in scope["headers"])
        got = HttpGot(target, headers, body)
        self.got.append(got)
        self.arrived.set()
        answer = self.answer(got)
        if answer.hold is not None:
            holding = asyncio.ensure_future(answer.hold.wait())
            leaving = asyncio.ensure_future(receive())
            await asyncio.wait({holding, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                self.left += 1
            holding.cancel()
            leaving.cancel()
        length = str(len(answer.body)).encode()
        lines = [(key.encode(), value.encode("latin-1")) for key, value in answer.headers]
        lines.append((b"content-length", length))
        await send({"type": "http.response.start", "status": answer.status, "headers": lines})
        await send({"type": "http.response.body", "body": answer.body})

    async def __aenter__(self) -> Self:
        listener = await Listener.start(
            self,
            "127.0.0.1:0",
            "tests",
            limits=ConnectionLimits(100_000, idle_timeout_s=60, max_header_bytes=1 << 20),
            tls=self._tls,
        )
        self._stack.push_async_callback(listener.stop, 0)
        scheme = "http" if self._tls is None else "https"
        self.url = f"{scheme}://{listener.endpoint}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
