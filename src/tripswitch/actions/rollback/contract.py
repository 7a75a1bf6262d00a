"""What every rollback target can be asked: six methods, one file a target.

A target that cannot do one of them says so in its answer; it never pretends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tripswitch.actions.attempt import Attempt
    from tripswitch.model.outbox import Effect


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether the lever works with these credentials, and what it can do.

    ``usable`` is None when that cannot be known without pulling it. ``cohort``: it can move one
    cohort; ``compare_and_set``: it refuses when the pointer has moved meanwhile; ``undo``,
    ``dry_run``: it can do these itself; ``read_back``: it can say what became of a request.
    """

    usable: bool | None
    cohort: bool
    compare_and_set: bool
    undo: bool
    dry_run: bool
    read_back: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the target says about a request: acted on, not acted on, or None for no answer.

    ``status`` is the HTTP status of its answer, None without one.
    """

    applied: bool | None
    detail: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """The literal request that `RollbackTarget.apply` sends; secrets never appear in it.

    ``headers`` holds ``(redacted)`` where the signature goes. Shown as it is, this is the dry run.
    """

    action_id: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    blast_radius: str


@dataclass(frozen=True, slots=True)
class SpanEvidence:
    """What the spans of ``pointer`` show once a rollback took effect.

    The share of ``gone_version`` falls to nearly nothing and ``back_version`` carries the traffic.
    """

    pointer: Mapping[str, str | None]
    gone_version: str
    back_version: str


class RollbackTarget(Protocol):
    """One lever. Nothing here raises for what the other side does: the answer says it."""

    async def probe(self) -> Probe:
        """Find out whether the lever is usable, without pulling it."""

    async def snapshot(self, effect: Effect) -> Snapshot:
        """Ask the target where it stands on ``effect``, before anything is sent twice."""

    def plan(self, effect: Effect) -> PlannedCall:
        """Return the request that would be sent."""

    async def apply(self, call: PlannedCall, before_leaving: Callable[[], object]) -> Attempt:
        """Send it. Under one action id, twice is the same as once.

        ``before_leaving`` is called when connected, before the first byte that could act goes; the
        one thing that raises is what it raises.
        """

    async def undo(self, snapshot: Snapshot) -> Attempt:
        """Put back what ``snapshot`` recorded, if the pointer is still where we left it."""

    def observe(self, effect: Effect) -> SpanEvidence:
        """Return what will prove in the spans that it took effect; a 2xx proves nothing."""
