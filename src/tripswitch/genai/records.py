"""What a log record says: evaluations, choices, flags, verdicts and exceptions as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.genai import coercion, judgements
from tripswitch.genai.content import answer_in
from tripswitch.genai.event_names import (
    CHOICE_EVENTS,
    DETAILS_EVENT,
    EVALUATION_EVENT,
    EVENT_CONTENT_KEY,
    EXCEPTION_LOG,
    EXCEPTION_TYPE_KEY,
    FLAG_EVENTS,
    GUARD_EVENTS,
)
from tripswitch.genai.sightings import CallFacts, Note
from tripswitch.genai.spellings import error_name, finish_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.otlp.values import Value


def note_of(
    event: str,
    trace_id: str | None,
    span_id: str | None,
    at_ns: int,
    attributes: Mapping[str, Value],
    body: Value,
) -> Note | None:
    """Return what a record of ``event`` tells; None when it is of no use."""
    note = Note(trace_id, span_id, at_ns)
    if event == EVALUATION_EVENT:
        evaluation = judgements.of_attributes(attributes, (trace_id, span_id), at_ns)
        return None if evaluation is None else note._replace(evaluation=evaluation)
    if event in FLAG_EVENTS:
        flag = judgements.flag_of(attributes)
        return None if flag is None else note._replace(flag=flag)
    if event in GUARD_EVENTS:
        verdicts = judgements.guardrails_of_event(event, attributes)
        return note._replace(guardrails=tuple(verdicts)) if verdicts else None
    if event == EXCEPTION_LOG:
        raised = coercion.text(attributes.get(EXCEPTION_TYPE_KEY))
        return (
            None if raised is None else note._replace(error_type=coercion.cut(error_name(raised)))
        )
    if event in CHOICE_EVENTS or event == DETAILS_EVENT:
        return note._replace(call=choice_of(attributes, body))
    return None


def choice_of(attributes: Mapping[str, Value], body: Value) -> CallFacts:
    """Return what a choice, or a copy of a call's details, says of the call."""
    call = CallFacts()
    words = coercion.text_list(attributes.get("gen_ai.response.finish_reasons")) or []
    word = coercion.text(attributes.get("finish_reason"))
    words = words or ([] if word is None else [word])
    for content in (
        body,
        coercion.opened(attributes.get("message")),
        # Azure's library for AI Inference.
        attributes.get(EVENT_CONTENT_KEY),
        attributes.get("gen_ai.output.messages"),
    ):
        answer = answer_in(content)
        call.refuses = call.refuses or answer.refuses
        words = words or answer.finish_reasons
    call.finish_reasons = [finish_reason(word) for word in words]
    response_id = coercion.text(attributes.get("gen_ai.response.id"))
    call.response_id = None if response_id is None else coercion.cut(response_id)
    return call
