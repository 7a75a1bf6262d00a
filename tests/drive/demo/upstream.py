"""An OTLP/gRPC receiver on loopback that keeps the bodies it was sent, for one test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


class Upstream:
    """Used as a context; ``endpoint`` is where to send, ``bodies`` what came, byte for byte."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._threads = ThreadPoolExecutor(1)
        self._server = grpc.server(self._threads)
        export = grpc.unary_unary_rpc_method_handler(self._export)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE, {"Export": export}),)
        )
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()
        self._threads.shutdown()

    def spans(self) -> list[Span]:
        """Return every span that came, in order."""
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def _export(self, body: bytes, _context: Any) -> bytes:
        self.bodies.append(body)
        return b""
