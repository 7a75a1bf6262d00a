"""What a call's own span says of its answer: usage, cost, times, finish reasons, refusal, error."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from tripswitch.genai import coercion
from tripswitch.genai.content import answer_in
from tripswitch.genai.error_classes import error_class, error_name, names_in_message
from tripswitch.genai.event_names import (
    CHOICE_EVENTS,
    DETAILS_EVENT,
    EXCEPTION_EVENT,
    EXCEPTION_MESSAGE_KEY,
    EXCEPTION_TYPE_KEY,
    FIRST_TOKEN_EVENTS,
)
from tripswitch.genai.records import choice_of
from tripswitch.genai.spellings import finish_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.facts import SpanFacts
    from tripswitch.genai.sightings import CallFacts
    from tripswitch.genai.sketches import Sketch
    from tripswitch.model.calls import ErrorClass
    from tripswitch.otlp.reader import SpanEvent

_STATUS_OK, _STATUS_ERROR = 1, 2
# A status message may be a stack trace; the error's name stands in front.
_MAX_STATUS_BYTES = 2_000
_ANSWERING = frozenset({*CHOICE_EVENTS, DETAILS_EVENT})

Error = tuple[str | None, "ErrorClass | None"]


# A model's name that says which one it is: a date, or a build behind a colon or an at sign.
_DATED = re.compile(r"\d{4}-\d\d-\d\d|\d{8}|\d{6}$|[-@:]\d{3,4}$|:[a-z0-9]+$")

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
    events: Sequence[SpanEvent],
    start: int,
    end: int,
    *,
    content_facts: bool,
) -> CallFacts:
    """Return what the span says of the call; ``start`` and ``end`` in ns.

    ``alike`` is what it has in common with others, the call of its ``sketch``.
    """
    call = alike.copy()
    if facts.has("response_id"):
        call.response_id = facts.text("response_id")
    words = sketch.words
    if facts.plan.raw and sketch.context.kind == "raw":
        _read_raw(facts, call)
    elif content_facts and facts.has("output_content"):
        for value in facts.values("output_content"):
            answer = answer_in(value)
            call.refuses = call.refuses or answer.refuses
            if len(answer.finish_reasons) > len(words) or words == ["completed"]:
                # A status says less than what was answered.
                words = answer.finish_reasons or (["tool_calls"] if answer.calls_tool else words)
    for event in events:
        if event.name in _ANSWERING:
            choice = choice_of(event.attributes, None)
            call.refuses = call.refuses or choice.refuses
            call.finish_reasons += choice.finish_reasons
    if words is sketch.words:
        call.finish_reasons = [*sketch.reasons] if words else call.finish_reasons
    elif words:
        call.finish_reasons = [finish_reason(word) for word in words]
    _read_usage(facts, call)
    _read_times(facts, call, sketch.streaming, events, start, end)
    _drop_made_up_usage(facts, sketch, call)
    if events and call.error_class is None and _broke_off(call, events):
        # Some set the status OK whatever happens: an exception and no answer is a failure.
        call.error_type = _raised(events)
        call.error_class = error_class(call.error_type, hints=_names_in_exception(events))
    _tell_models_apart(facts, call)
    return call


def _tell_models_apart(facts: SpanFacts, call: CallFacts) -> None:
    """Settle which of the names is the model that was asked for, and which the one that served.

    A provider answers an alias with the dated name of what served. An alias in the response's place
    is the request's name again, written by a gateway or a stream that knew no better.
    """
    if call.error_class is not None and not _has_answered(call):
        if call.request_model is None and facts.has("only_model"):
            call.request_model = facts.text("only_model")
        call.response_model = None
    elif call.is_chat and call.response_model and not _is_dated(call.response_model):
        if call.request_model is None:
            call.request_model = call.response_model
        if call.request_model == call.response_model:
            call.response_model = None


def _has_answered(call: CallFacts) -> bool:
    return call.response_id is not None or call.input_tokens == call.input_tokens


@lru_cache(maxsize=1024)
def _is_dated(model: str) -> bool:
    return _DATED.search(model) is not None


def _read_usage(facts: SpanFacts, call: CallFacts) -> None:
    rows = facts.plan.rows
    # What is not there is NaN already.
    if "cached_tokens" in rows:
        call.input_tokens, call.cached_tokens = _whole_and_part(
            facts, "input_tokens", "cached_tokens"
        )
    else:
        call.input_tokens = facts.tokens("input_tokens")
    if "reasoning_tokens" in rows:
        call.output_tokens, call.reasoning_tokens = _whole_and_part(
            facts, "output_tokens", "reasoning_tokens"
        )
    else:
        call.output_tokens = facts.tokens("output_tokens")
    if "cache_write_tokens" in rows:
        call.cache_write_tokens = _some(facts.tokens("cache_write_tokens"))
    if "total_tokens" in rows:
        total = facts.tokens("total_tokens")
        if math.isnan(call.input_tokens) and total >= call.output_tokens:
            call.input_tokens = total - call.output_tokens
    if facts.plan.shows_cost:
        call.cost_usd = facts.cost_usd()
    if not call.is_chat and call.output_tokens == 0:
        call.output_tokens = math.nan
    if call.input_tokens == 0 and not call.output_tokens > 0:
        # No model reads nothing: zeros stand where the provider sent no usage.
        call.input_tokens = call.output_tokens = math.nan
    if call.cost_usd == 0 and math.isnan(call.input_tokens):
        call.cost_usd = math.nan
    if "counted_text_tokens" not in rows:
        return
    counted = facts.number("counted_text_tokens")
    call.is_estimated = (
        counted > 0
        and counted == call.output_tokens
        and not any(isinstance(value, dict) for value in facts.values("input_breakdown"))
    )
    if call.is_estimated:
        # The stream broke off: the library counted what it had and made up how it finished.
        _forget_usage(facts, call)
        call.finish_reasons = []


def _drop_made_up_usage(facts: SpanFacts, sketch: Sketch, call: CallFacts) -> None:
    """Drop what stands in a stream's usage though its provider did not tell."""
    if not call.streaming:
        return
    if facts.plan.lacks_proof and call.is_chat:
        # The library counted the text it saw.
        _forget_usage(facts, call)
    if (
        call.output_tokens == 1
        and not call.finish_reasons
        and sketch.context.provider == "anthropic"
    ):
        # Its streams begin with a count of 1, and this one broke off before the real one came.
        call.output_tokens = math.nan


