"""The sockets: anything that a client may send to them, and an upstream may answer.

Whatever comes, the connection ends, nothing stays reserved, no fault of ours is logged, and the
next client is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
import grpc.aio
from structlog.testing import capture_logs

from tests.otlp.raw_http import PROTOBUF, post
from tests.otlp.raw_http2 import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    call,
    frame,
    headers_block,
    opening,
)
from tests.otlp.relay import client, relay, until
from tests.otlp.upstream import Upstream
from tripswitch.otlp.delivery import Delivery, Signal
from tripswitch.otlp.grpc_receiver import TRACES_METHOD
from tripswitch.otlp.http_upstream import HttpUpstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tests.otlp.relay import Relay

# What tripswitch logs where something has gone wrong that it did not foresee.
_FAULTS: Final = frozenset({"receive_failed", "forward_failed", "http_answer_failed", "tap_failed"})

_END_S: Final = 20.0
_PATH: Final = TRACES_METHOD.encode("ascii")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 (\d{3})")
_DELIVERY: Final = Delivery("http", "/v1/traces", Signal.TRACES, (), b"x", 1, PROTOBUF)


class WireTargets:
    """A context manager: receivers with an upstream, to be sent anything."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self._faults: list[str] = []
        self._answer = b""

    def __enter__(self) -> Self:
        self._runner.run(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def http(self, data: bytes) -> None:
        """Send ``data`` to the HTTP port."""
        self._runner.run(self._attack(data, self._between.url.removeprefix("http://")))

    def grpc(self, data: bytes) -> None:
        """Send the gRPC port ``data``: bare, as frames, as the body of a call, or as its headers.

        The first byte says which.
        """
        way, rest = (data[0] % 4 if data else 0), data[1:]
        if way == 1:
            rest = opening() + rest
        elif way == 2:
            rest = call(_PATH, rest, (b"grpc-encoding", b"gzip"))
        elif way == 3:
            block = headers_block(_PATH) + rest[: (1 << 14) - 200]
            rest = opening() + frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
        self._runner.run(self._attack(rest, self._between.endpoint))

    def answer(self, data: bytes) -> None:
        """Have an HTTP upstream answer ``data``."""
        self._runner.run(self._ask(data))

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._note_fault)
        upstream = await self._stack.enter_async_context(Upstream())
        self._upstream = upstream
        self._between: Relay = await self._stack.enter_async_context(
            relay(upstream.endpoint, read_timeout_s=1.0, max_recv_msg_bytes=1 << 20)
        )
        self._channel = await self._stack.enter_async_context(client(self._between.endpoint))
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._stack.push_async_callback(_closed, server)
        port = server.sockets[0].getsockname()[1]
        self._to = HttpUpstream(f"http://127.0.0.1:{port}", timeout_s=_END_S)
        self._stack.push_async_callback(self._to.close)

    def _note_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # What ends gRPC's server is told to the loop too; the receiver sees to it.
        if not isinstance(context.get("exception"), UnicodeDecodeError):
            self._faults.append(str(context))

    async def _attack(self, data: bytes, endpoint: str) -> None:
        with capture_logs() as said:
            async with asyncio.timeout(_END_S):
                back = await _told(data, endpoint)
            statuses = _STATUS_LINE.findall(back) if endpoint in self._between.url else []
            assert b"500" not in statuses
            await until(lambda: self._between.pipeline.admission.in_flight_bytes == 0, _END_S)
            await until(lambda: self._between.receiver.in_flight == 0, _END_S)
            assert (await post(self._between.url, "/v1/traces", b"")).status == 200
            async with asyncio.timeout(_END_S):
                while not await self._is_served():
                    pass
        self._look_for_faults(said)

    async def _is_served(self) -> bool:
        """Return whether the next client is; it may have to come again while gRPC restarts."""
        export: Any = self._channel.unary_unary(TRACES_METHOD, None, None)
        try:
            answer: bytes = await export(b"", timeout=_END_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                raise
            return False
        return answer == b""

    async def _ask(self, data: bytes) -> None:
        self._answer = data
        with capture_logs() as said:
            reply = await self._to.send(_DELIVERY, None)
            assert reply.is_ok or reply.name
        self._look_for_faults(said)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\nx")
            writer.write(self._answer)
            await writer.drain()
        writer.close()

    def _look_for_faults(self, said: Any) -> None:
        self._upstream.got.clear()
        while self._between.tap.take() is not None:
            pass
        assert self._faults == []
        assert [each for each in said if each["event"] in _FAULTS] == []


SOCKETS: Final[dict[str, Callable[[WireTargets, bytes], None]]] = {
    target.__name__: target for target in (WireTargets.http, WireTargets.grpc, WireTargets.answer)
}
"""The targets behind a socket."""


async def _told(data: bytes, endpoint: str) -> bytes:
    """Send ``data`` and the end of it; return all that comes back."""
    host, _, port = endpoint.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    back = b""
    try:
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        while piece := await reader.read(1 << 16):
            back += piece
    except (ConnectionError, OSError):
        pass
    finally:
        writer.transport.abort()
    return back


async def _closed(server: asyncio.Server) -> None:
    server.close()
