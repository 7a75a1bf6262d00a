"""What evaluations mean: purpose, range, direction, by name and by configuration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.config.evaluations_section import EvaluationRule
from tripswitch.config.model import Config
from tripswitch.genai.appraisal import Appraised, Appraiser
from tripswitch.genai.evaluations import kind_of, lower_is_better, rubric_name
from tripswitch.genai.score_ranges import ScoreRange, ScoreRanges
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


# --- learning the range ---------------------------------------------------------------------------


def learnt(*scores: float, agrees: bool | None = None) -> ScoreRange | None:
    ranges = ScoreRanges()
    for score in scores:
        ranges.update("r", score, agrees)
    return ranges.get("r")


def test_one_fraction_below_one_settles_it_and_one_whole_number_does_not() -> None:
    assert learnt(0.9) == ScoreRange(0, 1)
    assert learnt(1) is None
    assert learnt(1, agrees=True) == ScoreRange(0, 1)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0, 1] * 25, ScoreRange(0, 1)),
        ([1, 5, 3, 2, 4] * 10, ScoreRange(1, 5)),
        ([0, 5] * 25, ScoreRange(0, 5)),
        ([1.5, 4.5] * 25, ScoreRange(0, 10)),
        ([7, 8] * 25, ScoreRange(0, 10)),
        ([70, 8] * 25, ScoreRange(0, 100)),
        ([-0.5, 0.5] * 25, ScoreRange(-1, 1)),
        ([700.0] * 50, None),
        ([-3, 3] * 25, None),
    ],
)
def test_range_is_learnt_from_fifty_scores(
    scores: list[float], expected: ScoreRange | None
) -> None:
    assert learnt(*scores) == expected
    if not any(0 < score < 1 for score in scores):
        assert learnt(*scores[:49]) is None


@given(st.lists(st.floats(-200, 200), min_size=1, max_size=120))
def test_range_never_shrinks_and_holds_what_was_seen(scores: list[float]) -> None:
    ranges = ScoreRanges()
    before: ScoreRange | None = None
    for number, score in enumerate(scores):
        ranges.update("r", score, None)
        now = ranges.get("r")
        if before is not None and now is not None:
            assert now.low <= before.low
            assert now.high >= before.high
        if now is not None:
            assert all(now.low <= seen <= now.high for seen in scores[: number + 1])
            before = now
    assert ScoreRanges(ranges.state()).get("r") == ranges.get("r")


def test_names_are_bounded() -> None:
    ranges = ScoreRanges()
    for number in range(5000):
        ranges.update(f"r{number}", 0.5, None)
    assert len(ranges.state()) <= 1024


def test_names_say_what_they_are_about() -> None:
    assert [kind_of(name) for name in ("refusal", "false_refusal", "data_leak", "helpful")] == [
        "refusal",
        "refusal_illegitimate",
        "security",
        "auto",
    ]
    assert lower_is_better("jailbreak")
    assert not lower_is_better("pii_free")