def _forget_usage(facts: SpanFacts, call: CallFacts) -> None:
    facts.reject("estimated_usage")
    call.input_tokens = call.output_tokens = call.cost_usd = math.nan
    call.cached_tokens = call.reasoning_tokens = math.nan


def _read_times(
    facts: SpanFacts,
    call: CallFacts,
    streaming: bool | None,
    events: Sequence[SpanEvent],
    start: int,
    end: int,
) -> None:
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
        if math.isnan(value) and facts.has("first_token_at"):
            value = _seconds_after(facts.text("first_token_at"), start)
        if math.isnan(value):
            value = first_token_s
        call.ttft = _believable(facts, value, duration_s)
    if streaming is None and not math.isnan(call.ttft):
        streaming = True
    call.streaming = streaming


def _believable(facts: SpanFacts, value: float, duration_s: float) -> float:
    """Return a time to the first token in s, if it lies inside the call.

    Some write milliseconds where seconds are meant: a value that only fits the call as
    milliseconds is taken as such. One that is the whole call was made up.
    """
    if 0 < value < duration_s:
        return value
    if value > duration_s and 0 < value / 1000 < duration_s:
        return value / 1000
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


def _whole_and_part(facts: SpanFacts, whole: str, part: str) -> tuple[float, float]:
    """Return a token count and the share of it that ``part`` counts; a share of 0 is none.

    The conventions include the part in the whole; who reports a larger part counts it apart.
    """
    total, of_which = facts.tokens(whole), _some(facts.tokens(part))
    return (total + of_which if of_which > total else total), of_which


def _some(count: float) -> float:
    return count if count > 0 else math.nan


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
    """Return the names of an error in the message of the last exception that was recorded."""
    for event in reversed(events):
        if event.name == EXCEPTION_EVENT:
            message = event.attributes.get(EXCEPTION_MESSAGE_KEY)
            return names_in_message(message) if isinstance(message, str) else []
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
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        return math.nan
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return when.timestamp() - start_ns / 1e9
