"""OTLP/JSON to the protobuf bytes of the same request.

Proto3 JSON with the differences that OTLP makes: trace and span ids are hex, enumerations are
numbers, keys are lowerCamelCase and nothing else, 64-bit integers come as text or number, unknown
keys are ignored. Source: OpenTelemetry protocol specification, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from functools import cache
from typing import Any, Literal

from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tripswitch.errors import WireError
from tripswitch.otlp.encodings import TooLargeError

JsonSignal = Literal["traces", "logs", "metrics"]

# The protocol's own messages nest nine deep; the rest is for nested attribute values.
MAX_DEPTH = 64

MAX_VALUES = 2_000_000
"""Most values of one document, counted by what stands before each: 25,000 spans of 20 attributes.

An empty object takes three bytes in JSON and about 140 once parsed."""

_REQUESTS: dict[JsonSignal, tuple[str, Any]] = {
    "traces": ("resourceSpans", ExportTraceServiceRequest),
    "logs": ("resourceLogs", ExportLogsServiceRequest),
    "metrics": ("resourceMetrics", ExportMetricsServiceRequest),
}
_REQUEST_CLASSES: dict[str, Any] = {
    "profiles": ExportProfilesServiceRequest,
    **{signal: request_class for signal, (_, request_class) in _REQUESTS.items()},
}
_HEX_FIELDS = frozenset({"trace_id", "span_id", "parent_span_id"})
_INTEGER_BITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), 1 << 31),
    FieldDescriptor.CPPTYPE_ENUM: (-(1 << 31), 1 << 31),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), 1 << 63),
    FieldDescriptor.CPPTYPE_UINT32: (0, 1 << 32),
    FieldDescriptor.CPPTYPE_UINT64: (0, 1 << 64),
}
_SPECIAL_DOUBLES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encode_request(document: str | bytes) -> tuple[JsonSignal, bytes]:
    """Return the signal and the protobuf bytes of one OTLP/JSON request.

    Raises `WireError` for what is not JSON, no request of traces, logs or metrics, of the wrong
    type somewhere, or nested deeper than `MAX_DEPTH`, and `TooLargeError` beyond `MAX_VALUES`; the
    error names the place and never a value.
    """
    parsed = _parsed(document)
    for signal, (key, request_class) in _REQUESTS.items():
        if key in parsed:
            request = request_class()
            _fill(request, parsed, "", MAX_DEPTH)
            return signal, request.SerializeToString()
    wanted = ", ".join(key for key, _ in _REQUESTS.values())
    raise WireError(f"no OTLP request: expected one of the keys {wanted}")


def encode_request_of(signal: str, document: bytes) -> bytes:
    """Return the protobuf bytes of one OTLP/JSON request that is known to be of ``signal``.

    An empty object is an empty request. Raises `WireError` as `encode_request` does, and for a
    signal whose messages are not known.
    """
    request_class = _REQUEST_CLASSES.get(signal)
    if request_class is None:
        raise WireError("JSON of this signal cannot be turned into protobuf; send protobuf")
    request = request_class()
    _fill(request, _parsed(document), "", MAX_DEPTH)
    encoded: bytes = request.SerializeToString()
    return encoded


def _parsed(document: str | bytes) -> dict[str, Any]:
    if _values(document) > MAX_VALUES:
        raise TooLargeError(f"JSON of more than {MAX_VALUES} values; send less at a time")
    try:
        parsed = json.loads(document)
    except RecursionError:
        raise WireError(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        place = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise WireError(f"not JSON{place}; a truncated line looks like this") from None
    if not isinstance(parsed, dict):
        raise WireError(f"expected a JSON object, found {_kind(parsed)}")
    return parsed


def _values(document: str | bytes) -> int:
    """Return an upper bound of how many values a document has; signs inside of text count too."""
    if isinstance(document, str):
        return sum(document.count(sign) for sign in ("{", "[", ","))
    return sum(document.count(sign) for sign in (b"{", b"[", b","))


def _fill(message: Any, document: dict[str, Any], path: str, depth: int) -> None:
    if depth == 0:
        raise WireError(f"{path}: nested deeper than {MAX_DEPTH} levels")
    # Also marks a message as present when nothing of it is set, as `"value": {}` does.
    message.SetInParent()
    for field, is_repeated in _fields(message.DESCRIPTOR):
        value = document.get(field.json_name)
        if value is None:
            continue
        place = f"{path}.{field.json_name}" if path else field.json_name
        if not is_repeated:
            if field.message_type is None:
                setattr(message, field.name, _scalar(field, value, place))
            else:
                _fill(getattr(message, field.name), _object(value, place), place, depth - 1)
            continue
        if not isinstance(value, list):
            raise WireError(f"{place}: expected a list, found {_kind(value)}")
        target = getattr(message, field.name)
        for index, item in enumerate(value):
            item_place = f"{place}[{index}]"
            if field.message_type is None:
                target.append(_scalar(field, item, item_place))
            else:
                _fill(target.add(), _object(item, item_place), item_place, depth - 1)


@cache
def _fields(descriptor: Any) -> tuple[tuple[FieldDescriptor, bool], ...]:
    # Releases of protobuf before 6.31 only know the label, later ones warn about it.
    return tuple(
        (
            field,
            field.is_repeated
            if hasattr(field, "is_repeated")
            else field.label == FieldDescriptor.LABEL_REPEATED,
        )
        for field in descriptor.fields
    )


def _scalar(field: FieldDescriptor, value: Any, place: str) -> Any:
    cpp_type = field.cpp_type
    if cpp_type in _INTEGER_BITS:
        return _integer(value, _INTEGER_BITS[cpp_type], place)
    if cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return _double(value, place)
    if cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if isinstance(value, bool):
            return value
        raise WireError(f"{place}: expected true or false, found {_kind(value)}")
    if not isinstance(value, str):
        raise WireError(f"{place}: expected text, found {_kind(value)}")
    if field.type == FieldDescriptor.TYPE_STRING:
        # JSON can spell half of a surrogate pair, which UTF-8 cannot.
        return value.encode("utf-8", "replace").decode()
    try:
        if field.name in _HEX_FIELDS:
            return bytes.fromhex(value)
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        wanted = "hex digits" if field.name in _HEX_FIELDS else "base64"
        raise WireError(f"{place}: expected {wanted}") from None


def _integer(value: Any, limits: tuple[int, int], place: str) -> int:
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, str) and len(value) <= 24:
        try:
            number = int(value)
        except ValueError:
            number = None
    if number is None or not limits[0] <= number < limits[1]:
        raise WireError(f"{place}: expected a whole number in range, found {_kind(value)}")
    return number


def _double(value: Any, place: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise WireError(f"{place}: expected a number in range") from None
    if isinstance(value, str):
        if value in _SPECIAL_DOUBLES:
            return _SPECIAL_DOUBLES[value]
        try:
            return float(value)
        except ValueError:
            pass
    raise WireError(f"{place}: expected a number, found {_kind(value)}")


def _object(value: Any, place: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise WireError(f"{place}: expected an object, found {_kind(value)}")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")
