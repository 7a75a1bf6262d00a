"""The gRPC receiver: takes any unary call as bytes, forwards it, answers what the upstream answers.

Rules it obeys:

- any ``/<service>/<method>`` is forwarded, so that a signal tripswitch has never heard of passes;
- a request counts against ``max_concurrent_rpcs`` from its headers on and is refused *before* its
  body is read, so that memory is bounded by that number times ``max_recv_msg_size``;
- refusal for lack of room is UNAVAILABLE with a hint of when to come back. gRPC's own limit would
  answer RESOURCE_EXHAUSTED, which Go clients and the Collector take for final;
- every request is handed to the tap once its answer is known, unless the upstream refused it for
  good: a sender it does not know must not be able to plant evidence. Those are counted as skipped.
  One that failed for now is read all the same, so that judging goes on while the upstream is
  away; the copy that the client sends again is recognised by its span ids.

A client's stream is registered as ``stream_unary`` although every OTLP call is unary: on the wire
the two are the same, and only so does this code run before gRPC has received the message. That is
what refusing early and counting the requests gRPC refused as too large both need.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import grpc
import grpc.aio
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from tripswitch.errors import ConfigError
from tripswitch.otlp.forwarder import Answer, Forwarder, Metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tripswitch.otlp.tap import Tap

TRACES_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

Outcome = Literal[
    "accepted", "refused", "failed", "overloaded", "transport_refused", "unsupported", "cancelled"
]

RETRY_AFTER_S = 1.9
"""Hint given when there is no room. The Python exporter makes five waits inside its 10 s deadline
at 1.9 s, fewer at more, and gives up at once when the hint exceeds what is left of the deadline."""

# OTel-Arrow speaks in streams, which cannot be forwarded call by call; its exporters fall back to
# OTLP when a server says UNIMPLEMENTED.
_STREAMED_PACKAGE = "/opentelemetry.proto.experimental.arrow."

# Refusing costs a little too; past this many at once gRPC refuses by itself.
_HARD_LIMIT_FACTOR = 16

# An upstream that is away fails every request; the counters say how many, the log says why.
_COMPLAINT_EVERY_S = 10.0

_log = structlog.get_logger(__name__)


class GrpcReceiver:
    """One OTLP/gRPC listener in front of a `Forwarder`, with a `Tap` beside it.

    ``requests`` counts requests by outcome, ``received_bytes`` the bytes of their bodies,
    ``tap_skipped`` the requests not tapped because the upstream refused them for good,
    ``tap_errors`` faults of the tap, ``upstream_codes`` the upstream's answers by gRPC code,
    ``sent_bytes`` the bytes the upstream accepted.
    """

    def __init__(
        self,
        forwarder: Forwarder,
        tap: Tap,
        *,
        max_recv_msg_bytes: int,
        max_concurrent_rpcs: int,
        tapped_methods: frozenset[str] = frozenset({TRACES_METHOD}),
    ) -> None:
        self.max_concurrent_rpcs = max_concurrent_rpcs
        self.in_flight = 0
        self.requests: Counter[Outcome] = Counter()
        self.received_bytes = 0
        self.sent_bytes = 0
        self.upstream_codes: Counter[str] = Counter()
        self.tap_skipped = 0
        self.tap_errors = 0
        self._forwarder = forwarder
        self._tap = tap
        self._tapped_methods = tapped_methods
        self._max_recv_msg_bytes = max_recv_msg_bytes
        self._quiet_until_s: dict[tuple[str, str], float] = {}
        self._server = grpc.aio.server(
            handlers=[_AnyMethod(self)],
            maximum_concurrent_rpcs=max_concurrent_rpcs * _HARD_LIMIT_FACTOR,
            options=(
                ("grpc.max_receive_message_length", max_recv_msg_bytes),
                ("grpc.max_send_message_length", -1),
                # Otherwise a second process shares the port in silence and takes half the traffic.
                ("grpc.so_reuseport", 0),
            ),
        )

    async def start(self, endpoint: str) -> int:
        """Listen on ``endpoint`` (``host:port``) and return the port, which matters for port 0.

        Raises ConfigError when the address cannot be had.
        """
        try:
            port = self._server.add_insecure_port(endpoint)
        except RuntimeError:
            raise ConfigError(
                f'receivers.otlp.protocols.grpc.endpoint: cannot listen on "{endpoint}"',
                hint="another process may hold the port; stop it or choose another port",
            ) from None
        await self._server.start()
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no new request, give those under way ``grace_s`` seconds, then cut them off."""
        await self._server.stop(grace_s)

    async def export(self, method: str, context: Any) -> bytes:
        """Serve one call. Raises only what ends a gRPC call: an abort or a cancellation."""
        if self.in_flight >= self.max_concurrent_rpcs:
            self.requests["overloaded"] += 1
            return await _reply(context, _overloaded(self.max_concurrent_rpcs))
        self.in_flight += 1
        outcome: Outcome = "cancelled"
        try:
            body = await context.read()
            if not isinstance(body, bytes):
                outcome = "transport_refused"
                self._complain("request_not_received", "", max_bytes=self._max_recv_msg_bytes)
                return b""
            received_ns = time.time_ns()
            self.received_bytes += len(body)
            answer = await self._forwarder.forward(
                method, body, _metadata(context), context.time_remaining()
            )
            outcome = _outcome(answer)
            self._settle(method, body, received_ns, answer)
            return await _reply(context, answer)
        finally:
            self.requests[outcome] += 1
            self.in_flight -= 1

    def _settle(self, method: str, body: bytes, received_ns: int, answer: Answer) -> None:
        self.upstream_codes[answer.code.name] += 1
        if answer.is_ok:
            self.sent_bytes += len(body)
        else:
            self._complain(
                "upstream_failed" if answer.is_retryable else "upstream_refused",
                answer.code.name,
                method=method,
                request_bytes=len(body),
            )
        if method not in self._tapped_methods:
            return
        if not (answer.is_ok or answer.is_retryable):
            self.tap_skipped += 1
            return
        try:
            self._tap.offer(body, received_ns)
        except Exception as error:  # noqa: BLE001 - reading must never reach the sender
            self.tap_errors += 1
            _log.error("tap_failed", error=type(error).__name__)

    def _complain(self, event: str, code: str, **facts: str | int) -> None:
        """Log a failure, at most once in `_COMPLAINT_EVERY_S` for each event and code."""
        now_s = time.monotonic()
        if now_s >= self._quiet_until_s.get((event, code), 0.0):
            self._quiet_until_s[event, code] = now_s + _COMPLAINT_EVERY_S
            _log.warning(event, code=code, **facts)


