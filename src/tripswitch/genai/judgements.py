"""What a span says of other spans: evaluations, guardrail verdicts, feature flags.

They come as span events, as attributes of the evaluated span, and as spans of their own. Whose
they are is decided when the trace is put together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tripswitch.genai import coercion
from tripswitch.genai.event_names import (
    EVALUATION_EVENT,
    FLAG_EVENTS,
    GUARD_EVENTS,
    JUDGEMENT_EVENTS,
)
from tripswitch.genai.guards import (
    evaluated,
    filters_of,
    guardrails_of,
    is_guard_name,
    told_by_event,
)
from tripswitch.genai.sightings import Evaluation, Flag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tripswitch.genai.facts import SpanFacts
    from tripswitch.genai.sightings import Sighting
    from tripswitch.model.calls import Guardrail
    from tripswitch.otlp.reader import SpanEvent, SpanLink
    from tripswitch.otlp.values import Value

# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__
_NAME_KEY: Final = "gen_ai.evaluation.name"
_SCORE_KEY: Final = "gen_ai.evaluation.score.value"
# A span judges few things; a hostile one as many as it likes.
_MAX_EVALUATIONS = 64

# Events that tell of something else than an evaluation.
_TELLING = frozenset({*FLAG_EVENTS, *GUARD_EVENTS})

_SOURCES = {"human": "human", "llm": "llm", "code": "code"}


def of_span(
    sighting: Sighting,
    facts: SpanFacts,
    events: Sequence[SpanEvent],
    links: Sequence[SpanLink],
) -> None:
    """Put into ``sighting`` what the span judges."""
    context = sighting.context
    assert context is not None
    plan = facts.plan
    rows = plan.rows
    if links or "evaluation_target" in rows:
        target = _target(facts, sighting, links)
    else:
        target = sighting.trace_id, sighting.span_id
    found: list[Evaluation] = []
    if plan.judges:
        found += _of_keys(facts, target, sighting.end)
        found += _of_scores(facts, target, sighting.end)
    for event in events:
        name, time_ns, attributes = event
        if name == EVALUATION_EVENT:
            evaluation = of_attributes(attributes, target, time_ns)
            if evaluation is not None:
                found.append(evaluation)
        else:
            found += _of_event(sighting, event, target)
    kind = context.kind
    if kind == "evaluator" and not found:
        found = _of_output(facts, sighting, target)
    is_named_so = kind in ("workflow", "other") and is_guard_name(sighting.name)
    if kind == "guardrail" or plan.has_guardrail or is_named_so:
        verdicts = guardrails_of(
            facts, sighting.name, found, failed=sighting.failed, kind=context.kind
        )
        if verdicts:
            sighting.guardrails = (*sighting.guardrails, *verdicts)
            if context.kind == "guardrail":
                found = []
    if "filtered_input" in rows or "filtered_output" in rows:
        sighting.guardrails = (*sighting.guardrails, *filters_of(facts))
    if len(found) > _MAX_EVALUATIONS:
        facts.reject("evals_cut")
        del found[_MAX_EVALUATIONS:]
    sighting.evaluations = tuple(found)


def _of_event(
    sighting: Sighting, event: SpanEvent, target: tuple[str | None, str | None]
) -> list[Evaluation]:
    """Return the evaluation that an object in an event is; note what else it tells of."""
    if event.name in JUDGEMENT_EVENTS:
        said = coercion.opened(event.attributes.get(JUDGEMENT_EVENTS[event.name]))
        return _of_object(sighting, said, target, event.time_ns)
    if event.name in _TELLING:
        _read_event(sighting, event)
    return []


def _of_object(
    sighting: Sighting, said: Any, target: tuple[str | None, str | None], at_ns: int
) -> list[Evaluation]:
    """Return the evaluation that an object tells of, or note its verdict on ``sighting``."""
    evaluation = _of_result(None, said, target, at_ns)
    if evaluation is None or not said.get("is_guardrail"):
        return [] if evaluation is None else [evaluation]
    verdicts = evaluated(evaluation.name, evaluation.label, evaluation.score, is_guardrail=True)
    sighting.guardrails = (*sighting.guardrails, *verdicts)
    return []


def _read_event(sighting: Sighting, event: SpanEvent) -> None:
    if event.name in FLAG_EVENTS:
        flag = flag_of(event.attributes)
        if flag is not None:
            sighting.flags = (*sighting.flags, flag)
    else:
        told = guardrails_of_event(event.name, event.attributes)
        sighting.guardrails = (*sighting.guardrails, *told)


def _of_keys(
    facts: SpanFacts, target: tuple[str | None, str | None], at_ns: int
) -> Iterator[Evaluation]:
    """Yield what stands under the span's own keys."""
    for name, parts in _numbered(facts):
        evaluation = _evaluation_of(name, parts, target, at_ns)
        if evaluation is not None:
            yield evaluation
    if facts.has("evaluation_name"):
        name = facts.text("evaluation_name")
        score = next(iter(facts.values("evaluation_score")), None)
        if score is None and name is not None and facts.has("evaluation_sentence"):
            score = _said_of(name, facts.text("evaluation_sentence"))
        parts = {"score": score, "label": facts.text("evaluation_label")}
        evaluation = _evaluation_of(name, parts, target, at_ns)
        if evaluation is not None:
            yield evaluation


