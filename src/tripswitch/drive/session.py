"""A session: understanding and engine together, fed with the bodies of OTLP requests.

Every shell drives one: live feeds what arrives with its arrival time, replay and demo feed bodies
whose own times make the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tripswitch.config.model import Config
from tripswitch.detect.validity import Kept
from tripswitch.drive.data_clock import DataClock
from tripswitch.drive.explaining import explain_of
from tripswitch.drive.overview import Overview
from tripswitch.drive.report import status_of, telemetry_of
from tripswitch.engine import Engine
from tripswitch.genai.sightings import Evaluation, Sighted
from tripswitch.genai.understand import DEFAULT_COHORTS, Understanding
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.incident import Change, Incident, RollbackPlan
from tripswitch.model.instruction import Instruction, Opening
from tripswitch.model.messages import Command, RollbackOutcome
from tripswitch.model.snapshot import Snapshot
from tripswitch.otlp.delivery import Signal


class Arrival(NamedTuple):
    """The body of one OTLP request, its signal, and when it arrived, ns since the epoch.

    The arrival time is not used when the clock is the telemetry's.
    """

    body: bytes
    received_ns: int
    signal: Signal = Signal.TRACES


class Session:
    """One run of the engine over a stream of requests."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.engine = Engine(config)
        self._understanding = _understanding(config)
        self._clock: DataClock[Sighted] | None = (
            DataClock() if config.clock.source == "telemetry" else None
        )
        self._rejected: dict[str, int] = {}
        self.overview = Overview(lambda: self.engine)

    def restore(
        self, incidents: Sequence[Incident], past_plans: Sequence[RollbackPlan] = ()
    ) -> None:
        """Take up what was open before a restart, and what was ever rolled back."""
        self.engine.restore(incidents, past_plans)

    def snapshot(self) -> Snapshot:
        """Return all that is known now, as it is to be known again after a restart."""
        return self.engine.snapshot()

    def resume(self, snapshot: Snapshot, now_ns: int) -> Kept:
        """Be what ``snapshot`` was; before anything else. Raises what a bad one makes it raise.

        Then nothing of it was taken up. On the telemetry's clock no time has passed since.
        """
        engine = Engine(self.config)
        kept = engine.resume(snapshot, now_ns if self._clock is None else snapshot.taken_ns)
        self.engine = engine
        return kept

    def feed(self, arrivals: Sequence[Arrival]) -> list[Command]:
        """Read and judge requests, in order."""
        sighted = self._read(arrivals)
        if self._clock is None:
            return self.engine.observe(sighted, [arrival.received_ns for arrival in arrivals])
        commands: list[Command] = []
        tick_ns = int(self.config.detect.tick * NS_PER_S)
        for item in sighted.by_tick(tick_ns):
            for ready, now_ns in self._clock.push(item, item.latest_ns[0]):
                commands.extend(self.engine.observe(ready, [now_ns]))
        return commands

    def advance(self, now_ns: int) -> list[Command]:
        """Let wall time pass; with the telemetry's clock nothing passes by itself."""
        return self.engine.advance(now_ns) if self._clock is None else []

    def finish(self) -> list[Command]:
        """End a recording: take what still waits, and judge the tick it ended in."""
        commands: list[Command] = []
        if self._clock is not None:
            for item, now_ns in self._clock.flush():
                commands.extend(self.engine.observe(item, [now_ns]))
        if self.engine.now_ns:
            tick_ns = int(self.config.detect.tick * NS_PER_S)
            commands.extend(self.engine.flush())
            commands.extend(self.engine.advance(self.engine.now_ns + tick_ns))
        return commands

    def outcome(self, outcome: RollbackOutcome) -> list[Command]:
        """Take in what became of a rollback."""
        return self.engine.outcome(outcome)

    def undecided(self) -> list[str]:
        """Return the keys of calls that were commanded and of which no end was heard yet."""
        return self.engine.book.undecided()

    def instruct(self, instruction: Instruction) -> list[Command]:
        """Take in what a person wants. Raises InstructionError where nothing can follow."""
        return self.engine.instruct(instruction)

    def open_by_hand(self, opening: Opening) -> list[Command]:
        """Open an incident that a person knows of. Raises InstructionError as `instruct` does."""
        return self.engine.open_by_hand(opening)

    def scores(self, evaluations: Sequence[Evaluation], now_ns: int) -> None:
        """Take scores that came by the API."""
        self.engine.take_scores(evaluations, self._now_ns(now_ns))

    def changes(self, changes: Sequence[Change]) -> list[Command]:
        """Take changes that were posted."""
        return self.engine.take_changes(changes)

    def telemetry(self) -> dict[str, Any]:
        """Return what is understood of the telemetry, as JSON: the census since the start."""
        return telemetry_of(self.engine.census, self.engine.traces)

    def _now_ns(self, wall_ns: int) -> int:
        return wall_ns if self._clock is None else self.engine.now_ns

    def lost(self, requests: int) -> None:
        """Note requests that were forwarded but never read, in the minute that is being filled."""
        self.engine.lost(requests)

    def reload(self, config: Config) -> Kept:
        """Take a new configuration from the next tick on; return what became of the evidence."""
        self.config = config
        self._understanding = _understanding(config)
        return self.engine.reload(config)

    def counters(self) -> dict[str, float]:
        """Return every counter by name, what was rejected of the telemetry included."""
        counts = self.engine.counters()
        for fact, count in sorted(self._rejected.items()):
            counts[f"reader_rejected_facts_total;fact={fact}"] = count
        return counts

    def status(self) -> dict[str, Any]:
        """Return what is seen, as JSON: every scope and signal with its verdict."""
        return status_of(self.engine)

    def explain(self, texts: Sequence[str], most: int) -> dict[str, Any]:
        """Return why the scopes asked for are judged as they are, as JSON. Raises ValueError."""
        return explain_of(self.engine, texts, most)

    def _read(self, arrivals: Sequence[Arrival]) -> Sighted:
        sighted = self._understanding.read([(arrival.signal, arrival.body) for arrival in arrivals])
        self.engine.census.add_read(sighted)
        for fact, count in sighted.rejected.items():
            self._rejected[fact] = self._rejected.get(fact, 0) + count
        return sighted


def _understanding(config: Config) -> Understanding:
    return Understanding(config.read, [*config.detect.control_cohorts, *DEFAULT_COHORTS])
