"""Recent spans as they came, bounded in bytes and age, so that an incident can still keep its own.

Holds prompts and answers, in memory only, and only where evidence capture is switched on.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Kept(NamedTuple):
    received_ns: int
    body: bytes


class RecentSpans:
    """A ring of the bodies of trace requests, the oldest first to go."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self._ring: deque[_Kept] = deque()

    def add(self, body: bytes, received_ns: int, *, max_bytes: int, window_ns: int) -> None:
        """Keep one request; what is over the bounds goes, itself included."""
        self._ring.append(_Kept(received_ns, body))
        self.held_bytes += len(body)
        while self._ring and (
            self.held_bytes > max_bytes or self._ring[0].received_ns < received_ns - window_ns
        ):
            self.held_bytes -= len(self._ring.popleft().body)

    def expire(self, before_ns: int) -> None:
        """Drop what came before a time, also while nothing comes that would drive it out."""
        while self._ring and self._ring[0].received_ns < before_ns:
            self.held_bytes -= len(self._ring.popleft().body)

    def clear(self) -> None:
        """Drop everything: capture was switched off."""
        self._ring.clear()
        self.held_bytes = 0

    def of_traces(self, trace_ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the spans of those traces as OTLP/JSON requests of one resource each.

        A body without the bytes of an id is not parsed.
        """
        wanted = {bytes.fromhex(trace_id) for trace_id in trace_ids}
        for kept in self._ring:
            if any(trace_id in kept.body for trace_id in wanted):
                yield from _spans_in(kept.body, wanted)


def _spans_in(body: bytes, wanted: set[bytes]) -> Iterator[dict[str, Any]]:
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        return
    for resource_spans in request.resource_spans:
        found = ResourceSpans(
            resource=resource_spans.resource, schema_url=resource_spans.schema_url
        )
        for scope_spans in resource_spans.scope_spans:
            spans = [span for span in scope_spans.spans if span.trace_id in wanted]
            if spans:
                found.scope_spans.append(
                    ScopeSpans(
                        scope=scope_spans.scope, spans=spans, schema_url=scope_spans.schema_url
                    )
                )
        if found.scope_spans:
            yield {"resourceSpans": [_with_hex_ids(MessageToDict(found))]}


def _with_hex_ids(value: Any) -> Any:
    """Return proto3 JSON as OTLP wants it: ids in hex, which the rule writes in base64."""
    import base64

    if isinstance(value, list):
        return [_with_hex_ids(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64decode(member).hex()
        if name in ("traceId", "spanId", "parentSpanId") and isinstance(member, str)
        else _with_hex_ids(member)
        for name, member in value.items()
    }
