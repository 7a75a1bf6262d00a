"""Spans that repeat another's call, or only tell how it ended."""

from __future__ import annotations

import itertools

import pytest

from tests.genai.reading import read_all
from tests.genai.spans import CHAT, SpanOf, request_of, span_hex
from tests.genai.test_traces import ROOT


def test_of_two_spans_of_one_stream_side_by_side_the_enclosing_one_is_the_call() -> None:
    # The provider's own library knows a little more, and counts the first event once.
    asked = {**CHAT, "gen_ai.response.id": "r1", "gen_ai.usage.output_tokens": 21}
    answered = {
        **CHAT,
        "gen_ai.response.id": "r1",
        "gen_ai.response.time_to_first_chunk": 0.25,
    }
    spans = [
        ROOT,
        SpanOf(asked, span=2, parent=1, start_s=0.5, end_s=2.5),
        SpanOf(answered, span=3, parent=1, start_s=0.6, end_s=2.4),
    ]
    for order in itertools.permutations(spans):
        calls = read_all([request_of(*order)]).calls
        assert len(calls) == 1
        call = calls.as_json(0)
        assert call["span_id"] == span_hex(2)
        assert (call["output_tokens"], call["ttft"]) == (20, 0.25)


def test_stream_whose_end_is_told_by_a_log_record_written_as_a_span_is_one_call() -> None:
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "logfire.msg": "x",
        "logfire.span_type": "span",
    }
    told = {
        **asked,
        "logfire.span_type": "log",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.output_tokens": 20,
    }
    first = {**told, "gen_ai.response.id": "r1", "gen_ai.usage.input_tokens": 101}
    second = {**told, "gen_ai.response.id": "r2", "gen_ai.usage.input_tokens": 102}
    broken = {**asked, "logfire.span_type": "log", "error.type": "RemoteProtocolError"}
    spans = [
        ROOT,
        SpanOf(asked, span=2, parent=1, start_s=0.1, end_s=0.2),
        SpanOf(first, span=3, parent=1, start_s=0.6, end_s=0.6),
        SpanOf(asked, span=4, parent=1, start_s=1.0, end_s=1.2),
        SpanOf(second, span=5, parent=1, start_s=1.6, end_s=1.6),
        SpanOf(asked, span=6, parent=1, start_s=2.0, end_s=2.2),
        SpanOf(broken, span=7, parent=1, start_s=2.6, end_s=2.6, status=2),
    ]
    for order in (spans, spans[::-1]):
        calls = read_all([request_of(*order)]).calls
        found = [calls.as_json(row) for row in range(len(calls))]
        assert [(call["span_id"], call["input_tokens"]) for call in found] == [
            (span_hex(2), 101),
            (span_hex(4), 102),
            (span_hex(6), None),
        ]
        assert [call["latency"] for call in found] == pytest.approx([0.5, 0.6, 0.6])
        assert [call["error_class"] for call in found] == [None, None, "provider"]
        assert all(call["streaming"] for call in found)
