"""Inspection: what is understood of recorded telemetry, call by call, and nothing judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tripswitch.drive.replay import batches
from tripswitch.drive.report import telemetry_of
from tripswitch.genai.census import Census
from tripswitch.genai.traces import TraceBook
from tripswitch.genai.understand import DEFAULT_COHORTS, Understanding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tripswitch.config.model import Config
    from tripswitch.genai.sightings import Sighted
    from tripswitch.model.calls import Calls
    from tripswitch.model.settled import Settled
    from tripswitch.otlp.files import FileProblem


class Inspection:
    """Reads recordings and counts what is in them.

    No time passes: a trace is settled when everything was read, or when ``read.max_held_traces``
    others came after it.
    """

    def __init__(self, config: Config, cohort_names: Sequence[str] = ()) -> None:
        names = (*config.detect.control_cohorts, *DEFAULT_COHORTS, *cohort_names)
        self._understanding = Understanding(config.read, names)
        self._book = TraceBook(config)
        self._census = Census()

    def calls(
        self, paths: Sequence[Path], on_problem: Callable[[FileProblem], None] | None = None
    ) -> Iterator[Calls]:
        """Yield the calls in ``paths`` as they are settled; at the end what was still open."""
        for batch in batches(paths, on_problem):
            sighted = self._understanding.read(
                [(arrival.signal, arrival.body) for arrival in batch]
            )
            self._book.add(sighted.items, 0)
            yield self._counted(sighted, self._book.settle(0))
        yield self._counted(self._understanding.read([]), self._book.flush())

    def telemetry(self) -> dict[str, Any]:
        """Return what was understood so far, as ``GET /v1/telemetry`` does."""
        return telemetry_of(self._census, self._book)

    def _counted(self, sighted: Sighted, settled: Settled) -> Calls:
        self._census.add_read(sighted)
        self._census.add_calls(settled.calls)
        return settled.calls
