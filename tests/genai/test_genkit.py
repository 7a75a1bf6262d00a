"""Genkit's spans, in JavaScript and in Go: every key is its own, the answer is one document."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.genai.reading import read_all
from tests.genai.spans import SpanOf, request_of
from tests.genai.test_understand import observe
from tripswitch.config.read_section import Read

FLOW = {"genkit:type": "action", "genkit:metadata:subtype": "flow", "genkit:name": "refund_flow"}
MODEL = {
    "genkit:type": "action",
    "genkit:metadata:subtype": "model",
    "genkit:name": "openai/gpt-4o-mini",
    "genkit:path": "/{refund_flow,t:flow}/{generate,t:util}/{openai/gpt-4o-mini,t:action,s:model}",
    "genkit:input": '{"messages":[{"role":"user","content":[{"text":"help"}]}]}',
}
USAGE = {"inputTokens": 107, "outputTokens": 23, "totalTokens": 130}
# As the plugin for OpenAI keeps it, in JavaScript alone.
RAW = {
    "id": "x-001",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {"message": {"content": None, "refusal": "I'm sorry."}, "finish_reason": "tool_calls"}
    ],
    "usage": {
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 9},
    },
}


def answered(answer: Mapping[str, object], name: str = "openai/gpt-4o-mini") -> dict[str, object]:
    """Return the attributes of a model's span with this answer."""
    return {**MODEL, "genkit:name": name, "genkit:output": json.dumps(answer)}


def test_call_is_the_models_span_and_what_encloses_it_repeats_the_answer() -> None:
    answer = {"finishReason": "stop", "usage": USAGE, "raw": RAW}
    generate = {"genkit:type": "util", "genkit:name": "generate"}
    tool = {"genkit:type": "action", "genkit:metadata:subtype": "tool.v2"}
    found = observe(
        SpanOf({**FLOW, "genkit:sessionId": "s1"}, span=1, parent=0, end_s=3.0),
        SpanOf(
            {**generate, "genkit:output": json.dumps({**answer, "raw": {}})},
            span=2,
            parent=1,
            end_s=2.9,
        ),
        SpanOf(answered(answer), span=3, parent=2),
        SpanOf({**tool, "genkit:name": "look_up"}, span=4, parent=2, start_s=1.5, status=2),
    )
    assert len(found.calls) == 1
    call = found.calls.as_json(0)
    assert (call["request_model"], call["response_model"]) == ("gpt-4o-mini", RAW["model"])
    assert (call["provider"], call["response_id"]) == ("openai", "x-001")
    assert (call["input_tokens"], call["output_tokens"]) == (107, 23)
    assert (call["cached_tokens"], call["reasoning_tokens"]) == (64, 9)
    assert (call["finish_reasons"], call["refusal"]) == (["tool_call"], True)
    assert call["session"] == "s1"
    assert [(tool["name"], tool["error"]) for tool in call["tools"]] == [("look_up", True)]
    assert call["dialect"] == "genkit"


@pytest.mark.parametrize(
    ("said", "reason"), [("stop", "stop"), ("length", "length"), ("blocked", "content_filter")]
)
def test_go_tells_parts_of_usage_and_no_answer_of_the_providers(said: str, reason: str) -> None:
    usage = {**USAGE, "cachedContentTokens": 64, "thoughtsTokens": 9, "inputCharacters": 37}
    call = observe(SpanOf(answered({"finishReason": said, "usage": usage}))).calls.as_json(0)
    assert (call["cached_tokens"], call["reasoning_tokens"]) == (64, 9)
    assert (call["finish_reasons"], call["refusal"]) == ([reason], None)
    assert (call["response_model"], call["response_id"]) == (None, None)


def test_geminis_answer() -> None:
    raw = {"modelVersion": "gemini-2.5-flash-001", "responseId": "r1"}
    answer = {"finishReason": "stop", "usage": USAGE, "raw": raw}
    call = observe(SpanOf(answered(answer, "googleai/gemini-2.5-flash"))).calls.as_json(0)
    assert (call["provider"], call["request_model"]) == ("gcp.gemini", "gemini-2.5-flash")
    assert call["response_id"] == "r1"


def test_stream_of_which_no_usage_came_has_none() -> None:
    usage = {"inputCharacters": 39, "outputCharacters": 30}
    call = observe(SpanOf(answered({"finishReason": "stop", "usage": usage}))).calls.as_json(0)
    assert (call["input_tokens"], call["output_tokens"]) == (None, None)


def test_failed_call_is_one_and_an_embedders_names_its_model() -> None:
    embedder = {
        "genkit:type": "action",
        "genkit:metadata:subtype": "embedder",
        "genkit:name": "openai/text-embedding-3-small",
    }
    message = 'failed to create completion: POST "http://x/v1": 429 Too Many Requests {"code": 1}'
    found = observe(
        SpanOf(MODEL, span=1, status=2, message=message), SpanOf(embedder, span=2, start_s=2.0)
    )
    failed, embedding = (found.calls.as_json(row) for row in range(2))
    assert (failed["request_model"], failed["error_class"]) == ("gpt-4o-mini", "provider_throttle")
    assert embedding["request_model"] == "text-embedding-3-small"
    assert found.calls.is_chat == [True, False]


@pytest.mark.parametrize("subtype", ["flow", "custom", "retriever", "prompt", "a-new-one"])
def test_other_actions_are_no_calls(subtype: str) -> None:
    answer = {"finishReason": "stop", "usage": USAGE}
    attributes = {**answered(answer, "refund"), "genkit:metadata:subtype": subtype}
    assert len(observe(SpanOf(attributes)).calls) == 0


def test_answers_are_left_alone_on_demand() -> None:
    body = request_of(SpanOf(answered({"finishReason": "stop", "usage": USAGE, "raw": RAW})))
    call = read_all([body], Read(content_facts=False)).calls.as_json(0)
    assert (call["request_model"], call["refusal"]) == ("gpt-4o-mini", None)


def test_route_is_the_flow_and_the_prompt_is_the_one_that_encloses_the_call() -> None:
    prompt = {"genkit:type": "dotprompt", "genkit:name": "refund-bot"}
    found = observe(
        SpanOf(FLOW, span=1, parent=0, end_s=3.0),
        SpanOf(prompt, span=2, parent=1, end_s=2.0),
        SpanOf(MODEL, span=3, parent=2),
    )
    call = found.calls.as_json(0)
    assert (call["route"], call["prompt_name"]) == ("refund_flow", "refund-bot")
    alone = observe(SpanOf(MODEL, parent=0)).calls.as_json(0)
    assert (alone["route"], alone["prompt_name"]) == (None, None)


def test_anthropics_answer_counts_what_was_cached_apart() -> None:
    raw = {
        "id": "msg_1",
        "model": "claude-sonnet-4-5-20250929",
        "stop_reason": "tool_use",
        "usage": {"cache_read_input_tokens": 64, "cache_creation_input_tokens": 10},
    }
    answer = {
        "finishReason": "stop",
        "usage": {"inputTokens": 100, "outputTokens": 23},
        "raw": raw,
    }
    call = observe(SpanOf(answered(answer, "anthropic/claude-sonnet-4-5"))).calls.as_json(0)
    assert (call["input_tokens"], call["cached_tokens"]) == (174, 64)
    assert (call["provider"], call["finish_reasons"]) == ("anthropic", ["tool_call"])
