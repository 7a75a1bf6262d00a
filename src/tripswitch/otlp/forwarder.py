"""The forwarder: one unary gRPC call passed on to the upstream, and its answer brought back.

The body is never parsed and never serialised again. What the upstream answers (response bytes,
initial and trailing metadata, status code, details) comes back as it is, because partial success,
RetryInfo and the code itself steer the client. The one thing that is ours is failure inside this
process: that is UNAVAILABLE, which every OTLP client may retry, and never UNKNOWN or INTERNAL,
which make clients drop data.

Source: OTLP specification, "OTLP/gRPC" (failures, throttling, retryable codes); gRPC over HTTP/2
protocol, "Request-Headers" (which metadata belongs to the hop).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

Metadata = tuple[tuple[str, str | bytes], ...]
"""Metadata in the order it came; a key may occur more than once, ``-bin`` values are bytes."""

RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes after which an OTLP client sends the same request again (OTLP specification, "Failures").

RESOURCE_EXHAUSTED joins them when the answer carries RetryInfo: `Answer.is_retryable`.
"""

RETRY_INFO_TRAILERS = ("google.rpc.retryinfo-bin", "grpc-status-details-bin")

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)

_SHORTEST_RESPONSE_LIMIT_BYTES = 4 << 20

_RECONNECT_FIRST_MS = 200
_RECONNECT_LONGEST_MS = 2_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client. ``body`` is the response message, empty on an error."""

    code: grpc.StatusCode
    body: bytes = b""
    details: str = ""
    initial_metadata: Metadata = ()
    trailing_metadata: Metadata = ()

    @property
    def is_ok(self) -> bool:
        """Return whether the upstream accepted the request."""
        return self.code is grpc.StatusCode.OK

    @property
    def is_retryable(self) -> bool:
        """Return whether a client that keeps to OTLP sends the same request again."""
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return any(key in RETRY_INFO_TRAILERS for key, _ in self.trailing_metadata)
        return self.code in RETRYABLE


class Forwarder:
    """A channel to one upstream. ``timeout_s`` holds where the client set no deadline.

    ``largest_bytes`` is the largest request that the receiver accepts; requests are sent whatever
    their size, responses are accepted up to this or 4 MiB, whichever is more.
    """

    def __init__(self, endpoint: str, *, timeout_s: float, largest_bytes: int) -> None:
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self.in_flight = 0
        self._channel = grpc.aio.insecure_channel(
            endpoint,
            options=(
                ("grpc.max_send_message_length", -1),
                (
                    "grpc.max_receive_message_length",
                    max(largest_bytes, _SHORTEST_RESPONSE_LIMIT_BYTES),
                ),
                # gRPC would wait up to 120 s before it tries a restarted upstream again, longer
                # than any OTLP client keeps a batch.
                ("grpc.initial_reconnect_backoff_ms", _RECONNECT_FIRST_MS),
                ("grpc.min_reconnect_backoff_ms", _RECONNECT_FIRST_MS),
                ("grpc.max_reconnect_backoff_ms", _RECONNECT_LONGEST_MS),
            ),
        )

    async def forward(
        self, method: str, body: bytes, metadata: Metadata, remaining_s: float | None
    ) -> Answer:
        """Send ``body`` to ``method`` (``/package.Service/Method``) upstream; return its answer.

        ``remaining_s`` is what is left of the client's deadline, None when it set none. Cancelling
        cancels the call upstream. Raises nothing else.
        """
        self.in_flight += 1
        try:
            return await self._call(method, body, metadata, _time_upstream(remaining_s))
        except Exception as error:  # noqa: BLE001 - a fault of ours must reach clients as retryable
            _log.error("forward_failed", method=method, error=type(error).__name__)
            return Answer(grpc.StatusCode.UNAVAILABLE, details="tripswitch could not forward")
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        await self._channel.close(None)

    async def _call(
        self, method: str, body: bytes, metadata: Metadata, remaining_s: float | None
    ) -> Answer:
        invoke = self._channel.unary_unary(method, None, None)
        call: Any = invoke(
            body,
            timeout=self.timeout_s if remaining_s is None else remaining_s,
            metadata=end_to_end(metadata),
        )
        try:
            response: bytes = await call
        except grpc.aio.AioRpcError as error:
            return Answer(
                error.code(),
                details=error.details() or "",
                initial_metadata=end_to_end(_pairs(error.initial_metadata())),
                trailing_metadata=_returned(_pairs(error.trailing_metadata())),
            )
        except asyncio.CancelledError:
            call.cancel()
            raise
        return Answer(
            grpc.StatusCode.OK,
            response,
            await call.details() or "",
            end_to_end(_pairs(await call.initial_metadata())),
            _returned(_pairs(await call.trailing_metadata())),
        )


def end_to_end(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Return ``metadata`` without what belongs to one hop: gRPC's own keys and connection keys."""
    return tuple(
        (key, value)
        for key, value in metadata
        if key not in _HOP_BY_HOP and not key.startswith((":", "grpc-"))
    )


def _returned(trailers: Metadata) -> Metadata:
    """Return the trailers that a client is owed: end-to-end ones and the rich status."""
    return tuple(
        (key, value)
        for key, value in trailers
        if key == "grpc-status-details-bin" or end_to_end(((key, value),))
    )


def _time_upstream(remaining_s: float | None) -> float | None:
    """Return the time the upstream gets, so that its silence is answered before the client leaves.

    A tenth of what is left, at most 100 ms, is kept for the way back.
    """
    if remaining_s is None:
        return None
    return remaining_s - min(0.1, remaining_s / 10)


def _pairs(metadata: Any) -> Metadata:
    return () if metadata is None else tuple((str(key), value) for key, value in metadata)
