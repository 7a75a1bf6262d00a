"""Building trace requests for tests, with the official classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

START_NS = 1_795_485_401_000_000_000
SECOND_NS = 1_000_000_000

CHAT: Mapping[str, object] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
}


class EventOf(NamedTuple):
    """An event of a span; ``at_s`` is seconds from START_NS, 0 for no time."""

    name: str
    attributes: Mapping[str, object]
    at_s: float = 0.0


class SpanOf(NamedTuple):
    """A span; ids are small numbers, ``parent`` 0 means a root, times are seconds from START_NS."""

    attributes: Mapping[str, object]
    span: int = 1
    trace: int = 1
    parent: int = 99
    start_s: float = 0.0
    end_s: float = 1.0
    kind: int = 3
    status: int = 0
    events: Sequence[EventOf] = ()
    message: str = ""
    name: str = "span"


def span_hex(span: int) -> str:
    """Return the span id of a small number."""
    return span.to_bytes(8, "big").hex()


def trace_hex(trace: int) -> str:
    """Return the trace id of a small number."""
    return trace.to_bytes(16, "big").hex()


def request_of(
    *spans: SpanOf, resource: Mapping[str, object] | None = None, scope_name: str = "test"
) -> bytes:
    """Return a serialised request with these spans under one resource and scope."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    put(resource_spans.resource.attributes, resource or {"service.name": "refund-bot"})
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = scope_name
    for wanted in spans:
        span = scope_spans.spans.add(
            trace_id=wanted.trace.to_bytes(16, "big"),
            span_id=wanted.span.to_bytes(8, "big"),
            parent_span_id=wanted.parent.to_bytes(8, "big") if wanted.parent else b"",
            name=wanted.name,
            kind=wanted.kind,
            start_time_unix_nano=START_NS + round(wanted.start_s * SECOND_NS),
            end_time_unix_nano=START_NS + round(wanted.end_s * SECOND_NS),
        )
        span.status.code = wanted.status  # type: ignore[assignment]
        span.status.message = wanted.message
        put(span.attributes, wanted.attributes)
        for event in wanted.events:
            added = span.events.add(name=event.name)
            if event.at_s:
                added.time_unix_nano = START_NS + round(event.at_s * SECOND_NS)
            put(added.attributes, event.attributes)
    return message.SerializeToString()


def put(attributes: Any, values: Mapping[str, object]) -> None:
    """Add ``values`` to a repeated KeyValue field."""
    for key, value in values.items():
        put_value(attributes.add(key=key).value, value)


def put_value(target: Any, value: object) -> None:
    """Set an AnyValue from a plain value; None leaves it empty."""
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for item in value:
            put_value(target.array_value.values.add(), item)
    elif isinstance(value, dict):
        target.kvlist_value.SetInParent()
        put(target.kvlist_value.values, value)
