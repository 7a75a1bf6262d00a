"""Habits of single libraries, each by a small payload of its shape."""

from __future__ import annotations

import json

import pytest

from tests.genai.reading import read_all
from tests.genai.spans import CHAT, EventOf, SpanOf, request_of
from tests.genai.test_understand import observe, one


def test_span_with_nothing_but_the_parameters_of_an_invocation_is_a_call() -> None:
    parameters = "{'model': 'openai/gpt-4o-mini', 'stream': True}"
    body = request_of(SpanOf({"llm.invocation_parameters": parameters}), scope_name="guardrails-ai")
    call = read_all([body]).calls.as_json(0)
    assert (call["request_model"], call["streaming"]) == ("gpt-4o-mini", True)
    assert call["input_tokens"] is None


def test_answer_that_langchain_wrote_down_names_its_model() -> None:
    message = {"kwargs": {"response_metadata": {"model_name": "gpt-4o-mini-2024-07-18"}}}
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-mini",
        "llm.invocation_parameters": '{"model": "gpt-4o-mini"}',
        "output.value": json.dumps(
            {"generations": [[{"generation_info": None, "message": message}]]}
        ),
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert call["request_model"] == "gpt-4o-mini"
    assert call["response_model"] == "gpt-4o-mini-2024-07-18"


def test_failed_call_that_names_one_model_asked_for_it() -> None:
    attributes = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini"}
    call = observe(SpanOf(attributes, status=2)).calls.as_json(0)
    assert (call["request_model"], call["response_model"]) == ("gpt-4o-mini", None)


@pytest.mark.parametrize(
    ("attributes", "tokens"),
    [
        ({"gen_ai.request.stream": True}, None),
        ({"gen_ai.request.stream": True, "gen_ai.usage.cache_read.input_tokens": 0}, 100),
        ({"gen_ai.request.stream": False}, 100),
    ],
)
def test_usage_that_a_library_counted_itself_is_unknown(
    attributes: dict[str, object], tokens: int | None
) -> None:
    span = SpanOf({**CHAT, "gen_ai.usage.cost": 0.1, **attributes})
    found = read_all([request_of(span, scope_name="openlit.instrumentation.openai")])
    call = found.calls.as_json(0)
    assert call["input_tokens"] == tokens
    assert (call["cost_source"] == "reported") == (tokens is not None)
    assert found.rejected.get("estimated_usage", 0) == (tokens is None)
    # Other writers say how much was cached only when something was.
    assert read_all([request_of(span)]).calls.as_json(0)["input_tokens"] == 100


def test_spring_ais_chat_client_is_no_call_and_tells_the_session_of_its_model_call() -> None:
    client = {
        "gen_ai.operation.name": "framework",
        "gen_ai.system": "spring_ai",
        "spring.ai.kind": "chat_client",
        "spring.ai.chat.client.conversation.id": "s1",
    }
    # Micrometer writes every value as text.
    model = {
        **CHAT,
        "gen_ai.usage.input_tokens": "107",
        "gen_ai.response.finish_reasons": '["STOP"]',
    }
    tool = {
        "gen_ai.operation.name": "framework",
        "spring.ai.kind": "tool_call",
        "spring.ai.tool.definition.name": "lookup",
    }
    found = observe(
        SpanOf(client, span=1, parent=0, end_s=3.0),
        SpanOf(model, span=2, parent=1),
        SpanOf(tool, span=3, parent=1, start_s=1.5, end_s=2.0),
    )
    assert len(found.calls) == 1
    call = found.calls.as_json(0)
    assert (call["session"], call["input_tokens"]) == ("s1", 107)
    assert call["finish_reasons"] == ["stop"]
    assert [used["name"] for used in call["tools"]] == ["lookup"]


def test_semantic_kernels_older_names() -> None:
    call = observe(
        SpanOf(
            {
                "gen_ai.operation.name": "chat.completions",
                "gen_ai.system": "openai",
                "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.response.prompt_tokens": 107,
                "gen_ai.response.completion_tokens": 23,
                "gen_ai.response.finish_reason": "Stop",
            }
        )
    ).calls.as_json(0)
    assert (call["input_tokens"], call["output_tokens"]) == (107, 23)
    assert call["finish_reasons"] == ["stop"]


def test_langwatchs_names() -> None:
    call = observe(
        SpanOf(
            {
                "langwatch.span.type": "llm",
                "langwatch.prompt.handle": "refund-bot",
                "langwatch.prompt.version.number": 18,
                "langwatch.thread.id": "s1",
                "langwatch.gen_ai.streaming": True,
                "gen_ai.request.model": "gpt-4o-mini",
            }
        )
    ).calls.as_json(0)
    assert (call["dialect"], call["prompt_name"], call["prompt_version"]) == (
        "langwatch",
        "refund-bot",
        "18",
    )
    assert (call["session"], call["streaming"]) == ("s1", True)


@pytest.mark.parametrize(("kind", "calls"), [("llm", 1), ("agent", 0), ("workflow", 0)])
def test_agentops_says_under_a_key_of_its_own_what_a_span_is(kind: str, calls: int) -> None:
    attributes = {
        "agentops.span.kind": kind,
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.prompt_tokens": 100,
    }
    assert len(observe(SpanOf(attributes)).calls) == calls


def test_difys_names() -> None:
    call = one(
        {
            "gen_ai.span.kind": "LLM",
            "dify.app_id": "a",
            "dify.tenant_id": "t",
            "dify.streaming": True,
            "gen_ai.user.time_to_first_token": 250_000_000,
        }
    )
    assert (call["dialect"], call["tenant"], call["streaming"]) == ("dify", "t", True)
    assert call["ttft"] == pytest.approx(0.25)


def test_cost_by_direction() -> None:
    call = one({"gen_ai.usage.input_cost": 0.25, "gen_ai.usage.output_cost": 0.5})
    assert (call["cost_usd"], call["cost_source"]) == (0.75, "reported")


def test_choice_as_azures_library_writes_it() -> None:
    content = {"message": {"content": "x", "refusal": "no"}, "finish_reason": "length", "index": 0}
    call = one({}, events=[EventOf("gen_ai.choice", {"gen_ai.event.content": json.dumps(content)})])
    assert (call["finish_reasons"], call["refusal"]) == (["length"], True)


def test_details_of_tokens_in_what_a_provider_added() -> None:
    added = {"openai": {"cachedPromptTokens": 64, "reasoningTokens": 4}}
    call = one({"ai.response.providerMetadata": json.dumps(added)})
    assert (call["cached_tokens"], call["reasoning_tokens"]) == (64, 4)
