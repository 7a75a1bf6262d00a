"""A real upstream on loopback: keeps every request it gets and answers as it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Pairs = tuple[tuple[str, str | bytes], ...]


class Got(NamedTuple):
    """One request as it arrived."""

    method: str
    body: bytes
    metadata: Pairs
    remaining_s: float | None


class Reply(NamedTuple):
    """What to answer; ``hold`` is waited for first."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    body: bytes = b""
    details: str = ""
    initial: Pairs = ()
    trailing: Pairs = ()
    hold: asyncio.Event | None = None


class Upstream(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """An async context manager; ``endpoint`` is where it listens."""

    def __init__(self, reply: Callable[[Got], Reply] | None = None, endpoint: str = "") -> None:
        self.got: list[Got] = []
        self.cancelled = 0
        self.reply = reply or (lambda _got: Reply())
        self.arrived = asyncio.Event()
        self.endpoint = endpoint or "127.0.0.1:0"
        self._server = grpc.aio.server(
            handlers=[self],
            options=(
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ),
        )

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler[Any, Any]:
        """Serve any method."""
        method: str = handler_call_details.method

        async def serve(body: bytes, context: Any) -> bytes:
            try:
                return await self._serve(method, body, context)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

        return grpc.unary_unary_rpc_method_handler(serve)

    async def _serve(self, method: str, body: bytes, context: Any) -> bytes:
        metadata = tuple((key, value) for key, value in context.invocation_metadata())
        got = Got(method, body, metadata, context.time_remaining())
        self.got.append(got)
        self.arrived.set()
        reply = self.reply(got)
        if reply.hold is not None:
            await reply.hold.wait()
        if reply.initial:
            await context.send_initial_metadata(reply.initial)
        if reply.code is not grpc.StatusCode.OK:
            await context.abort(reply.code, reply.details, reply.trailing)
        context.set_trailing_metadata(reply.trailing)
        return reply.body

    async def __aenter__(self) -> Self:
        port = self._server.add_insecure_port(self.endpoint)
        self.endpoint = f"127.0.0.1:{port}"
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.stop(0)