def _said_of(name: str, sentence: str | None) -> Value:
    """Return the value in a sentence that ends in ``name = value``, where no key holds it."""
    _, found, value = (sentence or "").partition(f"{name} = ")
    return value.strip("'\"") if found else None


def _of_scores(
    facts: SpanFacts, target: tuple[str | None, str | None], at_ns: int
) -> Iterator[Evaluation]:
    """Yield what stands in an object of names and scores."""
    for value in facts.values("scores"):
        scores = coercion.opened(value)
        if not isinstance(scores, dict):
            continue
        label = _label_of(facts) if len(scores) == 1 else None
        for name, score in list(scores.items())[:_MAX_EVALUATIONS]:
            evaluation = _evaluation(name, score, label, target, at_ns)
            if evaluation is not None:
                yield evaluation


def of_attributes(
    attributes: Mapping[str, Value], target: tuple[str | None, str | None], at_ns: int
) -> Evaluation | None:
    """Return the evaluation that a ``gen_ai.evaluation.result`` tells of; None when it failed."""
    if len(attributes) == 2:
        # Most say no more than a name and a number, and nothing else has to be looked for.
        score, name = attributes.get(_SCORE_KEY), coercion.text(attributes.get(_NAME_KEY))
        if name is not None and type(score) is float and math.isfinite(score):
            name = coercion.cut(name)
            said = (name, score, None, "unknown", None, *target, None, at_ns, False)
            return _new_tuple(Evaluation, said)
    if attributes.get("error.type"):
        return None
    trace_id, span_id = target
    named = attributes.get("gen_ai.evaluation.target_span_id")
    if named is not None and (named := coercion.text(named)) is not None:
        span_id = named.lower()
    answer = attributes.get("gen_ai.response.id")
    if answer is not None:
        answer = _cut(coercion.text(answer))
    return _evaluation(
        coercion.text(attributes.get(_NAME_KEY)),
        attributes.get(_SCORE_KEY),
        attributes.get("gen_ai.evaluation.score.label", attributes.get("label")),
        (trace_id, span_id),
        at_ns,
        response_id=answer,
    )


def guardrails_of_event(event: str, attributes: Mapping[str, Value]) -> list[Guardrail]:
    """Return the verdict that a guardrail's event tells of, once by category; none without any."""
    name, verdict, category, stage = (attributes.get(key) for key in GUARD_EVENTS[event])
    return told_by_event(
        coercion.text(name), verdict, coercion.text_list(category) or [], coercion.text(stage)
    )


def flag_of(attributes: Mapping[str, Value]) -> Flag | None:
    """Return the feature flag that an event tells of, and the variant that was served."""
    key = coercion.text(attributes.get("feature_flag.key"))
    if key is None or coercion.text(attributes.get("feature_flag.result.reason")) == "error":
        return None
    for name in (
        "feature_flag.result.variant",
        "feature_flag.variant",
        "feature_flag.result.value",
    ):
        variant = coercion.text(attributes.get(name))
        if variant is not None:
            return Flag(coercion.cut(key), coercion.cut(variant))
    return None


