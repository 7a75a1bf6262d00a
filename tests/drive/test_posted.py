"""What may be posted: items are checked one by one, in words, and nothing of them is quoted."""

from __future__ import annotations

from typing import Any

import pytest

from tripswitch.drive.posted import MAX_ITEMS, read_changes, read_scores
from tripswitch.model.scope import Scope

NOW_NS = 1_795_485_401_000_000_000
TRACE = "0AF7651916CD43DD8448EB211C80319C"
SECRET = "what a user asked in confidence"


def test_score_says_which_call_and_what() -> None:
    item = {
        "trace_id": TRACE,
        "span_id": "B7AD6B7169203331",
        "name": "faithfulness",
        "score": 0.75,
        "source": "human",
        "version": "2",
    }
    taken, refused = read_scores([item], NOW_NS)
    assert refused == []
    found = taken[0].evaluation(NOW_NS)
    assert (found.target_trace_id, found.target_span_id) == (TRACE.lower(), "b7ad6b7169203331")
    assert (found.name, found.score, found.source, found.version) == (
        "faithfulness",
        0.75,
        "human",
        "2",
    )
    assert found.at_ns == NOW_NS


@pytest.mark.parametrize(("score", "number"), [(True, 1.0), (False, 0.0), (3, 3.0)])
def test_verdicts_of_a_thumb_are_numbers(score: object, number: float) -> None:
    taken, _ = read_scores([{"response_id": "r1", "name": "thumb", "score": score}], NOW_NS)
    assert taken[0].evaluation(NOW_NS).score == number


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"trace_id": "7"}, "trace_id"),
        ({"trace_id": TRACE[:-1] + "g"}, "trace_id"),
        ({"trace_id": None}, "name the call"),
        ({"score": None}, "give a score, a label, or both"),
        ({"score": "good"}, "score"),
        ({"score": float("nan")}, "score"),
        ({"score": float("inf")}, "score"),
        ({"name": ""}, "name"),
        ({"name": "x" * 10_000}, "name"),
        ({"scroe": SECRET}, "scroe: Extra inputs"),
        ({"label": {"a": SECRET}}, "label"),
    ],
)
def test_bad_score_is_refused_by_its_place_and_the_others_are_taken(
    change: dict[str, Any], wanted: str
) -> None:
    good = {"trace_id": TRACE, "name": "faithfulness", "score": 0.5}
    taken, refused = read_scores([good, good | change, good], NOW_NS)
    assert len(taken) == 2
    assert refused[0].as_json()["index"] == 1
    assert wanted in refused[0].error
    assert SECRET not in refused[0].error


def test_change_has_a_scope_a_time_and_what_was_before() -> None:
    posted = {
        "kind": "flag",
        "to": "on",
        "from": "off",
        "time": "2026-11-24T01:30:00Z",
        "route": "/chat",
        "cohort": "canary",
    }
    taken, refused = read_changes(posted, NOW_NS)
    assert refused == []
    change = taken[0].change(NOW_NS)
    assert (change.kind, change.before, change.after) == ("flag", "off", "on")
    assert change.scope == Scope("/chat", None, None, "canary")
    assert change.time_ns == NOW_NS - 1601 * 10**9


def test_change_without_a_time_is_of_now() -> None:
    taken, _ = read_changes([{"to": "v42"}], NOW_NS)
    assert taken[0].change(NOW_NS).time_ns == NOW_NS


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        ({}, "to"),
        ({"to": "v2", "kind": "Deploy!"}, "kind"),
        ({"to": "v2", "time": "yesterday"}, "RFC 3339"),
        ({"to": "v2", "time": "2096-01-01T00:00:00Z"}, "ahead of this machine's clock"),
    ],
)
def test_bad_change_is_refused_in_words(item: dict[str, Any], wanted: str) -> None:
    taken, refused = read_changes([item], NOW_NS)
    assert taken == []
    assert wanted in refused[0].error


@pytest.mark.parametrize("document", [None, 1, "text", {"name": "x"}, [{}] * (MAX_ITEMS + 1)])
def test_what_is_no_list_is_refused_as_a_whole(document: object) -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_ITEMS} objects"):
        read_scores(document, NOW_NS)
