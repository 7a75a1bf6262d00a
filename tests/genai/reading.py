"""Reading requests to the end, as an inspection does: what each call is once its trace is whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tripswitch.config.model import Config
from tripswitch.config.read_section import Read
from tripswitch.genai.traces import TraceBook
from tripswitch.genai.understand import Understanding
from tripswitch.otlp.delivery import Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.model.calls import Calls, Score
    from tripswitch.model.requests import Requests


@dataclass
class Reading:
    """What some requests yielded once all of them were there."""

    calls: Calls
    requests: Requests
    scores: list[Score]
    rejected: dict[str, int]
    counts: dict[str, int]
    spans: int
    unreadable: int


def read_all(
    traces: Sequence[bytes],
    read: Read | None = None,
    cohort_names: Sequence[str] = (),
    logs: Sequence[bytes] = (),
) -> Reading:
    """Read requests of traces, then of logs, and settle everything."""
    config = Config(read=read or Read())
    understanding = Understanding(config.read, cohort_names)
    book = TraceBook(config)
    sighted = understanding.read(
        [(Signal.TRACES, body) for body in traces] + [(Signal.LOGS, body) for body in logs]
    )
    book.add(sighted.items, 0)
    settled = book.flush()
    rejected = dict(sighted.rejected)
    for fact, count in book.appraiser.rejected.items():
        rejected[fact] = rejected.get(fact, 0) + count
    return Reading(
        settled.calls,
        settled.requests,
        settled.scores,
        rejected,
        book.counters(),
        sighted.spans,
        sighted.unreadable,
    )
