"""What people decide: from their word to what follows, or a refusal in words.

A person may approve what was proposed, never what was withheld: what a guard forbids is changed in
the configuration, where it is seen by all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tripswitch.incidents.book import Book, Tracked, emit, with_rollback
from tripswitch.incidents.follow import Follower
from tripswitch.incidents.plan import undo_of
from tripswitch.model.clocktext import rfc3339
from tripswitch.model.incident import (
    CONFIRMATIONS,
    Confirmation,
    Incident,
    IncidentState,
    RollbackPlan,
    RollbackState,
)
from tripswitch.model.instruction import Act, Instruction, InstructionError, Opening
from tripswitch.model.messages import Command, Event, EventName, Rollback

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.config.model import Config

_UNDOABLE: Final = (
    RollbackState.ACKNOWLEDGED,
    RollbackState.UNKNOWN,
    RollbackState.CONFIRMED,
    RollbackState.FAILED,
)
_HOLDING_NOTHING: Final = (RollbackState.EXPIRED, RollbackState.RELEASED)
_WRITTEN: Final = (Act.UPDATE_POSTED, Act.POSTMORTEM_DRAFTED, Act.POSTMORTEM_PUBLISHED)
_LONGEST_NAME: Final = 200
_LONGEST_NOTE: Final = 2_000
_MOST_CONFIRMATIONS: Final = 20


class Instructor:
    """Takes instructions in, with the book and the follower at hand."""

    def __init__(self, book: Book, follower: Follower) -> None:
        self.book = book
        self.follower = follower

    def instruct(self, instruction: Instruction, now_ns: int, config: Config) -> list[Command]:
        """Return what follows from an instruction. Raises InstructionError where nothing can."""
        if not instruction.by.strip():
            raise InstructionError("say who decides: by is empty")
        if len(instruction.by) > _LONGEST_NAME or len(instruction.note) > _LONGEST_NOTE:
            raise InstructionError(
                f"expected by of at most {_LONGEST_NAME} and note of at most {_LONGEST_NOTE} "
                "characters"
            )
        if instruction.act is Act.RELEASE:
            return self._release(instruction, now_ns)
        if instruction.act in _WRITTEN:
            return self._note_written(instruction, now_ns, config)
        tracked = self.book.by_id(instruction.incident_id)
        if tracked is None:
            raise InstructionError(f"no open incident has the id {instruction.incident_id[:80]}")
        acts: dict[Act, Callable[[Tracked, Instruction, int, Config], list[Command]]] = {
            Act.ACKNOWLEDGE: self._acknowledge,
            Act.APPROVE: self._approve,
            Act.REJECT: self._reject,
            Act.UNDO: self._undo,
            Act.FIX_IN_REVIEW: self._confirm,
            Act.COMMS_CLOSED: self._confirm,
            Act.WAIVE: self._waive,
        }
        return acts[instruction.act](tracked, instruction, now_ns, config)

    def open(self, opening: Opening, now_ns: int, config: Config) -> list[Command]:
        """Open an incident by hand. Raises InstructionError where one is open already."""
        if not opening.by.strip() or not opening.sentence.strip():
            raise InstructionError("say who opens it and what happened")
        tracked = self.book.open_by_hand(opening, now_ns, config.incidents)
        if tracked is None:
            raise InstructionError(f"an incident on {opening.scope.label()} is open already")
        detail = f"opened by {opening.by}: {opening.sentence}"
        return emit(EventName.INCIDENT_OPENED, now_ns, tracked, detail)

    def undo_by_policy(self, tracked: Tracked, now_ns: int) -> list[Command]:
        """Take back a rollback that did not help, because the configuration says so."""
        plan = tracked.incident.rollback
        if plan is None or plan.state not in _UNDOABLE or plan.by_another:
            return []
        return undo(self.book, tracked, plan, "", now_ns, "it did not help")

    def _acknowledge(
        self, tracked: Tracked, instruction: Instruction, now_ns: int, _config: Config
    ) -> list[Command]:
        if tracked.incident.acknowledged is not None:
            return []
        said = _confirmation("acknowledged", instruction, now_ns)
        tracked.incident = replace(tracked.incident, acknowledged=said)
        note = f": {instruction.note}" if instruction.note else ""
        detail = f"acknowledged by {instruction.by}{note}"
        return emit(EventName.INCIDENT_ACKNOWLEDGED, now_ns, tracked, detail)

    def _approve(
        self, tracked: Tracked, instruction: Instruction, now_ns: int, config: Config
    ) -> list[Command]:
        plan = _plan_in(tracked.incident, (RollbackState.PROPOSED,), "approve")
        if plan.expires_ns is not None and now_ns > plan.expires_ns:
            raise InstructionError(
                f"the proposal expired at {rfc3339(plan.expires_ns)}; look at the incident anew"
            )
        if tracked.incident.state is not IncidentState.OPEN:
            raise InstructionError("it has recovered meanwhile: there is nothing to roll back")
        known = self.book.past_rollbacks.get(plan.key)
        if known is not None and known.state is not RollbackState.EXPIRED:
            raise InstructionError(
                f"the very same move was decided on in {known.incident_id or 'another incident'}, "
                f"where it is {known.state.value}; look there"
            )
        route = tracked.incident.scope.route
        if not config.rollback.enabled or route in config.rollback.disabled_routes:
            raise InstructionError("the kill switch is on; take it off in the configuration first")
        self._set(tracked, replace(plan, state=RollbackState.PLANNED, decided_by=instruction.by))
        detail = f"approved by {instruction.by}: {_move(plan)} through {plan.target}"
        commands = emit(EventName.ROLLBACK_APPROVED, now_ns, tracked, detail)
        return [*commands, _command(tracked, commands)]

    def _reject(
        self, tracked: Tracked, instruction: Instruction, now_ns: int, _config: Config
    ) -> list[Command]:
        plan = _plan_in(tracked.incident, (RollbackState.PROPOSED,), "reject")
        self._set(tracked, replace(plan, state=RollbackState.REJECTED, decided_by=instruction.by))
        note = f": {instruction.note}" if instruction.note else ""
        detail = f"{instruction.by} decided against {_move(plan)}{note}"
        return emit(EventName.ROLLBACK_REJECTED, now_ns, tracked, detail)

    def _undo(
        self, tracked: Tracked, instruction: Instruction, now_ns: int, _config: Config
    ) -> list[Command]:
        plan = _plan_in(tracked.incident, _UNDOABLE, "undo")
        if plan.by_another:
            raise InstructionError(
                f"nothing to undo: somebody else moved {plan.from_version} to {plan.to_version}, "
                f"{plan.target} was not asked"
            )
        return undo(self.book, tracked, plan, instruction.by, now_ns, instruction.note)

    def _release(self, instruction: Instruction, now_ns: int) -> list[Command]:
        """Let a version that was rolled back serve again, be its incident still open or not."""
        tracked = self.book.by_id(instruction.incident_id)
        own: set[str] = set()
        if tracked is not None:
            plans = (*tracked.incident.rollbacks, tracked.incident.rollback)
            # A sibling on the same arm may have the very same move.
            own = {each.key for each in plans if each is not None}
        held = [
            each
            for each in self.book.past_rollbacks.values()
            if (each.incident_id == instruction.incident_id or each.key in own)
            and each.state not in _HOLDING_NOTHING
        ]
        if not held:
            raise InstructionError(
                f"incident {instruction.incident_id[:80]} holds no version back from serving"
            )
        plan = held[-1]
        released = {
            each.key: replace(each, state=RollbackState.RELEASED, decided_by=instruction.by)
            for each in held
        }
        for each in released.values():
            self.book.note_rollback(each)
        note = f": {instruction.note}" if instruction.note else ""
        detail = (
            f"{instruction.by} lets {plan.from_version} serve {plan.pointer.label()} again{note}; "
            "it may be rolled back anew"
        )
        if tracked is None:
            return [
                Event(EventName.ROLLBACK_RELEASED, now_ns, None, detail=detail, plan=each)
                for each in released.values()
            ]
        incident = tracked.incident
        behind = tuple(released.get(each.key, each) for each in incident.rollbacks)
        tracked.incident = replace(incident, rollbacks=behind)
        if incident.rollback is not None and incident.rollback.key in released:
            now = released[incident.rollback.key]
            tracked.incident = replace(tracked.incident, rollback=now)
        return emit(EventName.ROLLBACK_RELEASED, now_ns, tracked, detail)

    def _confirm(
        self, tracked: Tracked, instruction: Instruction, now_ns: int, config: Config
    ) -> list[Command]:
        if instruction.act is Act.FIX_IN_REVIEW and not instruction.link.strip():
            raise InstructionError("a fix in review needs its link")
        said = _confirmation(instruction.act.value, instruction, now_ns)
        others = [one for one in tracked.incident.confirmations if one.what != said.what]
        confirmations = (*others, said)[-_MOST_CONFIRMATIONS:]
        tracked.incident = replace(tracked.incident, confirmations=confirmations)
        link = f" ({instruction.link})" if instruction.link else ""
        what = instruction.act.value.replace("_", " ")
        detail = f"{what}, confirmed by {instruction.by}{link}"
        commands = emit(EventName.INCIDENT_CONFIRMED, now_ns, tracked, detail)
        return commands + self.follower.resolve_if_complete(tracked, now_ns, config.incidents)

    def _waive(
        self, tracked: Tracked, instruction: Instruction, now_ns: int, config: Config
    ) -> list[Command]:
        if not instruction.note.strip():
            raise InstructionError("a waiver needs a note that says why")
        missing = [CONFIRMATIONS[what] for what in tracked.incident.missing]
        said = _confirmation("waiver", instruction, now_ns)
        tracked.incident = replace(tracked.incident, waiver=said)
        without = f" without {'; '.join(missing)}" if missing else ""
        detail = f"{instruction.by} closes it{without}: {instruction.note}"
        commands = emit(EventName.INCIDENT_CONFIRMED, now_ns, tracked, detail)
        return commands + self.follower.resolve_if_complete(tracked, now_ns, config.incidents)

    def _note_written(self, instruction: Instruction, now_ns: int, config: Config) -> list[Command]:
        reminders = self.follower.reminders
        tracked = self.book.by_id(instruction.incident_id)
        tracked = tracked or reminders.resolved(instruction.incident_id)
        if tracked is None:
            raise InstructionError(
                f"no page that is open or lately resolved has the id {instruction.incident_id[:80]}"
            )
        said = _confirmation(instruction.act.value, instruction, now_ns)
        others = [one for one in tracked.incident.confirmations if one.what != said.what]
        confirmations = (*others, said)[-_MOST_CONFIRMATIONS:]
        tracked.incident = replace(tracked.incident, confirmations=confirmations)
        reminders.note(tracked.incident, now_ns, config)
        link = f" ({instruction.link})" if instruction.link else ""
        what = instruction.act.value.replace("_", " ")
        detail = f"{what}, says {instruction.by}{link}"
        return emit(EventName.INCIDENT_UPDATED, now_ns, tracked, detail)

    def _set(self, tracked: Tracked, plan: RollbackPlan) -> None:
        tracked.incident = replace(tracked.incident, rollback=plan)
        self.book.note_rollback(plan)


def undo(
    book: Book, tracked: Tracked, plan: RollbackPlan, by: str, now_ns: int, note: str = ""
) -> list[Command]:
    """Take a rollback back; the target does so only if its pointer is where we put it."""
    with_rollback(tracked, RollbackState.UNDOING)
    assert tracked.incident.rollback is not None
    taking_back = undo_of(plan, by, now_ns)
    undoing = replace(
        tracked.incident.rollback,
        decided_by=by or plan.decided_by,
        undo_key=taking_back.key,
        state_before_undo=plan.state.value,
    )
    tracked.incident = replace(tracked.incident, rollback=undoing)
    book.note_rollback(undoing)
    why = f": {note}" if note else ""
    detail = f"{by or 'tripswitch'} takes back {plan.from_version} to {plan.to_version}{why}"
    commands = emit(EventName.ROLLBACK_UNDO_PLANNED, now_ns, tracked, detail)
    event = commands[0]
    assert isinstance(event, Event)
    return [*commands, Rollback(taking_back.key, taking_back, event)]


def _move(plan: RollbackPlan) -> str:
    return f"{plan.from_version} back to {plan.to_version}"


def _plan_in(incident: Incident, states: tuple[RollbackState, ...], verb: str) -> RollbackPlan:
    plan = incident.rollback
    if plan is None:
        raise InstructionError(f"there is no rollback to {verb}: none was planned")
    if plan.state not in states:
        reason = f" ({plan.reason})" if plan.reason else ""
        raise InstructionError(f"nothing to {verb}: the rollback is {plan.state.value}{reason}")
    return plan


def _command(tracked: Tracked, commands: list[Command]) -> Rollback:
    plan, event = tracked.incident.rollback, commands[0]
    assert plan is not None
    assert isinstance(event, Event)
    return Rollback(plan.key, plan, event)


def _confirmation(what: str, instruction: Instruction, now_ns: int) -> Confirmation:
    return Confirmation(what, instruction.by, now_ns, instruction.note, instruction.link)
