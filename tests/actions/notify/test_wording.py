"""The words of a message say what was done and what only was asked for."""

from __future__ import annotations

import pytest

from tests.store.samples import plan
from tripswitch.actions.notify.wording import rollback_sentence
from tripswitch.model.incident import RollbackState

STATE = RollbackState


@pytest.mark.parametrize("state", list(RollbackState))
def test_a_rollback_is_said_to_be_done_only_where_the_spans_showed_it(state: STATE) -> None:
    sentence = rollback_sentence(plan(state=state, reason="so it is").as_json())
    assert sentence.startswith("v18 → v17 by gateway: ")
    assert sentence.endswith("(touches one cohort): so it is")
    is_done = "done" in sentence.replace("not done", "").replace("undone", "")
    shown = (STATE.CONFIRMED, STATE.UNDOING, STATE.UNDONE, STATE.REVERTED)
    assert is_done == (state in shown or state is STATE.UNKNOWN)
    assert ("may or may not" in sentence) == (state is STATE.UNKNOWN)
