"""The stand-in upstream collector: accepts traces over OTLP/gRPC and keeps nothing but a tally.

Run as ``python -m tripswitch.drive.demo.collector``. It prints one JSON line with its addresses,
answers ``GET /totals``, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from tripswitch.drive.demo.children import announce, stdin_closed
from tripswitch.drive.demo.tally import Tally
from tripswitch.web.listener import Listener

if TYPE_CHECKING:
    from starlette.requests import Request

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_STOP_GRACE_S = 1.0


class Collector:
    """An OTLP/gRPC trace service on loopback. ``endpoint`` is known once it is started."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.endpoint = ""
        self._server = grpc.aio.server()
        export = grpc.unary_unary_rpc_method_handler(self._export)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE, {"Export": export}),)
        )

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self.endpoint = f"127.0.0.1:{port}"

    async def stop(self) -> None:
        """Finish what is under way and close."""
        await self._server.stop(_STOP_GRACE_S)

    async def _export(self, body: bytes, _context: Any) -> bytes:
        request = ExportTraceServiceRequest.FromString(body)
        spans = sum(
            len(scope.spans)
            for resource in request.resource_spans
            for scope in resource.scope_spans
        )
        self.tally.add(body, spans)
        return b""


async def serve() -> None:
    """Run until standard input ends."""
    collector = Collector()
    await collector.start()

    async def totals(_request: Request) -> JSONResponse:
        return JSONResponse(collector.tally.totals())

    control = await Listener.start(
        Starlette(routes=[Route("/totals", totals)]), "127.0.0.1:0", "control"
    )
    announce({"otlp_grpc": collector.endpoint, "control": control.endpoint})
    await stdin_closed()
    await collector.stop()
    await control.stop()


if __name__ == "__main__":
    asyncio.run(serve())
