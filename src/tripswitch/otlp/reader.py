"""The reader of trace requests: many requests in, columns of spans out.

A request that does not parse is counted and the others still read; a span whose ids cannot be ids
is counted and left out. Only wanted attributes and events are opened, all else is skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from tripswitch.otlp.attributes import Marks, Value
from tripswitch.otlp.lean_schema import LeanRequest
from tripswitch.otlp.request_bounds import is_too_much

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.otlp.attributes import AttributeReader

_NO_TRACE_ID = bytes(16)
_NO_SPAN_ID = bytes(8)
_MAX_TIME_NS = (1 << 63) - 1
# An evaluator links to what it evaluated; a hub of a queue may link to thousands.
_MAX_LINKS = 8


class SpanLink(NamedTuple):
    """A link to another span; ids in lower-case hex."""

    trace_id: str
    span_id: str


class SpanEvent(NamedTuple):
    """One wanted event of a span; ``time_ns`` since the epoch."""

    name: str
    time_ns: int
    attributes: dict[str, Value]


# Columns with a value a span, in the order in which the fields of a span are read.
_COLUMNS = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "kind",
    "start",
    "end",
    "status_code",
    "resource",
    "scope_name",
    "attributes",
    "marks",
    "events",
    "links",
    "request_index",
)


def _no_times() -> npt.NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


@dataclass(slots=True)
class SpanTable:
    """Spans as columns of equal length, in the order of the requests.

    Ids are lower-case hex. ``kind`` is the protocol's number (2 server, 3 client, 5 consumer) and
    ``status_code`` 0 unset, 1 ok, 2 error. Times are ns since the epoch, those beyond a signed
    64-bit number cut to its largest. ``resource`` is an index into ``resources``, the wanted
    resource attributes. Dicts and lists may be shared between spans and must not be changed.
    ``marks`` and ``resource_marks`` are those of the attributes, see `AttributeReader`.

    ``read`` counts every span of every readable request, ``bad_ids`` those left out because an id
    is of the wrong length or zero, ``bad_attributes`` the attributes that would not open, and
    ``unreadable`` the requests that are not OTLP or have too many parts.
    """

    trace_id: list[str] = field(default_factory=list)
    span_id: list[str] = field(default_factory=list)
    parent_span_id: list[str | None] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    start: npt.NDArray[np.int64] = field(default_factory=_no_times)
    end: npt.NDArray[np.int64] = field(default_factory=_no_times)
    status_code: list[int] = field(default_factory=list)
    resource: list[int] = field(default_factory=list)
    scope_name: list[str] = field(default_factory=list)
    attributes: list[dict[str, Value]] = field(default_factory=list)
    marks: list[Marks] = field(default_factory=list)
    events: list[Sequence[SpanEvent]] = field(default_factory=list)
    links: list[Sequence[SpanLink]] = field(default_factory=list)
    request_index: npt.NDArray[np.int64] = field(default_factory=_no_times)
    resources: list[dict[str, Value]] = field(default_factory=list)
    resource_marks: list[Marks] = field(default_factory=list)
    read: int = 0
    unreadable: int = 0
    bad_ids: int = 0
    bad_attributes: int = 0

    def __len__(self) -> int:
        return len(self.trace_id)


def read_spans(
    requests: Sequence[bytes], reader: AttributeReader, events: frozenset[str] = frozenset()
) -> SpanTable:
    """Read serialised ``ExportTraceServiceRequest`` messages into one table.

    ``reader`` opens the attributes of spans, events and resources; ``events`` names the events
    worth opening. Never raises for what is in the bytes.
    """
    return _Reading(reader, events).read(requests)


class _Reading:
    """One call of `read_spans`: the table under construction."""

    def __init__(self, reader: AttributeReader, events: frozenset[str]) -> None:
        self._reader = reader
        self._event_names = {name.encode(): name for name in events}
        self._table = SpanTable()
        self._rows: list[tuple[Any, ...]] = []

    def read(self, requests: Sequence[bytes]) -> SpanTable:
        table = self._table
        for index, request in enumerate(requests):
            message = _parsed(request)
            if message is None:
                table.unreadable += 1
                continue
            for resource_spans in message.resource_spans:
                self._add_resource(resource_spans, index)
        if self._rows:
            columns = zip(*self._rows, strict=True)
            for name, column in zip(_COLUMNS, columns, strict=True):
                setattr(table, name, list(column))
            table.start = _times(table.start)
            table.end = _times(table.end)
            table.request_index = np.array(table.request_index, dtype=np.int64)
        return table

    def _add_resource(self, resource_spans: Any, request: int) -> None:
        table = self._table
        attributes, marks, bad = self._reader.read_marked(resource_spans.resource.attributes)
        table.bad_attributes += bad
        table.resources.append(attributes)
        table.resource_marks.append(marks)
        resource = len(table.resources) - 1
        for scope_spans in resource_spans.scope_spans:
            scope_name = scope_spans.scope.name.decode("utf-8", "replace")
            for span in scope_spans.spans:
                self._add_span(span, request, resource, scope_name)

    def _add_span(self, span: Any, request: int, resource: int, scope_name: str) -> None:
        table = self._table
        table.read += 1
        trace_id, span_id, parent_id = span.trace_id, span.span_id, span.parent_span_id
        if (
            len(trace_id) != 16
            or len(span_id) != 8
            or trace_id == _NO_TRACE_ID
            or span_id == _NO_SPAN_ID
            or len(parent_id) not in (0, 8)
        ):
            table.bad_ids += 1
            return
        attributes, marks, bad = self._reader.read_marked(span.attributes)
        if bad:
            table.bad_attributes += bad
        events, links = span.events, span.links
        # One value a column, in the order of `_COLUMNS`.
        self._rows.append(
            (
                trace_id.hex(),
                span_id.hex(),
                # Some SDKs write the parent of a root span as eight zero bytes.
                parent_id.hex() if parent_id and parent_id != _NO_SPAN_ID else None,
                span.name.decode("utf-8", "replace"),
                span.kind,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                span.status.code,
                resource,
                scope_name,
                attributes,
                marks,
                self._events(events) if events else (),
                _links(links) if links else (),
                request,
            )
        )

    def _events(self, events: Any) -> Sequence[SpanEvent]:
        found = []
        for event in events:
            name = self._event_names.get(event.name)
            if name is not None:
                attributes, bad = self._reader.read(event.attributes)
                self._table.bad_attributes += bad
                found.append(SpanEvent(name, min(event.time_unix_nano, _MAX_TIME_NS), attributes))
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


def _times(times_ns: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    unsigned = np.array(times_ns, dtype=np.uint64)
    return np.minimum(unsigned, np.uint64(_MAX_TIME_NS)).astype(np.int64)
