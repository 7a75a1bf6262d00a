"""A session: understanding and engine together, fed with the bodies of OTLP requests.

Every shell drives one: live feeds what arrives with its arrival time, replay and demo feed bodies
whose own times make the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np

from tripswitch.config.model import Config
from tripswitch.drive.data_clock import DataClock
from tripswitch.drive.report import status_of
from tripswitch.engine import Engine
from tripswitch.genai.seen import SpansSeen
from tripswitch.genai.understand import DEFAULT_COHORTS, Understanding
from tripswitch.model.calls import Observed
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.incident import Incident, RollbackPlan
from tripswitch.model.messages import Command, Confirmed, RollbackOutcome

_NEVER_NS: Final = -1


class Arrival(NamedTuple):
    """The body of one ``ExportTraceServiceRequest`` and when it arrived, ns since the epoch.

    The arrival time is not used when the clock is the telemetry's.
    """

    body: bytes
    received_ns: int


class _Read(NamedTuple):
    """One request of those that were read together."""

    observed: Observed
    request: int


class Session:
    """One run of the engine over a stream of requests."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.engine = Engine(config)
        self._seen = SpansSeen()
        self._understanding = _understanding(config, self._seen)
        self._clock: DataClock[_Read] | None = (
            DataClock() if config.clock.source == "telemetry" else None
        )
        self._rejected: dict[str, int] = {}

    def restore(
        self, incidents: Sequence[Incident], past_plans: Sequence[RollbackPlan] = ()
    ) -> None:
        """Take up what was open before a restart, and what was ever rolled back."""
        self.engine.restore(incidents, past_plans)

    def feed(self, arrivals: Sequence[Arrival]) -> list[Command]:
        """Read and judge requests, in order."""
        observed = self._read([arrival.body for arrival in arrivals])
        if self._clock is None:
            return self.engine.observe(observed, [arrival.received_ns for arrival in arrivals])
        due: list[tuple[_Read, int]] = []
        for index, latest_ns in enumerate(_latest_ns(observed, len(arrivals))):
            due.extend(self._clock.push(_Read(observed, index), latest_ns))
        return self._observe(due)

    def advance(self, now_ns: int) -> list[Command]:
        """Let wall time pass; with the telemetry's clock nothing passes by itself."""
        return self.engine.advance(now_ns) if self._clock is None else []

    def finish(self) -> list[Command]:
        """End a recording: take what still waits, and judge the tick it ended in."""
        commands: list[Command] = []
        if self._clock is not None:
            commands.extend(self._observe(self._clock.flush()))
        if self.engine.now_ns:
            tick_ns = int(self.config.detect.tick * NS_PER_S)
            commands.extend(self.engine.advance(self.engine.now_ns + tick_ns))
        return commands

    def outcome(self, outcome: RollbackOutcome) -> list[Command]:
        """Take in what became of a rollback."""
        return self.engine.outcome(outcome)

    def confirm(self, confirmed: Confirmed) -> list[Command]:
        """Take in what a person confirmed."""
        return self.engine.confirm(confirmed)

    def lost(self, requests: int) -> None:
        """Note requests that were forwarded but never read, in the minute that is being filled."""
        self.engine.lost(requests)

    def reload(self, config: Config) -> None:
        """Take a new configuration from the next tick on."""
        self.config = config
        self._understanding = _understanding(config, self._seen)
        self.engine.reload(config)

    def counters(self) -> dict[str, float]:
        """Return every counter by name, what was rejected of the telemetry included."""
        counts = self.engine.counters()
        for fact, count in sorted(self._rejected.items()):
            counts[f"reader_rejected_facts_total;fact={fact}"] = count
        return counts

    def status(self) -> dict[str, Any]:
        """Return what is seen, as JSON: every scope and signal with its verdict."""
        return status_of(self.engine)

    def _observe(self, due: Sequence[tuple[_Read, int]]) -> list[Command]:
        """Hand on requests whose time is known, those that were read together in one go."""
        commands: list[Command] = []
        for _, group in groupby(due, key=lambda item: id(item[0].observed)):
            reads, times_ns = zip(*group, strict=True)
            commands.extend(self.engine.observe(reads[0].observed, times_ns, reads[0].request))
        return commands

    def _read(self, bodies: Sequence[bytes]) -> Observed:
        observed = self._understanding.observe(bodies)
        for fact, count in observed.rejected.items():
            self._rejected[fact] = self._rejected.get(fact, 0) + count
        return observed


def _understanding(config: Config, seen: SpansSeen) -> Understanding:
    return Understanding(config.read, [*config.detect.control_cohorts, *DEFAULT_COHORTS], seen)


def _latest_ns(observed: Observed, requests: int) -> list[int | None]:
    """Return the latest time that each of the requests carries, None where it carries none."""
    latest = np.full(requests, _NEVER_NS, dtype=np.int64)
    np.maximum.at(latest, observed.calls.request_index, observed.calls.end)
    latest_ns: list[int] = latest.tolist()
    for entry in observed.entries:
        latest_ns[entry.request_index] = max(latest_ns[entry.request_index], entry.end)
    return [None if time_ns == _NEVER_NS else time_ns for time_ns in latest_ns]
