"""Which spans are calls, and what is understood of each."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.genai.reading import Reading, read_all
from tests.genai.spans import (
    CHAT,
    START_NS,
    EventOf,
    SpanOf,
    request_of,
    span_hex,
    trace_hex,
)
from tests.genai.test_coercion import anything
from tripswitch.config.read_section import Read
from tripswitch.genai.dialects import DIALECTS


def observe(*spans: SpanOf, read: Read | None = None, **resource: object) -> Reading:
    attributes = {key.replace("_", "."): value for key, value in resource.items()}
    return read_all([request_of(*spans, resource=attributes)], read)


def one(attributes: dict[str, object], **span: Any) -> dict[str, Any]:
    observed = observe(SpanOf({**CHAT, **attributes}, **span))
    assert len(observed.calls) == 1
    return observed.calls.as_json(0)


def evaluation(name: str, score: float) -> EventOf:
    return EventOf(
        "gen_ai.evaluation.result",
        {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": score},
    )


# --- which spans are calls ------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["chat", "generate_content", "text_completion", "Chat"])
def test_chat_operations_are_calls(operation: str) -> None:
    observed = observe(SpanOf({**CHAT, "gen_ai.operation.name": operation}))
    assert observed.calls.is_chat == [True]


@pytest.mark.parametrize(
    "operation",
    ["invoke_agent", "invoke_workflow", "execute_tool", "retrieval", "fetch_response", "evaluate"],
)
def test_agents_workflows_and_tools_are_no_calls_even_with_tokens(operation: str) -> None:
    assert len(observe(SpanOf({**CHAT, "gen_ai.operation.name": operation})).calls) == 0


def test_embeddings_are_listed_but_no_chat_and_not_scored() -> None:
    observed = observe(
        SpanOf(
            {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e"},
            events=[evaluation("faithfulness", 1.0)],
        )
    )
    assert observed.calls.is_chat == [False]
    assert observed.scores == []


def test_chat_without_model_and_tokens_is_no_call() -> None:
    assert len(observe(SpanOf({"gen_ai.operation.name": "chat"})).calls) == 0


def test_span_that_says_it_is_a_judge_is_no_user_traffic() -> None:
    assert len(observe(SpanOf({**CHAT, "openinference.span.kind": "EVALUATOR"})).calls) == 0


def test_span_exported_again_counts_once() -> None:
    request = request_of(SpanOf(CHAT), SpanOf(CHAT, span=2))
    observed = read_all([request, request])
    assert (len(observed.calls), observed.spans) == (2, 4)
    assert observed.counts["repeated_spans"] == 2


def test_chat_that_failed_before_it_named_a_model_is_a_call() -> None:
    assert len(observe(SpanOf({"gen_ai.operation.name": "chat"}, status=2)).calls) == 1


# --- facts ----------------------------------------------------------------------------------------


def test_identity_and_times() -> None:
    call = one({"gen_ai.response.id": "r-1"}, trace=7, span=8, start_s=1, end_s=3.5)
    assert (call["trace_id"], call["span_id"], call["response_id"]) == (
        trace_hex(7),
        span_hex(8),
        "r-1",
    )
    assert (call["start"], call["latency"]) == (START_NS + 10**9, 2.5)


def test_older_generations_of_names_are_read() -> None:
    call = one(
        {
            "gen_ai.provider.name": "",
            "gen_ai.system": "az.ai.openai",
            "gen_ai.usage.input_tokens": "",
            "gen_ai.usage.prompt_tokens": 7,
            "gen_ai.usage.output_tokens": "",
            "gen_ai.usage.completion_tokens": "8",
        }
    )
    assert (call["provider"], call["input_tokens"], call["output_tokens"]) == (
        "azure.ai.openai",
        7,
        8,
    )


def test_tripswitch_keys_win_over_configured_ones_and_those_over_the_conventions() -> None:
    read = Read(keys={"route": ["app.route"], "cohort": ["app.cohort"]})
    attributes: dict[str, object] = {**CHAT, "http.route": "/http"}
    with_own = {**attributes, "app.route": "/app", "app.cohort": "b"}
    with_all = {**with_own, "tripswitch.route": "/ours"}
    routes = [observe(SpanOf(a), read=read).calls.route for a in (attributes, with_own, with_all)]
    assert routes == [["/http"], ["/app"], ["/ours"]]


def test_configured_keys_are_also_looked_up_on_the_resource() -> None:
    read = Read(keys={"cohort": ["service.version"]})
    assert observe(SpanOf(CHAT), read=read, service_version="2").calls.cohort == ["2"]
    assert observe(SpanOf(CHAT), service_version="2").calls.cohort == [None]


@pytest.mark.parametrize(
    ("value", "version", "label"),
    [("17", "17", None), (17, "17", None), ("prod", None, "prod"), ("v2", "v2", None)],
)
def test_moving_labels_are_no_versions(
    value: object, version: str | None, label: str | None
) -> None:
    call = one({"gen_ai.prompt.version": value})
    assert (call["prompt_version"], call["prompt_label"]) == (version, label)


@pytest.mark.parametrize(
    ("value", "model", "provider"),
    [
        ("openai/gpt-4o", "gpt-4o", "openai"),
        ("anthropic/claude", "anthropic/claude", "openai"),
        ("meta-llama/Llama-3", "meta-llama/Llama-3", "openai"),
    ],
)
def test_provider_prefix_of_a_model(value: str, model: str, provider: str) -> None:
    call = one({"gen_ai.request.model": value})
    assert (call["request_model"], call["provider"]) == (model, provider)


@pytest.mark.parametrize(
    ("tags", "cohort"),
    [
        (["x", "canary"], "canary"),
        (["CONTROL"], "CONTROL"),
        (["variant: b"], "b"),
        (["production"], None),
        ('["blue"]', "blue"),
    ],
)
def test_tags_are_searched_for_cohorts(tags: object, cohort: str | None) -> None:
    observed = read_all(
        [request_of(SpanOf({**CHAT, "tag.tags": tags}))],
        cohort_names=("control", "canary", "blue"),
    )
    assert observed.calls.cohort == [cohort]


def test_user_is_hashed_with_the_key() -> None:
    def user(key: str) -> str | None:
        read = Read(user_hash_key=SecretStr(key))
        return observe(SpanOf({**CHAT, "user.id": "alice"}), read=read).calls.user[0]

    first, second = user("one"), user("k" * 200)
    assert first == user("one") != second
    assert first is not None
    assert len(first) == 16
    assert "alice" not in repr(observe(SpanOf({**CHAT, "user.id": "alice"})))


def test_tokens_counted_apart_are_added_to_the_whole() -> None:
    call = one({"gen_ai.usage.cache_read.input_tokens": 150})
    assert (call["input_tokens"], call["cached_tokens"]) == (250, 150)
    call = one({"gen_ai.usage.cache_read.input_tokens": 50})
    assert (call["input_tokens"], call["cached_tokens"]) == (100, 50)


@pytest.mark.parametrize("value", [math.nan, -5, "many", True, math.inf, 1e18])
def test_unusable_token_counts_are_null_and_counted(value: object) -> None:
    observed = observe(SpanOf({**CHAT, "gen_ai.usage.input_tokens": value}))
    assert observed.calls.as_json(0)["input_tokens"] is None
    assert observed.rejected == {"input_tokens": 1}


def test_cost_is_reported_or_unknown() -> None:
    call = one({"gen_ai.usage.cost": 0.25})
    assert (call["cost_usd"], call["cost_source"]) == (0.25, "reported")
    call = one({})
    assert (call["cost_usd"], call["cost_source"]) == (None, "unknown")


@pytest.mark.parametrize(
    ("value", "ttft"),
    [(0.25, 0.25), (250.0, 0.25), (0.0, None), (0.0003, None), (1.0, None), (5000.0, None)],
)
def test_time_to_first_token_lies_inside_the_call(value: float, ttft: float | None) -> None:
    call = one({"gen_ai.response.time_to_first_chunk": value}, end_s=1.0)
    assert call["ttft"] == ttft


def test_seconds_are_no_milliseconds_of_a_span_that_was_written_afterwards() -> None:
    # Some begin the span of a stream when it has ended: it lasts as long as writing it takes.
    said = {"gen_ai.request.stream": True}
    call = one({**said, "gen_ai.server.time_to_first_token": 1.5}, end_s=0.004)
    assert (call["streaming"], call["ttft"]) == (True, None)


@pytest.mark.parametrize(("at_s", "ttft"), [(0.25, 0.25), (1.5, None)])
def test_event_of_the_first_token_has_a_time_and_no_unit_to_be_mistaken(
    at_s: float, ttft: float | None
) -> None:
    event = EventOf("First Token Stream Event", {}, at_s)
    call = one({}, events=[event])
    assert (call["streaming"], call["ttft"]) == (True, ttft)


def test_streaming() -> None:
    first_chunk: dict[str, object] = {"gen_ai.response.time_to_first_chunk": 0.25}
    assert one(first_chunk)["streaming"] is True
    assert one({"gen_ai.request.stream": "True"})["streaming"] is True
    assert one({})["streaming"] is False
    call = one({**first_chunk, "gen_ai.request.stream": False})
    assert (call["streaming"], call["ttft"]) == (False, None)


def test_long_text_is_cut_and_counted_each_time() -> None:
    observed = observe(*(SpanOf({**CHAT, "http.route": "/" * 999}, span=s) for s in (1, 2)))
    assert [len(route or "") for route in observed.calls.route] == [256, 256]
    assert observed.rejected == {"route_cut": 2}


def test_unusable_text_is_counted_each_time() -> None:
    observed = observe(*(SpanOf({**CHAT, "http.route": '""'}, span=s) for s in (1, 2)))
    assert observed.calls.route == [None, None]
    assert observed.rejected == {"route": 2}


def test_values_that_python_holds_equal_stay_apart() -> None:
    versions = [True, 1, 1.0, "1", False, 0]
    observed = observe(
        *(
            SpanOf({**CHAT, "gen_ai.prompt.version": version}, span=number)
            for number, version in enumerate(versions, start=1)
        )
    )
    assert observed.calls.prompt_version == ["true", "1", "1", "1", "false", "0"]


# --- outcome --------------------------------------------------------------------------------------


def test_finish_reasons_are_in_our_words() -> None:
    assert one({"gen_ai.response.finish_reasons": ["STOP", "tool_calls", "?"]})[
        "finish_reasons"
    ] == ["stop", "tool_call", "other"]


def content(part_type: str) -> dict[str, object]:
    message = {
        "role": "assistant",
        "parts": [{"type": part_type, "content": "SECRET"}],
        "finish_reason": "stop",
    }
    return {"gen_ai.output.messages": json.dumps([message])}


def test_facts_inside_content_are_read_and_its_text_is_not_kept() -> None:
    observed = observe(SpanOf({**CHAT, **content("refusal")}))
    call = observed.calls.as_json(0)
    assert call["finish_reasons"] == ["stop"]
    assert (call["refusal"], call["refusal_source"], call["refusal_kind"]) == (
        True,
        "content_part",
        "unknown",
    )
    assert "SECRET" not in repr(observed)


def test_facts_inside_content_can_be_switched_off() -> None:
    read = Read(content_facts=False)
    call = observe(SpanOf({**CHAT, **content("refusal")}), read=read).calls.as_json(0)
    assert (call["finish_reasons"], call["refusal"]) == ([], None)


@pytest.mark.parametrize(
    ("reason", "refusal", "source"),
    [("refusal", True, "provider"), ("content_filter", None, None), ("stop", None, None)],
)
def test_refusal_by_finish_reason(reason: str, refusal: bool | None, source: str | None) -> None:
    call = one({"gen_ai.response.finish_reasons": [reason]})
    assert (call["refusal"], call["refusal_source"]) == (refusal, source)


def test_refusal_by_evaluation() -> None:
    call = one({}, events=[evaluation("refusal", 1.0), evaluation("over_refusal", 1.0)])
    assert (call["refusal"], call["refusal_source"], call["refusal_kind"]) == (
        True,
        "eval",
        "illegitimate",
    )
    call = one({}, events=[evaluation("refusal", 0.0)])
    assert (call["refusal"], call["refusal_source"], call["refusal_kind"]) == (
        False,
        "eval",
        None,
    )


def test_scores_bear_the_scope_of_their_call() -> None:
    observed = observe(
        SpanOf(
            {
                **CHAT,
                "tripswitch.route": "/r",
                "tripswitch.prompt.version": "18",
                "tripswitch.cohort": "canary",
                "tripswitch.tenant": "acme",
            },
            end_s=2.0,
            events=[
                evaluation("faithfulness", 0.75),
                evaluation("toxicity", 0.25),
                evaluation("pii_leak", 0.9),
                evaluation("rating", 4),
            ],
        )
    )
    assert [(s.rubric, s.score) for s in observed.scores] == [
        ("faithfulness", 0.75),
        ("toxicity", 0.75),
        ("", 0.0),
    ]
    score = observed.scores[0]
    assert score.scope == observed.calls.scope(0)
    assert (score.scope.prompt_version, score.tenant, score.end) == (
        "18",
        "acme",
        START_NS + 2 * 10**9,
    )
    assert [e.name for e in observed.calls.evals[0]] == [
        "faithfulness",
        "toxicity",
        "pii_leak",
        "rating",
    ]
    assert observed.rejected == {"score_range": 1}


def test_evaluations_of_one_span_are_bounded() -> None:
    events = [evaluation(f"f{number}", 0.5) for number in range(100)]
    observed = observe(SpanOf(CHAT, events=events))
    assert (len(observed.scores), observed.rejected) == (64, {"evals_cut": 1})


RAISED = EventOf("exception", {"exception.type": "openai.APITimeoutError"})


@pytest.mark.parametrize(
    ("status", "said", "events", "error_type", "error_class"),
    [
        (2, "<class 'openai.RateLimitError'>", [], "RateLimitError", "provider_throttle"),
        (0, "500", [], "500", "provider"),
        (2, None, [RAISED], "APITimeoutError", "timeout"),
        (2, None, [], None, "unknown"),
        (2, "_OTHER", [RAISED], "APITimeoutError", "timeout"),
        (0, None, [RAISED], None, None),
        (1, "429", [RAISED], None, None),
    ],
)
def test_errors(
    status: int,
    said: str | None,
    events: list[EventOf],
    error_type: str | None,
    error_class: str | None,
) -> None:
    attributes = {} if said is None else {"error.type": said}
    call = one(dict(attributes), status=status, events=events)
    assert (call["error_type"], call["error_class"]) == (error_type, error_class)


# --- bad input ------------------------------------------------------------------------------------


def test_broken_stream_keeps_the_model_that_answered() -> None:
    answered: dict[str, object] = {
        "gen_ai.response.id": "r1",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    }
    assert one(answered, status=2)["response_model"] == "gpt-4o-mini-2024-07-18"


def test_stream_of_anthropics_that_broke_off_counted_nothing_whatever_reason_was_made_up() -> None:
    attributes: dict[str, object] = {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.output_tokens": 0,
    }
    assert one(attributes)["output_tokens"] is None
    assert one({**attributes, "gen_ai.request.stream": False})["output_tokens"] == 0


@pytest.mark.parametrize(
    ("attributes", "tokens"),
    [
        ({"gen_ai.provider.name": "anthropic", "gen_ai.request.stream": True}, None),
        (
            {
                "gen_ai.provider.name": "anthropic",
                "gen_ai.request.stream": True,
                "gen_ai.response.finish_reasons": ["max_tokens"],
            },
            1,
        ),
        ({"gen_ai.provider.name": "anthropic"}, 1),
        ({"gen_ai.request.stream": True}, 1),
    ],
)
def test_count_that_a_broken_stream_began_with_is_none(
    attributes: dict[str, object], tokens: int | None
) -> None:
    assert one({"gen_ai.usage.output_tokens": 1, **attributes})["output_tokens"] == tokens


@pytest.mark.parametrize(("start_s", "end_s"), [(-START_NS / 1e9, 1.0), (2.0, 1.0)])
def test_unbelievable_duration_counts_as_none(start_s: float, end_s: float) -> None:
    observed = observe(SpanOf(CHAT, start_s=start_s, end_s=end_s))
    call = observed.calls.as_json(0)
    assert (call["latency"], call["end"]) == (0.0, START_NS + 10**9)
    assert observed.rejected == {"duration": 1}


def test_clock_ten_years_off_is_read_as_it_is() -> None:
    years = 10 * 365 * 86_400
    assert one({}, start_s=years, end_s=years + 1)["latency"] == 1.0


def test_unreadable_requests_and_bad_ids_are_counted() -> None:
    good = request_of(SpanOf(CHAT))
    bad_ids = request_of(SpanOf(CHAT, span=0))
    observed = read_all([good[:-3], bad_ids, good])
    assert (observed.unreadable, observed.spans, len(observed.calls)) == (1, 2, 1)
    assert observed.rejected == {"bad_ids": 1}


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                [
                    *sorted({row.key.replace("#", "0") for d in DIALECTS for row in d.rows}),
                    "gen_ai.output.messages",
                    "gen_ai.evaluation.name",
                    "gen_ai.evaluation.score.value",
                ]
            ),
            anything.filter(lambda value: not _holds_huge_integer(value)),
            max_size=12,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_is_sent_nothing_raises_and_every_call_is_valid_json(
    attribute_sets: list[dict[str, Any]],
) -> None:
    spans = [
        SpanOf(
            # An answer's id that two spans share would make them one call.
            {
                **attributes,
                "gen_ai.operation.name": "chat",
                "gen_ai.response.id": f"answer-{number}",
            },
            span=number,
            trace=number,
            events=[EventOf("gen_ai.evaluation.result", attributes)],
        )
        for number, attributes in enumerate(attribute_sets, start=1)
    ]
    request = request_of(*spans)
    together = read_all([request])
    for row in range(len(together.calls)):
        json.dumps(together.calls.as_json(row), allow_nan=False)
    # What is remembered from span to span must change nothing.
    alone = list(
        itertools.chain.from_iterable(
            _calls_as_json(read_all([request_of(span)])) for span in spans
        )
    )
    assert _calls_as_json(together) == alone


def _calls_as_json(observed: Reading) -> list[str]:
    return [json.dumps(observed.calls.as_json(row)) for row in range(len(observed.calls))]


def _holds_huge_integer(value: Any) -> bool:
    if isinstance(value, list):
        return any(_holds_huge_integer(item) for item in value)
    if isinstance(value, dict):
        return any(_holds_huge_integer(item) for item in value.values())
    return isinstance(value, int) and not -(1 << 63) <= value < 1 << 63
