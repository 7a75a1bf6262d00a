"""What an upstream or tripswitch itself answers, in the words of either protocol.

A reply stays in the protocol it was given in and is only rendered in the other one
(`reply_crossing`) when the client speaks that. What both have in common is what steers a client:
whether the request was accepted, and whether it may be sent again.

Source: OTLP specification, "Failures" of OTLP/gRPC and OTLP/HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import grpc

from tripswitch.otlp.retry_hints import RETRY_INFO_TRAILERS, retry_hint

if TYPE_CHECKING:
    from tripswitch.otlp.delivery import Metadata

RETRYABLE: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes after which an OTLP client sends the same request again.

RESOURCE_EXHAUSTED joins them when the answer carries RetryInfo: `GrpcReply.is_retryable`.
"""

RETRYABLE_STATUSES: Final = frozenset({429, 502, 503, 504})
"""HTTP statuses after which an OTLP client sends the same request again."""


@dataclass(frozen=True, slots=True)
class GrpcReply:
    """An answer over gRPC. ``body`` is the response message, empty on an error."""

    code: grpc.StatusCode
    body: bytes = b""
    details: str = ""
    initial_metadata: Metadata = ()
    trailing_metadata: Metadata = ()

    @property
    def name(self) -> str:
        """Return the code's name, such as UNAVAILABLE."""
        return self.code.name

    @property
    def is_ok(self) -> bool:
        """Return whether the request was accepted."""
        return self.code is grpc.StatusCode.OK

    @property
    def is_retryable(self) -> bool:
        """Return whether a client that keeps to OTLP sends the same request again."""
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return any(key in RETRY_INFO_TRAILERS for key, _ in self.trailing_metadata)
        return self.code in RETRYABLE


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer over HTTP. ``headers`` has lower-case keys and no content-length."""

    status: int
    headers: Metadata = ()
    body: bytes = b""

    @property
    def name(self) -> str:
        """Return the status as text, such as 503."""
        return str(self.status)

    @property
    def is_ok(self) -> bool:
        """Return whether the request was accepted."""
        return 200 <= self.status < 300

    @property
    def is_retryable(self) -> bool:
        """Return whether a client that keeps to OTLP sends the same request again."""
        return self.status in RETRYABLE_STATUSES


Reply: TypeAlias = GrpcReply | HttpReply


def accepted() -> GrpcReply:
    """Return full success as OTLP words it: an empty response message."""
    return GrpcReply(grpc.StatusCode.OK)


def refusal(code: grpc.StatusCode, details: str) -> GrpcReply:
    """Return an answer of our own without a hint of when to come back."""
    return GrpcReply(code, details=details)


def no_answer_in(waited_s: float) -> GrpcReply:
    """Return the answer to a request that the upstream has not answered for ``waited_s``."""
    return refusal(
        grpc.StatusCode.DEADLINE_EXCEEDED, f"the upstream did not answer in {waited_s:.1f} s"
    )


def back_pressure(details: str) -> GrpcReply:
    """Return UNAVAILABLE with a hint of when to come back, in both forms that clients read."""
    return GrpcReply(
        grpc.StatusCode.UNAVAILABLE, details=details, trailing_metadata=retry_hint(details)
    )


def no_room(max_bytes: int) -> GrpcReply:
    """Return the answer to a request that the bytes shared by all requests have no room for."""
    return back_pressure(
        f"tripswitch has {max_bytes} bytes of requests in flight, its limit; try again"
    )
