"""The reader of trace requests: a request in, its spans out, one after the other.

A request that does not parse is counted and the others still read; a span whose ids cannot be ids
is counted and left out. Only wanted attributes and events are opened, all else is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from tripswitch.otlp.attributes import Marks
from tripswitch.otlp.lean_schema import LeanRequest
from tripswitch.otlp.request_bounds import is_too_much
from tripswitch.otlp.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tripswitch.otlp.attributes import AttributeReader

_NO_TRACE_ID = bytes(16)
_NO_SPAN_ID = bytes(8)
_PARENT_BYTES: Final = frozenset({0, 8})
_MAX_TIME_NS = (1 << 63) - 1
# Spans that have fewer bytes on average carry no content.
_SHORT_SPAN_BYTES: Final = 2_000
# An evaluator links to what it evaluated; a hub of a queue may link to thousands.
_MAX_LINKS = 8
# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__


class SpanLink(NamedTuple):
    """A link to another span; ids in lower-case hex."""

    trace_id: str
    span_id: str


class SpanEvent(NamedTuple):
    """One wanted event of a span; ``time_ns`` since the epoch."""

    name: str
    time_ns: int
    attributes: dict[str, Value]


SpanRow = tuple[
    str,
    str,
    str | None,
    bytes,
    int,
    int,
    int,
    int,
    bytes,
    dict[str, Value],
    Marks,
    str,
    dict[str, Value],
    Marks,
    "Sequence[SpanEvent]",
    "Sequence[SpanLink]",
]
"""A span: trace id, span id, parent's id, name, kind, start, end, status code and message; of what
wrote it the wanted attributes of the resource, their marks, and the name of the instrumentation
scope; its own wanted attributes, their marks, the wanted events, the links.

Ids are lower-case hex, name and message are UTF-8 as far as their sender kept to that. Kind is the
protocol's number (2 server, 3 client, 5 consumer), the status code 0 unset, 1 ok, 2 error. Times
are ns since the epoch, those beyond a signed 64-bit number cut to its largest. Dicts and lists may
be shared between spans and must not be changed. The marks are those of `AttributeReader`.
"""


class SpanReader:
    """Reads spans from serialised ``ExportTraceServiceRequest`` messages.

    ``attributes`` opens the attributes of spans, events and resources; ``events`` names the events
    worth opening.

    ``read`` counts every span of every readable request, ``bad_ids`` those left out because an id
    is of the wrong length or zero, ``bad_attributes`` the attributes that would not open, and
    ``unreadable`` the requests that are not OTLP or have too many parts.
    """

    def __init__(self, attributes: AttributeReader, events: frozenset[str] = frozenset()) -> None:
        self._attributes = attributes
        self._event_names = {name.encode(): name for name in events}
        self.read = 0
        self.unreadable = 0
        self.bad_ids = 0
        self.bad_attributes = 0

    def spans(self, request: bytes) -> Iterator[SpanRow]:
        """Yield the spans of one request, in order. Never raises for what is in the bytes."""
        message = _parsed(request)
        if message is None:
            self.unreadable += 1
            return
        read_marked = self._attributes.read_marked
        last_trace_id, trace = b"", ""
        for resource_spans in message.resource_spans:
            resource, resource_marks, bad = read_marked(resource_spans.resource.attributes)
            self.bad_attributes += bad
            for scope_spans in resource_spans.scope_spans:
                scope_name = scope_spans.scope.name.decode("utf-8", "replace")
                spans = scope_spans.spans
                self.read += len(spans)
                are_short = len(request) < _SHORT_SPAN_BYTES * len(spans)
                # A slice of them is a list, whose end costs nothing; theirs is an error.
                for span in spans[:]:
                    trace_id, span_id, parent_id = span.trace_id, span.span_id, span.parent_span_id
                    if trace_id != last_trace_id:
                        # Most spans of a trace stand together, and share one text then.
                        last_trace_id = trace_id
                        is_trace = len(trace_id) == 16 and trace_id != _NO_TRACE_ID
                        trace = trace_id.hex() if is_trace else ""
                    if (
                        not trace
                        or len(span_id) != 8
                        or span_id == _NO_SPAN_ID
                        or len(parent_id) not in _PARENT_BYTES
                    ):
                        self.bad_ids += 1
                        continue
                    attributes, marks, bad = read_marked(span.attributes, are_short=are_short)
                    if bad:
                        self.bad_attributes += bad
                    start, end = span.start_time_unix_nano, span.end_time_unix_nano
                    if end > _MAX_TIME_NS or start > _MAX_TIME_NS:
                        start, end = min(start, _MAX_TIME_NS), min(end, _MAX_TIME_NS)
                    events, links, status = span.events, span.links, span.status
                    yield (
                        trace,
                        span_id.hex(),
                        # Some SDKs write the parent of a root span as eight zero bytes.
                        parent_id.hex() if parent_id and parent_id != _NO_SPAN_ID else None,
                        span.name,
                        span.kind,
                        start,
                        end,
                        status.code,
                        status.message,
                        resource,
                        resource_marks,
                        scope_name,
                        attributes,
                        marks,
                        self._events(events, are_short=are_short) if events else (),
                        _links(links) if links else (),
                    )

    def _events(self, events: Any, *, are_short: bool) -> Sequence[SpanEvent]:
        found = []
        for event in events[:]:
            name = self._event_names.get(event.name)
            if name is not None:
                attributes, _, bad = self._attributes.read_marked(
                    event.attributes, are_short=are_short
                )
                self.bad_attributes += bad
                time_ns = event.time_unix_nano
                if time_ns > _MAX_TIME_NS:
                    time_ns = _MAX_TIME_NS
                found.append(_new_tuple(SpanEvent, (name, time_ns, attributes)))
        return found


def _links(links: Any) -> Sequence[SpanLink]:
    return [
        SpanLink(link.trace_id.hex(), link.span_id.hex())
        for link in links[:_MAX_LINKS]
        if len(link.trace_id) == 16 and len(link.span_id) == 8
    ]


def _parsed(request: bytes) -> Any | None:
    """Return the request as a message, None where it is none or has more parts than are read."""
    if is_too_much(request):
        return None
    try:
        return LeanRequest.FromString(request)
    except DecodeError:
        return None
