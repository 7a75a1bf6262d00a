"""Guardrails of every engine in one vocabulary."""

from __future__ import annotations

from typing import Any

import pytest

from tests.genai.reading import read_all
from tests.genai.spans import CHAT, EventOf, SpanOf, request_of
from tripswitch.genai.guardrails import categories_of, category_of, passed, stage_of, verdict_of

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


def test_prompt_attack_is_injection_and_jailbreak() -> None:
    assert categories_of(["PROMPT_ATTACK"]) == ["prompt_injection", "jailbreak"]
    assert categories_of(["lakera-guard"]) == ["prompt_injection", "jailbreak"]
    assert categories_of(["pii", "prompt_attack"]) == ["pii"]


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
        ("false", "pass"),
        ("NONE", "pass"),
        ("warn", "flag"),
        ("guardrail_failed_to_respond", "error"),
        ("not_run", "not_run"),
        ("whatever", None),
        (7, None),
        (None, None),
    ],
)
def test_words(value: Any, verdict: str | None) -> None:
    assert verdict_of(value) == verdict


def test_what_a_failed_validator_does_decides() -> None:
    assert [passed(False, on_fail) for on_fail in (None, "exception", "fix", "noop")] == [
        "block",
        "block",
        "redact",
        "redact",
    ]


def test_stage_and_category_of_unknown_words() -> None:
    assert stage_of("somewhere") is None
    assert category_of(["x", "y"]) == "other"
