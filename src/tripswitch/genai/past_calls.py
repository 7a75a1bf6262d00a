"""Filing settled calls in the index, and finding the call that a score is about."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tripswitch.genai.call_index import (
    CallRef,
    keys_of,
    mixed,
    response_key,
    span_key,
    trace_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.call_index import CallIndex
    from tripswitch.genai.family import Place
    from tripswitch.genai.sightings import Evaluation

# Evaluations have few names; a hostile sender as many as it likes.
_MAX_REMEMBERED: Final = 1024


class Filing(NamedTuple):
    """What a call is filed by, and asked for; ``outer_id`` is of the outside of its request."""

    key: int
    trace_id: str
    outer_id: str
    response_id: str | None
    end: int
    place: Place


def file_calls(index: CallIndex, filings: Sequence[Filing], now_ns: int) -> None:
    """File calls under their spans, their traces, their requests' outer spans and their answers."""
    calls, trace_ids, outer_ids, answers, ends, places = zip(*filings, strict=True)
    of_outer, of_trace = keys_of(trace_ids, outer_ids)
    owners = np.array(calls, np.uint64)
    keys = [owners, of_trace, of_outer]
    if answers.count(None) < len(answers):
        of_answer = [
            call if answer is None else response_key(answer)
            for call, answer in zip(calls, answers, strict=True)
        ]
        keys.append(np.array(of_answer, np.uint64))
    index.add(keys, owners, ends, places, now_ns)


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
    return mixed(call ^ said_by(evaluation.name, evaluation.version, evaluation.source))


@lru_cache(maxsize=_MAX_REMEMBERED)
def said_by(name: str, version: str | None, source: str) -> int:
    """Return what tells evaluations of one call apart, as a number of 64 bits."""
    return response_key(f"{name}|{version}|{source}")
