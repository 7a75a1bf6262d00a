"""Habits of single libraries, each by a small payload of its shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.genai.reading import read_all
from tests.genai.spans import CHAT, START_NS, EventOf, SpanOf, request_of
from tests.genai.test_understand import observe, one
from tripswitch.config.read_section import Read


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


def test_logfires_annotations_are_evaluations_of_the_span_they_are_under() -> None:
    told = {
        "logfire.span_type": "annotation",
        "logfire.msg": "feedback: groundedness = 0.92",
        "logfire.feedback.name": "groundedness",
        "groundedness": 0.92,
    }
    label = {
        "logfire.msg": "feedback: tone = 'friendly'",
        "logfire.feedback.name": "tone",
        "tone": "friendly",
    }
    call = observe(
        SpanOf(CHAT, parent=0),
        SpanOf(told, span=2, parent=1, start_s=2, end_s=2),
        SpanOf(label, span=3, parent=1, start_s=2, end_s=2),
    ).calls.as_json(0)
    assert {item["name"]: (item["raw"], item["label"]) for item in call["evals"]} == {
        "groundedness": (0.92, None),
        "tone": (None, "friendly"),
    }


def test_provider_usage_beside_logfires_own_keys_tells_of_reasoning() -> None:
    raw = {"completion_tokens": 20, "completion_tokens_details": {"reasoning_tokens": 8}}
    call = one({**CHAT, "gen_ai.usage.raw": json.dumps(raw)})
    assert (call["output_tokens"], call["reasoning_tokens"]) == (20, 8)


@pytest.mark.parametrize("scope", ["traceai_langchain", "openinference.instrumentation.langchain"])
def test_what_langchains_answer_says(scope: str) -> None:
    usage = {"input_token_details": {"cache_read": 64}, "output_token_details": {"reasoning": 40}}
    answer = {
        "generations": [[{"message": {"kwargs": {"usage_metadata": usage}}}]],
        "llm_output": {"model_name": "gpt-4o-mini-2024-07-18", "id": "chatcmpl-1"},
    }
    is_traceai = scope.startswith("traceai")
    attributes = {
        "gen_ai.span.kind" if is_traceai else "openinference.span.kind": "LLM",
        "gen_ai.request.parameters": '{"model": "gpt-4o-mini"}',
        "llm.invocation_parameters": '{"model": "gpt-4o-mini"}',
        "gen_ai.usage.input_tokens": 212,
        "gen_ai.usage.output_tokens": 120,
        "output.value": json.dumps(answer),
    }
    call = read_all([request_of(SpanOf(attributes), scope_name=scope)]).calls.as_json(0)
    assert call["request_model"] == "gpt-4o-mini"
    assert call["response_model"] == "gpt-4o-mini-2024-07-18"
    if is_traceai:
        # OpenInference has keys for these.
        assert (call["cached_tokens"], call["reasoning_tokens"]) == (64, 40)
        assert call["response_id"] == "chatcmpl-1"


@pytest.mark.parametrize("scope", ["traceai_langchain", "openinference.instrumentation.langchain"])
@pytest.mark.parametrize(
    ("generation", "streams"),
    [
        ({"type": "ChatGenerationChunk"}, True),
        ({"message": {"id": ["langchain", "schema", "messages", "AIMessageChunk"]}}, True),
        ({"message": {"id": ["langchain_core", "messages", "AIMessageChunk"]}}, True),
        ({"type": "ChatGeneration"}, False),
    ],
)
def test_chunks_that_langchain_put_together_are_of_a_stream(
    scope: str, generation: dict[str, Any], *, streams: bool
) -> None:
    kind = "gen_ai.span.kind" if scope.startswith("traceai") else "openinference.span.kind"
    attributes = {
        kind: "LLM",
        "gen_ai.request.parameters": '{"model": "gpt-4o-mini", "stream": false}',
        "llm.invocation_parameters": '{"model": "gpt-4o-mini", "stream": false}',
        "output.value": json.dumps({"generations": [[{"text": "Hi.", **generation}]]}),
    }
    call = read_all([request_of(SpanOf(attributes), scope_name=scope)]).calls.as_json(0)
    assert call["streaming"] is streams


@pytest.mark.parametrize(
    ("scope", "tokens"),
    [
        ("opentelemetry.instrumentation.botocore.bedrock-runtime", 222),
        ("opentelemetry.instrumentation.bedrock", 222),
        ("opentelemetry.instrumentation.genai.bedrock", 222),
        ("opentelemetry.instrumentation.genai.anthropic", 148),
        ("openlit.instrumentation.anthropic", 222),
        ("opentelemetry.instrumentation.openai_v2", 148),
    ],
)
def test_cached_tokens_are_added_where_a_library_is_known_to_leave_them_out(
    scope: str, tokens: int
) -> None:
    attributes = {
        **CHAT,
        "gen_ai.usage.input_tokens": 148,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.cache_creation.input_tokens": 10,
    }
    call = read_all([request_of(SpanOf(attributes), scope_name=scope)]).calls.as_json(0)
    assert (call["input_tokens"], call["cached_tokens"]) == (tokens, 64)
    # A count that cannot hold the cached ones leaves them out, whoever wrote it; once is enough.
    attributes["gen_ai.usage.input_tokens"] = 20
    call = read_all([request_of(SpanOf(attributes), scope_name=scope)]).calls.as_json(0)
    assert call["input_tokens"] == 84 + (10 if tokens == 222 else 0)


def test_bedrocks_model_is_the_one_asked_for_and_its_method_is_no_route() -> None:
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.provider": "aws",
        "llm.model_name": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "llm.token_count.prompt": 107,
        "rpc.method": "ConverseStream",
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert call["request_model"] == "us.anthropic.claude-haiku-4-5-20251001-v1:0"
    assert (call["response_model"], call["route"]) == (None, None)
    assert call["streaming"] is True
    above = {"rpc.method": "Refund", "rpc.service": "bot"}
    below = observe(SpanOf(above, span=2, parent=0, kind=2), SpanOf(attributes, parent=2))
    assert below.calls.as_json(0)["route"] == "Refund"


@pytest.mark.parametrize(
    ("model", "is_chat"),
    [
        ("amazon.titan-embed-text-v2:0", False),
        ("cohere.rerank-v3-5:0", False),
        ("amazon.titan-text-express-v1", True),
    ],
)
def test_call_of_a_model_that_does_not_chat_is_no_chat(model: str, is_chat: bool) -> None:
    attributes = {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.system": "aws.bedrock",
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": 254,
        "gen_ai.usage.output_tokens": 0,
    }
    found = observe(SpanOf(attributes))
    assert list(found.calls.is_chat) == [is_chat]
    assert found.calls.as_json(0)["output_tokens"] == (0 if is_chat else None)


def test_embeddings_parameters_name_the_model_and_a_prefix_names_the_provider() -> None:
    embedding = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.invocation_parameters": '{"model": "openai/text-embedding-3-small"}',
        "embedding.model_name": "text-embedding-3-small",
        "llm.token_count.prompt": 254,
    }
    call = observe(SpanOf(embedding)).calls.as_json(0)
    assert (call["provider"], call["request_model"]) == ("openai", "text-embedding-3-small")
    chat = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "openai/gpt-4o-mini",
        "llm.invocation_parameters": '{"model": "openai/gpt-4o-mini"}',
        "llm.token_count.prompt": 107,
    }
    call = observe(SpanOf(chat)).calls.as_json(0)
    assert (call["request_model"], call["response_model"]) == ("gpt-4o-mini", None)


@pytest.mark.parametrize(
    ("name", "extra", "calls"),
    [
        ("OpenAI._prepare_chat_with_tools", {}, 0),
        ("OpenAI._prepare_chat_with_tools", {"llm.token_count.prompt": 107}, 1),
        ("OpenAI._prepare_chat_with_tools", {"llm.finish_reason": "stop"}, 1),
        ("OpenAI.chat", {}, 1),
        ("LM.__call__", {}, 1),
    ],
)
def test_private_step_without_an_answer_is_no_call(
    name: str, extra: dict[str, object], calls: int
) -> None:
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-mini",
        "llm.invocation_parameters": '{"model_name": "gpt-4o-mini"}',
        **extra,
    }
    found = observe(SpanOf(attributes, name=name))
    assert len(found.calls) == calls
    # What is passed over is counted.
    assert found.rejected.get("call", 0) == 1 - calls
    assert len(observe(SpanOf(attributes, name=name, status=2)).calls) == 1


@pytest.mark.parametrize(
    ("name", "streaming"),
    [
        ("GenerateContentStream", True),
        ("bedrock.converse_stream", True),
        ("GenerateContent", False),
    ],
)
def test_name_of_a_method_says_that_it_streams_where_nothing_else_does(
    name: str, streaming: bool
) -> None:
    assert observe(SpanOf(CHAT, name=name)).calls.as_json(0)["streaming"] is streaming
    said = {**CHAT, "gen_ai.request.stream": False}
    assert observe(SpanOf(said, name=name)).calls.as_json(0)["streaming"] is False


def test_langwatchs_metrics_answers_and_evaluations() -> None:
    told = {"name": "groundedness", "score": 0.92, "passed": True, "label": "pass"}
    verdict = {"name": "pii", "is_guardrail": True, "passed": False, "score": None}
    root = SpanOf(
        {"langwatch.span.type": "span", "metadata": '{"cohort": "canary"}'},
        parent=0,
        events=[
            EventOf("langwatch.evaluation.custom", {"json_encoded_event": json.dumps(each)})
            for each in (told, verdict, {"name": "failed", "status": "error"}, ["not", "it"])
        ],
    )
    message = {"role": "assistant", "content": None, "refusal": "I can't."}
    llm = {
        "langwatch.span.type": "llm",
        "gen_ai.request.model": "openai/gpt-4o-mini",
        "langwatch.params": '{"stream": true}',
        "langwatch.timestamps": json.dumps({"first_token_at": START_NS // 10**6 + 250}),
        "langwatch.metrics": '{"prompt_tokens": 107, "completion_tokens": 23, "cost": 0.5}',
        "langwatch.output": json.dumps({"type": "chat_messages", "value": [message]}),
    }
    tone = {
        "langwatch.span.type": "evaluation",
        "langwatch.output": '{"type": "evaluation_result", "value": {"score": 0.5}}',
    }
    call = observe(
        root, SpanOf(llm, span=2, parent=1), SpanOf(tone, span=3, parent=1, name="tone")
    ).calls.as_json(0)
    assert (call["dialect"], call["cohort"], call["refusal"]) == ("langwatch", "canary", True)
    assert (call["input_tokens"], call["output_tokens"], call["cost_usd"]) == (107, 23, 0.5)
    assert (call["streaming"], call["ttft"]) == (True, 0.25)
    assert {each["name"]: each["raw"] for each in call["evals"]} == {
        "groundedness": 0.92,
        "tone": 0.5,
    }
    assert [(each["name"], each["verdict"]) for each in call["guardrails"]] == [("pii", "block")]


def test_stream_is_not_read_off_a_place_where_the_first_tokens_time_may_stand() -> None:
    llm = {
        **CHAT,
        "langwatch.span.type": "llm",
        "langwatch.timestamps": '{"started_at": 1795797555819}',
    }
    call = observe(SpanOf(llm)).calls.as_json(0)
    assert (call["streaming"], call["ttft"]) == (False, None)


def test_langtraces_names() -> None:
    call = one(
        {
            "gen_ai.response_id": "resp_1",
            "gen_ai.usage.cached_tokens": 64,
            "gen_ai.operation.name": "openai.responses.create",
        }
    )
    assert (call["response_id"], call["cached_tokens"]) == ("resp_1", 64)


def test_agentops_calls_guardrails_and_refusals() -> None:
    llm: dict[str, object] = {
        "gen_ai.request.type": "chat",
        "gen_ai.system": "OpenAI",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.streaming": True,
    }
    refused = {
        "gen_ai.completion.0.refusal": "I can't.",
        "gen_ai.completion.0.finish_reason": "stop",
    }
    guard = {
        "agentops.span.kind": "guardrail",
        "agentops.guardrail.output": '{"tripwire_triggered": true}',
    }
    call = observe(
        SpanOf({"agentops.span.kind": "session"}, parent=0),
        SpanOf(
            {**llm, **refused},
            span=2,
            parent=1,
            events=[EventOf("first_token_received", {"time_elapsed": 0.001}, 0.25)],
        ),
        SpanOf(guard, span=3, parent=1, name="toxicity-guard.guardrail"),
    ).calls.as_json(0)
    assert (call["refusal"], call["streaming"], call["ttft"]) == (True, True, 0.25)
    assert [(each["name"], each["verdict"]) for each in call["guardrails"]] == [
        ("toxicity-guard", "block")
    ]
    # Nothing but the kind of request says that one that failed was a call.
    failed = observe(SpanOf(llm, status=2)).calls.as_json(0)
    assert (failed["provider"], failed["error_class"]) == ("openai", "unknown")
    nothing = {**llm, "gen_ai.completion.0.refusal": ""}
    assert observe(SpanOf(nothing)).calls.as_json(0)["refusal"] is None


def test_refusal_is_not_read_when_content_is_left_alone() -> None:
    attributes = {**CHAT, "gen_ai.completion.0.refusal": "I can't."}
    assert observe(SpanOf(attributes)).calls.as_json(0)["refusal"] is True
    blind = observe(SpanOf(attributes), read=Read(content_facts=False))
    assert blind.calls.as_json(0)["refusal"] is None


def test_semantic_kernel_writes_the_names_of_pythons_values() -> None:
    assert one({"gen_ai.response.finish_reason": "None"})["finish_reasons"] == []
    both = one({"gen_ai.response.finish_reason": "FinishReason.STOP,FinishReason.LENGTH"})
    assert both["finish_reasons"] == ["stop", "length"]


@pytest.mark.parametrize(
    ("total", "tokens"),
    [(280, (212, 68)), (216, (148, 68)), (None, (148, 68)), (320, (212, 108)), (256, (148, 108))],
)
def test_total_that_adds_up_only_with_the_parts_counts_them_apart(
    total: int | None, tokens: tuple[int, int]
) -> None:
    usage = {"input": 148, "output": 68, "input_cache_read": 64, "output_reasoning": 40}
    if total is not None:
        usage["total"] = total
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.metadata.ls_model_name": "gpt-4o",
        "langfuse.observation.metadata.ls_provider": "openai",
        "langfuse.observation.model.name": "gpt-4o-2024-11-20",
        "langfuse.observation.usage_details": json.dumps(usage),
        "langfuse.observation.output": json.dumps(
            {"role": "assistant", "content": "", "additional_kwargs": {"refusal": "I can't."}}
        ),
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert (call["input_tokens"], call["output_tokens"]) == tokens
    assert (call["cached_tokens"], call["reasoning_tokens"]) == (64, 40)
    assert (call["provider"], call["request_model"]) == ("openai", "gpt-4o")
    assert (call["response_model"], call["refusal"]) == ("gpt-4o-2024-11-20", True)


@pytest.mark.parametrize(
    ("attributes", "failed"),
    [
        ({}, False),
        ({"gen_ai.usage.output_tokens": 0}, True),
        ({"gen_ai.response.finish_reasons": ["MALFORMED_FUNCTION_CALL"]}, True),
        ({"gen_ai.response.finish_reasons": ["error", "stop"]}, False),
    ],
)
def test_reason_that_was_filled_in_beside_a_whole_answer_is_no_failure(
    attributes: dict[str, object], *, failed: bool
) -> None:
    found = observe(
        SpanOf({**CHAT, "gen_ai.response.finish_reasons": ["error"], **attributes}, parent=0)
    )
    assert "error" in found.calls.as_json(0)["finish_reasons"]
    assert list(found.requests.error) == [failed]


def test_metadata_beside_sums_of_tokens_is_no_sign_of_a_model() -> None:
    sums = {
        "gen_ai.operation.name": "step",
        "metadata": '{"cohort": "canary"}',
        "gen_ai.usage.input_tokens": 300,
        "gen_ai.usage.output_tokens": 40,
    }
    assert len(observe(SpanOf(sums, parent=0)).calls) == 0
    assert len(observe(SpanOf({**sums, "gen_ai.operation.name": ""}, parent=0)).calls) == 0


@pytest.mark.parametrize("kind", ["GRAPH", ""])
def test_documents_of_a_step_are_no_sign_of_a_call(kind: str) -> None:
    step = {
        "openinference.span.kind": kind,
        "input.value": '{"question": "x"}',
        "output.value": '{"answer": "y"}',
        "metadata": '{"cohort": "canary"}',
    }
    for scope in ("openinference.instrumentation.x", "traceai_x"):
        assert len(read_all([request_of(SpanOf(step, parent=0), scope_name=scope)]).calls) == 0


def of_answer(answer: object, **attributes: object) -> dict[str, object]:
    """Return the call of an OpenInference span that holds a provider's answer as it came."""
    span = SpanOf(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-2024-11-20",
            "output.value": json.dumps(answer),
            **attributes,
        }
    )
    return observe(span).calls.as_json(0)


