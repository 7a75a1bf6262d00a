"""Inspection: what is understood of recorded telemetry, call by call, and nothing judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tripswitch.drive.replay import batches
from tripswitch.genai.traces import TraceBook
from tripswitch.genai.understand import DEFAULT_COHORTS, Understanding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tripswitch.config.model import Config
    from tripswitch.genai.sightings import Sighted
    from tripswitch.model.settled import Settled
    from tripswitch.otlp.files import FileProblem


class Inspected(NamedTuple):
    """One step of an inspection: what was read, and what became settled by it."""

    sighted: Sighted
    settled: Settled
    counts: dict[str, int]


def inspect(
    config: Config,
    paths: Sequence[Path],
    cohort_names: Sequence[str] = (),
    on_problem: Callable[[FileProblem], None] | None = None,
) -> Iterator[Inspected]:
    """Yield what is in ``paths``, in steps; the last one settles what was still open.

    No time passes: a trace is settled when everything was read, or when ``read.max_held_traces``
    others came after it.
    """
    names = (*config.detect.control_cohorts, *DEFAULT_COHORTS, *cohort_names)
    understanding = Understanding(config.read, names)
    book = TraceBook(config)
    for batch in batches(paths, on_problem):
        sighted = understanding.read([(arrival.signal, arrival.body) for arrival in batch])
        book.add(sighted.items, 0)
        yield Inspected(sighted, book.settle(0), {})
    yield Inspected(understanding.read([]), book.flush(), book.counters())
