"""Filing settled calls in the index, and finding the call that a score is about."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tripswitch.genai.call_index import (
    CallRef,
    keys_of,
    mixed,
    response_key,
    span_key,
    trace_key,
)

if TYPE_CHECKING:
    from tripswitch.genai.call_index import CallIndex
    from tripswitch.genai.settling import Settling
    from tripswitch.genai.sightings import Evaluation

# Evaluations have few names; a hostile sender as many as it likes.
_MAX_REMEMBERED: Final = 1024


def remember(index: CallIndex, call: Settling, now_ns: int) -> None:
    """File a call under its span, its trace, its answer and its request's outer span."""
    outer = call.span if call.entry is None else call.entry
    outer_key, of_trace = keys_of(outer.trace_id, outer.span_id)
    keys = [call.key, of_trace]
    if call.facts.response_id is not None:
        keys.append(response_key(call.facts.response_id))
    if outer is not call.span:
        keys.append(outer_key)
    index.add(keys, call.ref, now_ns)


def find_call(index: CallIndex, evaluation: Evaluation) -> CallRef | None:
    """Return the call that an evaluation names: by span, else by answer, else by trace."""
    trace_id, span_id = evaluation.target_trace_id, evaluation.target_span_id
    if trace_id is not None and span_id is not None:
        found = index.find(span_key(trace_id, span_id))
        if found is not None:
            return found
    if evaluation.response_id is not None:
        found = index.find(response_key(evaluation.response_id))
        if found is not None:
            return found
    return None if trace_id is None else index.find(trace_key(trace_id))


def evaluation_key(call: int, evaluation: Evaluation) -> int:
    """Return what is the same for an evaluation of a call that is sent again."""
    return mixed(call ^ _said_by(evaluation.name, evaluation.version, evaluation.source))


@lru_cache(maxsize=_MAX_REMEMBERED)
def _said_by(name: str, version: str | None, source: str) -> int:
    return response_key(f"{name}|{version}|{source}")
