"""What follows from an attempt, as pure functions: the end of an effect, or when it goes again.

The one rule that shapes them: a rollback that may have acted is never sent again before its
target has said that it did not; a notification may be, because its receiver drops a second copy
by its id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.outbox import Effect, EffectState

if TYPE_CHECKING:
    from tripswitch.actions.rollback.contract import Snapshot
    from tripswitch.model.messages import OutcomeState


@dataclass(frozen=True, slots=True)
class Step:
    """The next state of an effect. ``due_ns`` None ends it; ``outcome`` is told to the engine."""

    state: EffectState
    due_ns: int | None
    result: str
    outcome: OutcomeState | None = None


def refused(effect: Effect, reason: str) -> Step:
    """Return the end of an effect that must not be tried any more, and certainly has not acted."""
    return Step(EffectState.FAILED, None, reason, _for_rollback(effect, "failed"))


def after_rollback(
    effect: Effect, attempt: Attempt, *, now_ns: int, wait_s: float, read_back: bool
) -> Step:
    """Return what follows from one call of a rollback target.

    ``wait_s`` is the back-off after this attempt; ``read_back`` says whether the target can be
    asked about it.
    """
    if attempt.state is AttemptState.DONE:
        return Step(EffectState.DONE, None, attempt.detail, "acknowledged")
    if attempt.state is AttemptState.RETRY:
        return _again(effect, attempt, now_ns, wait_s)
    if attempt.state is AttemptState.FAILED:
        return refused(effect, attempt.detail)
    if read_back:
        return Step(EffectState.UNKNOWN, _later(now_ns, wait_s), attempt.detail)
    return unknown_for_good(attempt.detail)


def after_read_back(effect: Effect, snapshot: Snapshot, *, now_ns: int, wait_s: float) -> Step:
    """Return what follows from asking a target about a rollback that may have acted."""
    if snapshot.applied:
        return Step(EffectState.DONE, None, f"read back: {snapshot.detail}", "acknowledged")
    in_time = _later(now_ns, wait_s) <= effect.not_after_ns
    if snapshot.applied is None:
        if not in_time:
            return unknown_for_good(snapshot.detail)
        return Step(EffectState.UNKNOWN, _later(now_ns, wait_s), snapshot.detail, "unknown")
    if not in_time:
        return refused(effect, f"given up: {snapshot.detail}, and too late to ask again")
    return Step(EffectState.PENDING, _later(now_ns, wait_s), snapshot.detail)


def unknown_for_good(detail: str) -> Step:
    """Return the end of a rollback that may have acted and about which nobody can be asked."""
    result = f"{detail}; not called again, because it may have acted: the spans will tell"
    return Step(EffectState.UNKNOWN, None, result, "unknown")


def after_notification(effect: Effect, attempt: Attempt, *, now_ns: int, wait_s: float) -> Step:
    """Return what follows from one call of a notifier."""
    if attempt.state is AttemptState.DONE:
        return Step(EffectState.DONE, None, attempt.detail)
    if attempt.state is AttemptState.FAILED:
        return refused(effect, attempt.detail)
    return _again(effect, attempt, now_ns, wait_s)


def _again(effect: Effect, attempt: Attempt, now_ns: int, wait_s: float) -> Step:
    due_ns = _later(now_ns, max(wait_s, attempt.retry_after_s or 0.0))
    if due_ns > effect.not_after_ns:
        return refused(effect, f"given up after {effect.attempts + 1} attempts: {attempt.detail}")
    return Step(EffectState.PENDING, due_ns, attempt.detail)


def _later(now_ns: int, wait_s: float) -> int:
    return now_ns + int(wait_s * NS_PER_S)


def _for_rollback(effect: Effect, outcome: OutcomeState) -> OutcomeState | None:
    return outcome if effect.kind == "rollback" else None