def test_tokens_without_a_key_are_read_from_the_providers_answer() -> None:
    chat = {
        "prompt_tokens": 212,
        "completion_tokens": 68,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    responses = {
        "input_tokens": 212,
        "output_tokens": 68,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens_details": {"reasoning_tokens": 40},
    }
    for usage in (chat, responses):
        call = of_answer({"choices": [{"finish_reason": "length"}], "usage": usage})
        assert [call[f"{part}_tokens"] for part in ("input", "output", "cached", "reasoning")] == [
            212,
            68,
            64,
            40,
        ]
        assert call["finish_reasons"] == ["length"]
    # What has a key counts.
    assert of_answer({"usage": chat}, **{"llm.token_count.prompt": 300})["input_tokens"] == 300


def test_invocation_with_an_id_is_the_answers() -> None:
    parameters = json.dumps({"id": "resp_1", "model": "gpt-4o-2024-11-20"})
    call = of_answer({}, **{"llm.invocation_parameters": parameters, "llm.token_count.prompt": 7})
    assert (call["request_model"], call["response_model"]) == (None, "gpt-4o-2024-11-20")


def test_embedders_answer_holds_its_tokens() -> None:
    call = of_answer(
        {"embedding": "<4-dimensional vector>", "meta": {"usage": {"prompt_tokens": 254}}},
        **{"openinference.span.kind": "EMBEDDING"},
    )
    assert (call["input_tokens"], call["output_tokens"]) == (254, None)


def of_traceai(scope: str, **attributes: object) -> dict[str, object]:
    """Return the call of a span that FutureAGI's instrumentation wrote."""
    keys = {
        f"gen_ai.{name}".replace("__", "."): value
        for name, value in {"span__kind": "LLM", **attributes}.items()
    }
    return read_all([request_of(SpanOf(keys), scope_name=scope)]).calls.as_json(0)


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        ("traceai_openai", {}),
        ("@traceai/openai", {}),
        ("shop", {"output__messages__0__message__role": "assistant"}),
    ],
)
def test_traceai_is_known_by_its_scopes_and_by_how_it_lays_out_messages(
    scope: str, attributes: dict[str, object]
) -> None:
    usage = {"usage__input_tokens": 7, "usage__output_tokens": 3}
    call = of_traceai(scope, request__model="gpt-4o-2024-11-20", **usage, **attributes)
    assert call["dialect"] == "traceai"
    assert call["response_model"] == "gpt-4o-2024-11-20"


