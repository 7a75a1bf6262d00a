"""What people and their tools ask of the judge: scores, changes, what becomes of an incident."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tripswitch.drive.posted import read_changes, read_instruction, read_opening, read_scores
from tripswitch.drive.rehearsed import rehearsed
from tripswitch.model.messages import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tripswitch.config.model import Config
    from tripswitch.drive.judged import Judged
    from tripswitch.drive.posted import Refused
    from tripswitch.model.instruction import Act
    from tripswitch.model.messages import Command
    from tripswitch.store.ledger import Ledger

_T = TypeVar("_T")


class Guard(Protocol):
    """Returns what a step returns; None, once it is counted and logged, where that has a fault."""

    def __call__(self, step: Callable[[], _T], /) -> _T | None:
        """Take the step."""


class Asked:
    """Does what is asked of a session, and has what follows recorded.

    ``guard`` keeps the faults of steps from those who ask; refusals reach them. ``counts`` are by
    the names they have on the metrics page.
    """

    def __init__(
        self,
        session: Judged,
        ledger: Ledger,
        config: Callable[[], Config],
        record: Callable[[Sequence[Command]], None],
        guard: Guard,
    ) -> None:
        self._session = session
        self._ledger = ledger
        self._config = config
        self._record = record
        self._guard = guard
        self.counts = {
            "api_changes_total": 0,
            "api_instructions_total": 0,
            "api_scores_total": 0,
        }

    def post_scores(self, document: Any) -> dict[str, Any]:
        """Take a list of scores; return how many, and which were refused. Raises ValueError."""
        now_ns = time.time_ns()
        scores, refused = read_scores(document, now_ns)
        evaluations = [score.evaluation(now_ns) for score in scores]
        self._guard(lambda: self._session.scores(evaluations, now_ns))
        self.counts["api_scores_total"] += len(scores)
        return _taken(len(scores), refused)

    def post_changes(self, document: Any) -> dict[str, Any]:
        """Take a change or a list of them; return as `post_scores` does. Raises ValueError."""
        now_ns = time.time_ns()
        posted, refused = read_changes(document, now_ns)
        changes = [change.change(now_ns) for change in posted]
        self._record(self._guard(lambda: self._session.changes(changes)) or [])
        self.counts["api_changes_total"] += len(changes)
        return _taken(len(changes), refused)

    def instruct(self, incident_id: str, act: Act, document: Any) -> dict[str, Any]:
        """Do what a person wants of an incident; return it as it stands then.

        Raises ValueError for what cannot be read, InstructionError for what cannot be done.
        """
        instruction = read_instruction(document, incident_id, act)
        return self._instructed(lambda: self._session.instruct(instruction), incident_id)

    async def dry_run(self, incident_id: str) -> dict[str, Any]:
        """Return what an incident's rollback would send; raises as `rehearsed` does."""
        return await rehearsed(self._ledger, self._config(), incident_id)

    def open_incident(self, document: Any) -> dict[str, Any]:
        """Open an incident by hand; raises as `instruct` does."""
        opening = read_opening(document)
        return self._instructed(lambda: self._session.open_by_hand(opening), "")

    def _instructed(self, step: Callable[[], list[Command]], incident_id: str) -> dict[str, Any]:
        self.counts["api_instructions_total"] += 1
        commands = step()
        self._record(commands)
        events = [command for command in commands if isinstance(command, Event)]
        if events and events[-1].incident is not None:
            found: dict[str, Any] | None = events[-1].incident.as_json()
        else:
            found = self._ledger.incident(incident_id)
        return {"incident": found, "events": [event.name.value for event in events]}


def _taken(count: int, refused: Sequence[Refused]) -> dict[str, Any]:
    return {"accepted": count, "refused": [item.as_json() for item in refused]}
