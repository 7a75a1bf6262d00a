"""Guardrails of every engine in one vocabulary."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.genai.reading import read_all
from tests.genai.spans import CHAT, EventOf, SpanOf, request_of
from tests.genai.test_coercion import anything
from tripswitch.genai.guardrails import (
    VERDICTS,
    categories_of,
    category_of,
    masked_count,
    passed,
    stage_of,
    verdict_of,
    verdict_of_failure,
)

ROOT = SpanOf({}, span=1, parent=0, kind=2, end_s=5)
CALL = SpanOf(CHAT, span=2, parent=1)


@pytest.mark.parametrize(
    ("attributes", "name", "category", "verdict", "stage"),
    [
        (
            {
                "litellm.guardrail.name": "presidio",
                "litellm.guardrail.status": "success",
                "litellm.guardrail.masked_entity_count": 2,
                "litellm.guardrail.mode": "pre_call",
            },
            "presidio",
            "pii",
            "redact",
            "input",
        ),
        (
            {"guardrail_name": "x", "guardrail_status": "guardrail_intervened"},
            "x",
            "other",
            "block",
            None,
        ),
        (
            {
                "guard.name": "g",
                "guard.action": "deny",
                "guard.classification": "toxicity",
                "guard.phase": "postflight",
            },
            "g",
            "toxicity",
            "block",
            "output",
        ),
        (
            {"gen_ai.guardrail.name": "topics", "gen_ai.guardrail.status": "PASSED"},
            "topics",
            "topic",
            "pass",
            None,
        ),
        (
            {"rail.name": "self check input", "rail.type": "input", "rail.stop": True},
            "self check input",
            "jailbreak",
            "block",
            "input",
        ),
        (
            {
                "validator.name": "hub/detect_pii",
                "validation_passed": False,
                "validator.on_fail": "fix",
            },
            "hub/detect_pii",
            "pii",
            "redact",
            None,
        ),
        (
            {"openinference.span.kind": "GUARDRAIL", "output.value": '{"passed": false}'},
            "span",
            "other",
            "block",
            None,
        ),
        (
            {
                "gen_ai.operation.name": "apply_guardrail",
                "gen_ai.guardrail.component.name": "bedrock",
                "gen_ai.guardrail.result.value": "GUARDRAIL_INTERVENED",
                "gen_ai.guardrail.source": "OUTPUT",
            },
            "bedrock",
            "other",
            "block",
            "output",
        ),
    ],
)
def test_verdict_of_every_engine_reaches_the_call(
    attributes: dict[str, Any], name: str, category: str, verdict: str, stage: str | None
) -> None:
    found = read_all([request_of(ROOT, CALL, SpanOf(attributes, span=3, parent=1))])
    assert [tuple(g) for g in found.calls.guardrails[0]] == [(name, category, verdict, stage)]


def test_verdict_as_a_spans_event() -> None:
    event = EventOf("guard.evaluation", {"guard.name": "pii", "guard.action": "redact"})
    call = SpanOf(CHAT, span=2, parent=1, events=[event])
    assert read_all([request_of(ROOT, call)]).calls.guardrails[0][0].verdict == "redact"


@pytest.mark.parametrize(
    ("listed", "name", "categories"),
    [
        (["PROMPT_ATTACK"], "", ["prompt_injection", "jailbreak"]),
        ([], "lakera-guard", ["prompt_injection", "jailbreak"]),
        ([], "lakera-pii", ["pii"]),
        (["pii", "prompt_attack"], "", ["pii", "prompt_injection", "jailbreak"]),
        (["TOXICITY", "hate_speech", "Competitors"], "pii", ["toxicity", "topic"]),
        (["custom"], "DetectPII", ["pii"]),
        ([], "PromptInjection", ["prompt_injection"]),
        ([], "detect jailbreak heuristics", ["jailbreak"]),
        ([], "HateSpeech", ["toxicity"]),
        ([], "detect_hate", ["toxicity"]),
        ([], "whatever", ["other"]),
        ([], "OpenAPIIntegration api_id", ["other"]),
        ([], "ContentSafety", ["toxicity"]),
        ([], "", ["other"]),
    ],
)
def test_categories(listed: list[str], name: str, categories: list[str]) -> None:
    assert categories_of(listed, name) == categories


@pytest.mark.parametrize(
    ("names", "category"),
    [
        ("pii sensitive_data presidio SPII mask dlp", "pii"),
        ("injection indirect_prompt_injection", "prompt_injection"),
        ("jailbreak attack", "jailbreak"),
        ("toxic_language hate moderation content_safety contentsafety", "toxicity"),
        ("topic off-topic denied_topics", "topic"),
    ],
)
def test_every_sign_of_a_category_in_any_case(names: str, category: str) -> None:
    for name in names.split():
        assert {category_of(name), category_of(name.upper())} == {category}, name


def test_verdict_about_two_categories_reaches_the_call_twice() -> None:
    event = EventOf("guard.evaluation", {"guard.name": "lakera", "guard.action": "deny"})
    by_event = SpanOf(CHAT, span=2, parent=1, events=[event])
    span = SpanOf({"guardrail_name": "lakera", "guardrail_status": "FAILED"}, span=3, parent=1)
    for spans in ([ROOT, by_event], [ROOT, CALL, span]):
        found = read_all([request_of(*spans)]).calls.guardrails[0]
        assert [(g.category, g.verdict) for g in found] == [
            ("prompt_injection", "block"),
            ("jailbreak", "block"),
        ]


@pytest.mark.parametrize(
    ("error_type", "verdict"),
    [("GuardrailTripped", "block"), ("ValueError", "block"), ("ReadTimeout", "error")],
)
def test_guardrail_span_that_failed(error_type: str, verdict: str) -> None:
    failed = SpanOf(
        {"openinference.span.kind": "GUARDRAIL", "error.type": error_type},
        span=3,
        parent=1,
        status=2,
    )
    found = read_all([request_of(ROOT, CALL, failed)]).calls.guardrails[0]
    assert [g.verdict for g in found] == [verdict]


@pytest.mark.parametrize(
    ("output", "verdict"),
    [
        ({"passed": True}, "pass"),
        ({"flagged": True}, "flag"),
        ({"flagged": True, "blocked": True}, "block"),
        ({"blocked": False, "flagged": True}, "flag"),
        ({"tripwire_triggered": False}, "pass"),
        ({"action": "redact"}, "redact"),
        ({"status": "no such word"}, None),
    ],
)
def test_output_of_a_guardrail(output: dict[str, Any], verdict: str | None) -> None:
    span = SpanOf(
        {"openinference.span.kind": "GUARDRAIL", "output.value": json.dumps(output)},
        span=3,
        parent=1,
    )
    found = read_all([request_of(ROOT, CALL, span)]).calls.guardrails[0]
    assert [g.verdict for g in found] == ([] if verdict is None else [verdict])


@pytest.mark.parametrize(
    ("attributes", "verdicts"),
    [
        (
            {
                "gen_ai.prompt.prompt_filter_results": json.dumps(
                    [
                        {
                            "prompt_index": 0,
                            "content_filter_results": {
                                "hate": {"filtered": False, "severity": "safe"},
                                "jailbreak": {"filtered": False, "detected": True},
                            },
                        }
                    ]
                ),
                "gen_ai.completion.0.content_filter_results": json.dumps(
                    {"violence": {"filtered": True, "severity": "high"}, "error": None}
                ),
            },
            [
                ("hate", "toxicity", "pass", "input"),
                ("jailbreak", "jailbreak", "flag", "input"),
                ("violence", "toxicity", "block", "output"),
            ],
        ),
        (
            {
                "gen_ai.bedrock.guardrail.input_filter": json.dumps(
                    {
                        "sensitive": {"pii": ["EMAIL"], "regex": []},
                        "topic": [],
                        "content": ["HATE"],
                        "words": [],
                    }
                ),
                "gen_ai.bedrock.guardrail.output_filter": json.dumps(
                    [{"sensitive": {"pii": [], "regex": []}, "topic": [], "content": []}, None]
                ),
            },
            [("sensitive", "pii", "block", "input"), ("content", "toxicity", "block", "input")],
        ),
        ({"gen_ai.prompt.prompt_filter_results": "[1, {"}, []),
    ],
)
def test_providers_own_filters(attributes: dict[str, Any], verdicts: list[Any]) -> None:
    call = SpanOf({**CHAT, **attributes}, span=2, parent=1)
    found = read_all([request_of(ROOT, call)])
    assert [tuple(verdict) for verdict in found.calls.guardrails[0]] == verdicts


def test_guardrail_that_only_a_failed_agents_message_names() -> None:
    message = "Guardrail tripwire triggered: {'guardrail': 'toxicity-guard'}"
    agent = {"gen_ai.operation.name": "invoke_agent"}
    silent = {"openinference.span.kind": "GUARDRAIL"}
    # The exception goes up through every span.
    found = read_all(
        [
            request_of(
                SpanOf(agent, span=1, parent=0, end_s=3.0, status=2, message=message),
                SpanOf(agent, span=4, parent=1, end_s=3.0, status=2, message=message),
                SpanOf(CHAT, span=2, parent=4),
                SpanOf(silent, span=3, parent=4),
            )
        ]
    )
    assert [tuple(verdict) for verdict in found.calls.guardrails[0]] == [
        ("toxicity-guard", "toxicity", "block", None)
    ]


@pytest.mark.parametrize("message", ["Guardrail tripwire: pii", "bad {'guardrail': 'pii'}", "{}"])
def test_message_that_names_no_guardrail_where_one_stands_is_no_verdict(message: str) -> None:
    agent = SpanOf({"gen_ai.operation.name": "x"}, span=1, parent=0, status=2, message=message)
    found = read_all([request_of(agent, SpanOf(CHAT, span=2, parent=1))])
    assert not found.calls.guardrails[0]


def test_call_that_a_guardrail_blocked_did_not_fail_by_the_provider() -> None:
    blocked = SpanOf({**CHAT, "error.type": "HTTPException"}, span=2, parent=1, status=2)
    guard = SpanOf(
        {"guardrail_name": "pii", "guardrail_status": "guardrail_intervened"}, span=3, parent=1
    )
    for spans in ([ROOT, blocked, guard], [guard, blocked, ROOT]):
        call = read_all([request_of(*spans)]).calls.as_json(0)
        assert (call["error_class"], call["error_type"]) == ("guardrail", None)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (True, "block"),
        (1, "block"),
        (0, "pass"),
        ("false", "pass"),
        ("Yes", "block"),
        ("NONE", "pass"),
        ("success", "pass"),
        ("PASSED", "pass"),
        ("allow", "pass"),
        ("NO_MATCH_FOUND", "pass"),
        ("warn", "flag"),
        ("guardrail_flagged", "flag"),
        ("redact", "redact"),
        ("modified", "redact"),
        ("guardrail_intervened", "block"),
        ("GUARDRAIL_INTERVENED", "block"),
        ("MATCH_FOUND", "block"),
        ("FAILED", "block"),
        ("deny", "block"),
        ("guardrail_failed_to_respond", "error"),
        ("not_run", "not_run"),
        ("whatever", None),
        ("6", None),
        (7, None),
        (None, None),
        ([True], None),
    ],
)
def test_words(value: Any, verdict: str | None) -> None:
    assert verdict_of(value) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(True, "pass"), ("no", "block"), ("fail", "block")])
def test_words_where_true_is_good(value: Any, verdict: str) -> None:
    assert verdict_of(value, true_means="pass") == verdict


def test_what_was_masked_makes_a_pass_a_redaction_and_nothing_else() -> None:
    assert verdict_of("success", masked=1) == "redact"
    assert verdict_of("guardrail_intervened", masked=1) == "block"
    assert [masked_count(value) for value in (3, "2", '{"EMAIL": 1}', {"A": 2, "B": 1})] == [
        3,
        2,
        1,
        3,
    ]
    assert [masked_count(value) for value in (None, "x", [1], {"A": "many"}, -1)] == [0] * 5


def test_what_a_failed_validator_does_decides() -> None:
    assert [passed(False, on_fail) for on_fail in (None, "exception", "filter", "refrain")] == [
        "block"
    ] * 4
    assert [passed(False, on_fail) for on_fail in ("fix", "noop")] == ["redact"] * 2
    assert passed(True, "exception") == "pass"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(None, "block"), ("guardrail", "block"), ("unknown", "block"), ("timeout", "error")],
)
def test_what_a_failed_guardrail_found(error: Any, verdict: str) -> None:
    assert verdict_of_failure(error) == verdict


@pytest.mark.parametrize(
    ("word", "stage"),
    [
        ("INPUT", "input"),
        ("pre_call", "input"),
        ("preflight", "input"),
        ("user_prompt", "input"),
        ("user input", "input"),
        ("post_call", "output"),
        ("model_output", "output"),
        ("tool_input", "tool"),
        ("pre_mcp_call", "tool"),
        ("retrieval", "retrieval"),
        ("dialog", None),
        ("somewhere", None),
        (None, None),
    ],
)
def test_stages(word: str | None, stage: str | None) -> None:
    assert stage_of(word) == stage


@given(anything, st.sampled_from(["pass", "block", "flag"]))
def test_nothing_raises_and_words_are_ours(value: Any, true_means: Any) -> None:
    assert verdict_of(value, true_means=true_means) in {None, true_means, *VERDICTS.values()}
    assert masked_count(value) >= 0
    if isinstance(value, str):
        categories_of([value], value)
        stage_of(value)
