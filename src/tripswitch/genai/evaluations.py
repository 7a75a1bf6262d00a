"""What evaluations are about, going by their names and labels.

The conventions define neither purpose nor direction. Higher is better unless the name says
otherwise; a name that is about refusing, leaking or injecting is no rubric of quality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.genai.coercion import cut
from tripswitch.genai.spellings import folded

if TYPE_CHECKING:
    from tripswitch.config.evaluations_section import EvaluationKind

REFUSAL_NAMES: Final = frozenset(
    {
        "refusal",
        "refusals",
        "refused",
        "refuses",
        "is_refusal",
        "refusal_detected",
        "refusal_detection",
        "refusal_rate",
        "refusal_score",
        "answer_refusal",
    }
)
# What a high score under each of these names means; a low one means the other.
REFUSAL_KIND_NAMES: Final[dict[str, EvaluationKind]] = {
    "refusal_legitimacy": "refusal_legitimate",
    "appropriate_refusal": "refusal_legitimate",
    "legitimate_refusal": "refusal_legitimate",
    "correct_refusal": "refusal_legitimate",
    "over_refusal": "refusal_illegitimate",
    "overrefusal": "refusal_illegitimate",
    "false_refusal": "refusal_illegitimate",
    "illegitimate_refusal": "refusal_illegitimate",
}

_YES: Final = frozenset({"true", "yes", "1", "refused", "refusal", "refuses"})
_NO: Final = frozenset(
    {"false", "no", "0", "not_refused", "no_refusal", "complied", "answered", "none", "ok"}
)

# Labels that say how it went, whatever was looked at.
OUTCOMES: Final[dict[str, bool]] = {
    **dict.fromkeys(
        ("pass", "passed", "good", "correct", "ok", "success", "positive", "thumbs_up", "up"), True
    ),
    **dict.fromkeys(
        ("fail", "failed", "bad", "incorrect", "failure", "negative", "thumbs_down", "down"), False
    ),
    **dict.fromkeys(
        ("relevant", "grounded", "faithful", "factual", "helpful", "safe", "non_toxic"), True
    ),
    **dict.fromkeys(
        (
            "irrelevant",
            "unrelated",
            "ungrounded",
            "unfaithful",
            "hallucinated",
            "unhelpful",
            "unsafe",
            "toxic",
        ),
        False,
    ),
}
# Labels that say whether there is what the evaluation's name names.
ASSERTIONS: Final[dict[str, bool]] = {
    "true": True,
    "yes": True,
    "y": True,
    "false": False,
    "no": False,
    "n": False,
}

_LOWER_IS_BETTER: Final = (
    "toxic",
    "hallucinat",
    "pii",
    "inject",
    "bias",
    "risk",
    "latency",
    "error",
    "leak",
    "jailbreak",
    "violation",
    "harm",
)
# Rates of their own, not rubrics of answer quality: words of a name, by their beginnings.
_PROMPT_INJECTION: Final = ("inject",)
_PROMPT_LEAK: Final = ("prompt_leak", "prompt_extract", "promptleak")
_PII_LEAK: Final = ("pii", "leak", "exfiltrat")
# What people thought of an answer, said by a thumb: 1 and 0, or 1 and -1.
FEEDBACK_NAMES: Final = frozenset(
    {
        "feedback",
        "user_feedback",
        "userfeedback",
        "human_feedback",
        "customer_feedback",
        "thumb",
        "thumbs",
        "thumbs_up",
        "thumb_up",
        "thumbs_up_down",
        "user_thumb",
        "user_thumbs",
        "like",
        "liked",
        "upvote",
        "vote",
    }
)
# Labels of an evaluation that looks for harm.
_FOUND: Final = frozenset(
    {"detected", "found", "leaked", "leak", "injected", "injection", "present", "unsafe", "attack"}
)
_NOT_FOUND: Final = frozenset(
    {"not_detected", "not_found", "no_leak", "clean", "absent", "safe", "none", "benign"}
)


def rubric_name(name: str) -> str:
    """Return the name of a rubric: trimmed, lower case, blanks as underscores.

    >>> rubric_name(" Answer Relevancy ")
    'answer_relevancy'
    """
    return cut("_".join(name.lower().split()))


def kind_of(name: str) -> EvaluationKind:
    """Return what an evaluation of this name is about; auto for a rubric or a guardrail's verdict.

    >>> [kind_of(name) for name in ("refusal", "over_refusal", "pii_leak", "faithfulness")]
    ['refusal', 'refusal_illegitimate', 'pii_leak', 'auto']
    """
    if name in REFUSAL_NAMES:
        return "refusal"
    if name in REFUSAL_KIND_NAMES:
        return REFUSAL_KIND_NAMES[name]
    if name in FEEDBACK_NAMES:
        return "feedback"
    if _says(name, _PROMPT_INJECTION) or any(sign in folded(name) for sign in _PROMPT_LEAK):
        return "prompt_injection"
    return "pii_leak" if _says(name, _PII_LEAK) else "auto"


def lower_is_better(name: str) -> bool:
    """Return whether a low score is the good one, going by the rubric's name alone.

    >>> [lower_is_better(name) for name in ("toxicity", "faithfulness", "hallucination_free")]
    [True, False, False]
    """
    return _says(name, _LOWER_IS_BETTER)


def yes_or_no(score: float | None, label: str | None) -> bool | None:
    """Return the answer of an evaluation that asks a question; None when it gives none."""
    if score is not None:
        return score >= 0.5 if 0 <= score <= 1 else None
    word = folded(label or "")
    return True if word in _YES else False if word in _NO else None


def found_harm(label: str | None) -> bool | None:
    """Return whether a label says that the harm which was looked for is there; None for neither.

    >>> [found_harm(label) for label in ("detected", "yes", "pass", "clean", "maybe")]
    [True, True, False, False, None]
    """
    word = folded(label or "")
    if word in _FOUND or word in _NOT_FOUND:
        return word in _FOUND
    if word in OUTCOMES:
        return not OUTCOMES[word]
    return ASSERTIONS.get(word)


def _says(name: str, stems: tuple[str, ...]) -> bool:
    words = folded(name).replace(".", "_").replace("/", "_").split("_")
    if words[0] in ("no", "non", "not") or words[-1] in ("free", "freedom"):
        return False
    return any(word.startswith(stems) for word in words)