def score_of(value: Value) -> float | None:
    """Return a finite score from a number, a bool or text holding one."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "false"):
            return float(word == "true")
        try:
            value = float(word)
        except ValueError:
            return None
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def _evaluation(
    name: str | None,
    value: Value,
    said: Value,
    target: tuple[str | None, str | None],
    at_ns: int,
    *,
    source: Value = None,
    version: Value = None,
    response_id: str | None = None,
) -> Evaluation | None:
    """Return the evaluation ``name`` with its value and the label it ``said``; None without any."""
    name = "" if name is None else name.strip()
    if not name:
        return None
    score = value if type(value) is float and math.isfinite(value) else score_of(value)
    label = None if said is None else _cut(coercion.text(said))
    if label is None and score is None and isinstance(value, str):
        label = _cut(coercion.text(value))
    if score is None and label is None:
        return None
    known = None if source is None else coercion.text(source)
    return _new_tuple(
        Evaluation,
        (
            name if len(name) <= coercion.MAX_TEXT else coercion.cut(name),
            score,
            label,
            "unknown" if known is None else _SOURCES.get(known.lower(), "unknown"),
            None if version is None else _cut(coercion.text(version)),
            target[0],
            target[1],
            response_id,
            at_ns,
            score is not None and not isinstance(value, float) and _is_boolean(value),
        ),
    )


def _evaluation_of(
    name: str | None,
    parts: Mapping[str, Value],
    target: tuple[str | None, str | None],
    at_ns: int,
) -> Evaluation | None:
    """Return the evaluation of a span's numbered or named keys, by the parts they say."""
    return _evaluation(
        name,
        parts.get("score", parts.get("value")),
        parts.get("label"),
        target,
        at_ns,
        source=parts.get("annotator_kind"),
        version=parts.get("identifier"),
    )


def _is_boolean(value: Value) -> bool:
    return coercion.text(value) in ("true", "True", "false", "False")


def _numbered(facts: SpanFacts) -> list[tuple[str | None, dict[str, Value]]]:
    groups: dict[str, dict[str, Value]] = {}
    names: dict[str, str | None] = {}
    for key in facts.plan.evaluations:
        value = facts.raw(key.key)
        if key.part == "name":
            names[key.group] = coercion.text(value)
        else:
            groups.setdefault(key.group, {})[key.part] = value
            if key.name is not None:
                names.setdefault(key.group, key.name)
    return [(names.get(index), parts) for index, parts in groups.items()]


def _of_output(
    facts: SpanFacts, sighting: Sighting, target: tuple[str | None, str | None]
) -> list[Evaluation]:
    """Read an evaluator whose span has its score for an output and its name for a name.

    One that gives several scores has a list of them for an output, each with a name.
    """
    for value in facts.values("output_content"):
        output: Any = coercion.opened(value)
        if isinstance(output, dict) and isinstance(output.get("value"), dict):
            # LangWatch says beside it what kind of value it is.
            output = output["value"]
        name = sighting.name.removeprefix("evaluate ")
        if isinstance(output, list):
            named = [item for item in output if isinstance(item, dict) and item.get("name")]
            results = [
                _of_result(None, item, target, sighting.end) for item in named[: coercion.MAX_ITEMS]
            ]
        else:
            results = [_of_result(name, output, target, sighting.end)]
        evaluations = [evaluation for evaluation in results if evaluation is not None]
        if evaluations:
            return evaluations
    return []


def _of_result(
    name: str | None, result: Any, target: tuple[str | None, str | None], at_ns: int
) -> Evaluation | None:
    """Return the evaluation of a result, an object or a bare score; ``name`` where it has none."""
    if not isinstance(result, dict):
        result = {"score": result}
    keys = ("score", "value", "passed", "result")
    parts = {
        "score": next((result[key] for key in keys if result.get(key) is not None), None),
        "label": result.get("label"),
        "annotator_kind": result.get("kind"),
    }
    if isinstance(parts["score"], dict | list):
        return None
    return _evaluation_of(coercion.text(result.get("name")) or name, parts, target, at_ns)


def _label_of(facts: SpanFacts) -> Value:
    """Return the label in the output of a span that gives its score apart."""
    for value in facts.values("output_content"):
        output = coercion.opened(value)
        if isinstance(output, dict) and isinstance(output.get("label"), str):
            label: Value = output["label"]
            return label
    return None


def _target(
    facts: SpanFacts, sighting: Sighting, links: Sequence[SpanLink]
) -> tuple[str | None, str | None]:
    """Return the ids of the span that one with links, or a word for its target, judges."""
    named = facts.text("evaluation_target") if facts.has("evaluation_target") else None
    if named is not None:
        return sighting.trace_id, named.lower()
    context = sighting.context
    if len(links) == 1 and context is not None and context.kind in ("evaluator", "other"):
        return links[0].trace_id, links[0].span_id
    return sighting.trace_id, sighting.span_id


def _cut(text: str | None) -> str | None:
    return None if text is None else coercion.cut(text)
