"""Every rollback that was decided on is scored by what became of it, proposed ones as well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.store.samples import NOW_NS, incident, plan
from tripswitch.incidents.decisions import decisions_of
from tripswitch.model.incident import Incident, IncidentState, RollbackState

STATE = RollbackState


def ended(state: RollbackState, *, is_back: bool = True, **changes: Any) -> Incident:
    """Return an incident whose rollback ended in ``state``."""
    return incident(
        rollback=plan(state=state, **changes),
        state=IncidentState.RECOVERED if is_back else IncidentState.OPEN,
        recovered_at_ns=NOW_NS if is_back else None,
    )


@pytest.mark.parametrize(
    ("one", "end", "by_itself"),
    [
        (ended(STATE.CONFIRMED), "right", 1),
        (ended(STATE.CONFIRMED, mode="propose", decided_by="ada"), "right", 0),
        # Nobody approved it, and somebody made the same move by another hand.
        (ended(STATE.CONFIRMED, mode="observe"), "right", 0),
        (ended(STATE.CONFIRMED, is_back=False), "open", 1),
        (ended(STATE.REJECTED, mode="propose", decided_by="ada"), "refused", 0),
        (ended(STATE.UNDONE, decided_by="ada"), "taken_back", 0),
        (ended(STATE.REVERTED), "taken_back", 1),
        (ended(STATE.WITHHELD), "not_needed", 0),
        (ended(STATE.EXPIRED, mode="propose"), "not_needed", 0),
        (ended(STATE.PROPOSED, mode="propose", is_back=False), "open", 0),
        (ended(STATE.FAILED), "untold", 1),
        (ended(STATE.RELEASED), "right", 1),
    ],
)
def test_a_decision_ends_by_what_became_of_it(one: Incident, end: str, by_itself: int) -> None:
    (target,) = decisions_of([one])["targets"]
    assert [name for name, count in target["ends"].items() if count] == [end]
    assert target["by_itself"] == by_itself


def test_a_rung_that_another_followed_did_not_help() -> None:
    first = plan(key="rb-0", state=STATE.CONFIRMED, target="flags")
    climbed = incident(
        rollbacks=(first,),
        rollback=plan(state=STATE.CONFIRMED),
        state=IncidentState.RECOVERED,
        recovered_at_ns=NOW_NS,
    )
    flags, gateway = decisions_of([climbed])["targets"]
    assert (flags["target"], flags["ends"]["no_help"]) == ("flags", 1)
    assert (gateway["target"], gateway["ends"]["right"]) == ("gateway", 1)


def test_the_share_is_of_those_whose_end_is_known_and_the_sentence_has_the_numbers() -> None:
    many = [
        *(ended(STATE.CONFIRMED) for _ in range(3)),
        ended(STATE.REJECTED, decided_by="ada"),
        ended(STATE.FAILED),
        ended(STATE.PROPOSED, is_back=False),
    ]
    (target,) = decisions_of(many)["targets"]
    assert (target["decisions"], target["right_share"]) == (6, 0.75)
    assert target["sentence"] == (
        "gateway: 3 of 4 rollbacks decided on were right (75 %); 1 where a person refused it"
    )


def test_nothing_known_is_no_share() -> None:
    assert decisions_of([incident(rollback=None)]) == {"targets": []}
    (target,) = decisions_of([ended(STATE.PROPOSED, is_back=False)])["targets"]
    assert target["right_share"] is None
    assert "none with a known end yet" in target["sentence"]
