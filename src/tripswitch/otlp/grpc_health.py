"""``grpc.health.v1`` on the OTLP port: for the server as a whole and for each OTLP service.

Source: gRPC health checking protocol.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio  # type: ignore[attr-defined]  # not in the stubs

from tripswitch.otlp.delivery import GRPC_METHODS

if TYPE_CHECKING:
    import grpc.aio

SERVICES: Final = ("", *(method.split("/")[1] for method in GRPC_METHODS.values()))
"""What can be asked for by name; the empty name is the whole server."""

_SERVICE: Final = "grpc.health.v1.Health"


class HealthService:
    """Answers health checks: not serving until `serve` and from `drain` on, for good."""

    def __init__(self) -> None:
        self._servicer = _Servicer()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve health checks on ``server``.

        Its methods are not registered one by one, as the generated code would do: a server with
        such methods that a bad request has ended (see `GrpcReceiver`) corrupts memory (1.85).
        """
        servicer = self._servicer
        request = health_pb2.HealthCheckRequest.FromString
        response = health_pb2.HealthCheckResponse.SerializeToString
        handlers: dict[str, Any] = {
            "Check": grpc.unary_unary_rpc_method_handler(servicer.Check, request, response),
            "Watch": grpc.unary_stream_rpc_method_handler(servicer.Watch, request, response),
        }
        handler = grpc.method_handlers_generic_handler(_SERVICE, handlers)
        server.add_generic_rpc_handlers((handler,))

    async def serve(self) -> None:
        """Say from now on that requests are taken."""
        for service in SERVICES:
            await self._servicer.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Say from now on that no new requests are taken, also to those who watch, and end them.

        A watch goes on for as long as its client wants, and would hold up the end of the server.
        """
        await self._servicer.enter_graceful_shutdown()
        self._servicer.draining.set()


class _Servicer(aio.HealthServicer):  # type: ignore[misc]  # untyped
    def __init__(self) -> None:
        super().__init__()
        self.draining = asyncio.Event()

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 - gRPC's name for it
        response = health_pb2.HealthCheckResponse
        is_known = request.service in SERVICES
        first = response.SERVICE_UNKNOWN if not is_known else response.SERVING
        if not self.draining.is_set():
            await context.write(response(status=first))
            await self.draining.wait()
        if is_known:
            await context.write(response(status=response.NOT_SERVING))
