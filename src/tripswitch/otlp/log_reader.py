"""The reader of log requests: the few records that tell of model calls, out of many that do not.

An application's ordinary logs pass by in great volume. A request in which none of the marks stands
is not even parsed; of the others only records that bear a mark are opened, and a record's body only
when its event is one whose body tells something.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from tripswitch.otlp.lean_schema import LeanLogRecord, LeanLogsRequest
from tripswitch.otlp.request_bounds import is_too_much
from tripswitch.otlp.values import UnreadableError, Value, open_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.otlp.attributes import AttributeReader

_MAX_TIME_NS: Final = (1 << 63) - 1
_NO_TRACE_ID: Final = bytes(16)
_NO_SPAN_ID: Final = bytes(8)
# Where a record names its event when the field for it is not used.
EVENT_NAME_KEYS: Final = ("event.name", "event_name")


@dataclass(slots=True)
class LogTable:
    """Log records that tell of model calls, as columns of equal length, in their order.

    Ids are lower-case hex, None where the record has none; ``time_ns`` is since the epoch.
    ``bodies`` are None unless the event's body was wanted. ``read`` counts every record of every
    readable request that bore a mark, ``unreadable`` the requests that are not OTLP.
    """

    trace_id: list[str | None] = field(default_factory=list)
    span_id: list[str | None] = field(default_factory=list)
    time_ns: list[int] = field(default_factory=list)
    event_name: list[str] = field(default_factory=list)
    attributes: list[dict[str, Value]] = field(default_factory=list)
    bodies: list[Value] = field(default_factory=list)
    request_index: list[int] = field(default_factory=list)
    read: int = 0
    unreadable: int = 0
    bad_attributes: int = 0

    def __len__(self) -> int:
        return len(self.event_name)


class LogReader:
    """Reads the records whose event is among ``events``.

    ``attributes`` opens their attributes; ``with_body`` are the events whose body is opened too.
    """

    def __init__(
        self, attributes: AttributeReader, events: frozenset[str], with_body: frozenset[str]
    ) -> None:
        self._attributes = attributes
        self._events = {event.encode(): event for event in events}
        self._with_body = with_body
        marks = sorted({re.escape(event.encode()) for event in events}, key=len, reverse=True)
        self._mark = re.compile(b"|".join(marks))

    def read(self, requests: Sequence[bytes]) -> LogTable:
        """Read serialised ``ExportLogsServiceRequest`` messages; never raises for their bytes."""
        table = LogTable()
        for index, request in enumerate(requests):
            if self._mark.search(request) is None:
                continue
            message = _parsed(request)
            if message is None:
                table.unreadable += 1
                continue
            for resource_logs in message.resource_logs:
                for scope_logs in resource_logs.scope_logs:
                    self._add(scope_logs.log_records, index, table)
        return table

    def _add(self, records: Any, index: int, table: LogTable) -> None:
        for raw in records:
            table.read += 1
            if self._mark.search(raw) is None:
                continue
            try:
                record = LeanLogRecord.FromString(raw)
            except DecodeError:
                table.bad_attributes += 1
                continue
            attributes, bad = self._attributes.read(record.attributes)
            table.bad_attributes += bad
            event = self._events.get(record.event_name)
            if event is None:
                named = [attributes.get(key) for key in EVENT_NAME_KEYS]
                event = next(
                    (
                        name
                        for name in named
                        if isinstance(name, str) and name.encode() in self._events
                    ),
                    None,
                )
            if event is None:
                continue
            trace_id, span_id = record.trace_id, record.span_id
            table.trace_id.append(
                trace_id.hex() if len(trace_id) == 16 and trace_id != _NO_TRACE_ID else None
            )
            table.span_id.append(
                span_id.hex() if len(span_id) == 8 and span_id != _NO_SPAN_ID else None
            )
            moment_ns = record.time_unix_nano or record.observed_time_unix_nano
            table.time_ns.append(min(moment_ns, _MAX_TIME_NS))
            table.event_name.append(event)
            table.attributes.append(attributes)
            table.bodies.append(self._body(record.body, event, table))
            table.request_index.append(index)

    def _body(self, raw: bytes, event: str, table: LogTable) -> Value:
        if event not in self._with_body:
            return None
        try:
            return open_value(raw)
        except UnreadableError:
            table.bad_attributes += 1
            return None


def _parsed(request: bytes) -> Any | None:
    """Return the request as a message, None where it is none or has more parts than are read."""
    if is_too_much(request):
        return None
    try:
        return LeanLogsRequest.FromString(request)
    except DecodeError:
        return None