def test_parameters_with_an_id_are_the_answers() -> None:
    dated, usage = "gpt-4o-2024-11-20", {"usage__input_tokens": 7, "usage__output_tokens": 3}
    parameters = {"id": "resp_1", "model": dated}
    call = of_traceai(
        "traceai_openai_agents",
        request__model=dated,
        request__parameters=json.dumps(parameters),
        **usage,
    )
    assert (call["request_model"], call["response_model"]) == (None, dated)
    # Who asks for a dated model says so.
    call = of_traceai(
        "traceai_openai",
        request__model=dated,
        request__parameters=json.dumps({"model": dated}),
        **usage,
    )
    assert (call["request_model"], call["response_model"]) == (dated, dated)
    call = of_traceai("traceai_openai_agents", request__model="gpt-4o", **usage)
    assert (call["request_model"], call["response_model"]) == ("gpt-4o", None)


def test_anthropics_answer_says_what_was_cached_beside_the_rest() -> None:
    usage = {"input_tokens": 148, "cache_read_input_tokens": 64, "output_tokens": 68}
    attributes = {
        "gen_ai.span.kind": "LLM",
        "gen_ai.request.model": "claude-sonnet-4-5-20250929",
        "gen_ai.usage.input_tokens": 148,
        "gen_ai.usage.output_tokens": 68,
        "output.value": json.dumps({"stop_reason": "end_turn", "content": [], "usage": usage}),
    }
    body = request_of(SpanOf(attributes), scope_name="traceai_anthropic")
    call = read_all([body]).calls.as_json(0)
    assert (call["input_tokens"], call["cached_tokens"]) == (212, 64)
    assert call["finish_reasons"] == ["stop"]