class _AnyMethod(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Says of every method that it is served, as bytes in and bytes out."""

    def __init__(self, receiver: GrpcReceiver) -> None:
        self._receiver = receiver

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the behaviour for one call; None is answered with UNIMPLEMENTED."""
        method: str = handler_call_details.method
        if method.startswith(_STREAMED_PACKAGE):
            self._receiver.requests["unsupported"] += 1
            return None

        async def export(_requests: AsyncIterator[bytes], context: Any) -> bytes:
            return await self._receiver.export(method, context)

        return grpc.stream_unary_rpc_method_handler(export)


def _outcome(answer: Answer) -> Outcome:
    if answer.is_ok:
        return "accepted"
    return "failed" if answer.is_retryable else "refused"


async def _reply(context: Any, answer: Answer) -> bytes:
    if answer.initial_metadata:
        await context.send_initial_metadata(answer.initial_metadata)
    if not answer.is_ok:
        await context.abort(answer.code, answer.details, answer.trailing_metadata)
    context.set_trailing_metadata(answer.trailing_metadata)
    if answer.details:
        context.set_details(answer.details)
    return answer.body


def _metadata(context: Any) -> Metadata:
    return tuple((key, value) for key, value in context.invocation_metadata() or ())


def _overloaded(limit: int) -> Answer:
    details = f"tripswitch has {limit} requests in flight, its limit; try again shortly"
    return Answer(
        grpc.StatusCode.UNAVAILABLE, details=details, trailing_metadata=retry_hint(details)
    )


def retry_hint(details: str) -> Metadata:
    """Return both trailers that carry the hint `RETRY_AFTER_S`.

    Go and the Collector read ``grpc-status-details-bin``, the Python exporter reads only
    ``google.rpc.retryinfo-bin``.
    """
    delay = Duration()
    delay.FromMilliseconds(round(RETRY_AFTER_S * 1000))
    info = RetryInfo(retry_delay=delay)
    packed = AnyMessage()
    packed.Pack(info)
    code = grpc.StatusCode.UNAVAILABLE.value[0]
    status = Status(code=code, message=details, details=[packed])
    return (
        ("google.rpc.retryinfo-bin", info.SerializeToString()),
        ("grpc-status-details-bin", status.SerializeToString()),
    )
