"""The log reader opens the records that tell of model calls, and passes all others by."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.genai.spans import put, put_value, span_hex, trace_hex
from tripswitch.otlp.attributes import AttributeReader, Wanted
from tripswitch.otlp.log_reader import LogReader, LogTable

KEYS = frozenset({"model", "event.name", "event_name"})


def log_request(*records: dict[str, Any]) -> bytes:
    """Return a request; a record has event, attributes, body, trace and span (small numbers)."""
    message = ExportLogsServiceRequest()
    scope_logs = message.resource_logs.add().scope_logs.add()
    for wanted in records:
        record = scope_logs.log_records.add()
        record.time_unix_nano = wanted.get("time_ns", 0)
        record.observed_time_unix_nano = wanted.get("observed_ns", 0)
        record.event_name = wanted.get("event", "")
        if "trace" in wanted:
            record.trace_id = wanted["trace"].to_bytes(16, "big")
            record.span_id = wanted["span"].to_bytes(8, "big")
        put(record.attributes, wanted.get("attributes", {}))
        if "body" in wanted:
            put_value(record.body, wanted["body"])
    return message.SerializeToString()


def read(*requests: bytes) -> LogTable:
    reader = LogReader(
        AttributeReader(Wanted(KEYS.__contains__)),
        frozenset({"gen_ai.choice", "gen_ai.evaluation.result"}),
        frozenset({"gen_ai.choice"}),
    )
    return reader.read(requests)


def test_event_is_named_by_its_field_or_by_an_attribute() -> None:
    table = read(
        log_request(
            {"event": "gen_ai.choice", "attributes": {"model": "a"}, "trace": 1, "span": 2},
            {"attributes": {"event.name": "gen_ai.choice", "model": "b"}},
            {"attributes": {"event_name": "gen_ai.evaluation.result", "model": "c"}},
            {"event": "http.request", "attributes": {"model": "d"}},
        )
    )
    assert [attributes["model"] for attributes in table.attributes] == ["a", "b", "c"]
    assert table.trace_id == [trace_hex(1), None, None]
    assert table.span_id == [span_hex(2), None, None]
    assert table.read == 4


def test_body_is_opened_only_where_it_tells_something() -> None:
    body = {"finish_reason": "stop", "message": {"content": "secret"}}
    table = read(
        log_request(
            {"event": "gen_ai.choice", "body": body},
            {"event": "gen_ai.evaluation.result", "body": body},
        )
    )
    assert table.bodies == [body, None]


def test_text_that_only_mentions_an_event_is_no_event() -> None:
    table = read(log_request({"event": "x", "body": "see gen_ai.choice"}))
    assert (len(table), table.read) == (0, 1)


def test_request_without_a_mark_is_not_even_parsed() -> None:
    table = read(b"\xff" * 100, log_request({"event": "x"}))
    assert (table.unreadable, table.read) == (0, 0)


def test_damaged_request_costs_itself_and_is_counted() -> None:
    good = log_request({"event": "gen_ai.choice"})
    table = read(good, good[:-3] + b"gen_ai.choice\xff", good)
    assert (table.unreadable, table.request_index) == (1, [0, 2])


def test_time_is_the_events_own_else_when_it_was_observed() -> None:
    table = read(
        log_request(
            {"event": "gen_ai.choice", "time_ns": 5, "observed_ns": 7},
            {"event": "gen_ai.choice", "observed_ns": 7},
        )
    )
    assert table.time_ns == [5, 7]


@given(st.binary(max_size=200), st.integers(0, 200))
@example(b"\x0a\x05\x12\x03\x12\x01\xff", 0)
def test_whatever_the_bytes_nothing_raises(noise: bytes, at: int) -> None:
    good = log_request(
        {"event": "gen_ai.choice", "attributes": {"model": "a"}, "body": {"finish_reason": "stop"}}
    )
    read(good[:at] + noise + good[at:], noise + b"gen_ai.choice")
