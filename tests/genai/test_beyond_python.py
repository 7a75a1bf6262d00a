"""Habits of libraries and gateways outside Python, each by a small payload of its shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.genai.reading import read_all
from tests.genai.spans import CHAT, EventOf, SpanOf, request_of
from tests.genai.test_understand import observe

BOOT = "org.springframework.boot"


def test_semantic_kernel_prints_its_lists_and_has_a_word_for_no_id() -> None:
    attributes = {
        "gen_ai.operation.name": "chat.completions",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.finish_reason": "[Stop, Length]",
        "gen_ai.response.prompt_tokens": -1,
        "gen_ai.response.completion_tokens": -1,
        "gen_ai.response.id": "N/A",
    }
    found = observe(
        SpanOf({}, span=1, parent=0, end_s=3.0),
        SpanOf(attributes, span=2, parent=1),
        SpanOf(attributes, span=3, parent=1, start_s=1.5, end_s=2.0),
    )
    assert len(found.calls) == 2
    call = found.calls.as_json(0)
    assert (call["response_id"], call["input_tokens"]) == (None, None)
    assert call["finish_reasons"] == ["stop", "length"]


@pytest.mark.parametrize("said", ["none", "unknown", "NONE"])
def test_micrometers_word_for_no_value_names_nothing(said: str) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": said,
        "gen_ai.provider.name": said,
        "gen_ai.system": "openai",
        "http.route": said,
    }
    found = observe(SpanOf(attributes))
    call = found.calls.as_json(0)
    assert (call["request_model"], call["response_model"]) == ("gpt-4o-mini", None)
    assert (call["provider"], call["route"]) == ("openai", None)
    assert found.rejected == {}
    unnamed = {**attributes, "gen_ai.request.model": said}
    assert observe(SpanOf(unnamed)).calls.as_json(0)["request_model"] is None


def test_micrometers_server_span_says_the_route_as_its_uri() -> None:
    server = {"uri": "/chat/{topic}", "method": "POST", "outcome": "SUCCESS"}
    client = {"uri": "/v1/chat/completions", "method": "POST"}
    spans = (
        SpanOf(server, span=1, parent=0, end_s=2.0, kind=2),
        SpanOf(CHAT, span=2, parent=1, kind=1),
        SpanOf(client, span=3, parent=2, start_s=0.1, end_s=0.9),
    )
    call = read_all([request_of(*spans, scope_name=BOOT)]).calls.as_json(0)
    assert call["route"] == "/chat/{topic}"
    # To others it may be anything.
    assert read_all([request_of(*spans)]).calls.as_json(0)["route"] is None


def test_langchain4js_observation_counts_tokens_under_plain_names() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "OPEN_AI",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "outcome": "SUCCESS",
        "input_tokens": "107",
        "output_tokens": "23",
    }
    call = read_all([request_of(SpanOf(attributes, kind=1), scope_name=BOOT)]).calls.as_json(0)
    assert (call["input_tokens"], call["output_tokens"]) == (107, 23)
    assert (call["provider"], call["response_model"]) == ("openai", "gpt-4o-mini-2024-07-18")


def test_adk_for_java_tells_what_was_thought_and_cached_in_the_answer_alone() -> None:
    answer = {
        "usageMetadata": {
            "promptTokenCount": 107,
            "candidatesTokenCount": 23,
            "thoughtsTokenCount": 9,
            "cachedContentTokenCount": 64,
            "totalTokenCount": 139,
        }
    }
    attributes = {
        "gen_ai.system": "gcp.vertex.agent",
        "gen_ai.operation.name": "call_llm",
        "gen_ai.request.model": "gemini-2.5-flash",
        "gcp.vertex.agent.llm_response": json.dumps(answer),
        "gen_ai.usage.input_tokens": 107,
        "gen_ai.usage.output_tokens": 23,
        "gen_ai.response.finish_reasons": ["stop"],
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert (call["input_tokens"], call["output_tokens"]) == (107, 32)
    assert (call["cached_tokens"], call["reasoning_tokens"]) == (64, 9)


def test_traceloops_sdk_for_go_calls_the_provider_vendor() -> None:
    attributes = {
        "llm.vendor": "openai",
        "llm.request.type": "chat",
        "llm.request.model": "gpt-4o-mini",
        "llm.response.model": "gpt-4o-mini-2024-07-18",
        "llm.usage.prompt_tokens": 107,
        "llm.usage.completion_tokens": 23,
        "traceloop.workflow.name": "refund",
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert (call["provider"], call["input_tokens"], call["route"]) == ("openai", 107, "refund")


def test_rigs_failed_stream_is_a_call_that_streamed() -> None:
    attributes = {
        "gen_ai.operation.name": "chat_streaming",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
    }
    call = observe(SpanOf(attributes, kind=1, status=2)).calls.as_json(0)
    assert (call["streaming"], call["error_class"]) == (True, "unknown")


SERVER = {
    "gen_ai.request.id": "chatcmpl-1",
    "gen_ai.usage.prompt_tokens": 107,
    "gen_ai.usage.completion_tokens": 23,
    "gen_ai.latency.time_to_first_token": 0.25,
    "gen_ai.latency.e2e": 0.9,
}


def test_model_servers_request_is_a_call_that_names_no_model() -> None:
    found = observe(SpanOf(SERVER, kind=2, name="llm_request"))
    call = found.calls.as_json(0)
    assert (call["input_tokens"], call["output_tokens"], call["ttft"]) == (107, 23, 0.25)
    assert (call["request_model"], call["dialect"]) == (None, "vllm")


def test_model_servers_request_below_a_clients_call_is_that_call() -> None:
    found = observe(
        SpanOf({**CHAT, "gen_ai.request.stream": True}, span=1, parent=0, end_s=2.0),
        SpanOf(SERVER, span=2, parent=1, start_s=0.5, end_s=1.5, kind=2),
    )
    assert len(found.calls) == 1
    call = found.calls.as_json(0)
    assert (call["request_model"], call["input_tokens"]) == ("gpt-4o-mini", 100)


def test_cloudflares_names() -> None:
    answer = {"choices": [{"message": {"refusal": "No."}, "finish_reason": "stop"}]}
    attributes = {
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.model.provider": "openai",
        "gen_ai.usage.input_tokens": 107,
        "gen_ai.usage.output_tokens": 23,
        "gen_ai.usage.cost": 0.001,
        "gen_ai.prompt_json": '[{"role":"user","content":"help"}]',
        "gen_ai.completion_json": json.dumps(answer),
        "tenant_id": "acme",
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert (call["provider"], call["cost_usd"], call["tenant"]) == ("openai", 0.001, "acme")
    assert (call["finish_reasons"], call["refusal"]) == (["stop"], True)


def test_truefoundrys_request_and_the_model_below_it_are_one_call() -> None:
    request = {
        "tfy.span_type": "ChatCompletion",
        "tfy.request.model_name": "openai-main/gpt-4o-mini",
        "tfy.request.conversation_id": "c1",
        "tfy.request.metadata": '{"cohort": "canary", "tenant": "acme"}',
        "tfy.prompt_version_fqn": "chat_prompt:acme/bots/refund:3",
    }
    model = {
        "tfy.span_type": "Model",
        "tfy.model.name": "gpt-4o-mini",
        "tfy.model.metric.input_tokens": 107,
        "tfy.model.metric.output_tokens": 23,
        "tfy.model.metric.cache_read_input_tokens": 64,
        "tfy.model.metric.cost_in_usd": 0.001,
        "tfy.model.metric.time_to_first_token_in_ms": 250.0,
    }
    found = observe(
        SpanOf(request, span=1, parent=0, end_s=2.0, kind=2), SpanOf(model, span=2, parent=1)
    )
    assert len(found.calls) == 1
    call = found.calls.as_json(0)
    assert (call["input_tokens"], call["output_tokens"], call["cached_tokens"]) == (107, 23, 64)
    assert (call["ttft"], call["streaming"], call["cost_usd"]) == (0.25, True, 0.001)
    assert (call["session"], call["cohort"], call["tenant"]) == ("c1", "canary", "acme")
    assert call["prompt_version"] == "chat_prompt:acme/bots/refund:3"


def test_truefoundrys_failed_request_says_why() -> None:
    attributes = {
        "tfy.span_type": "Model",
        "tfy.model.name": "gpt-4o-mini",
        "tfy.error_message": "Error code: 429 - too many",
    }
    call = observe(SpanOf(attributes, status=2)).calls.as_json(0)
    assert call["error_class"] == "provider_throttle"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("java.io.InterruptedIOException: timeout", "timeout"),
        ("java.net.http.HttpTimeoutException", "timeout"),
        ("java.net.SocketException: Connection reset", "provider"),
        ("com.acme.Surprise: what", "provider"),
    ],
)
def test_cause_in_the_stack_trace_tells_what_a_wrapper_does_not(cause: str, expected: str) -> None:
    wrapper = "com.openai.errors.OpenAIIoException"
    trace = f"{wrapper}: Request failed\n\tat com.acme.A.b(A.java:1)\nCaused by: {cause}\n\tat x"
    exception = EventOf(
        "exception",
        {
            "exception.type": wrapper,
            "exception.message": "Request failed",
            "exception.stacktrace": trace,
        },
    )
    call = observe(SpanOf(CHAT, status=2, events=[exception])).calls.as_json(0)
    assert (call["error_type"], call["error_class"]) == ("OpenAIIoException", expected)


@pytest.mark.parametrize(
    ("component", "kind", "calls"),
    [
        ("ChatModel", "workflow", 1),
        ("ChatModel", "chatmodel", 1),
        ("Graph", "workflow", 0),
        ("ToolsNode", "toolsnode", 0),
    ],
)
def test_eino_says_what_a_span_is_beside_what_it_calls_it(
    component: str, kind: str, calls: int
) -> None:
    attributes = {
        "gen_ai.span.kind": kind,
        "gen_ai.system": "eino",
        "runinfo.component": component,
        "runinfo.type": "OpenAI",
        "gen_ai.request.model": "gpt-4o-mini",
    }
    found = observe(SpanOf(attributes, status=2))
    assert len(found.calls) == calls
    if calls:
        call = found.calls.as_json(0)
        assert (call["provider"], call["request_model"]) == ("openai", "gpt-4o-mini")


def test_bifrosts_older_names_of_the_parts_of_usage() -> None:
    attributes = {
        **CHAT,
        "bifrost.request.id": "r1",
        "bifrost.customer.id": "acme",
        "gen_ai.usage.prompt_token_details.cached_read_tokens": 64,
        "gen_ai.usage.completion_token_details.reasoning_tokens": 9,
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert (call["cached_tokens"], call["reasoning_tokens"]) == (64, 9)
    assert call["tenant"] == "acme"


@pytest.mark.parametrize(("operation", "streams"), [("generateText", False), ("streamText", True)])
def test_sigils_failed_generations_are_calls(operation: str, streams: bool) -> None:
    attributes = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "error.type": "provider_call_error",
    }
    found = observe(SpanOf(attributes, status=2, name=f"{operation} claude-sonnet-4-5"))
    assert len(found.calls) == 1
    assert found.calls.as_json(0)["streaming"] == streams


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("gen_ai.response.time_to_first_token", 0.25, 0.25),
        ("gen_ai.response.time_to_first_token", 250.0, 0.25),
        ("gen_ai.response.time_to_first_token", 250_000_000, 0.25),
        ("gen_ai.response.time_to_first_token", 25_000_000, 0.025),
        # Neither s nor ms nor ns.
        ("gen_ai.response.time_to_first_token", 250_000, None),
        ("gen_ai.response.time_to_first_token_ms", 0.5, None),
        ("gen_ai.response.ttft_ms", 250.5, 0.2505),
    ],
)
def test_unit_of_the_time_to_the_first_token_is_the_one_that_fits_the_call(
    key: str, value: float, expected: float | None
) -> None:
    call = observe(SpanOf({**CHAT, key: value})).calls.as_json(0)
    assert call["ttft"] == pytest.approx(expected)


def test_dated_model_of_who_calls_kinds_as_traceai_does_was_asked_for() -> None:
    attributes = {
        "gen_ai.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "dashscope",
        "gen_ai.request.model": "qwen-max-2025-01-25",
        "gen_ai.usage.input_tokens": 107,
        "gen_ai.usage.output_tokens": 23,
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert (call["request_model"], call["response_model"]) == ("qwen-max-2025-01-25", None)


def test_models_by_alibabas_names() -> None:
    attributes = {
        "gen_ai.span.kind": "LLM",
        "gen_ai.request.model_name": "qwen-max",
        "gen_ai.response.model_name": "qwen-max-2025-01-25",
        "gen_ai.usage.prompt_tokens": 107,
        "gen_ai.usage.completion_tokens": 23,
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert (call["request_model"], call["response_model"]) == ("qwen-max", "qwen-max-2025-01-25")


def test_quarkus_records_what_a_model_raised_and_sets_no_status() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "google_ai_gemini",
        "gen_ai.request.model": "gemini-2.5-flash",
    }
    raised = {
        "exception.type": "dev.langchain4j.exception.TimeoutException",
        "exception.message": "java.net.http.HttpTimeoutException: request timed out",
    }
    span = SpanOf(attributes, kind=1, events=[EventOf("exception", raised)], name="completion x")
    call = observe(span).calls.as_json(0)
    assert (call["provider"], call["error_class"]) == ("gcp.gemini", "timeout")
    assert call["error_type"] == "TimeoutException"


@pytest.mark.parametrize(
    ("scope", "name", "more", "calls"),
    [
        ("gcp.vertex.agent", "call_llm", {}, 1),
        ("gcp.vertex.agent", "call_llm", {"status": 0}, 0),
        ("gcp.vertex.agent", "invocation", {}, 0),
        ("myapp", "call_llm", {}, 0),
    ],
)
def test_failed_call_of_the_adk_for_java_has_a_name_alone(
    scope: str, name: str, more: dict[str, Any], calls: int
) -> None:
    raised = EventOf("exception", {"exception.type": "java.util.concurrent.TimeoutException"})
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "refund_bot"}
    call = SpanOf({}, span=2, parent=1, kind=1, name=name, events=[raised], status=2)
    spans = (SpanOf(agent, span=1, parent=0, end_s=2.0, kind=1, status=2), call._replace(**more))
    found = read_all([request_of(*spans, scope_name=scope)])
    assert len(found.calls) == calls
    if calls:
        read = found.calls.as_json(0)
        assert (read["error_type"], read["error_class"]) == ("TimeoutException", "timeout")
        assert (read["request_model"], read["route"]) == (None, "refund_bot")


@pytest.mark.parametrize(("key", "route"), [("tripswitch.route", "unknown"), ("http.route", None)])
def test_placeholder_is_no_route_unless_a_person_calls_it_so(key: str, route: str | None) -> None:
    assert observe(SpanOf({**CHAT, key: "unknown"})).calls.as_json(0)["route"] == route
