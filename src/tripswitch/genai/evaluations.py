"""What an evaluation says about a call: a rubric's score, or a refusal.

The conventions define neither range nor direction of a score. Here a score counts when it lies in
0..1; higher is better unless the name says otherwise. One outside 0..1 is kept as it came and
judged by nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from tripswitch.genai.coercion import cut, text
from tripswitch.genai.spellings import folded
from tripswitch.genai.vocabulary import (
    ERROR_TYPE_KEY,
    EVALUATION_LABEL_KEY,
    EVALUATION_NAME_KEY,
    EVALUATION_SCORE_KEY,
)
from tripswitch.model.calls import Eval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.otlp.attributes import Value

REFUSAL_NAMES = frozenset(
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
    }
)

RefusalKind = Literal["legitimate", "illegitimate"]
# What a high score under each of these names means; a low one means the other.
REFUSAL_KIND_NAMES: dict[str, RefusalKind] = {
    "refusal_legitimacy": "legitimate",
    "appropriate_refusal": "legitimate",
    "legitimate_refusal": "legitimate",
    "over_refusal": "illegitimate",
    "false_refusal": "illegitimate",
}

_YES = frozenset({"true", "yes", "1", "refused", "refusal", "refuses"})
_NO = frozenset(
    {"false", "no", "0", "not_refused", "no_refusal", "complied", "answered", "none", "ok"}
)

_LOWER_IS_BETTER = (
    "toxic",
    "hallucinat",
    "pii",
    "inject",
    "bias",
    "risk",
    "latency",
    "error",
)
# Rates of their own, not rubrics of answer quality.
_SECURITY = ("pii", "inject")


class Evaluation(NamedTuple):
    """One evaluation as understood.

    ``is_rubric`` says that its score belongs to `eval_score`. ``refusal`` and ``refusal_kind`` are
    None unless the evaluation is about refusing. ``rejected`` names the fact that was present but
    unusable, if one was.
    """

    entry: Eval
    is_rubric: bool = False
    refusal: bool | None = None
    refusal_kind: RefusalKind | None = None
    rejected: str | None = None


def understand(attributes: Mapping[str, Value]) -> Evaluation | None:
    """Return what a ``gen_ai.evaluation.result`` says; None when it is nameless or failed."""
    named = text(attributes.get(EVALUATION_NAME_KEY))
    if named is None or attributes.get(ERROR_TYPE_KEY):
        return None
    name = rubric_name(named)
    label = text(attributes.get(EVALUATION_LABEL_KEY))
    label = None if label is None else cut(label)
    value = attributes.get(EVALUATION_SCORE_KEY)
    raw = _raw_score(value)
    if raw is None and value is not None:
        return Evaluation(Eval(name, None, None, label, "unknown"), rejected="eval_score")
    if name in REFUSAL_NAMES or name in REFUSAL_KIND_NAMES:
        return _about_refusal(name, raw, label)
    if raw is None:
        return Evaluation(Eval(name, None, None, label, "unknown"))
    if not 0 <= raw <= 1:
        return Evaluation(Eval(name, None, raw, label, "unknown"), rejected="score_range")
    score = 1 - raw if lower_is_better(name) else raw
    return Evaluation(
        Eval(name, score, raw, label, "unknown"), is_rubric=not _says(name, _SECURITY)
    )


def rubric_name(name: str) -> str:
    """Return the name of a rubric: trimmed, lower case, blanks as underscores.

    >>> rubric_name(" Answer Relevancy ")
    'answer_relevancy'
    """
    return cut("_".join(name.lower().split()))


def lower_is_better(name: str) -> bool:
    """Return whether a low score is the good one, going by the rubric's name alone.

    >>> [lower_is_better(name) for name in ("toxicity", "faithfulness", "hallucination_free")]
    [True, False, False]
    """
    return _says(name, _LOWER_IS_BETTER)


def _says(name: str, stems: tuple[str, ...]) -> bool:
    words = folded(name).replace(".", "_").replace("/", "_").split("_")
    if words[0] in ("no", "non", "not") or words[-1] in ("free", "freedom"):
        return False
    return any(word.startswith(stems) for word in words)


def _raw_score(value: Value) -> float | None:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def _about_refusal(name: str, raw: float | None, label: str | None) -> Evaluation:
    if raw is not None:
        answer: bool | None = raw >= 0.5 if 0 <= raw <= 1 else None
    else:
        word = folded(label or "")
        answer = True if word in _YES else False if word in _NO else None
    rejected = "score_range" if raw is not None and answer is None else None
    entry = Eval(name, None, raw, label, "unknown")
    if name in REFUSAL_NAMES:
        return Evaluation(entry, refusal=answer, rejected=rejected)
    if answer is None:
        return Evaluation(entry, rejected=rejected)
    high = REFUSAL_KIND_NAMES[name]
    low: RefusalKind = "illegitimate" if high == "legitimate" else "legitimate"
    return Evaluation(entry, refusal_kind=high if answer else low)