def test_embedding_model_with_a_providers_prefix() -> None:
    attributes = {
        "gen_ai.span.kind": "EMBEDDING",
        "embedding.model_name": "openai/text-embedding-3-small",
    }
    span = SpanOf({**attributes, "gen_ai.usage.input_tokens": 9})
    call = read_all([request_of(span, scope_name="traceai_litellm")]).calls.as_json(0)
    assert (call["provider"], call["request_model"]) == ("openai", "text-embedding-3-small")


@pytest.mark.parametrize(
    ("provider", "tokens"), [("gcp.gen_ai", 120), ("gemini", 120), ("openai", 80)]
)
def test_what_a_google_model_thought_is_in_the_total_alone(provider: str, tokens: int) -> None:
    usage = {"input_tokens": 303, "output_tokens": 80, "total_tokens": 423}
    keys = {f"gen_ai.usage.{name}": count for name, count in usage.items()}
    call = one({"gen_ai.provider.name": provider, **keys})
    assert (call["output_tokens"], call["reasoning_tokens"]) == (tokens, None)


@pytest.mark.parametrize(
    ("scope", "name", "more", "calls"),
    [
        ("openlit.instrumentation.anthropic", "chat claude-haiku-4-5", {}, 1),
        ("openlit.instrumentation.anthropic", "chat claude-haiku-4-5", {"status": 0}, 0),
        ("openlit.instrumentation.anthropic", "chat claude-haiku-4-5", {"kind": 1}, 0),
        ("openlit.instrumentation.anthropic", "chat with the user", {}, 0),
        ("openlit.instrumentation.anthropic", "POST", {}, 0),
        # Anybody's span.
        ("myapp", "chat claude-haiku-4-5", {}, 0),
    ],
)
def test_failed_call_of_which_only_the_name_is_told(
    scope: str, name: str, more: dict[str, Any], calls: int
) -> None:
    raised = EventOf("exception", {"exception.type": "anthropic.RateLimitError"})
    span = SpanOf({}, name=name, events=[raised], status=2)._replace(**more)
    for _ in range(2):
        found = read_all([request_of(span, scope_name=scope)])
        assert len(found.calls) == calls
    if calls:
        call = found.calls.as_json(0)
        assert call["request_model"] == "claude-haiku-4-5"
        assert (call["error_type"], call["error_class"]) == ("RateLimitError", "provider_throttle")


