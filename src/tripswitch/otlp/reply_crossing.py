"""Replies across protocols: a gRPC status as an HTTP answer and the other way round.

From gRPC to HTTP by the Collector's table. From HTTP to gRPC the code is chosen so that what may
be sent again stays so and what may not stays so: 429, 502, 503 and 504 are UNAVAILABLE (a bare
RESOURCE_EXHAUSTED would be final to Go clients and the Collector), 413 is RESOURCE_EXHAUSTED
without RetryInfo. Where the body is a ``google.rpc.Status`` whose code agrees on that, its code
and message are taken.

Source: OTLP specification, "Failures"; opentelemetry-collector,
receiver/otlpreceiver/internal/errors.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tripswitch.otlp.delivery import Signal
from tripswitch.otlp.headers import as_grpc_metadata, as_http_headers, value_of
from tripswitch.otlp.replies import RETRYABLE_STATUSES, GrpcReply, HttpReply
from tripswitch.otlp.retry_hints import (
    BARE_RETRY_INFO,
    STATUS_DETAILS,
    hinted_delay_s,
    retry_after_s,
    retry_after_text,
    retry_hint,
)
from tripswitch.otlp.status_bodies import JSON, PROTOBUF, media_type, reply_media, status_body

if TYPE_CHECKING:
    from tripswitch.otlp.delivery import Metadata
    from tripswitch.otlp.replies import Reply

_STATUS_OF_CODE: Final = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 503,
    grpc.StatusCode.ABORTED: 503,
    grpc.StatusCode.OUT_OF_RANGE: 503,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 503,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNIMPLEMENTED: 404,
}

_CODE_OF_STATUS: Final = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.UNAVAILABLE,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.UNAVAILABLE,
}
_CODE_OF_NUMBER: Final = {code.value[0]: code for code in grpc.StatusCode}

_REJECTED: Final = {
    Signal.TRACES: "rejectedSpans",
    Signal.LOGS: "rejectedLogRecords",
    Signal.METRICS: "rejectedDataPoints",
    Signal.PROFILES: "rejectedProfiles",
}

_LONGEST_MESSAGE: Final = 1024


def as_grpc(reply: Reply) -> GrpcReply:
    """Return ``reply`` as gRPC says it; one that is gRPC comes back as it is."""
    if isinstance(reply, GrpcReply):
        return reply
    metadata = as_grpc_metadata(reply.headers)
    media = media_type(value_of(reply.headers, "content-type"))
    if reply.is_ok:
        # Whatever else an upstream says beside a success is no response message, and would be a
        # failure to a gRPC client.
        body = reply.body if media == PROTOBUF and _is_message(reply.body) else b""
        return GrpcReply(grpc.StatusCode.OK, body, initial_metadata=metadata)
    status = _status_in(reply, media)
    code = _code_of(reply, status)
    details = status.message or f"the upstream answered HTTP {reply.status}"
    return GrpcReply(
        code, details=details, trailing_metadata=(*metadata, *_hints(reply, code, details, status))
    )


def as_http(reply: Reply, content_type: str, signal: Signal) -> HttpReply:
    """Return ``reply`` as HTTP says it to a request of ``content_type``.

    One that is HTTP comes back as it is.
    """
    if isinstance(reply, HttpReply):
        return reply
    media = reply_media(content_type)
    carried = tuple(
        (key, value)
        for key, value in (*reply.initial_metadata, *reply.trailing_metadata)
        if key not in (BARE_RETRY_INFO, STATUS_DETAILS)
    )
    headers = (("content-type", media), *as_http_headers(carried))
    if reply.is_ok:
        body = _json_response(reply.body, signal) if media == JSON else reply.body
        return HttpReply(200, headers, body)
    status = _STATUS_OF_CODE.get(reply.code, 500)
    delay_s = hinted_delay_s(reply.trailing_metadata)
    if delay_s is not None and status in RETRYABLE_STATUSES:
        headers = (*headers, ("retry-after", retry_after_text(delay_s)))
    return HttpReply(status, headers, status_body(_rich_status(reply), media))


def _rich_status(reply: GrpcReply) -> Status:
    """Return the status that a reply carries, made from code and text where it carries none."""
    packed = dict(reply.trailing_metadata).get(STATUS_DETAILS)
    if isinstance(packed, bytes):
        try:
            return Status.FromString(packed)
        except DecodeError:
            pass
    return Status(code=reply.code.value[0], message=reply.details)


def _json_response(body: bytes, signal: Signal) -> bytes:
    """Return an ``Export...ServiceResponse`` in JSON; all of them have the same fields."""
    try:
        response = ExportTraceServiceResponse.FromString(body)
    except DecodeError:
        return b"{}"
    if not response.HasField("partial_success"):
        return b"{}"
    partial: dict[str, str] = {}
    if response.partial_success.rejected_spans:
        rejected = _REJECTED.get(signal, "rejectedItems")
        partial[rejected] = str(response.partial_success.rejected_spans)
    if response.partial_success.error_message:
        partial["errorMessage"] = response.partial_success.error_message
    return json.dumps({"partialSuccess": partial}).encode()


def _is_message(body: bytes) -> bool:
    try:
        ExportTraceServiceResponse.FromString(body)
    except DecodeError:
        return False
    return True


def _status_in(reply: HttpReply, media: str) -> Status:
    """Return the status in a failure's body; text becomes its message, anything else nothing."""
    try:
        if media == PROTOBUF:
            return Status.FromString(reply.body)
        if media == JSON:
            document: Any = json.loads(reply.body)
            number = document.get("code", 0)
            message = document.get("message", "")
            is_code = isinstance(number, int) and not isinstance(number, bool)
            return Status(
                code=number if is_code and 0 <= number <= 16 else 0,
                message=message[:_LONGEST_MESSAGE] if isinstance(message, str) else "",
            )
        if media == "text/plain":
            return Status(message=reply.body[:_LONGEST_MESSAGE].decode("utf-8", "replace").strip())
    except (DecodeError, ValueError, AttributeError, RecursionError):
        pass
    return Status()


def _code_of(reply: HttpReply, status: Status) -> grpc.StatusCode:
    named: grpc.StatusCode | None = _CODE_OF_NUMBER.get(status.code) if status.code else None
    if named is not None and GrpcReply(named).is_retryable is reply.is_retryable:
        return named
    # 3xx too: nobody follows it, and the same request gets the same answer.
    is_senders = 400 <= reply.status < 500
    otherwise = grpc.StatusCode.INVALID_ARGUMENT if is_senders else grpc.StatusCode.INTERNAL
    return _CODE_OF_STATUS.get(reply.status, otherwise)


def _hints(reply: HttpReply, code: grpc.StatusCode, details: str, status: Status) -> Metadata:
    if reply.is_retryable:
        text = value_of(reply.headers, "retry-after")
        delay_s = retry_after_s(text, time.time()) if text else None
        if delay_s is not None:
            return retry_hint(details, code.value[0], delay_s)
    return ((STATUS_DETAILS, status.SerializeToString()),) if status.details else ()
