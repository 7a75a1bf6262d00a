"""The gRPC receiver: takes any unary call as bytes and answers what the pipeline answers.

Rules it obeys:

- any ``/<service>/<method>`` is forwarded, so that a signal tripswitch has never heard of passes;
  only ``grpc.health.v1`` is tripswitch's own;
- a request counts against ``max_concurrent_rpcs`` from its headers on and is refused *before* its
  body is read, so that memory is bounded by that number times ``max_recv_msg_size``; past the
  bytes that all receivers share it is refused as soon as its size is known;
- where all places are taken, a request that has not arrived after a second makes way, so that who
  sends slowly holds no place of others;
- no fault of ours surfaces as UNKNOWN, which clients take for final;
- refusal for lack of room is UNAVAILABLE with a hint of when to come back. gRPC's own limit would
  answer RESOURCE_EXHAUSTED, which Go clients and the Collector take for final;
- every call comes as far as here and is counted, also where thousands begin at once: by default
  gRPC drops calls at random (CANCELLED, without a hint) once 1,000 wait to be handed over, and
  refuses with RESOURCE_EXHAUSTED past a limit that only has to lie above all connections.

A client's stream is registered as ``stream_unary`` although every OTLP call is unary: on the wire
the two are the same, and only so does this code run before gRPC has received the message. That is
what refusing early and counting the requests gRPC refused as too large both need.

gRPC's asyncio server ends for good at the first request whose ``:path`` is no UTF-8 (1.85), which
anybody can send. The receiver notices, lets what is under way finish, and listens anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import structlog

from tripswitch.errors import ConfigError
from tripswitch.otlp.admission import REQUEST_BYTES
from tripswitch.otlp.delivery import GRPC_METHODS, Delivery, Signal, signal_of_method
from tripswitch.otlp.grpc_health import HealthService
from tripswitch.otlp.headers import of_a_grpc_request, value_of
from tripswitch.otlp.replies import back_pressure, no_room, refusal
from tripswitch.otlp.reply_crossing import as_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tripswitch.otlp.delivery import Metadata
    from tripswitch.otlp.pipeline import Outcome, Pipeline
    from tripswitch.otlp.replies import GrpcReply, Reply
    from tripswitch.otlp.tls import ServerTls
    from tripswitch.otlp.tokens import BearerTokens

TRACES_METHOD = GRPC_METHODS[Signal.TRACES]

# OTel-Arrow speaks in streams, which cannot be forwarded call by call; its exporters fall back to
# OTLP when a server says UNIMPLEMENTED.
_STREAMED_PACKAGE = "/opentelemetry.proto.experimental.arrow."

# Settings reloaded may ask for this many times as many requests at once.
_ROOM_TO_GROW = 16

# Exporters send every few seconds, metrics once a minute; who is silent for longer comes back.
_IDLE_MS = 300_000

# gRPC's own 5 min would cut off clients whose keepalive was set for another server.
_PING_INTERVAL_MS = 10_000

# Until then a request is not slow, however many wait for its place.
_SLOW_S = 1.0

# How soon the end of a server is noticed, and how long what it had under way may still take.
_LOOK_S = 0.1
_LEAVE_S = 60.0

_log = structlog.get_logger(__name__)


class GrpcReceiver:
    """One OTLP/gRPC listener in front of a `Pipeline`.

    A connection that has not said what it speaks within ``handshake_timeout_s`` is closed; beyond
    ``max_connections`` new ones are. ``read_timeout_s`` is the longest a whole request may take
    to arrive. With ``tokens`` every request but a health check must carry one of them; the header
    is then tripswitch's and does not go upstream. ``restarts`` counts the times it listened anew.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        max_recv_msg_bytes: int,
        max_concurrent_rpcs: int,
        max_header_bytes: int = 16 << 10,
        max_connections: int = 16_384,
        handshake_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
        tls: ServerTls | None = None,
        tokens: BearerTokens | None = None,
    ) -> None:
        self.max_concurrent_rpcs = max_concurrent_rpcs
        self.in_flight = 0
        self.restarts = 0
        self.health = HealthService()
        self._pipeline = pipeline
        self._max_recv_msg_bytes = max_recv_msg_bytes
        self._read_timeout_s = read_timeout_s
        self._tls = tls
        self._tokens = tokens
        self._max_header_bytes = max_header_bytes
        self._max_connections = max_connections
        self._handshake_timeout_s = handshake_timeout_s
        self._server = self._make_server()
        self._leaving: dict[asyncio.Task[None], grpc.aio.Server] = {}
        self._watching: asyncio.Task[None] | None = None
        self._reading: dict[asyncio.Timeout, float] = {}

    async def start(self, endpoint: str) -> int:
        """Listen on ``endpoint`` (``host:port``) and return the port, which matters for port 0.

        Raises ConfigError when the address cannot be had.
        """
        port = await self._listen(endpoint)
        await self.health.serve()
        bound = f"{endpoint.rpartition(':')[0]}:{port}"
        self._watching = asyncio.get_running_loop().create_task(self._keep_listening(bound))
        return port

    async def stop(self, grace_s: float) -> None:
        """Say not serving, take no new request, give those under way ``grace_s`` seconds."""
        if self._watching is not None:
            self._watching.cancel()
        await self.health.drain()
        servers = (self._server, *self._leaving.values())
        await asyncio.gather(*(server.stop(grace_s) for server in servers))

    def _make_server(self) -> grpc.aio.Server:
        # An exporter has a call at a time on a connection; past this many gRPC refuses by itself.
        self._most_rpcs = max(self.max_concurrent_rpcs * _ROOM_TO_GROW, self._max_connections)
        server = grpc.aio.server(
            maximum_concurrent_rpcs=self._most_rpcs,
            options=(
                ("grpc.max_receive_message_length", self._max_recv_msg_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", self._max_header_bytes),
                ("grpc.absolute_max_metadata_size", self._max_header_bytes),
                ("grpc.max_allowed_incoming_connections", self._max_connections),
                ("grpc.server.max_pending_requests", self._most_rpcs),
                ("grpc.server.max_pending_requests_hard_limit", self._most_rpcs),
                ("grpc.server_handshake_timeout_ms", round(self._handshake_timeout_s * 1000)),
                ("grpc.max_connection_idle_ms", _IDLE_MS),
                ("grpc.http2.min_ping_interval_without_data_ms", _PING_INTERVAL_MS),
                ("grpc.keepalive_permit_without_calls", 1),
                # Otherwise a second process shares the port in silence and takes half the traffic.
                ("grpc.so_reuseport", 0),
            ),
        )
        self.health.add_to(server)
        server.add_generic_rpc_handlers((_AnyMethod(self),))
        return server

    async def _listen(self, endpoint: str) -> int:
        try:
            if self._tls is None:
                port = self._server.add_insecure_port(endpoint)
            else:
                port = self._server.add_secure_port(endpoint, self._tls.grpc_credentials())
        except RuntimeError:
            raise ConfigError(
                f'receivers.otlp.protocols.grpc.endpoint: cannot listen on "{endpoint}"',
                hint="another process may hold the port; stop it or choose another port",
            ) from None
        await self._server.start()
        return port

    async def _keep_listening(self, endpoint: str) -> None:
        """Listen anew whenever the server has ended by itself."""
        while (error := await self._end_of_server()) is not None:
            self.restarts += 1
            self._pipeline.complain("receiver_restarted", type(error).__name__)
            self._leave(self._server)
            await self._listen_again(endpoint)

    async def _end_of_server(self) -> Exception | None:
        """Wait for the end of the server; return what ended it, None where it was stopped."""
        try:
            while await self._server.wait_for_termination(_LOOK_S):
                pass
        except Exception as error:  # noqa: BLE001 - whatever ended it, clients wait
            return error
        return None

    async def _listen_again(self, endpoint: str) -> None:
        while True:
            self._server = self._make_server()
            try:
                await self._listen(endpoint)
            except ConfigError as error:
                self._pipeline.complain("receiver_not_listening", "", reason=error.message)
                await asyncio.sleep(_LOOK_S)
            else:
                return

    def _leave(self, server: grpc.aio.Server) -> None:
        """Let what is under way on ``server`` finish."""
        leaving = asyncio.get_running_loop().create_task(server.stop(_LEAVE_S))
        self._leaving[leaving] = server
        leaving.add_done_callback(self._leaving.pop)

    def use(
        self, *, max_concurrent_rpcs: int, read_timeout_s: float, tokens: BearerTokens | None
    ) -> bool:
        """Hold requests to these settings from now on.

        Return False where gRPC, which has a limit of its own from the start, stands in the way of
        so many at once; the others are in force all the same.
        """
        self._read_timeout_s = read_timeout_s
        self._tokens = tokens
        if max_concurrent_rpcs > self._most_rpcs:
            return False
        self.max_concurrent_rpcs = max_concurrent_rpcs
        return True

    async def export(self, method: str, context: Any) -> bytes:
        """Serve one call. Raises only what ends a gRPC call: an abort or a cancellation."""
        signal = signal_of_method(method)
        metadata: Metadata = tuple(context.invocation_metadata() or ())
        if self._tokens is not None:
            if not self._tokens.admits(value_of(metadata, "authorization")):
                self.count(signal, "unauthenticated")
                details = "a bearer token is needed and none that is known was sent"
                return await _reply(context, refusal(grpc.StatusCode.UNAUTHENTICATED, details))
            metadata = tuple(pair for pair in metadata if pair[0] != "authorization")
        if self.in_flight >= self.max_concurrent_rpcs and not self._make_way():
            self.count(signal, "overloaded")
            return await _reply(context, self._too_many())
        self.in_flight += 1
        try:
            return await self._receive(method, signal, of_a_grpc_request(metadata), context)
        finally:
            self.in_flight -= 1

    async def _receive(
        self, method: str, signal: Signal, metadata: Metadata, context: Any
    ) -> bytes:
        began_s = asyncio.get_running_loop().time()
        reading = asyncio.timeout(self._read_timeout_s)
        self._reading[reading] = began_s
        try:
            async with reading:
                body = await context.read()
        except TimeoutError:
            self.count(signal, "transport_refused")
            seconds = asyncio.get_running_loop().time() - began_s
            details = f"the request did not arrive within {seconds:.1f} s"
            return await _reply(context, back_pressure(details))
        except BaseException:
            self.count(signal, "cancelled")
            raise
        finally:
            self._reading.pop(reading, None)
        if not isinstance(body, bytes):
            self.count(signal, "transport_refused")
            max_bytes = self._max_recv_msg_bytes
            self._pipeline.complain("request_not_received", "", max_bytes=max_bytes)
            return b""
        cost_bytes = len(body) + REQUEST_BYTES
        admission = self._pipeline.admission
        if not admission.reserve(cost_bytes):
            self.count(signal, "overloaded")
            return await _reply(context, no_room(admission.max_bytes))
        try:
            delivery = Delivery("grpc", method, signal, metadata, body, time.time_ns())
            return await _answer(context, await self._exported(delivery, context))
        finally:
            admission.release(cost_bytes)

    async def _exported(self, delivery: Delivery, context: Any) -> GrpcReply:
        try:
            return as_grpc(await self._pipeline.export(delivery, context.time_remaining()))
        except Exception as error:  # noqa: BLE001 - gRPC would make UNKNOWN of it, which is final
            _log.error("receive_failed", error=type(error).__name__)
            return back_pressure("tripswitch could not take the request")

    def _make_way(self) -> bool:
        """Give up the request that has been arriving for longest, where that is long enough."""
        now_s = asyncio.get_running_loop().time()
        for reading, began_s in self._reading.items():
            if now_s - began_s < _SLOW_S:
                return False
            del self._reading[reading]
            reading.reschedule(now_s)
            return True
        return False

    def count(self, signal: Signal, outcome: Outcome) -> None:
        """Count a request that ended before it had a body to export."""
        self._pipeline.count("grpc", signal, outcome)

    def _too_many(self) -> Reply:
        limit = self.max_concurrent_rpcs
        return back_pressure(f"tripswitch has {limit} requests in flight, its limit; try again")


class _OurWords(logging.Filter):
    """Leaves out what ended a server: the receiver says that itself, and seldom enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse records that are nothing but an exception."""
        return not isinstance(record.msg, Exception)


logging.getLogger("grpc._cython.cygrpc").addFilter(_OurWords())


class _AnyMethod(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Says of every method that it is served, as bytes in and bytes out."""

    def __init__(self, receiver: GrpcReceiver) -> None:
        self._receiver = receiver

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the behaviour for one call; None is answered with UNIMPLEMENTED."""
        method: str = handler_call_details.method
        if method.startswith(_STREAMED_PACKAGE):
            self._receiver.count(Signal.OTHER, "unsupported")
            return None

        async def export(_requests: AsyncIterator[bytes], context: Any) -> bytes:
            return await self._receiver.export(method, context)

        return grpc.stream_unary_rpc_method_handler(export)


async def _reply(context: Any, reply: Reply) -> bytes:
    return await _answer(context, as_grpc(reply))


async def _answer(context: Any, answer: GrpcReply) -> bytes:
    if answer.initial_metadata:
        await context.send_initial_metadata(answer.initial_metadata)
    if not answer.is_ok:
        await context.abort(answer.code, answer.details, answer.trailing_metadata)
    context.set_trailing_metadata(answer.trailing_metadata)
    if answer.details:
        context.set_details(answer.details)
    return answer.body