def test_answers_id_stands_in_the_providers_answer() -> None:
    usage = {"prompt_tokens": 212, "completion_tokens": 68}
    assert of_answer({"id": "chatcmpl-1", "usage": usage})["response_id"] == "chatcmpl-1"
    of_langchain = {"generations": [[{"message": {"kwargs": {"response_metadata": {"id": "r1"}}}}]]}
    assert of_answer(of_langchain)["response_id"] == "r1"
    # JSON that the model composed.
    assert of_answer({"id": "order-1", "state": "refunded"})["response_id"] is None


def test_langfuse_says_what_was_streamed_and_why_a_response_is_not_whole() -> None:
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o-mini",
        "langfuse.observation.model.parameters": '{"stream":true,"response_format":""}',
        "langfuse.observation.level": "ERROR",
        "langfuse.observation.status_message": "Error: 401 Incorrect API key",
    }
    call = observe(SpanOf(attributes)).calls.as_json(0)
    assert (call["streaming"], call["error_class"]) == (True, "client")
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o-mini-2024-07-18",
        "langfuse.observation.usage_details": '{"input":359,"output":131,"total":490}',
        "langfuse.observation.metadata.incomplete_details": '{"reason":"max_output_tokens"}',
        "langfuse.observation.metadata.status": "incomplete",
    }
    assert observe(SpanOf(attributes)).calls.as_json(0)["finish_reasons"] == ["length"]


