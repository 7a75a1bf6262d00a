"""Targets that move one pointer: read it, compare, write, read it back.

The pointer stands at one version of one thing in a registry or gateway. It is moved only from where
the plan believes it to be: a pointer that is already at the goal needs no write and is a success,
one that is anywhere else was moved by a person and is left alone. Nearly no such API compares and
sets in one step, so the read before the write is repeated on every attempt, and what was written is
read back before anybody is told that it worked.

An undo is the same move backwards, from what this sidecar wrote to what it had found, which it
recorded before it wrote.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.rollback.asked import Asked, asked, evidence_of, word
from tripswitch.actions.rollback.contract import PlannedCall, Probe, Snapshot
from tripswitch.actions.rollback.write import written

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.actions.rollback.api import Api, Reply
    from tripswitch.actions.rollback.contract import Request, SpanEvidence
    from tripswitch.model.outbox import Effect


@dataclass(frozen=True, slots=True)
class Place:
    """One pointer. ``thing`` is what it points into (a prompt), ``label`` its own name.

    ``ids`` are what the registry calls the two, where that is not their names.
    """

    thing: str
    label: str
    ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f'"{word(self.label)}" of "{word(self.thing)}"'


@dataclass(frozen=True, slots=True)
class Version:
    """A version as the registry knows it: its ``id``, and what people call it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Move:
    """What is to be done: ``now`` is where the pointer stands, ``goal`` where it is to be."""

    place: Place
    now: Version | None
    goal: Version


class PointerTarget(ABC):
    """The six methods for every target with a pointer; each kind says how its own is read."""

    can_read_back = True

    def __init__(self, api: Api, *, by_cohort: bool) -> None:
        self._api = api
        self._by_cohort = by_cohort

    @abstractmethod
    def _place(self, wanted: Asked) -> Place | Attempt:
        """Return the pointer that ``wanted`` means, or why there is none."""

    async def _identified(self, place: Place) -> Place | Attempt:
        """Return the pointer with the ids that the registry's calls need."""
        return place

    @abstractmethod
    async def _current(self, place: Place) -> Version | Attempt | None:
        """Return where the pointer stands, None when it stands nowhere, or why it is not known."""

    @abstractmethod
    async def _resolve(self, place: Place, said: str) -> Version | Attempt:
        """Return the version that spans call ``said``; failed when the registry has none."""

    @abstractmethod
    def _write(self, move: Move) -> Request:
        """Return the one request that moves the pointer to ``move.goal``."""

    @abstractmethod
    async def _first_read(self) -> Reply:
        """Read anything that needs the credentials."""

    async def probe(self) -> Probe:
        """Read with the credentials of the file; whether they may write shows only on writing."""
        reply = await self._first_read()
        trouble = reply.trouble
        return Probe(
            usable=trouble is None,
            cohort=self._by_cohort,
            compare_and_set=False,
            undo=True,
            dry_run=True,
            read_back=True,
            detail="reads with these credentials" if trouble is None else trouble.detail,
        )

    async def snapshot(self, effect: Effect) -> Snapshot:
        """Read the pointer: where it stands, and whether that is where ``effect`` wants it."""
        place = await self._found(asked(effect))
        if isinstance(place, Attempt):
            return _unknown(place)
        goal = await self._goal(place, effect)
        if isinstance(goal, Attempt):
            return _unknown(goal)
        now = await self._current(place)
        if isinstance(now, Attempt):
            return _unknown(now)
        stands = "nowhere" if now is None else word(now.name)
        holds = now is not None and now.id == goal.id
        return Snapshot(holds, f"{place} stands at {stands}", pointer=stands)

    async def plan(self, effect: Effect) -> PlannedCall | Attempt:
        """Read, compare, and return the one request; an `Attempt` where none is to be sent."""
        move = await self._move(effect)
        if isinstance(move, Attempt):
            return move
        try:
            request = self._write(move)
        except ValueError as error:
            return refusal(str(error))
        return PlannedCall(effect, (request,), asked(effect).blast_radius, self._kept(move))

    async def apply(self, call: PlannedCall, before_leaving: Callable[[], object]) -> Attempt:
        """Write and read back. What does not show afterwards may still come: unknown."""
        return await written(self._api, call, before_leaving, self.snapshot)

    async def undo(self, effect: Effect, before_leaving: Callable[[], object]) -> Attempt:
        """Move the pointer back to what was found, if it still stands where it was put."""
        call = await self.plan(effect)
        return call if isinstance(call, Attempt) else await self.apply(call, before_leaving)

    def observe(self, effect: Effect) -> SpanEvidence:
        """Return the scope to watch and the versions that leave and return."""
        return evidence_of(effect)

    def _kept(self, move: Move) -> str:
        found = "" if move.now is None else move.now.id
        return json.dumps({"found": found, "wrote": move.goal.id}, separators=(",", ":"))

    async def _move(self, effect: Effect) -> Move | Attempt:
        wanted = asked(effect)
        place = await self._found(wanted)
        if isinstance(place, Attempt):
            return place
        goal = await self._goal(place, effect)
        if isinstance(goal, Attempt):
            return goal
        now = await self._current(place)
        if isinstance(now, Attempt):
            return now
        if now is not None and now.id == goal.id:
            return already(f"{place} already stands at {word(now.name)}")
        came = await self._came(place, effect)
        if isinstance(came, Attempt) and came.state is not AttemptState.FAILED:
            return came
        if now is None or isinstance(came, Attempt) or now.id != came.id:
            stands = "nowhere" if now is None else f"at {word(now.name)}"
            return refusal(
                f"{place} stands {stands}, neither at {word(wanted.before)} nor at "
                f"{word(wanted.after)}: a person moved it, so it is left alone"
            )
        return Move(place, now, goal)

    async def _found(self, wanted: Asked) -> Place | Attempt:
        place = self._place(wanted)
        return place if isinstance(place, Attempt) else await self._identified(place)

    async def _goal(self, place: Place, effect: Effect) -> Version | Attempt:
        wanted = asked(effect)
        if not wanted.undoes:
            return await self._resolve(place, wanted.after)
        found = kept_member(effect, "found")
        if not found:
            return refusal("nothing is recorded to put back: this rollback wrote nothing here")
        return Version(found, wanted.after)

    async def _came(self, place: Place, effect: Effect) -> Version | Attempt:
        wanted = asked(effect)
        if not wanted.undoes:
            return await self._resolve(place, wanted.before)
        return Version(kept_member(effect, "wrote"), wanted.before)


def kept_member(effect: Effect, name: str) -> str:
    """Return a text that was recorded for an undo, empty when there is none."""
    try:
        kept = json.loads(effect.kept)
    except ValueError:
        return ""
    member = kept.get(name) if isinstance(kept, dict) else None
    return member if isinstance(member, str) else ""


def refusal(detail: str) -> Attempt:
    """Return the end of a move that must not be made, in words."""
    return Attempt(AttemptState.FAILED, detail)


_UNSENT = ": nothing was sent"


def already(detail: str) -> Attempt:
    """Return the success of a move that needs no write."""
    return Attempt(AttemptState.DONE, f"{detail}{_UNSENT}")


def seen_in(attempt: Attempt) -> str:
    """Return what was seen there, of an attempt that ended before anything was sent."""
    return attempt.detail.removesuffix(_UNSENT)


def _unknown(attempt: Attempt) -> Snapshot:
    return Snapshot(None, attempt.detail, attempt.status)
