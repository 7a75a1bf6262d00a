"""The guardrail verdict that a span or an event tells of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tripswitch.genai import coercion
from tripswitch.genai.guardrails import (
    Stage,
    Verdict,
    categories_of,
    masked_count,
    passed,
    stage_of,
    verdict_of,
    verdict_of_failure,
)
from tripswitch.genai.spellings import error_class, error_name
from tripswitch.model.calls import Guardrail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tripswitch.genai.facts import SpanFacts
    from tripswitch.genai.sightings import Evaluation
    from tripswitch.genai.spellings import Kind

# Under which names a guardrail's output says that all is well when true, and what it decided.
_PASSING: Final = ("passed", "pass", "allowed", "valid", "is_safe", "safe")
_DECIDING: Final = ("verdict", "action", "decision", "result", "status", "outcome")
_TRIPPING: Final = ("tripwire_triggered", "blocked", "triggered", "violation", "is_blocked")
_FLAGGING: Final = ("flagged", "is_flagged", "detected")
# Facts that hold what a provider filtered; what Bedrock's guardrails act on; how much is looked at.
_FILTERED: Final[tuple[tuple[Stage, str], ...]] = (
    ("input", "filtered_input"),
    ("output", "filtered_output"),
)
_ACTED_ON: Final = frozenset({"sensitive", "topic", "content", "words"})
_MAX_RESULTS: Final = 32

# "... {'guardrail': 'toxicity'}": what is raised where a guardrail's tripwire ends a run.
_NAMED_IN_MESSAGE: Final = re.compile(
    r"""(?i:guardrail|tripwire)[^{]{0,100}\{[^{}]{0,100}["']guardrail(?:_name)?["']\s*:\s*["']([^"']+)["']"""
)
_MAX_MESSAGE: Final = 500
_OUTPUTS: Final[tuple[tuple[tuple[str, ...], Verdict], ...]] = (
    (_PASSING, "pass"),
    (_TRIPPING, "block"),
    (_FLAGGING, "flag"),
    (_DECIDING, "pass"),
)


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
    name = coercion.cut(name or span_name.removesuffix(".guardrail") or "guardrail")
    verdict = _said(facts)
    if verdict is None and (kind == "guardrail" or is_guard_name(span_name)):
        verdict = _evaluated(evaluations) or _of_outputs(facts)
        if verdict is None and kind == "guardrail" and failed:
            said = facts.text("error_type")
            verdict = verdict_of_failure(None if said is None else error_class(error_name(said)))
    said_stage = facts.text("guardrail_stage")
    stage = stage_of(said_stage)
    if verdict is None or (said_stage is not None and stage is None):
        # An engine calls its other steps rails too: dialog, generation.
        return []
    return _by_category(name, facts.texts("guardrail_category"), verdict, stage)


def filters_of(facts: SpanFacts) -> list[Guardrail]:
    """Return the verdicts of the provider's own filters, as they stand on the call; none without.

    Azure says of each category whether it was detected and filtered, Bedrock lists what a guardrail
    acted on.
    """
    found: list[Guardrail] = []
    for stage, fact in _FILTERED:
        for value in facts.values(fact):
            results = coercion.opened(value)
            for each in results[:_MAX_RESULTS] if isinstance(results, list) else [results]:
                if isinstance(each, dict):
                    inner = each.get("content_filter_results", each)
                    found += _filtered(inner, stage) if isinstance(inner, dict) else []
    return list(dict.fromkeys(found))


def _filtered(results: dict[str, Any], stage: Stage) -> Iterator[Guardrail]:
    for key, said in list(results.items())[:_MAX_RESULTS]:
        verdict: Verdict | None = None
        if isinstance(said, dict) and said.keys() & {"filtered", "detected"}:
            detected: Verdict = "flag" if said.get("detected") is True else "pass"
            verdict = "block" if said.get("filtered") is True else detected
        elif key in _ACTED_ON and said and (not isinstance(said, dict) or any(said.values())):
            verdict = "block"
        if verdict is not None:
            names = coercion.text_list(said) or [] if isinstance(said, list) else []
            for category in categories_of(names, key):
                yield Guardrail(coercion.cut(key), category, verdict, stage)


def told_by_event(
    name: str | None, value: Any, categories: Sequence[str], stage: str | None
) -> list[Guardrail]:
    """Return the verdict that an event tells of; none when its value is none that is known."""
    verdict = verdict_of(value)
    if verdict is None:
        return []
    return _by_category(coercion.cut(name or "guardrail"), categories, verdict, stage_of(stage))


def told_by_failure(message: str) -> list[Guardrail]:
    """Return the verdict of the guardrail that a failed span's message names; none without any.

    >>> told_by_failure("Guardrail tripwire triggered: {'guardrail': 'pii'}")[0][:3]
    ('pii', 'pii', 'block')
    """
    named = _NAMED_IN_MESSAGE.search(message[:_MAX_MESSAGE])
    return [] if named is None else _by_category(coercion.cut(named[1]), (), "block", None)


def is_guard_name(name: str) -> bool:
    """Return whether a span or an evaluation of this name is a guardrail's."""
    return "guard" in name.lower()


def evaluated(
    name: str, label: str | None, score: float | None, *, is_guardrail: bool = False
) -> list[Guardrail]:
    """Return the verdict of a guardrail that reports as an evaluation; none when it is none.

    Its label says whether it passed; without one a score of 1 is a pass, 0 is none.
    ``is_guardrail`` says that it is one whatever its name.
    """
    if not (is_guardrail or is_guard_name(name)):
        return []
    verdict = _verdict_of_evaluation(label, score)
    return [] if verdict is None else _by_category(name, (), verdict, None)


def _by_category(
    name: str, categories: Sequence[str], verdict: Verdict, stage: Stage | None
) -> list[Guardrail]:
    return [
        Guardrail(name, category, verdict, stage) for category in categories_of(categories, name)
    ]


def _verdict_of_evaluation(label: str | None, score: float | None) -> Verdict | None:
    verdict = verdict_of(label, true_means="pass")
    if verdict is None and score in (0, 1):
        return "pass" if score == 1 else "block"
    return verdict


def _evaluated(evaluations: Sequence[Evaluation]) -> Verdict | None:
    for evaluation in evaluations:
        verdict = _verdict_of_evaluation(evaluation.label, evaluation.score)
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
    masked = sum(masked_count(value) for value in facts.values("guardrail_masked")[:1])
    for value in facts.values("guardrail_verdict"):
        verdict = verdict_of(value, masked=masked)
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
        # What is blocked is often flagged too: of several false ones the last word counts.
        found: Verdict | None = None
        for names, true_means in _OUTPUTS:
            for key in names:
                verdict = verdict_of(output.get(key), true_means=true_means)
                if verdict not in (None, "pass"):
                    return verdict
                found = found or verdict
        if found is not None:
            return found
    return None
