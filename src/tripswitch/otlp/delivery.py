"""One export request on its way: what came in, and what goes back, whatever the protocol.

A `Delivery` holds the body exactly as it came: a gRPC message, or an HTTP body with its
content-encoding untouched. Nothing here decodes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Metadata = tuple[tuple[str, str | bytes], ...]
"""Metadata in the order it came; a key may occur more than once, ``-bin`` values are bytes."""


class Signal(StrEnum):
    """What a request carries, as far as its address says."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"
    PROFILES = "profiles"
    OTHER = "other"


GRPC_METHODS: Final[dict[Signal, str]] = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.PROFILES: (
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
    ),
}
"""The method of each signal (OTLP specification, "OTLP/gRPC")."""

HTTP_PATHS: Final[dict[Signal, str]] = {
    Signal.TRACES: "/v1/traces",
    Signal.LOGS: "/v1/logs",
    Signal.METRICS: "/v1/metrics",
    Signal.PROFILES: "/v1development/profiles",
}
"""The path of each signal below any prefix (OTLP specification, "OTLP/HTTP")."""

_SIGNAL_BY_METHOD: Final = {method: signal for signal, method in GRPC_METHODS.items()}


def signal_of_method(method: str) -> Signal:
    """Return the signal of a gRPC method, OTHER for one that OTLP does not name."""
    return _SIGNAL_BY_METHOD.get(method, Signal.OTHER)


def signal_of_path(path: str) -> Signal:
    """Return the signal of an HTTP path with whatever prefix; ``/v1/profiles`` counts too.

    The Collector's documentation spells profiles that way, its code the other.
    """
    bare = path.split("?", 1)[0].rstrip("/")
    if bare.endswith("/v1/profiles"):
        return Signal.PROFILES
    for signal, ending in HTTP_PATHS.items():
        if bare.endswith(ending):
            return signal
    return Signal.OTHER


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request. ``address`` is the gRPC method or the HTTP path with query, as it came.

    ``metadata`` holds the end-to-end headers, lower-case keys. ``content_type`` and
    ``content_encoding`` are empty for gRPC, where the message has no encoding of its own.
    ``received_ns`` is the wall time of arrival.
    """

    protocol: Literal["grpc", "http"]
    address: str
    signal: Signal
    metadata: Metadata
    body: bytes
    received_ns: int
    content_type: str = ""
    content_encoding: str = ""
