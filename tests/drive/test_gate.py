"""The gate passes what is proven well, and nothing else, from JSON that real sessions gave."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drive.rollouts import ROUTE, played
from tripswitch.drive.gate import Answer, answer_of, unreachable
from tripswitch.drive.gate_proofs import Question, State

V18 = Question(ROUTE, "v18")


def asked(name: str, question: Question = V18) -> Answer:
    return answer_of(question, *copy.deepcopy(played(name)))


def test_a_version_that_is_as_good_as_the_control_passes() -> None:
    answer = asked("good")
    assert answer.state is State.PASSED, answer.missing
    assert answer.passed
    assert answer.missing == ()
    signals = {proof.signal for proof in answer.proofs}
    assert {"eval_score:faithfulness", "error_rate", "refusal_rate"} <= signals
    assert all("samples over" in proof.sentence for proof in answer.proofs)
    assert asked("good", Question(ROUTE, "v18", cohort="canary", against="v17")).passed
    assert asked("good", Question(ROUTE, "v18", against="control")).passed


def test_a_version_that_regressed_fails_and_says_by_which_numbers() -> None:
    answer = asked("bad")
    assert answer.state is State.REGRESSED
    assert answer.is_final
    assert "against" in answer.sentence
    assert answer.proofs[0].state is State.REGRESSED
    # A signal that is not asked for stops it as well.
    assert asked("bad", Question(ROUTE, "v18", signals=("error_rate",))).state is State.REGRESSED


def test_a_young_version_waits_and_says_for_how_many_samples() -> None:
    answer = asked("young")
    assert answer.state is State.INSUFFICIENT
    assert not answer.is_final
    assert any("samples:" in sentence for sentence in answer.missing)
    assert not asked("good", Question(ROUTE, "v18", fewest=1_000_000)).passed
    assert asked("good", Question(ROUTE, "v18", fewest=100)).passed


def test_its_own_past_alone_proves_nothing_of_a_version() -> None:
    answer = asked("alone")
    assert not answer.passed
    assert answer.state is State.INSUFFICIENT


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (Question(ROUTE, "v19"), "it is not seen there (seen are: "),
        (Question(ROUTE, "v18", cohort="control"), "it is not seen there"),
        (Question("/nowhere", "v18"), "no calls of this route were judged lately"),
    ],
)
def test_what_is_not_seen_never_passes(question: Question, sentence: str) -> None:
    answer = asked("good", question)
    assert answer.state is State.UNKNOWN
    assert sentence in answer.sentence


def test_a_comparison_with_something_else_than_was_asked_for_is_no_proof() -> None:
    answer = asked("good", Question(ROUTE, "v18", against="v16"))
    assert answer.state is State.INSUFFICIENT
    assert all("a comparison with v16: it is compared with" in one for one in answer.missing)


def test_no_scores_is_a_no() -> None:
    explained, route, incidents = copy.deepcopy(played("good"))
    for scope in explained["scopes"]:
        scope["signals"] = [one for one in scope["signals"] if one["signal"] != "eval_score"]
    answer = answer_of(V18, explained, route, incidents)
    assert answer.state is State.INSUFFICIENT
    assert answer.missing == (
        "eval_score of /chat/refund refund-bot v18 cohort canary: no scores came",
    )
    without = Question(ROUTE, "v18", signals=("error_rate", "refusal_rate"))
    assert answer_of(without, explained, route, incidents).passed


def test_lost_telemetry_is_a_no() -> None:
    explained, route, incidents = copy.deepcopy(played("good"))
    for scope in explained["scopes"]:
        for signal in scope["signals"]:
            signal["finding"] = "telemetry_lost"
    assert answer_of(V18, explained, route, incidents).state is State.TELEMETRY_LOST


def test_scopes_that_were_not_read_are_a_no() -> None:
    explained, route, incidents = copy.deepcopy(played("good"))
    answer = answer_of(V18, explained | {"left_out_scopes": 3}, route, incidents)
    assert answer.state is State.INSUFFICIENT
    assert "3 scopes of the route are too many to be read" in answer.missing


def test_nothing_judged_yet_is_a_no() -> None:
    explained: dict[str, Any] = {"now": None, "scopes": [], "routes": [], "left_out_scopes": 0}
    assert answer_of(V18, explained, None, []).state is State.UNKNOWN


def test_a_version_that_was_rolled_back_stays_out_until_somebody_releases_it() -> None:
    explained, route, _ = copy.deepcopy(played("good"))
    incident = copy.deepcopy(played("bad")[2][0])
    incident["state"] = "resolved"
    plan = {"from": "v18", "to": "v17", "target": "gateway", "state": "confirmed"}
    answer = answer_of(V18, explained, route, [incident | {"rollback": plan}])
    assert answer.state is State.REGRESSED
    assert "was rolled back to v17 by gateway" in answer.sentence
    for harmless in ("released", "undone", "rejected", "proposed"):
        told = [incident | {"rollback": plan | {"state": harmless}}]
        assert answer_of(V18, explained, route, told).passed, harmless


def test_an_open_incident_of_the_route_is_a_no() -> None:
    explained, route, _ = copy.deepcopy(played("good"))
    incident = played("bad")[2][0]
    for change in ({}, {"prompt_version": None}):
        opened = incident | {"state": "open", "scope": incident["scope"] | change}
        assert answer_of(V18, explained, route, [opened]).state is State.REGRESSED
    of_provider = incident | {
        "state": "open",
        "severity": "page",
        "scope": dict.fromkeys(incident["scope"]) | {"provider": "openai"},
    }
    assert answer_of(V18, explained, route, [of_provider]).state is State.INSUFFICIENT


def test_what_lies_beyond_its_line_without_evidence_is_not_well() -> None:
    """So stands a version whose evidence was used up by its incident: 21 % refusals, healthy."""
    explained, route, incidents = copy.deepcopy(played("good"))
    for scope in explained["scopes"]:
        for signal in scope["signals"]:
            if signal["signal"] == "refusal_rate" and signal["direction"] == "up":
                signal["sees"]["estimate"] = 0.17
    answer = answer_of(V18, explained, route, incidents)
    assert answer.state is State.INSUFFICIENT
    assert "0.17 is beyond 0.05" in answer.missing[0]


def test_a_model_behind_the_version_that_regressed_is_a_no() -> None:
    explained, route, incidents = copy.deepcopy(played("good"))
    arm = next(one for one in explained["scopes"] if one["scope"]["prompt_version"] == "v18")
    leaf = copy.deepcopy(arm)
    leaf["scope"] |= {"request_model": "gpt", "provider": "openai"}
    leaf["signals"][0] |= {"finding": "regressed", "severity": "page"}
    explained["scopes"].append(leaf)
    assert answer_of(V18, explained, route, incidents).state is State.REGRESSED


def test_nobody_to_ask_is_a_no() -> None:
    answer = unreachable(V18, "connection refused")
    assert not answer.passed
    assert "connection refused" in answer.sentence


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["healthy", "insufficient", "telemetry_lost", "regressed"]),
            st.sampled_from(["control", "previous", "history", None]),
            st.integers(0, 5000),
        ),
        max_size=4,
    )
)
def test_it_passes_only_where_every_signal_is_proven(
    changes: list[tuple[str, str | None, int]],
) -> None:
    explained, _, _ = copy.deepcopy(played("good"))
    arm = next(one for one in explained["scopes"] if one["scope"]["prompt_version"] == "v18")
    signals = [one for one in arm["signals"] if one["direction"] == "up" or one["rubric"]]
    for signal, (finding, comparison, samples) in zip(signals, changes, strict=False):
        signal["finding"] = finding
        signal["missing"] = []
        signal["against"]["comparison"] = comparison
        signal["sees"]["samples"] = samples
        signal["sees"]["per_minute"] = 0.0
    answer = answer_of(V18, explained, None, [])
    if answer.passed:
        for signal in signals:
            assert signal["finding"] == "healthy"
            assert signal["against"]["comparison"] in ("control", "previous")
            assert signal["sees"]["samples"] >= signal["outlook"]["samples"]
    elif not changes:
        # What was not changed has as many samples as the last fifteen minutes gave.
        assert answer.state is State.INSUFFICIENT
