"""What a call's own span says of its answer: usage, cost, times, finish reasons, refusal, error."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tripswitch.genai import coercion
from tripswitch.genai.content import answer_in
from tripswitch.genai.error_classes import (
    causes_in_trace,
    error_class,
    error_name,
    names_in_message,
)
from tripswitch.genai.event_names import (
    CHOICE_EVENTS,
    DETAILS_EVENT,
    EXCEPTION_EVENT,
    EXCEPTION_MESSAGE_KEY,
    EXCEPTION_TRACE_KEY,
    EXCEPTION_TYPE_KEY,
    FIRST_TOKEN_EVENTS,
)
from tripswitch.genai.model_names import has_answered, tell_models_apart
from tripswitch.genai.records import choice_of
from tripswitch.genai.spellings import finish_reason, says_stream
from tripswitch.genai.usage import drop_made_up_usage, read_usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.facts import SpanFacts
    from tripswitch.genai.sightings import CallFacts
    from tripswitch.genai.sketches import Sketch
    from tripswitch.model.calls import ErrorClass
    from tripswitch.otlp.reader import SpanEvent

_STATUS_OK, _STATUS_ERROR = 1, 2
# No model's first token comes sooner: the clock of who says so started with the answer.
_SOONEST_S = 1e-3
# A number of seconds that is taken for another unit is fewer: of a span that some write when their
# stream has ended, which lasts next to nothing.
_SOONEST_IN_OTHER_UNITS_S = 1e-2
# In the year 2286: a larger count of time is in a smaller unit.
_LATEST_S = 1e10
# As in "OpenAI._prepare_chat"; "LM.__call__" is anybody's.
_PRIVATE_METHOD = re.compile(rb"\._[A-Za-z]")
# A status message may be a stack trace; the error's name stands in front.
_MAX_STATUS_BYTES = 2_000
_ANSWERING = frozenset({*CHOICE_EVENTS, DETAILS_EVENT})
# Events that tell of the answer itself.
_TELLING = _ANSWERING | {*FIRST_TOKEN_EVENTS, EXCEPTION_EVENT}

Error = tuple[str | None, "ErrorClass | None"]


# An exception's class in front of its message, where the type says nothing.
_CLASS_IN_MESSAGE = re.compile(r"([A-Za-z_][\w.]{2,99})\(")


def error_of(
    facts: SpanFacts, status_code: int, message: bytes, events: Sequence[SpanEvent]
) -> Error:
    """Return (type, class) of the error a span ended in; (None, None) when it did not.

    The type is None where nothing names it. ``message`` is the status's. A retry inside the span
    leaves the first try's error behind and sets the status OK: that is no error.
    """
    if status_code == _STATUS_OK:
        return None, None
    said = facts.text("error_type")
    is_error = status_code == _STATUS_ERROR or (facts.text("level") or "").upper() == "ERROR"
    if said is None and not is_error:
        return None, None
    name = None if said is None or said == "_OTHER" else error_name(said)
    if name is None:
        name = _raised(events)
    hints = [*_codes(facts), *_names_in_exception(events)]
    if message and is_error:
        hints += names_in_message(message[:_MAX_STATUS_BYTES].decode("utf-8", "replace"))
    return name, error_class(name, hints=hints)


def call_facts(
    facts: SpanFacts,
    sketch: Sketch,
    alike: CallFacts,
    name: bytes,
    events: Sequence[SpanEvent],
    start: int,
    end: int,
    *,
    content_facts: bool,
) -> CallFacts | None:
    """Return what the span says of the call; ``start`` and ``end`` in ns.

    ``alike`` is what it has in common with others, the call of its ``sketch``. None for a step on
    the way to a call: it has the ``name`` of a private method and tells of no answer.
    """
    call = alike.copy()
    plan = facts.plan
    told = []
    for event in events:
        if event.name in _TELLING:
            told.append(event)  # noqa: PERF401 - of few, a list is made faster like this
    if plan.has_response_id:
        call.response_id = facts.name("response_id")
    words = sketch.words
    if told or plan.may_show_content:
        words = _read_answer(facts, sketch, call, told, content_facts=content_facts)
    # Asked whether bytes are in bytes, Python first makes an error of their being no number.
    if call.streaming is None and name.find(b"tream") >= 0:
        call.streaming = says_stream(name.decode("utf-8", "replace")) or None
    read_usage(facts, call, sketch.context.provider)
    if told or plan.shows_ttft:
        _read_times(facts, call, told, start, end)
    if call.streaming:
        drop_made_up_usage(facts, sketch, call)
    # The conventions have writers fill in "error" where no reason came.
    call.lacks_reason = words == ["error"] and call.output_tokens > 0
    if told and call.error_class is None and _broke_off(call, told):
        # Some set the status OK whatever happens: an exception and no answer is a failure.
        call.error_type = _raised(told)
        call.error_class = error_class(call.error_type, hints=_names_in_exception(told))
    if name.find(b"._") >= 0 and _is_step(call, name):
        facts.reject("call")
        return None
    tell_models_apart(facts, call)
    return call


def _read_answer(
    facts: SpanFacts,
    sketch: Sketch,
    call: CallFacts,
    told: Sequence[SpanEvent],
    *,
    content_facts: bool,
) -> list[str]:
    """Read what content and events tell of the answer; return its finish reasons as written."""
    plan = facts.plan
    reasons, call.finish_reasons = call.finish_reasons, []
    words = sketch.words
    if plan.raw and sketch.context.kind == "raw":
        _read_raw(facts, call)
    elif content_facts and facts.has("output_content"):
        words = _read_content(facts, call, words)
    if facts.has("refusal_text") and any(facts.values("refusal_text")):
        call.refuses = True
    if told:
        _read_choices(call, told)
    if words is not sketch.words:
        reasons = list(map(finish_reason, words))
    if reasons:
        call.finish_reasons = reasons
    return words


def _read_content(facts: SpanFacts, call: CallFacts, words: list[str]) -> list[str]:
    """Read the answer's content; return the finish reasons in it, ``words`` where it has none."""
    for value in facts.answers():
        answer = answer_in(value)
        call.refuses = call.refuses or answer.refuses
        if (
            len(answer.finish_reasons) > len(words)
            # A status, or what a library made of one, says less than what was answered.
            or words == ["completed"]
            or (words == ["stop"] and answer.finish_reasons == ["tool_call"])
        ):
            words = answer.finish_reasons or (["tool_calls"] if answer.calls_tool else words)
    return words