def test_langsmiths_wrapper_writes_down_that_it_was_asked_to_stream() -> None:
    asked = {"args": [{"model": "gpt-4o-mini", "messages": [], "stream": True}, None]}
    attributes = {
        **CHAT,
        "langsmith.span.kind": "llm",
        "gen_ai.prompt": json.dumps(asked),
        "gen_ai.usage.output_token_details": '{"reasoning": 9}',
    }
    call = read_all([request_of(SpanOf(attributes), scope_name="langsmith")]).calls.as_json(0)
    assert (call["streaming"], call["reasoning_tokens"]) == (True, 9)


def test_mastras_tags() -> None:
    tags = {
        "route": "/chat/refund",
        "promptName": "refund-bot",
        "promptVersion": "18",
        "cohort": "canary",
        "tenant": "acme",
        "sessionId": "sess-1",
    }
    attributes = {
        **CHAT,
        "gen_ai.agent.name": "refund-agent",
        "gen_ai.response.finish_reasons": '["stop"]',
        "mastra.span.type": "model_inference",
        # There on answers that were not streamed, too.
        "mastra.completion_start_time": "2026-11-23T23:10:01.400Z",
        **{f"mastra.metadata.{name}": value for name, value in tags.items()},
    }
    body = request_of(SpanOf(attributes, status=1), scope_name="@mastra/otel-exporter")
    call = read_all([body]).calls.as_json(0)
    names = ("route", "prompt_name", "prompt_version", "cohort", "tenant", "session")
    assert [call[name] for name in names] == list(tags.values())
    assert (call["finish_reasons"], call["streaming"], call["ttft"]) == (["stop"], False, None)


LAMINAR_CALL = {
    "lmnr.span.type": "LLM",
    "lmnr.span.path": ["refund_bot", "openai.chat"],
    "lmnr.association.properties.session_id": "s1",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
}


