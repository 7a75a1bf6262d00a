"""The upstream over gRPC: one unary call passed on, and its answer brought back.

The body is never parsed and never serialised again. What the upstream answers (response bytes,
initial and trailing metadata, status code, details) comes back as it is, because partial success,
RetryInfo and the code itself steer the client. The one thing that is ours is failure inside this
process: that is UNAVAILABLE, which every OTLP client may retry, and never UNKNOWN or INTERNAL,
which make clients drop data.

Source: OTLP specification, "OTLP/gRPC" (failures, throttling, retryable codes).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Literal

import grpc
import grpc.aio
import structlog

from tripswitch.otlp.crossing import is_heavy, to_grpc
from tripswitch.otlp.delivery import Delivery
from tripswitch.otlp.headers import of_a_grpc_request, of_grpc_trailers, overridden
from tripswitch.otlp.replies import GrpcReply, no_answer_in, no_room, refusal
from tripswitch.otlp.upstream import time_upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.otlp.admission import Admission
    from tripswitch.otlp.delivery import Metadata
    from tripswitch.otlp.replies import Reply
    from tripswitch.otlp.tls import ClientTls

GrpcCompression = Literal["none", "gzip", "deflate"]

_SHORTEST_RESPONSE_LIMIT_BYTES: Final = 4 << 20

# What is being unpacked is in memory before its size is known.
_UNPACKED_AT_ONCE: Final = 2

_RECONNECT_FIRST_MS: Final = 200
_RECONNECT_LONGEST_MS: Final = 2_000

_COMPRESSIONS: Final = {
    "none": None,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}

_log = structlog.get_logger(__name__)


class GrpcUpstream:
    """A channel to one upstream. ``timeout_s`` holds where the client set no deadline.

    ``largest_bytes`` is the largest request that a receiver accepts; requests are sent whatever
    their size, responses are accepted up to this or 4 MiB, whichever is more. ``headers``
    (lower-case keys) are sent with every request, in place of the client's of that name. What
    unpacks on the way from HTTP takes its room from ``room``, where one is given.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        timeout_s: float,
        largest_bytes: int,
        headers: Mapping[str, str] | None = None,
        compression: GrpcCompression = "none",
        tls: ClientTls | None = None,
        room: Admission | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self.in_flight = 0
        self._largest_bytes = largest_bytes
        self._headers = dict(headers or {})
        self._compression = _COMPRESSIONS[compression]
        self._tls = tls
        self._room = room
        self._unpacking = ThreadPoolExecutor(_UNPACKED_AT_ONCE, "unpack")
        self._channel = self._connect()
        self._leaving: set[asyncio.Task[None]] = set()

    async def send(
        self, delivery: Delivery, remaining_s: float | None, patience_s: float | None = None
    ) -> Reply:
        """Send a request, made into gRPC where it came over HTTP; see `Upstream.send`."""
        self.in_flight += 1
        try:
            crossed = await self._crossed(delivery)
            if not isinstance(crossed, Delivery):
                return crossed
            self._connect_anew_where_needed()
            async with asyncio.timeout(patience_s):
                if crossed is delivery:
                    return await self._call(delivery, remaining_s)
                return await self._call_within_room(crossed, remaining_s)
        except TimeoutError:
            return no_answer_in(patience_s or self.timeout_s)
        except Exception as error:  # noqa: BLE001 - a fault of ours must reach clients as retryable
            _log.error("forward_failed", address=delivery.address, error=type(error).__name__)
            return refusal(grpc.StatusCode.UNAVAILABLE, "tripswitch could not forward")
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        await self._channel.close(None)
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        self._unpacking.shutdown(wait=False)

    async def _crossed(self, delivery: Delivery) -> Delivery | Reply:
        if delivery.protocol == "grpc":
            return delivery
        if not is_heavy(delivery):
            return to_grpc(delivery, self._largest_bytes)
        return await asyncio.get_running_loop().run_in_executor(
            self._unpacking, to_grpc, delivery, self._largest_bytes
        )

    async def _call_within_room(self, delivery: Delivery, remaining_s: float | None) -> Reply:
        size_bytes = len(delivery.body)
        if self._room is None:
            return await self._call(delivery, remaining_s)
        if not self._room.reserve(size_bytes):
            return no_room(self._room.max_bytes)
        try:
            return await self._call(delivery, remaining_s)
        finally:
            self._room.release(size_bytes)

    async def _call(self, delivery: Delivery, remaining_s: float | None) -> GrpcReply:
        invoke = self._channel.unary_unary(delivery.address, None, None)
        call: Any = invoke(
            delivery.body,
            timeout=self.timeout_s if remaining_s is None else time_upstream(remaining_s),
            metadata=overridden(delivery.metadata, self._headers),
            compression=self._compression,
        )
        try:
            response: bytes = await call
        except grpc.aio.AioRpcError as error:
            return GrpcReply(
                error.code(),
                details=error.details() or "",
                initial_metadata=of_a_grpc_request(_pairs(error.initial_metadata())),
                trailing_metadata=of_grpc_trailers(_pairs(error.trailing_metadata())),
            )
        except asyncio.CancelledError:
            call.cancel()
            raise
        return GrpcReply(
            grpc.StatusCode.OK,
            response,
            await call.details() or "",
            of_a_grpc_request(_pairs(await call.initial_metadata())),
            of_grpc_trailers(_pairs(await call.trailing_metadata())),
        )

    def _connect(self) -> grpc.aio.Channel:
        options: list[tuple[str, int | str]] = [
            ("grpc.max_send_message_length", -1),
            (
                "grpc.max_receive_message_length",
                max(self._largest_bytes, _SHORTEST_RESPONSE_LIMIT_BYTES),
            ),
            # gRPC would wait up to 120 s before it tries a restarted upstream again, longer than
            # any OTLP client keeps a batch.
            ("grpc.initial_reconnect_backoff_ms", _RECONNECT_FIRST_MS),
            ("grpc.min_reconnect_backoff_ms", _RECONNECT_FIRST_MS),
            ("grpc.max_reconnect_backoff_ms", _RECONNECT_LONGEST_MS),
        ]
        if self._tls is None:
            return grpc.aio.insecure_channel(self.endpoint, options=options)
        if self._tls.server_name:
            options.append(("grpc.ssl_target_name_override", self._tls.server_name))
        return grpc.aio.secure_channel(self.endpoint, self._tls.grpc_credentials(), options=options)

    def _connect_anew_where_needed(self) -> None:
        if self._tls is None or not self._tls.changed():
            return
        left, self._channel = self._channel, self._connect()
        # What is under way on the old channel finishes there.
        task = asyncio.get_running_loop().create_task(left.close(self.timeout_s))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _pairs(metadata: Any) -> Metadata:
    return () if metadata is None else tuple((str(key), value) for key, value in metadata)
