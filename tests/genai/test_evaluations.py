"""What evaluations mean: purpose, range, direction, by name and by configuration."""

from __future__ import annotations

import pytest

from tripswitch.config.evaluations_section import EvaluationRule
from tripswitch.config.model import Config
from tripswitch.genai.appraisal import Appraised, Appraiser
from tripswitch.genai.evaluations import kind_of, lower_is_better, rubric_name
from tripswitch.genai.sightings import Evaluation


def evaluation(name: str, score: float | None = None, label: str | None = None) -> Evaluation:
    return Evaluation(name, score, label, "llm", None, "t", "s", None, 0)


def appraise(*evaluations: Evaluation, rules: list[EvaluationRule] | None = None) -> Appraised:
    return Appraiser(Config(evaluations=rules or [])).of_call(evaluations)


@pytest.mark.parametrize(
    ("name", "score", "judged"),
    [
        ("faithfulness", 0.75, 0.75),
        ("Answer Relevancy", 0.5, 0.5),
        ("toxicity", 0.25, 0.75),
        ("hallucination_free", 0.25, 0.25),
        ("no_toxicity", 0.75, 0.75),
    ],
)
def test_direction_goes_by_the_name(name: str, score: float, judged: float) -> None:
    assert appraise(evaluation(name, score)).rubrics == [(rubric_name(name), judged)]


@pytest.mark.parametrize(
    ("label", "toxicity", "faithfulness"),
    [("pass", 1.0, 1.0), ("FAIL", 0.0, 0.0), ("true", 0.0, 1.0), ("no", 1.0, 0.0)],
)
def test_label_alone_is_a_score(label: str, toxicity: float, faithfulness: float) -> None:
    found = appraise(evaluation("toxicity", None, label), evaluation("faithfulness", None, label))
    assert found.rubrics == [("toxicity", toxicity), ("faithfulness", faithfulness)]
    assert [entry.raw for entry in found.evals] == [None, None]


def test_label_that_says_neither_is_kept_and_judged_by_nothing() -> None:
    found = appraise(evaluation("tone", None, "casual"))
    assert (found.rubrics, found.evals[0].label) == ([], "casual")


@pytest.mark.parametrize("name", ["refusal", "is_refusal", "refused"])
@pytest.mark.parametrize(
    ("score", "label", "refusal"),
    [(1, None, True), (0.2, None, False), (None, "refused", True), (None, "complied", False)],
)
def test_refusal(name: str, score: float | None, label: str | None, refusal: bool) -> None:
    found = appraise(evaluation(name, score, label))
    assert (found.refusal, found.rubrics) == (refusal, [])


@pytest.mark.parametrize(
    ("name", "score", "kind"),
    [
        ("refusal_legitimacy", 1, "legitimate"),
        ("over_refusal", 1, "illegitimate"),
        ("over_refusal", 0, "legitimate"),
    ],
)
def test_kind_of_refusal(name: str, score: float, kind: str) -> None:
    assert appraise(evaluation(name, score)).refusal_kind == kind


def test_security_is_no_rubric() -> None:
    found = appraise(evaluation("pii_leak", 1.0), evaluation("prompt_injection", 0.5))
    assert found.rubrics == []
    assert [entry.raw for entry in found.evals] == [1.0, 0.5]


@pytest.mark.parametrize(
    ("score", "label", "verdict"),
    [(None, "pass", "pass"), (None, "fail", "block"), (0.0, "false", "block"), (1.0, None, "pass")],
)
def test_guardrail_that_reports_as_an_evaluation(
    score: float | None, label: str | None, verdict: str
) -> None:
    found = appraise(evaluation("pii-guard", score, label))
    assert [(g.name, g.category, g.verdict) for g in found.guardrails] == [
        ("pii-guard", "pii", verdict)
    ]
    assert found.evals == []


def test_same_evaluation_twice_says_nothing_more() -> None:
    one = evaluation("g", 0.5)
    found = appraise(one, one._replace(score=0.75), one._replace(version="2", score=0.25))
    assert found.rubrics == [("g", 0.5), ("g", 0.25)]


def test_configuration_settles_range_direction_kind_and_labels() -> None:
    rules = [
        EvaluationRule(name="rating", low=1, high=5),
        EvaluationRule(name="danger_*", low=0, high=10, better="lower"),
        EvaluationRule(name="declined", kind="refusal"),
        EvaluationRule(name="noise", kind="ignore"),
        EvaluationRule(name="tone", good_labels=["Casual"], bad_labels=["rude"]),
    ]
    found = appraise(
        evaluation("rating", 4),
        evaluation("danger_level", 2),
        evaluation("declined", 1),
        evaluation("noise", 0.5),
        evaluation("tone", None, "casual"),
        rules=rules,
    )
    assert found.rubrics == [("rating", 0.75), ("danger_level", 0.8), ("tone", 1.0)]
    assert found.refusal is True
    assert "noise" not in [entry.name for entry in found.evals]


def test_score_outside_its_range_is_kept_counted_and_judged_by_nothing() -> None:
    appraiser = Appraiser(Config(evaluations=[EvaluationRule(name="r", low=1, high=5)]))
    found = appraiser.of_call([evaluation("r", 7)])
    assert (found.rubrics, found.evals[0].raw) == ([], 7)
    assert appraiser.rejected == {"score_range": 1}


