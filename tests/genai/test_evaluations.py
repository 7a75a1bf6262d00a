"""Evaluations become rubric scores, refusals, or are kept without being judged."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.genai.test_coercion import anything
from tripswitch.genai.evaluations import Evaluation, rubric_name, understand


def evaluate(name: str, score: Any = None, label: Any = None) -> Evaluation:
    attributes: dict[str, Any] = {"gen_ai.evaluation.name": name}
    if score is not None:
        attributes["gen_ai.evaluation.score.value"] = score
    if label is not None:
        attributes["gen_ai.evaluation.score.label"] = label
    found = understand(attributes)
    assert found is not None
    return found


def test_score_of_a_rubric_is_kept_as_it_is() -> None:
    found = evaluate(" Answer Relevancy ", 0.75, "pass")
    assert found.entry == ("answer_relevancy", 0.75, 0.75, "pass", "unknown")
    assert found.is_rubric


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("toxicity", 0.75),
        ("hallucination", 0.75),
        ("latency_score", 0.75),
        ("gender-bias", 0.75),
        ("unbiased", 0.25),
        ("no_hallucination", 0.25),
        ("toxicity_free", 0.25),
        ("faithfulness", 0.25),
    ],
)
def test_direction_goes_by_the_name(name: str, score: float) -> None:
    found = evaluate(name, 0.25)
    assert (found.entry.score, found.entry.raw, found.is_rubric) == (score, 0.25, True)


@pytest.mark.parametrize("raw", [4, 85.0, -0.5, 1.0001])
def test_score_outside_its_range_is_kept_raw_and_counted(raw: float) -> None:
    found = evaluate("faithfulness", raw)
    assert (found.entry.score, found.entry.raw) == (None, raw)
    assert (found.is_rubric, found.rejected) == (False, "score_range")


@pytest.mark.parametrize("raw", [math.nan, math.inf, "high", [0.5]])
def test_score_that_is_no_number_is_counted(raw: Any) -> None:
    found = evaluate("faithfulness", raw)
    assert (found.entry.score, found.entry.raw, found.rejected) == (None, None, "eval_score")


def test_label_alone_is_no_score() -> None:
    found = evaluate("faithfulness", label="fail")
    assert (found.entry.score, found.entry.label, found.is_rubric) == (None, "fail", False)


@pytest.mark.parametrize("name", ["pii_leak", "PII leak", "prompt_injection"])
def test_security_evaluations_are_no_rubrics(name: str) -> None:
    found = evaluate(name, 1.0)
    assert found.entry.score == 0.0
    assert not found.is_rubric


@pytest.mark.parametrize(
    ("score", "label", "refusal"),
    [
        (1, None, True),
        (0.0, None, False),
        (True, None, True),
        (None, "refused", True),
        (None, "complied", False),
        (None, "unclear", None),
        (7, None, None),
    ],
)
def test_evaluation_named_like_a_refusal_says_whether_it_is_one(
    score: Any, label: str | None, refusal: bool | None
) -> None:
    found = evaluate("is_refusal", score, label)
    assert (found.refusal, found.is_rubric) == (refusal, False)


@pytest.mark.parametrize(
    ("name", "score", "kind"),
    [
        ("over_refusal", 1, "illegitimate"),
        ("over_refusal", 0, "legitimate"),
        ("appropriate_refusal", 1, "legitimate"),
        ("appropriate_refusal", 0, "illegitimate"),
    ],
)
def test_kind_of_refusal(name: str, score: float, kind: str) -> None:
    found = evaluate(name, score)
    assert (found.refusal_kind, found.refusal, found.is_rubric) == (kind, None, False)


def test_failed_or_nameless_evaluation_says_nothing() -> None:
    assert understand({"gen_ai.evaluation.score.value": 0.5}) is None
    assert understand({"gen_ai.evaluation.name": "f", "error.type": "TimeoutError"}) is None


def test_names_are_bounded() -> None:
    assert len(rubric_name("x" * 10_000)) == 256


@given(
    st.dictionaries(
        st.sampled_from(
            (
                "gen_ai.evaluation.name",
                "gen_ai.evaluation.score.value",
                "gen_ai.evaluation.score.label",
                "error.type",
            )
        ),
        anything,
    )
)
def test_whatever_is_sent_a_score_is_in_range(attributes: dict[str, Any]) -> None:
    found = understand(attributes)
    if found is not None and found.entry.score is not None:
        assert 0 <= found.entry.score <= 1
