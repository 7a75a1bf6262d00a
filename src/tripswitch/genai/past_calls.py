"""Filing settled calls in the index, and finding the call that a score is about."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from tripswitch.genai.call_index import (
    CallRef,
    all_mixed,
    keys_of,
    mixed,
    response_key,
    span_key,
    trace_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.call_index import CallIndex
    from tripswitch.genai.settling import Settling
    from tripswitch.genai.sightings import Evaluation

# Evaluations have few names; a hostile sender as many as it likes.
_MAX_REMEMBERED: Final = 1024


def file_calls(index: CallIndex, calls: Sequence[Settling], now_ns: int) -> None:
    """File calls under their spans, their traces, their requests' outer spans and their answers."""
    spans = [call.span for call in calls]
    outer_ids = [(call.entry or call.span).span_id for call in calls]
    of_outer, of_trace = keys_of([span.trace_id for span in spans], outer_ids)
    owners = np.array([call.key for call in calls], np.uint64)
    keys = [owners, of_trace, of_outer]
    answers = [call.facts.response_id for call in calls]
    if answers.count(None) < len(answers):
        of_answer = [
            call.key if answer is None else response_key(answer)
            for call, answer in zip(calls, answers, strict=True)
        ]
        keys.append(np.array(of_answer, np.uint64))
    index.add(keys, owners, [span.end for span in spans], [call.place for call in calls], now_ns)


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


def evaluation_keys(calls: Sequence[Settling]) -> list[int]:
    """Return the `evaluation_key` of every evaluation of ``calls``, in their order."""
    keys = [
        call.key ^ _said_by(name, version, source)
        for call in calls
        for name, _, _, source, version, _, _, _, _, _ in call.evaluations
    ]
    return all_mixed(keys)


@lru_cache(maxsize=_MAX_REMEMBERED)
def _said_by(name: str, version: str | None, source: str) -> int:
    return response_key(f"{name}|{version}|{source}")
