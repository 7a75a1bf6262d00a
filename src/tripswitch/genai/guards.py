"""The guardrail verdict that a span or an event tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tripswitch.genai import coercion
from tripswitch.genai.guardrails import Verdict, categories_of, passed, stage_of, verdict_of
from tripswitch.model.calls import Guardrail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.facts import SpanFacts
    from tripswitch.genai.sightings import Evaluation
    from tripswitch.genai.spellings import Kind

# Under which names a guardrail's output says that all is well when true, and what it decided.
_PASSING: Final = ("passed", "pass", "allowed", "valid", "is_safe", "safe")
_DECIDING: Final = ("verdict", "action", "decision", "result", "status", "outcome")
_TRIPPING: Final = ("tripwire_triggered", "blocked", "flagged", "triggered", "violation")


def guardrails_of(
    facts: SpanFacts,
    span_name: str,
    evaluations: Sequence[Evaluation],
    *,
    failed: bool,
    kind: Kind,
) -> list[Guardrail]:
    """Return the verdict of a guardrail span, or of a span that carries one; none without any.

    Looked at in turn: the verdict's own keys, an evaluation on the span, the span's output, and
    for a span that is a guardrail's own whether it failed. One that guards against two categories
    gives a verdict for each.
    """
    name = facts.text("guardrail_name")
    if name is None and evaluations:
        name = evaluations[0].name
    name = coercion.cut(name or span_name or "guardrail")
    verdict = _said(facts)
    if verdict is None and (kind == "guardrail" or is_guard_name(span_name)):
        verdict = _evaluated(evaluations) or _of_outputs(facts)
        if verdict is None and kind == "guardrail":
            verdict = "block" if failed else None
    said_stage = facts.text("guardrail_stage")
    stage = stage_of(said_stage)
    if verdict is None or (said_stage is not None and stage is None):
        # An engine calls its other steps rails too: dialog, generation.
        return []
    return [
        Guardrail(name, category, verdict, stage)
        for category in categories_of([*facts.texts("guardrail_category"), name])
    ]


def told_by_event(
    name: str | None, value: Any, categories: Sequence[str], stage: str | None
) -> Guardrail | None:
    """Return the verdict that an event tells of; None when its value is none that is known."""
    verdict = verdict_of(value)
    if verdict is None:
        return None
    name = coercion.cut(name or "guardrail")
    return Guardrail(name, categories_of([*categories, name])[0], verdict, stage_of(stage))


def is_guard_name(name: str) -> bool:
    """Return whether a span or an evaluation of this name is a guardrail's."""
    return "guard" in name.lower()


def evaluated(name: str, label: str | None, score: float | None) -> Guardrail | None:
    """Return the verdict of a guardrail that reports as an evaluation; None when it is none.

    Its label says whether it passed; without one a score of 1 is a pass, 0 is none.
    """
    if not is_guard_name(name):
        return None
    verdict = verdict_of(label, true_means="pass")
    if verdict is None and score in (0, 1):
        verdict = "pass" if score == 1 else "block"
    return None if verdict is None else Guardrail(name, categories_of([name])[0], verdict, None)


def _evaluated(evaluations: Sequence[Evaluation]) -> Verdict | None:
    for evaluation in evaluations:
        verdict = verdict_of(evaluation.label, true_means="pass")
        if verdict is None and evaluation.score in (0, 1):
            verdict = "pass" if evaluation.score == 1 else "block"
        if verdict is not None:
            return verdict
    return None


def _said(facts: SpanFacts) -> Verdict | None:
    blocked = facts.flag("guardrail_blocked")
    if blocked is not None:
        return "block" if blocked else "pass"
    is_valid = facts.flag("guardrail_passed")
    if is_valid is not None:
        return passed(is_valid, facts.text("guardrail_on_fail"))
    masked = facts.number("guardrail_masked") if facts.has("guardrail_masked") else 0
    for value in facts.values("guardrail_verdict"):
        verdict = verdict_of(value, masked=max(0, masked))
        if verdict is not None:
            return verdict
    return None


def _of_outputs(facts: SpanFacts) -> Verdict | None:
    for value in facts.values("output_content"):
        output = coercion.opened(value)
        if isinstance(output, dict) and isinstance(output.get("output"), dict):
            output = output["output"]
        if not isinstance(output, dict):
            continue
        for names, true_means in ((_PASSING, "pass"), (_TRIPPING, "block"), (_DECIDING, "pass")):
            for key in names:
                if key in output:
                    verdict = verdict_of(output[key], true_means=true_means)  # type: ignore[arg-type]
                    if verdict is not None:
                        return verdict
    return None
