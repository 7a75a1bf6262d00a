"""OTLP/JSON becomes the same protobuf request, by the protocol's own rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otlp.test_reader import official_requests
from tripswitch.errors import WireError
from tripswitch.otlp.encodings import TooLargeError
from tripswitch.otlp.json_encoding import MAX_VALUES, encode_request, encode_request_of

SPAN: dict[str, Any] = {
    "traceId": "5B8EFFF798038103D269B633813FC60C",
    "spanId": "eee19b7ec3c1b174",
    "name": "chat",
    "kind": 3,
    "startTimeUnixNano": "1544712660000000000",
    "endTimeUnixNano": 1544712661000000000,
    "attributes": [
        {"key": "count", "value": {"intValue": "-5"}},
        {"key": "number", "value": {"intValue": 7}},
        {"key": "zero", "value": {"intValue": 0}},
        {"key": "flag", "value": {"boolValue": False}},
        {"key": "real", "value": {"doubleValue": 1}},
        {"key": "infinite", "value": {"doubleValue": "-Infinity"}},
        {"key": "bytes", "value": {"bytesValue": "AAEC"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "stop"}, {}]}}},
        {"key": "empty", "value": {}},
        {"key": "missing", "value": None},
    ],
    "status": {"code": 2},
    "aFutureField": {"deep": [1, 2]},
}


def trace_document(span: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def encoded_span(span: dict[str, Any]) -> Any:
    signal, body = encode_request(json.dumps(trace_document(span)))
    assert signal == "traces"
    return ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0]


def test_every_kind_of_value() -> None:
    span = encoded_span(SPAN)
    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert span.span_id.hex() == "eee19b7ec3c1b174"
    assert (span.kind, span.status.code) == (3, 2)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (
        1544712660000000000,
        1544712661000000000,
    )
    values = {a.key: a.value for a in span.attributes}
    assert values["count"].int_value == -5
    assert values["number"].int_value == 7
    assert values["zero"].WhichOneof("value") == "int_value"
    assert values["flag"].WhichOneof("value") == "bool_value"
    assert values["real"].double_value == 1.0
    assert values["infinite"].double_value == float("-inf")
    assert values["bytes"].bytes_value == b"\x00\x01\x02"
    assert [v.WhichOneof("value") for v in values["list"].array_value.values] == [
        "string_value",
        None,
    ]
    assert values["empty"].WhichOneof("value") is None
    assert span.attributes[8].HasField("value")
    assert not span.attributes[9].HasField("value")


def test_logs_and_metrics_are_encoded_too() -> None:
    signal, body = encode_request(
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5","severityNumber":9}]}]}]}'
    )
    record = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records[0]
    assert (signal, record.time_unix_nano, record.severity_number) == ("logs", 5, 9)
    signal, body = encode_request(
        '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":'
        '[{"asInt":"3"}]}}]}]}]}'
    )
    metric = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0]
    assert (signal, metric.metrics[0].gauge.data_points[0].as_int) == ("metrics", 3)


@given(official_requests())
def test_encodes_what_the_official_json_writer_writes(message: ExportTraceServiceRequest) -> None:
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    # JSON has one NaN: what the official reader makes of the document is what is wanted.
    wanted = json_format.ParseDict(document, ExportTraceServiceRequest()).SerializeToString()
    # The official writer has ids in base64, which is the one thing OTLP does otherwise.
    for resource_index, resource_spans in enumerate(message.resource_spans):
        for span_index, span in enumerate(resource_spans.scope_spans[0].spans):
            written = document["resourceSpans"][resource_index]["scopeSpans"][0]["spans"][
                span_index
            ]
            written["traceId"] = span.trace_id.hex()
            written["spanId"] = span.span_id.hex()
            written["parentSpanId"] = span.parent_span_id.hex()
    if "resourceSpans" in document:
        _, body = encode_request(json.dumps(document))
        assert body == wanted


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ("", "not JSON"),
        ('{"resourceSpans": [', "not JSON"),
        ("[]", "expected a JSON object, found a list"),
        ("{}", "resourceSpans"),
        ('{"resourceSpans": {}}', "resourceSpans: expected a list"),
        ('{"resourceSpans": [5]}', "resourceSpans[0]: expected an object, found a number"),
        (json.dumps(trace_document({"traceId": "xyz"})), "spans[0].traceId: expected hex"),
        (json.dumps(trace_document({"traceId": 5})), "traceId: expected text"),
        (json.dumps(trace_document({"kind": "SPAN_KIND_CLIENT"})), "kind: expected a whole"),
        (json.dumps(trace_document({"kind": True})), "kind: expected a whole"),
        (json.dumps(trace_document({"startTimeUnixNano": "-1"})), "startTimeUnixNano"),
        (json.dumps(trace_document({"startTimeUnixNano": "9" * 5000})), "startTimeUnixNano"),
        (json.dumps(trace_document({"startTimeUnixNano": 1.5})), "startTimeUnixNano"),
        (
            json.dumps(trace_document({"attributes": [{"value": {"bytesValue": "?"}}]})),
            "bytesValue: expected base64",
        ),
        (
            json.dumps(trace_document({"attributes": [{"value": {"boolValue": 1}}]})),
            "boolValue: expected true or false",
        ),
        (
            json.dumps(trace_document({"attributes": [{"value": {"doubleValue": "x"}}]})),
            "doubleValue: expected a number",
        ),
    ],
)
def test_errors_name_the_place_and_what_was_wanted(document: str, place: str) -> None:
    with pytest.raises(WireError) as raised:
        encode_request(document)
    assert place in raised.value.message


def test_nesting_is_bounded() -> None:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(100):
        value = {"arrayValue": {"values": [value]}}
    with pytest.raises(WireError, match="nested deeper"):
        encode_request(json.dumps(trace_document({"attributes": [{"key": "k", "value": value}]})))
    with pytest.raises(WireError, match=r"nested deeper|not JSON"):
        encode_request('{"resourceSpans":' + "[" * 100_000)


@pytest.mark.parametrize("value", ["{}", "[]", "1", '"x"'])
def test_values_are_bounded_whatever_they_are(value: str) -> None:
    listed = ",".join([value] * MAX_VALUES)
    with pytest.raises(TooLargeError, match=str(MAX_VALUES)):
        encode_request_of("traces", f'{{"x":[{listed}]}}'.encode())
    few = ",".join([value] * (MAX_VALUES // 4))
    assert encode_request_of("traces", f'{{"x":[{few}]}}'.encode()) == b""


def test_text_that_utf8_cannot_spell_is_replaced() -> None:
    assert encoded_span({"name": "a\ud800b"}).name == "a?b"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "traceId",
                    "attributes",
                    "key",
                    "value",
                    "intValue",
                    "stringValue",
                    "kind",
                    "status",
                    "code",
                    "startTimeUnixNano",
                    "scope",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_encoded_or_refused(value: Any) -> None:
    document = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [value]}]}]})
    try:
        _, body = encode_request(document)
    except WireError:
        return
    ExportTraceServiceRequest.FromString(body)


@given(st.binary(max_size=60))
def test_any_bytes_are_encoded_or_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        encode_request(data)