def _read_choices(call: CallFacts, events: Sequence[SpanEvent]) -> None:
    for event in events:
        if event.name in _ANSWERING:
            choice = choice_of(event.attributes, None)
            call.refuses = call.refuses or choice.refuses
            call.finish_reasons += choice.finish_reasons


def _is_step(call: CallFacts, name: bytes) -> bool:
    """Return whether what looks like a call is a private step on the way to one."""
    return (
        _PRIVATE_METHOD.search(name) is not None
        and call.error_class is None
        and not (call.finish_reasons or call.refuses or has_answered(call))
    )


def _read_times(
    facts: SpanFacts,
    call: CallFacts,
    events: Sequence[SpanEvent],
    start: int,
    end: int,
) -> None:
    streaming = call.streaming
    duration_s = (end - start) / 1e9
    first_token_s = math.nan
    for event in events:
        if event.name in FIRST_TOKEN_EVENTS:
            first_token_s = (event.time_ns - start) / 1e9
            streaming = True
            break
    if streaming is not False and (facts.plan.shows_ttft or first_token_s == first_token_s):
        # Some write the whole duration as "first chunk" of answers that were not streamed.
        value = facts.number("ttft") if facts.has("ttft") else math.nan
        if value > duration_s:
            value = _in_seconds(value, duration_s)
        if math.isnan(value) and facts.has("first_token_at"):
            value = _seconds_after(facts.text("first_token_at"), start)
        if math.isnan(value):
            value = first_token_s
        call.ttft = _believable(facts, value, duration_s)
    if streaming is None and not math.isnan(call.ttft):
        streaming = True
    call.streaming = streaming


