"""A judge whose session does nothing but what a test needs; everything around it is the real one.

Run as ``python -m tests.drive.stand_in_judge SESSION RECORD --link-fd N --config FILE``. SESSION is
``real``, ``recording``, ``raising`` or ``busy``; RECORD gets one line for each request fed.
"""

# ruff: noqa: ARG002 - the interface is given, most of it is not needed

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tripswitch.config.model import Config
from tripswitch.detect.validity import Kept
from tripswitch.drive.judge_process import run_judge
from tripswitch.drive.judged import Judged
from tripswitch.drive.overview import Overview
from tripswitch.drive.session import Arrival, Session
from tripswitch.engine import Engine
from tripswitch.genai.sightings import Evaluation
from tripswitch.model.incident import Change, Incident, RollbackPlan
from tripswitch.model.instruction import Instruction, InstructionError, Opening
from tripswitch.model.messages import Command, RollbackOutcome
from tripswitch.model.snapshot import Snapshot

PROMPT = "what a user asked in confidence"
BUSY_S = 5.0


class RecordingSession:
    """Writes down the digest of every body it is fed."""

    def __init__(self, config: Config, record: Path) -> None:
        self._config = config
        self._record = record
        self._fed = 0
        self._lost = 0
        self.posted_scores: list[Evaluation] = []
        self.posted_changes: list[Change] = []
        engine = Engine(config)
        self._overview = Overview(lambda: engine)

    def restore(self, incidents: Sequence[Incident], past_plans: Sequence[RollbackPlan]) -> None:
        """Nothing to restore."""

    def feed(self, arrivals: Sequence[Arrival]) -> list[Command]:
        """Write down what came."""
        with self._record.open("a", encoding="ascii") as file:
            for arrival in arrivals:
                file.write(hashlib.sha256(arrival.body).hexdigest() + "\n")
        self._fed += len(arrivals)
        return []

    def advance(self, now_ns: int) -> list[Command]:
        """Time does nothing here."""
        return []

    def outcome(self, outcome: RollbackOutcome) -> list[Command]:
        """Outcomes do nothing here."""
        return []

    def undecided(self) -> list[str]:
        """Nothing was commanded."""
        return []

    def scores(self, evaluations: Sequence[Evaluation], now_ns: int) -> None:
        """Keep them."""
        self.posted_scores.extend(evaluations)

    def changes(self, changes: Sequence[Change]) -> list[Command]:
        """Keep them."""
        self.posted_changes.extend(changes)
        return []

    def instruct(self, instruction: Instruction) -> list[Command]:
        """Refuse: nothing is ever open here."""
        raise InstructionError(f"no open incident has the id {instruction.incident_id}")

    def open_by_hand(self, opening: Opening) -> list[Command]:
        """Refuse: nothing is judged here."""
        raise InstructionError(f"{opening.sentence}: not here")

    @property
    def overview(self) -> Overview:
        """Show an engine that saw nothing."""
        return self._overview

    def explain(self, texts: Sequence[str], most: int) -> dict[str, Any]:
        """Return what was asked."""
        return {"texts": list(texts), "most": most}

    def telemetry(self) -> dict[str, Any]:
        """Return what was fed."""
        return {"fed": self._fed}

    def lost(self, requests: int, received_ns: int = 0) -> None:
        """Count them."""
        self._lost += requests

    def snapshot(self) -> Snapshot:
        """There is nothing to keep."""
        return Snapshot(0)

    def resume(self, snapshot: Snapshot, now_ns: int) -> Kept:
        """Nothing was kept."""
        return Kept()

    def reload(self, config: Config) -> Kept:
        """Keep the new one."""
        self._config = config
        return Kept()

    def counters(self) -> dict[str, float]:
        """Return what the tests look at."""
        return {
            "stand_in_fed_total": self._fed,
            "stand_in_lost_total": self._lost,
            "stand_in_page_points": self._config.detect.eval_score.page_points,
        }

    def status(self) -> dict[str, Any]:
        """Return a status of the real shape."""
        return {"now": None, "scopes": [], "incidents": [], "nan": float("nan")}


class RaisingSession(RecordingSession):
    """Has a fault in everything that it does with telemetry."""

    def feed(self, arrivals: Sequence[Arrival]) -> list[Command]:
        """Raise what an unlucky parser raises: an error that quotes its input."""
        raise ValueError(f"cannot read {PROMPT}")


class BusySession(RecordingSession):
    """Computes for five seconds on every batch."""

    def feed(self, arrivals: Sequence[Arrival]) -> list[Command]:
        """Burn, then record."""
        until_s = time.monotonic() + BUSY_S
        while time.monotonic() < until_s:
            pass
        return super().feed(arrivals)


SESSIONS: dict[str, Callable[[Config, Path], Judged]] = {
    "real": lambda config, _record: Session(config),
    "recording": RecordingSession,
    "raising": RaisingSession,
    "busy": BusySession,
}

if __name__ == "__main__":
    chosen, file_name, *arguments = sys.argv[1:]
    raise SystemExit(run_judge(arguments, lambda config: SESSIONS[chosen](config, Path(file_name))))