def test_laminar_tells_of_a_trace_on_its_root_and_names_its_tools() -> None:
    properties = "lmnr.association.properties.metadata."
    root = {
        "lmnr.span.type": "DEFAULT",
        f"{properties}prompt_name": "refund-bot",
        f"{properties}prompt_version": "17",
        f"{properties}cohort": "control",
        f"{properties}route": "/chat/refund",
    }
    found = observe(
        SpanOf(root, span=1, parent=0, end_s=3.0),
        SpanOf({**LAMINAR_CALL, "gen_ai.usage.input_tokens": 107}, span=2, parent=1),
        SpanOf(
            {"lmnr.span.type": "TOOL"},
            span=3,
            parent=1,
            start_s=1.5,
            end_s=2.0,
            name="lookup_order",
        ),
    )
    assert len(found.calls) == 1
    call = found.calls.as_json(0)
    assert (call["dialect"], call["prompt_name"], call["prompt_version"]) == (
        "laminar",
        "refund-bot",
        "17",
    )
    assert (call["cohort"], call["route"], call["session"]) == ("control", "/chat/refund", "s1")
    assert [used["name"] for used in call["tools"]] == ["lookup_order"]


def test_failed_call_of_laminars_is_one() -> None:
    attributes = {**LAMINAR_CALL, "error.type": "RateLimitError"}
    calls = observe(SpanOf(attributes, status=2)).calls
    assert len(calls) == 1
    call = calls.as_json(0)
    assert (call["error_class"], call["error_type"]) == ("provider_throttle", "RateLimitError")


def test_what_laminars_evaluations_run_is_no_traffic() -> None:
    found = observe(
        SpanOf({"lmnr.span.type": "EVALUATION"}, span=1, parent=0, end_s=3.0),
        SpanOf({"lmnr.span.type": "EXECUTOR"}, span=2, parent=1, end_s=2.0),
        SpanOf({**LAMINAR_CALL, "gen_ai.usage.input_tokens": 107}, span=3, parent=2),
    )
    assert len(found.calls) == 0


def test_answer_that_asks_for_a_tool_says_more_than_a_stop_made_of_its_status() -> None:
    asked = {"type": "function_call", "name": "lookup_order", "status": "completed"}
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-mini-2024-07-18",
        "llm.finish_reason": "stop",
        "output.value": json.dumps({"status": "completed", "output": [asked]}),
    }
    assert observe(SpanOf(attributes)).calls.as_json(0)["finish_reasons"] == ["tool_call"]


@pytest.mark.parametrize(
    ("provider", "total", "output"),
    [("openai", 270, 65), ("openai", 279, 74), ("openai", 271, 74), ("gcp.gemini", 270, 74)],
)
def test_output_that_counts_twice_what_was_thought(provider: str, total: int, output: int) -> None:
    call = one(
        {
            "gen_ai.provider.name": provider,
            "gen_ai.usage.input_tokens": 205,
            "gen_ai.usage.output_tokens": 74,
            "gen_ai.usage.reasoning.output_tokens": 9,
            "llm.token_count.total": total,
        }
    )
    assert (call["input_tokens"], call["output_tokens"]) == (205, output)
    assert call["reasoning_tokens"] == 9


def test_honeyhive_tells_of_calls_on_the_spans_that_a_person_made() -> None:
    root = {
        "honeyhive_event_type": "chain",
        "honeyhive_metadata.event_type": "chain",
        "honeyhive_metadata.prompt_name": "refund-bot",
        "honeyhive_metadata.prompt_version": "17",
        "honeyhive_metadata.cohort": "control",
        "honeyhive_metadata.route": "/chat/refund",
    }
    call = {
        "honeyhive_event_type": "model",
        "openinference.span.kind": "LLM",
        "llm.token_count.prompt": 107,
    }
    tool = {"honeyhive_event_type": "tool", "honeyhive_metadata.event_type": "tool"}
    # Whatever it knows nothing of is called a tool.
    other = {"honeyhive_event_type": "tool", "http.request.method": "GET"}
    found = observe(
        SpanOf(root, span=1, parent=0, end_s=3.0),
        SpanOf(call, span=2, parent=1),
        SpanOf(tool, span=3, parent=1, start_s=1.5, end_s=2.0, name="lookup_order"),
        SpanOf(other, span=4, parent=1, start_s=2.0, end_s=2.5, name="GET"),
    )
    assert len(found.calls) == 1
    read = found.calls.as_json(0)
    assert (read["prompt_name"], read["prompt_version"]) == ("refund-bot", "17")
    assert (read["cohort"], read["route"]) == ("control", "/chat/refund")
    assert [used["name"] for used in read["tools"]] == ["lookup_order"]


