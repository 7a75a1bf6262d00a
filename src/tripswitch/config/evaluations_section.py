"""The section of the configuration that says what evaluations of a name mean."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tripswitch.config.section import LIVE, Section

EvaluationKind = Literal[
    "auto", "rubric", "feedback", "refusal", "refusal_legitimate", "refusal_illegitimate",
    "pii_leak", "prompt_injection", "guardrail", "ignore",
]  # fmt: skip


class EvaluationRule(Section):
    """What evaluations of a name mean. What is left out goes by the name and by what is learnt."""

    name: str = Field(
        "*",
        min_length=1,
        description="The evaluation's name, in any case, blanks or _; * stands for anything.",
        examples=["answer_rating"],
        json_schema_extra=LIVE,
    )
    kind: EvaluationKind = Field(
        "auto",
        description=(
            "What it is about: a rubric of quality, a user's thumb, whether the answer refuses, "
            "whether a refusal was right or wrong, a leak of personal data, a prompt injection "
            "that worked, a guardrail's verdict; ignore drops it."
        ),
        json_schema_extra=LIVE,
    )
    low: float | None = Field(
        None,
        description=(
            "The lowest score it gives. Without low and high the range is learnt: from the first "
            "fraction between 0 and 1 at once, from whole numbers after 10 to 50 scores."
        ),
        examples=[1],
        json_schema_extra=LIVE,
    )
    high: float | None = Field(
        None,
        description="The highest score it gives.",
        examples=[5],
        json_schema_extra=LIVE,
    )
    better: Literal["auto", "higher", "lower"] = Field(
        "auto",
        description="Which scores are good. By itself higher, unless the name says otherwise.",
        json_schema_extra=LIVE,
    )
    good_labels: list[str] = Field(
        default_factory=list,
        description="Labels that are good where there is no score, besides pass and the like.",
        examples=[["acceptable"]],
        json_schema_extra=LIVE,
    )
    bad_labels: list[str] = Field(
        default_factory=list,
        description="Labels that are bad where there is no score, besides fail and the like.",
        examples=[["unacceptable"]],
        json_schema_extra=LIVE,
    )
