"""Requests of too many parts are told before they are parsed, and no others."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.genai.spans import CHAT, SpanOf, request_of
from tests.otlp.test_reader import WANTED, length_delimited, official_requests, read_spans
from tripswitch.otlp import request_bounds
from tripswitch.otlp.request_bounds import is_too_much

GOOD = request_of(SpanOf(CHAT))
MIB = 1 << 20


def fields(number: int, content: bytes, count: int) -> bytes:
    """Return ``count`` times one field."""
    return length_delimited(number, content) * count


def in_a_span(content: bytes) -> bytes:
    """Return a request of one span."""
    return length_delimited(1, length_delimited(2, length_delimited(2, content)))


BOMBS = {
    "resources": fields(1, b"", 20 * MIB),
    "scopes": length_delimited(1, fields(2, b"", 20 * MIB)),
    "spans": length_delimited(1, length_delimited(2, fields(2, b"", 20 * MIB))),
    "attributes": in_a_span(fields(9, b"", 20 * MIB)),
    "events": in_a_span(fields(11, b"", 20 * MIB)),
    "tags in more bytes than they need": b"\x8a\x80\x00\x00" * (2 * MIB),
    "behind a group": b"\x0b\x0c" + fields(1, b"", 20 * MIB),
    "cut short": GOOD + fields(1, b"x" * MIB, 2)[:-1],
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_counted_as_unreadable_and_what_is_beside_them_is_read(
    bomb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Counting to the real bound takes seconds.
    monkeypatch.setattr(request_bounds, "MOST_PARTS", 50_000)
    table = read_spans([GOOD, BOMBS[bomb], GOOD], WANTED)
    assert table.unreadable == 1
    assert table.request_index == [0, 2]


def test_a_request_of_the_largest_size_with_common_spans_is_read() -> None:
    message = ExportTraceServiceRequest.FromString(GOOD)
    spans = message.resource_spans[0].scope_spans[0].spans
    spans[0].attributes.add(key="content").value.string_value = "x" * 20_000
    for _ in range((64 << 20) // message.ByteSize() - 1):
        spans.append(spans[0])
    request = message.SerializeToString()
    assert 60 * MIB < len(request) <= 64 * MIB
    assert not is_too_much(request)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(official_requests())
def test_counts_what_the_official_classes_hold(message: ExportTraceServiceRequest) -> None:
    request = message.SerializeToString()
    messages = parts = 0
    for resource_spans in message.resource_spans:
        messages += 1 + len(resource_spans.ListFields()) - bool(resource_spans.scope_spans)
        for scope_spans in resource_spans.scope_spans:
            messages += 1 + scope_spans.HasField("scope") + len(scope_spans.spans)
            for span in scope_spans.spans:
                parts += len(span.attributes) + len(span.events)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_bounds, "_FEW_MESSAGES_BYTES", -1)
        patch.setattr(request_bounds, "_FEW_PARTS_BYTES", -1)
        patch.setattr(request_bounds, "MOST_MESSAGES", messages)
        assert not is_too_much(request)
        patch.setattr(request_bounds, "MOST_MESSAGES", messages - 1)
        assert is_too_much(request) is (messages > 0)
        patch.setattr(request_bounds, "MOST_MESSAGES", messages)
        patch.setattr(request_bounds, "MOST_PARTS", parts - 1)
        assert is_too_much(request) or parts == 0
