"""Message classes that parse only what is wanted of a trace or log request.

They bear the field numbers of the OpenTelemetry protocol but leave out most fields, and declare
attributes as plain ``bytes``: on the wire a message, a string and bytes are the same thing, so the
parser hands each attribute over unopened and most never become a Python object. Strings are
``bytes`` as well, so that text which is not UTF-8 spoils that one text and not the request.

Field numbers: opentelemetry-proto 1.11, ``trace/v1/trace.proto``, ``logs/v1/logs.proto``,
``common/v1/common.proto``.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

_PACKAGE = "tripswitch.lean"
_KINDS = {
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "fixed64": FieldDescriptorProto.TYPE_FIXED64,
}

# message -> (field number, name, type); "*" marks a repeated field, "?" a member of the oneof.
_MESSAGES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "Request": ((1, "resource_spans", "*ResourceSpans"),),
    "ResourceSpans": ((1, "resource", "Resource"), (2, "scope_spans", "*ScopeSpans")),
    "Resource": ((1, "attributes", "*bytes"),),
    "ScopeSpans": ((1, "scope", "InstrumentationScope"), (2, "spans", "*Span")),
    "InstrumentationScope": ((1, "name", "bytes"),),
    "Span": (
        (1, "trace_id", "bytes"),
        (2, "span_id", "bytes"),
        (4, "parent_span_id", "bytes"),
        (5, "name", "bytes"),
        (6, "kind", "int32"),
        (7, "start_time_unix_nano", "fixed64"),
        (8, "end_time_unix_nano", "fixed64"),
        (9, "attributes", "*bytes"),
        (11, "events", "*Event"),
        (13, "links", "*Link"),
        (15, "status", "Status"),
    ),
    "Event": (
        (1, "time_unix_nano", "fixed64"),
        (2, "name", "bytes"),
        (3, "attributes", "*bytes"),
    ),
    "Link": ((1, "trace_id", "bytes"), (2, "span_id", "bytes")),
    "Status": ((2, "message", "bytes"), (3, "code", "int32")),
    "LogsRequest": ((1, "resource_logs", "*ResourceLogs"),),
    "ResourceLogs": ((1, "resource", "Resource"), (2, "scope_logs", "*ScopeLogs")),
    "ScopeLogs": ((1, "scope", "InstrumentationScope"), (2, "log_records", "*bytes")),
    "LogRecord": (
        (1, "time_unix_nano", "fixed64"),
        (5, "body", "bytes"),
        (6, "attributes", "*bytes"),
        (9, "trace_id", "bytes"),
        (10, "span_id", "bytes"),
        (11, "observed_time_unix_nano", "fixed64"),
        (12, "event_name", "bytes"),
    ),
    "KeyValue": ((1, "key", "bytes"), (2, "value", "AnyValue")),
    "AnyValue": (
        (1, "string_value", "?bytes"),
        (2, "bool_value", "?bool"),
        (3, "int_value", "?int64"),
        (4, "double_value", "?double"),
        (5, "array_value", "?ArrayValue"),
        (6, "kvlist_value", "?KeyValueList"),
        (7, "bytes_value", "?bytes"),
        # Never read, but setting it takes back a value set before it, as in every oneof.
        (8, "string_value_strindex", "?int32"),
    ),
    "ArrayValue": ((1, "values", "*AnyValue"),),
    "KeyValueList": ((1, "values", "*KeyValue"),),
}


def _field(number: int, name: str, kind: str) -> FieldDescriptorProto:
    field = FieldDescriptorProto(name=name, number=number)
    field.label = (
        FieldDescriptorProto.LABEL_REPEATED
        if kind.startswith("*")
        else FieldDescriptorProto.LABEL_OPTIONAL
    )
    if kind.startswith("?"):
        field.oneof_index = 0
    plain = kind.lstrip("*?")
    if plain in _KINDS:
        field.type = _KINDS[plain]
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{plain}"
    return field


def _message_classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="tripswitch/lean.proto", package=_PACKAGE, syntax="proto3")
    for name, members in _MESSAGES.items():
        message = DescriptorProto(name=name)
        if any(kind.startswith("?") for _, _, kind in members):
            message.oneof_decl.add(name="value")
        message.field.extend(_field(*member) for member in members)
        file.message_type.append(message)
    # A pool of its own: nothing here can clash with the official classes of the same process.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in ("Request", "LogsRequest", "LogRecord", "KeyValue", "AnyValue")
    }


_CLASSES = _message_classes()
LeanRequest: Any = _CLASSES["Request"]
LeanLogsRequest: Any = _CLASSES["LogsRequest"]
LeanLogRecord: Any = _CLASSES["LogRecord"]
LeanKeyValue: Any = _CLASSES["KeyValue"]
LeanAnyValue: Any = _CLASSES["AnyValue"]
