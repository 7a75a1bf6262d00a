"""A receiver, forwarder and tap on loopback, with raw clients for it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc.aio

from tripswitch.otlp.forwarder import Forwarder
from tripswitch.otlp.grpc_receiver import GrpcReceiver
from tripswitch.otlp.tap import Tap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.otlp.upstream import Pairs


class Relay(NamedTuple):
    """What stands between client and upstream."""

    receiver: GrpcReceiver
    forwarder: Forwarder
    tap: Tap
    endpoint: str


@contextlib.asynccontextmanager
async def relay(
    upstream: str,
    *,
    max_recv_msg_bytes: int = 64 << 20,
    max_concurrent_rpcs: int = 64,
    timeout_s: float = 10.0,
    tap_bytes: int = 64 << 20,
) -> AsyncIterator[Relay]:
    """Run a relay to ``upstream``."""
    forwarder = Forwarder(upstream, timeout_s=timeout_s, largest_bytes=max_recv_msg_bytes)
    tap = Tap(tap_bytes)
    receiver = GrpcReceiver(
        forwarder,
        tap,
        max_recv_msg_bytes=max_recv_msg_bytes,
        max_concurrent_rpcs=max_concurrent_rpcs,
    )
    port = await receiver.start("127.0.0.1:0")
    try:
        yield Relay(receiver, forwarder, tap, f"127.0.0.1:{port}")
    finally:
        await receiver.stop(0)
        await forwarder.close()


@contextlib.asynccontextmanager
async def client(endpoint: str) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel of its own to ``endpoint``, without limits."""
    channel = grpc.aio.insecure_channel(
        endpoint,
        options=(
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),
        ),
    )
    try:
        yield channel
    finally:
        await channel.close(None)


async def until(condition: Callable[[], object], longest_s: float = 20.0) -> None:
    """Wait until ``condition`` holds. Raises TimeoutError when it does not in time."""
    async with asyncio.timeout(longest_s):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


async def send(
    channel: grpc.aio.Channel,
    method: str,
    body: bytes,
    metadata: Pairs = (),
    timeout_s: float | None = 10.0,
) -> bytes:
    """Send ``body`` as it is and return the answer's body."""
    call: Any = channel.unary_unary(method, None, None)(body, metadata=metadata, timeout=timeout_s)
    response: bytes = await call
    return response