def test_posthogs_processor_names_session_and_user_of_any_call() -> None:
    call = one({"posthog.distinct_id": "u1", "$session_id": "s1", "prompt_name": "refund-bot"})
    assert (call["session"], call["prompt_name"]) == ("s1", "refund-bot")
    assert call["user"] not in (None, "u1")


def test_route_of_the_providers_api_is_none_of_the_applications() -> None:
    attributes = {
        **CHAT,
        "http.route": "/v1/messages",
        "url.path": "/v1/messages",
        "url.full": "https://api.anthropic.com/v1/messages",
        "anthropic.message.stop_reason": "max_tokens",
    }
    alone = request_of(SpanOf(attributes, parent=0), scope_name="com.anthropic.sdk.python")
    call = read_all([alone]).calls.as_json(0)
    assert (call["route"], call["finish_reasons"]) == (None, ["length"])
    assert call["dialect"] == "anthropic"
    below = request_of(SpanOf(attributes, parent=2), scope_name="com.anthropic.sdk.python")
    above = request_of(SpanOf({"http.route": "/chat/refund"}, span=2, parent=0, kind=2))
    assert read_all([below, above]).calls.route == ["/chat/refund"]
    # A server's own span that a library wrote the call on.
    own = request_of(SpanOf({**CHAT, "http.route": "/chat/refund"}, parent=0, kind=2))
    assert read_all([own]).calls.route == ["/chat/refund"]


@pytest.mark.parametrize(("end", "streaming"), [("#stream", True), ("", False)])
def test_mistrals_sdk_says_by_the_address_that_an_answer_was_streamed(
    end: str, streaming: bool
) -> None:
    url = f"https://api.mistral.ai/v1/chat/completions{end}"
    body = request_of(SpanOf({**CHAT, "http.url": url}), scope_name="mistralai_sdk_tracer")
    assert read_all([body]).calls.streaming == [streaming]
    # Of a server it is the application's own address.
    other = request_of(SpanOf({**CHAT, "http.url": url}, kind=2))
    assert read_all([other]).calls.streaming == [False]


def test_session_that_the_application_names_is_no_conversation_that_a_library_made_up() -> None:
    found = observe(
        SpanOf({"session.id": "sess-1"}, span=1, parent=0, end_s=3.0),
        SpanOf({**CHAT, "gen_ai.conversation.id": "0199-made-up"}, span=2, parent=1),
    )
    assert found.calls.as_json(0)["session"] == "sess-1"


def test_deepeval_keeps_a_request_under_keys_of_its_own() -> None:
    request = {
        "confident.span.type": "agent",
        "confident.agent.name": "refund_agent",
        "confident.trace.thread_id": "s1",
        "confident.trace.user_id": "u1",
        "confident.trace.metadata": '{"cohort": "canary", "route": "/refund", "tenant": "acme"}',
    }
    asked = {
        "confident.span.type": "llm",
        "confident.llm.model": "gpt-4o-mini",
        "confident.span.provider": "OpenAI",
        "confident.llm.input_token_count": 107,
        "confident.llm.output_token_count": 23,
        "confident.span.prompt_alias": "refund-bot",
        "confident.span.prompt_version": "17",
        "confident.span.prompt_commit_hash": "c0ffee",
    }
    tool = {"confident.span.type": "tool", "confident.tool.name": "lookup_order"}
    found = observe(
        SpanOf(request, span=1, parent=0),
        SpanOf(asked, span=2, parent=1, end_s=0.4),
        SpanOf(tool, span=3, parent=1, start_s=0.5, end_s=0.6),
        SpanOf({"confident.span.type": "retriever"}, span=4, parent=1),
    ).calls
    assert len(found) == 1
    call = found.as_json(0)
    assert (call["dialect"], call["provider"], call["request_model"]) == (
        "deepeval",
        "openai",
        "gpt-4o-mini",
    )
    assert (call["input_tokens"], call["output_tokens"]) == (107, 23)
    assert (call["prompt_name"], call["prompt_version"]) == ("refund-bot", "17")
    assert (call["cohort"], call["route"], call["tenant"]) == ("canary", "/refund", "acme")
    assert call["session"] == "s1"
    assert call["user"] is not None
    assert [tool["name"] for tool in call["tools"]] == ["lookup_order"]
    # What was asked for is all that a failed call has.
    named = {"confident.span.type": "llm", "confident.llm.model": "gpt-4o-mini-2024-07-18"}
    failed = observe(SpanOf(named, status=2)).calls.as_json(0)
    assert (failed["request_model"], failed["response_model"]) == ("gpt-4o-mini-2024-07-18", None)
