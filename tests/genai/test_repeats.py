"""Spans that repeat another's call, or only tell how it ended."""

from __future__ import annotations

import itertools
from typing import Any

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


SDK, LISTENER = "openinference.instrumentation.openai", "acme.listener"
UNPAID = {name: value for name, value in CHAT.items() if "usage" not in name}


def calls_of(*spans: tuple[str, SpanOf]) -> list[dict[str, Any]]:
    """Return the calls of a request's root and these spans, each of one writer."""
    found = None
    for order in (spans, spans[::-1]):
        bodies = [request_of(span, scope_name=scope) for scope, span in order]
        calls = read_all([request_of(ROOT), *bodies]).calls
        assert found in (None, len(calls))
        found = len(calls)
    return [calls.as_json(row) for row in range(len(calls))]


@pytest.mark.parametrize(
    ("listened", "sent", "times", "scope", "calls"),
    [
        (CHAT, CHAT, (0.6, 2.4), SDK, 1),
        (CHAT, {**CHAT, "gen_ai.usage.output_tokens": 30}, (0.6, 2.4), SDK, 2),
        (CHAT, {**CHAT, "gen_ai.request.model": "gpt-4o"}, (0.6, 2.4), SDK, 2),
        (CHAT, UNPAID, (0.6, 2.4), SDK, 2),
        (UNPAID, UNPAID, (0.6, 2.4), SDK, 1),
        # Both failed, but not for the same time.
        (UNPAID, UNPAID, (0.6, 1.4), SDK, 2),
        (CHAT, CHAT, (0.6, 2.6), SDK, 2),
        (CHAT, CHAT, (0.6, 2.4), LISTENER, 2),
    ],
)
def test_listeners_span_and_the_sdks_that_is_not_below_it_are_one_call(
    listened: dict[str, object],
    sent: dict[str, object],
    times: tuple[float, float],
    scope: str,
    calls: int,
) -> None:
    status = 2 if listened is UNPAID else 0
    crew = SpanOf({"gen_ai.operation.name": "invoke_workflow"}, span=2, parent=1, end_s=3)
    one = SpanOf(listened, span=3, parent=2, start_s=0.5, end_s=2.5, status=status)
    other = SpanOf(sent, span=4, parent=1, start_s=times[0], end_s=times[1], status=status)
    assert len(calls_of((LISTENER, crew), (LISTENER, one), (scope, other))) == calls


@pytest.mark.parametrize(
    ("name", "sent", "start_s", "calls"),
    [
        ("OpenAI.stream_chat", CHAT, 0.51, 1),
        # A call after it, a later one, and another's.
        ("OpenAI.chat", CHAT, 0.51, 2),
        ("OpenAI.stream_chat", CHAT, 0.7, 2),
        ("OpenAI.stream_chat", {**CHAT, "gen_ai.usage.output_tokens": 30}, 0.51, 2),
    ],
)
def test_span_that_ends_when_a_stream_is_opened_goes_on_in_the_sdks(
    name: str, sent: dict[str, object], start_s: float, calls: int
) -> None:
    opened = SpanOf(CHAT, span=2, parent=1, start_s=0.25, end_s=0.5, name=name)
    read = SpanOf(sent, span=3, parent=1, start_s=start_s, end_s=2.25)
    found = calls_of((LISTENER, opened), (SDK, read))
    assert len(found) == calls
    if calls == 1:
        assert (found[0]["span_id"], found[0]["latency"]) == (span_hex(2), 2.0)


@pytest.mark.parametrize("parent", [1, 2])
def test_next_call_is_none_of_a_stream_that_the_sdk_told_of(parent: int) -> None:
    stream = {**UNPAID, "gen_ai.request.stream": True}
    spans = [
        (LISTENER, SpanOf(stream, span=2, parent=1, start_s=0, end_s=1)),
        (SDK, SpanOf(stream, span=3, parent=parent, start_s=0.1, end_s=0.9)),
        (SDK, SpanOf(stream, span=4, parent=1, start_s=1.01, end_s=2)),
    ]
    assert len(calls_of(*spans)) == 2
    # Nor is what comes after the one that goes on with it.
    spans[1] = (SDK, SpanOf(stream, span=3, parent=1, start_s=1.001, end_s=1.005))
    assert len(calls_of(*spans)) == 2


def test_what_the_inner_span_knows_better_is_taken_from_it() -> None:
    failure = {"gen_ai.response.id": "r1"}
    outer: dict[str, object] = {
        **UNPAID,
        **failure,
        "gen_ai.request.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.request.stream": False,
    }
    inner: dict[str, object] = {
        **UNPAID,
        **failure,
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "error.type": "RateLimitError",
    }
    spans = [
        (LISTENER, SpanOf(outer, span=2, parent=1, status=2)),
        (SDK, SpanOf(inner, span=3, parent=2, start_s=0.1, end_s=0.9, status=2)),
    ]
    (call,) = calls_of(*spans)
    assert (call["span_id"], call["request_model"]) == (span_hex(2), "gpt-4o-mini")
    assert (call["streaming"], call["ttft"]) == (True, 0.25)
    assert (call["error_type"], call["error_class"]) == ("RateLimitError", "provider_throttle")


def test_sdks_own_span_inside_an_instrumentations_that_alone_knows_the_answers_id() -> None:
    # The provider's SDK tells of its request beside the span of the instrumentation around it.
    asked = {**CHAT, "gen_ai.response.id": "r1"}
    sent = {
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": CHAT["gen_ai.request.model"],
        "gen_ai.usage.prompt_tokens": CHAT["gen_ai.usage.input_tokens"],
        "gen_ai.usage.output_tokens": CHAT["gen_ai.usage.output_tokens"],
    }
    outer = SpanOf(asked, span=2, parent=1, start_s=0.5, end_s=2.5)
    inner = SpanOf(sent, span=3, parent=1, start_s=0.6, end_s=2.4)
    # Another call of the same model is none of it.
    other = inner._replace(
        attributes={**sent, "gen_ai.usage.output_tokens": 77}, span=4, start_s=0.7
    )
    body = request_of(ROOT, outer)
    of_sdk = request_of(inner, scope_name="mistralai_sdk_tracer")
    for order in itertools.permutations([body, of_sdk]):
        calls = read_all(list(order)).calls
        assert calls.span_id == [span_hex(2)]
        assert calls.response_id == ["r1"]
    both = request_of(inner, other, scope_name="mistralai_sdk_tracer")
    assert sorted(read_all([body, both]).calls.span_id) == [span_hex(2), span_hex(4)]
