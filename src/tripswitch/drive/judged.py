"""What the judge asks of a session: the engine with its reader, without any I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.model import Config
    from tripswitch.detect.validity import Kept
    from tripswitch.drive.overview import Overview
    from tripswitch.drive.session import Arrival
    from tripswitch.genai.sightings import Evaluation
    from tripswitch.model.incident import Change, Incident, RollbackPlan
    from tripswitch.model.instruction import Instruction, Opening
    from tripswitch.model.messages import Command, RollbackOutcome
    from tripswitch.model.snapshot import Snapshot


class Judged(Protocol):
    """What the judge asks of a session: the engine with its reader, without any I/O."""

    def restore(self, incidents: Sequence[Incident], past_plans: Sequence[RollbackPlan]) -> None:
        """Take up what was open when the last judge ended, and what was ever rolled back."""

    def feed(self, arrivals: Sequence[Arrival]) -> list[Command]:
        """Judge forwarded requests of traces and logs."""

    def advance(self, now_ns: int) -> list[Command]:
        """Let wall time pass up to ``now_ns``."""

    def outcome(self, outcome: RollbackOutcome) -> list[Command]:
        """Take in what became of a rollback."""

    def undecided(self) -> list[str]:
        """Return the keys of calls that were commanded and of which no end was heard yet."""

    def scores(self, evaluations: Sequence[Evaluation], now_ns: int) -> None:
        """Take scores that came by the API."""

    def changes(self, changes: Sequence[Change]) -> list[Command]:
        """Take changes that were posted."""

    def instruct(self, instruction: Instruction) -> list[Command]:
        """Take in what a person wants. Raises InstructionError where nothing can follow."""

    def open_by_hand(self, opening: Opening) -> list[Command]:
        """Open an incident that a person knows of. Raises InstructionError as above."""

    def explain(self, texts: Sequence[str], most: int) -> dict[str, Any]:
        """Return why the scopes asked for are judged as they are, as JSON. Raises ValueError."""

    def telemetry(self) -> dict[str, Any]:
        """Return what is understood of the telemetry, as JSON."""

    def lost(self, requests: int) -> None:
        """Mark the current minute: so many of its requests were forwarded but never read."""

    def snapshot(self) -> Snapshot:
        """Return all that is known now."""

    def resume(self, snapshot: Snapshot, now_ns: int) -> Kept:
        """Be what ``snapshot`` was, before anything else."""

    def reload(self, config: Config) -> Kept:
        """Use ``config`` from the next tick on; return what became of the evidence."""

    @property
    def overview(self) -> Overview:
        """Return what the pages ask."""

    def counters(self) -> dict[str, float]:
        """Return numbers for the metrics page, by name."""

    def status(self) -> dict[str, Any]:
        """Return scopes, signals, estimates and verdicts as JSON."""