def _in_seconds(value: float, duration_s: float) -> float:
    """Return a time in s that is longer than its call as such.

    Some write milliseconds or nanoseconds where seconds are meant: then it fits only as one of
    these.
    """
    for unit in (1e-3, 1e-9):
        if _SOONEST_IN_OTHER_UNITS_S <= value * unit < duration_s:
            return value * unit
    return value


def _believable(facts: SpanFacts, value: float, duration_s: float) -> float:
    """Return a time to the first token in s, if it lies inside the call.

    One that is the whole call was made up.
    """
    if _SOONEST_S <= value < duration_s:
        return value
    if value == value and value != duration_s:
        facts.reject("ttft")
    return math.nan


def _read_raw(facts: SpanFacts, call: CallFacts) -> None:
    """Read a provider's raw answer; a raw request that was not answered says nothing."""
    keys = facts.plan.raw
    if not keys.keys() & {"id", "choices", "output", "usage"}:
        call.response_model = None
        return
    call.response_id = coercion.text(facts.raw(keys.get("id", "")))
    call.response_model = coercion.text(facts.raw(keys.get("model", "")))
    for part in ("choices", "output"):
        if part in keys:
            whole = {
                part: coercion.opened(facts.raw(keys[part])),
                "status": facts.raw(keys.get("status", "")),
            }
            answer = answer_in(whole)
            call.refuses = call.refuses or answer.refuses
            call.finish_reasons = [finish_reason(word) for word in answer.finish_reasons]


def _broke_off(call: CallFacts, events: Sequence[SpanEvent]) -> bool:
    return (
        call.response_id is None
        and not call.finish_reasons
        and not call.output_tokens > 0
        and any(event.name == EXCEPTION_EVENT for event in events)
    )


def _raised(events: Sequence[SpanEvent]) -> str | None:
    """Return the class of the last exception that was recorded."""
    for event in reversed(events):
        if event.name != EXCEPTION_EVENT:
            continue
        raised = event.attributes.get(EXCEPTION_TYPE_KEY)
        if not isinstance(raised, str) or raised.strip() in ("", "Exception"):
            message = event.attributes.get(EXCEPTION_MESSAGE_KEY)
            match = _CLASS_IN_MESSAGE.match(message) if isinstance(message, str) else None
            raised = match[1] if match else raised
        if isinstance(raised, str) and raised.strip():
            return coercion.cut(error_name(raised))
    return None


def _names_in_exception(events: Sequence[SpanEvent]) -> list[str]:
    """Return the names of an error that the last exception that was recorded tells, and causes."""
    for event in reversed(events):
        if event.name == EXCEPTION_EVENT:
            message = event.attributes.get(EXCEPTION_MESSAGE_KEY)
            names = names_in_message(message) if isinstance(message, str) else []
            trace = event.attributes.get(EXCEPTION_TRACE_KEY)
            return names + (causes_in_trace(trace) if isinstance(trace, str) else [])
    return []


def _codes(facts: SpanFacts) -> list[str]:
    codes = [facts.text("error_code")]
    status = facts.number("http_status") if facts.has("http_status") else math.nan
    if 400 <= status < 600:
        codes.append(str(int(status)))
    for value in facts.values("error_message"):
        if isinstance(value, str):
            codes += names_in_message(value)
    return [code for code in codes if code is not None]


def _seconds_after(moment: str | None, start_ns: int) -> float:
    if moment is None:
        return math.nan
    since_epoch = coercion.number(moment)
    if since_epoch is not None:
        # Seconds, or thousandths of thousandths of them: there is one unit it can be now.
        while since_epoch > _LATEST_S:
            since_epoch /= 1000
        return since_epoch - start_ns / 1e9
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        return math.nan
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return when.timestamp() - start_ns / 1e9
