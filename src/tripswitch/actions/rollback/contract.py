"""What every rollback target can be asked: six methods, one file a target.

A target that cannot do one of them says so in its answer; it never pretends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tripswitch.actions.attempt import Attempt
    from tripswitch.model.outbox import Effect


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether the lever works with these credentials, and what it can do.

    ``usable`` is None when that cannot be known without pulling it. ``cohort``: it can move one
    cohort; ``compare_and_set``: it refuses when the pointer has moved meanwhile; ``undo``: it can
    put back what it moved; ``dry_run``: its plan is the literal request, checked against what
    stands there now; ``read_back``: it can say what became of a request.
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
    """What the target says about an effect: it holds now, it does not, or None for no answer.

    ``status`` is the HTTP status of its answer, None without one; ``pointer`` where the pointer
    stands, in the target's own words, None where it cannot be seen.
    """

    applied: bool | None
    detail: str
    status: int | None = None
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One literal request; secrets never appear in it: ``(redacted)`` stands in their place.

    ``shown`` is what a person reads instead of ``body`` where the body is a whole file.
    """

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    shown: str = ""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """The requests that `RollbackTarget.apply` sends, in their order. Shown, this is the dry run.

    ``kept`` is JSON that an undo will need (what stood there, what was written); it is on disk
    before the first byte goes and comes back as `Effect.kept`.
    """

    effect: Effect
    requests: tuple[Request, ...]
    blast_radius: str
    kept: str = ""


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

    @property
    def can_read_back(self) -> bool:
        """Whether `snapshot` can tell what became of a request whose answer was lost."""

    async def probe(self) -> Probe:
        """Find out whether the lever is usable, without pulling it."""

    async def snapshot(self, effect: Effect) -> Snapshot:
        """Ask the target where it stands on ``effect``, before anything is sent twice."""

    async def plan(self, effect: Effect) -> PlannedCall | Attempt:
        """Return the requests that would be sent now; only reads.

        An `Attempt` says why none would be: done (it holds already), failed (it must not, in
        words) or retry (what stands there could not be read). For an undo the same, backwards.
        """

    async def apply(self, call: PlannedCall, before_leaving: Callable[[], object]) -> Attempt:
        """Send it. Under one action id, twice is the same as once.

        ``before_leaving`` is called when connected, before the first byte that could act goes; the
        one thing that raises is what it raises.
        """

    async def undo(self, effect: Effect, before_leaving: Callable[[], object]) -> Attempt:
        """Put back what ``effect.kept`` recorded, only if the pointer is still what we wrote."""

    def observe(self, effect: Effect) -> SpanEvidence:
        """Return what will prove in the spans that it took effect; a 2xx proves nothing."""
