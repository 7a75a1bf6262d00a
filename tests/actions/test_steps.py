"""What follows from an attempt: nothing that may have acted goes again unasked."""

from __future__ import annotations

import pytest

from tests.store.samples import NOW_NS, effect, notification
from tripswitch.actions import steps
from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.rollback.contract import Snapshot
from tripswitch.model.outbox import EffectState

SOON = effect(not_after_ns=NOW_NS + 10 * 10**9)


def rollback(state: AttemptState, *, read_back: bool, wait_s: float = 1.0) -> steps.Step:
    attempt = Attempt(state, "detail")
    return steps.after_rollback(SOON, attempt, now_ns=NOW_NS, wait_s=wait_s, read_back=read_back)


@pytest.mark.parametrize("read_back", [True, False])
def test_a_rollback_that_may_have_acted_never_becomes_pending(read_back: bool) -> None:
    step = rollback(AttemptState.UNKNOWN, read_back=read_back)
    assert step.state is EffectState.UNKNOWN
    assert (step.due_ns is None) is not read_back
    assert (step.outcome == "unknown") is not read_back


def test_a_rollback_that_certainly_did_not_act_goes_again_while_there_is_time() -> None:
    step = rollback(AttemptState.RETRY, read_back=False)
    assert step == steps.Step(EffectState.PENDING, NOW_NS + 10**9, "detail")
    late = rollback(AttemptState.RETRY, read_back=False, wait_s=11.0)
    assert (late.state, late.due_ns, late.outcome) == (EffectState.FAILED, None, "failed")
    assert "given up after 1 attempts" in late.result


def test_what_the_receiver_asks_for_outweighs_the_shorter_back_off() -> None:
    attempt = Attempt(AttemptState.RETRY, "503", retry_after_s=7.0)
    step = steps.after_rollback(SOON, attempt, now_ns=NOW_NS, wait_s=1.0, read_back=False)
    assert step.due_ns == NOW_NS + 7 * 10**9


@pytest.mark.parametrize(
    ("applied", "wait_s", "state", "ended", "outcome"),
    [
        (True, 1.0, EffectState.DONE, True, "acknowledged"),
        (True, 99.0, EffectState.DONE, True, "acknowledged"),
        (False, 1.0, EffectState.PENDING, False, None),
        (False, 99.0, EffectState.FAILED, True, "failed"),
        (None, 1.0, EffectState.UNKNOWN, False, "unknown"),
        (None, 99.0, EffectState.UNKNOWN, True, "unknown"),
    ],
)
def test_a_read_back_decides(
    applied: bool | None, wait_s: float, state: EffectState, ended: bool, outcome: str | None
) -> None:
    step = steps.after_read_back(SOON, Snapshot(applied, "said"), now_ns=NOW_NS, wait_s=wait_s)
    assert (step.state, step.due_ns is None, step.outcome) == (state, ended, outcome)


@pytest.mark.parametrize("state", [AttemptState.UNKNOWN, AttemptState.RETRY])
def test_a_notification_whose_answer_is_lost_goes_again(state: AttemptState) -> None:
    note = notification("n")
    step = steps.after_notification(note, Attempt(state, "d"), now_ns=NOW_NS, wait_s=5.0)
    assert step == steps.Step(EffectState.PENDING, NOW_NS + 5 * 10**9, "d")


def test_a_notification_tells_the_engine_nothing() -> None:
    note = notification("n", not_after_ns=NOW_NS)
    for state in AttemptState:
        step = steps.after_notification(note, Attempt(state, "d"), now_ns=NOW_NS, wait_s=5.0)
        assert step.outcome is None
        assert step.due_ns is None
