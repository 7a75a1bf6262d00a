"""Receivers, upstream and tap on loopback, with raw clients for them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc.aio

from tripswitch.otlp.acceptance import Acceptance
from tripswitch.otlp.admission import Admission
from tripswitch.otlp.grpc_receiver import GrpcReceiver
from tripswitch.otlp.grpc_upstream import GrpcUpstream
from tripswitch.otlp.http_receiver import HttpReceiver
from tripswitch.otlp.http_upstream import HttpUpstream
from tripswitch.otlp.pipeline import Pipeline
from tripswitch.otlp.reading import Reading
from tripswitch.otlp.tap import Tap
from tripswitch.web.connections import ConnectionLimits
from tripswitch.web.listener import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.otlp.upstream import Pairs
    from tripswitch.otlp.acceptance import Mode, Spool
    from tripswitch.otlp.tls import ClientTls, ServerTls
    from tripswitch.otlp.tokens import BearerTokens
    from tripswitch.otlp.upstream import Upstream


class Relay(NamedTuple):
    """What stands between client and upstream; ``url`` is where it takes HTTP."""

    receiver: GrpcReceiver
    http: HttpReceiver
    pipeline: Pipeline
    upstream: Upstream
    tap: Tap
    endpoint: str
    url: str
    limits: ConnectionLimits


@contextlib.asynccontextmanager
async def relay(
    upstream: str,
    *,
    max_recv_msg_bytes: int = 64 << 20,
    max_concurrent_rpcs: int = 64,
    max_in_flight_bytes: int = 1 << 30,
    timeout_s: float = 10.0,
    read_timeout_s: float = 30.0,
    tap_bytes: int = 64 << 20,
    path_prefixes: Sequence[str] = (),
    headers: dict[str, str] | None = None,
    compression: Any = "none",
    mode: Mode = "upstream",
    spool: Spool | None = None,
    now_s: Callable[[], float] = time.monotonic,
    tokens: BearerTokens | None = None,
    server_tls: ServerTls | None = None,
    client_tls: ClientTls | None = None,
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[Relay]:
    """Run a relay to ``upstream``: a URL for HTTP, host and port for gRPC."""
    limits = limits or ConnectionLimits(100_000, header_timeout_s=30)
    admission = Admission(max_in_flight_bytes)
    common: dict[str, Any] = {
        "timeout_s": timeout_s,
        "headers": headers,
        "compression": compression,
        "tls": client_tls,
    }
    to: Upstream
    if upstream.startswith("http"):
        to = HttpUpstream(upstream, **common)
    else:
        to = GrpcUpstream(upstream, largest_bytes=max_recv_msg_bytes, room=admission, **common)
    tap = Tap(tap_bytes)
    pipeline = Pipeline(
        Acceptance(to, mode, spool, now_s),
        admission,
        Reading(tap, max_bytes=max_recv_msg_bytes),
    )
    receiver = GrpcReceiver(
        pipeline,
        max_recv_msg_bytes=max_recv_msg_bytes,
        max_concurrent_rpcs=max_concurrent_rpcs,
        read_timeout_s=read_timeout_s,
        tls=server_tls,
        tokens=tokens,
    )
    http = HttpReceiver(
        pipeline,
        max_body_bytes=max_recv_msg_bytes,
        max_concurrent_requests=max_concurrent_rpcs,
        read_timeout_s=read_timeout_s,
        path_prefixes=path_prefixes,
        tokens=tokens,
    )
    port = await receiver.start("127.0.0.1:0")
    listener = await Listener.start(
        http,
        "127.0.0.1:0",
        "receivers.otlp.protocols.http.endpoint",
        limits=limits,
        tls=None if server_tls is None else server_tls.ssl_context(),
    )
    scheme = "http" if server_tls is None else "https"
    url = f"{scheme}://{listener.endpoint}"
    try:
        yield Relay(receiver, http, pipeline, to, tap, f"127.0.0.1:{port}", url, limits)
    finally:
        await receiver.stop(0)
        await listener.stop(0)
        await to.close()


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