@pytest.mark.parametrize(
    ("name", "score", "label", "leaked"),
    [
        ("pii_leak", 1.0, "fail", True),
        ("PII leak", 0.0, None, False),
        ("data_leakage", None, "detected", True),
        ("pii_leak", None, "pass", False),
        ("pii_leak", 7, None, None),
        ("pii_leak", None, "maybe", None),
        ("pii_free", 1.0, None, None),
    ],
)
def test_leak_of_personal_data(
    name: str, score: float | None, label: str | None, leaked: bool | None
) -> None:
    found = appraise(evaluation(name, score, label))
    assert (found.pii_leak, found.prompt_injection) == (leaked, None)


def test_prompt_injection_that_worked() -> None:
    found = appraise(evaluation("prompt_injection", 0.0), evaluation("system_prompt_leakage", 0.9))
    assert (found.prompt_injection, found.pii_leak) == (True, None)


def test_configuration_turns_what_looks_for_harm_round() -> None:
    rules = [
        EvaluationRule(name="privacy", kind="pii_leak", better="higher"),
        EvaluationRule(name="Attack Success", kind="prompt_injection", low=1, high=5),
    ]
    found = appraise(evaluation("privacy", 1), evaluation("attack success", 2), rules=rules)
    assert (found.pii_leak, found.prompt_injection) == (False, False)
    assert found.rubrics == []
    found = appraise(evaluation("privacy", 0), evaluation("attack success", 4), rules=rules)
    assert (found.pii_leak, found.prompt_injection) == (True, True)


@pytest.mark.parametrize(
    ("score", "label", "judged"), [(1, None, 1.0), (0, None, 0.0), (None, "thumbs_down", 0.0)]
)
def test_thumb_counts_from_the_first_on(
    score: float | None, label: str | None, judged: float
) -> None:
    found = appraise(evaluation("User Feedback", score, label))
    assert found.rubrics == [("user_feedback", judged)]


def test_boolean_counts_from_the_first_on() -> None:
    told = evaluation("is_json", 1.0)._replace(is_boolean=True)
    assert appraise(told).rubrics == [("is_json", 1.0)]
    assert appraise(told._replace(is_boolean=False)).rubrics == []
    toxic = evaluation("toxic", 1.0)._replace(is_boolean=True)
    assert appraise(toxic).rubrics == [("toxic", 0.0)]


def test_rater_of_one_to_five_that_gives_a_one_is_not_perfect() -> None:
    appraiser = Appraiser(Config())
    scores = [1, 5, 4, 3, 2] * 10
    judged = [appraiser.of_call([evaluation("rating", score)]).rubrics for score in scores]
    assert judged[:49] == [[]] * 49
    assert judged[49] == [("rating", 0.25)]
    assert appraiser.of_call([evaluation("rating", 1)]).rubrics == [("rating", 0.0)]
    assert appraiser.rejected == {"score_range": 49}


def test_one_evaluator_that_cannot_say_does_not_look_like_a_drift() -> None:
    appraiser = Appraiser(Config())
    judged = []
    for score in [0.9, -1, 0.9, 999, 0.9, -1] * 30:
        judged += appraiser.of_call([evaluation("faithfulness", score)]).rubrics
    assert judged == [("faithfulness", 0.9)] * 90
    assert appraiser.rejected == {"score_range": 90}


def test_scores_before_and_after_a_revised_range_are_two_series() -> None:
    appraiser = Appraiser(Config())
    judged = []
    for score in [1] * 50 + [3, 4, 5, 1]:
        judged += appraiser.of_call([evaluation("rating", score)]).rubrics
    assert judged == [("rating", 1.0), ("rating (1 to 5)", 1.0), ("rating (1 to 5)", 0.0)]


def test_names_say_what_they_are_about() -> None:
    assert [kind_of(name) for name in ("refusal", "false_refusal", "data_leak", "helpful")] == [
        "refusal",
        "refusal_illegitimate",
        "pii_leak",
        "auto",
    ]
    assert [kind_of(name) for name in ("indirect_injection", "thumbs_up", "no_pii", "rating")] == [
        "prompt_injection",
        "feedback",
        "auto",
        "auto",
    ]
    assert lower_is_better("jailbreak")
    assert not lower_is_better("pii_free")


def versioned(version: str | None) -> Evaluation:
    """Return a score of one evaluator in one version."""
    return evaluation("faithfulness", 0.5)._replace(version=version)


def test_another_version_of_an_evaluator_is_another_series() -> None:
    appraiser = Appraiser(Config())

    def series(version: str | None) -> str:
        return appraiser.of_call([versioned(version)]).rubrics[0][0]

    assert series(None) == "faithfulness"
    assert series("2026-11") == "faithfulness"
    assert series("2026-12") == "faithfulness (2026-12)"
    assert series("2026-11") == "faithfulness"


def test_what_has_another_value_every_time_is_no_version() -> None:
    appraiser = Appraiser(Config())
    named = [appraiser.of_call([versioned(f"id-{n}")]).rubrics[0][0] for n in range(100)]
    assert len(set(named)) <= 9
    assert set(named[20:]) == {"faithfulness"}
