"""Status updates: what is known and nothing else, in the audience's words, held for a person."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.incidents.cases import TRACES, case, signal
from tests.store.samples import NOW_NS, plan
from tripswitch.drive.papers import templates_of
from tripswitch.errors import ConfigError
from tripswitch.incidents.comms import (
    AUDIENCES,
    STATES,
    Audience,
    CommsDraft,
    CommsSettings,
    State,
    checked,
    drafted,
    state_of,
)
from tripswitch.incidents.comms_check import holds_of
from tripswitch.model.incident import RollbackState, Severity, Shape

TEMPLATES = templates_of("comms")
OPEN: dict[str, Any] = {"recovered_at_ns": None}


def draft(
    audience: Audience = "engineering",
    *,
    state: State | None = None,
    settings: CommsSettings | None = None,
    templates: dict[str, str] | None = None,
    **changes: Any,
) -> CommsDraft:
    return drafted(
        case(**changes),
        audience,
        templates or TEMPLATES,
        settings or CommsSettings(),
        NOW_NS,
        state=state,
    )


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_built_in_template_passes_the_check(state: State, audience: Audience) -> None:
    made = draft(audience, state=state)
    assert made.holds == ()
    assert made.as_json()["held"] is True


def test_there_is_a_template_for_every_state_and_audience() -> None:
    assert set(TEMPLATES) == {f"{state}.{one}.txt.j2" for state in STATES for one in AUDIENCES}


def test_engineers_get_the_trace_and_the_drift() -> None:
    text = draft(state="monitoring").text
    assert TRACES[0] in text
    assert "faithfulness 0.810 (n = 600) against 0.900" in text
    assert "Next update by 2026-11-24 02:26:41 UTC" in text


def test_consumers_get_plain_words_only() -> None:
    for state in STATES:
        text = draft("consumer", state=state).text
        for jargon in ("v18", "v17", "cohort", "canary", "/chat", "faithfulness", TRACES[0], "%"):
            assert jargon not in text
    named = CommsSettings(names={"/chat/refund": "the refund assistant"})
    assert "the refund assistant" in draft("consumer", settings=named).text


def test_the_all_clear_comes_with_the_recovery_and_ends_the_cadence() -> None:
    made = draft()
    assert (made.state, made.is_all_clear, made.next_update) == ("resolved", True, "")
    assert "Recovery was proven from the spans at 2026-11-24 02:11:41 UTC" in made.text


def test_state_follows_from_the_ledger() -> None:
    assert state_of(case()) == "resolved"
    assert state_of(case(**OPEN)) == "monitoring"
    assert state_of(case(**OPEN, rollback=plan(state=RollbackState.UNDONE))) == "identified"
    assert state_of(case(**OPEN, rollback=None)) == "investigating"
    # What a doubt holds back, or a person refused, names no cause.
    for held in (RollbackState.PROPOSED, RollbackState.WITHHELD, RollbackState.REJECTED):
        assert state_of(case(**OPEN, rollback=plan(state=held))) == "investigating"


@pytest.mark.parametrize(
    ("events", "rollback", "expected"),
    [
        (1, None, "investigating"),
        (3, plan(), "identified"),
        (4, plan(state=RollbackState.ACKNOWLEDGED), "identified"),
        (5, plan(state=RollbackState.CONFIRMED), "monitoring"),
    ],
)
def test_an_answer_is_not_yet_traffic(events: int, rollback: Any, expected: str) -> None:
    from tests.incidents.cases import document
    from tripswitch.incidents.case import case_of

    told = document(**OPEN, rollback=rollback)
    told["events"] = told["events"][:events]
    assert state_of(case_of(told)) == expected


def test_a_state_that_the_ledger_has_no_fact_for_is_named() -> None:
    made = draft(**OPEN, state="resolved")
    assert "the ledger knows of no more than monitoring" in [one.sentence() for one in made.holds]
    assert draft(state="investigating").holds == ()


def test_consumers_are_not_told_that_one_goes_back_where_nobody_does() -> None:
    held = plan(state=RollbackState.WITHHELD)
    assert "going back" not in draft("consumer", state="identified", rollback=held).text
    assert "going back" in draft("consumer", state="identified").text


def test_a_failover_is_not_said_to_put_a_version_back() -> None:
    failover = plan(path="provider_failover", state=RollbackState.CONFIRMED)
    for state in ("identified", "monitoring"):
        assert "version" not in draft("consumer", state=state, rollback=failover).text
    assert "the version that worked" in draft("consumer", state="monitoring").text


def test_only_the_affected_tenants_and_who_must_not_be_told() -> None:
    settings = CommsSettings(tenants=("acme", "globex", "initech"))
    made = draft(settings=settings, tenants=(("acme", 7),))
    assert made.tell == ("acme",)
    assert made.do_not_tell == ("globex", "initech")
    nobody = draft(settings=settings, tenants=())
    assert (nobody.tell, nobody.do_not_tell) == (None, None)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"security": True}, "security review decides"),
        ({"shape": Shape.COST_SPIKE}, "no plain sentence for this cost spike"),
        (
            {"shape": Shape.GUARDRAIL_REGRESSION, "signal": "refusal_rate", "rubric": None}
            | {"estimate": 0.0, "baseline": 0.04},
            "no plain sentence",
        ),
        ({"severity": Severity.INVESTIGATE}, "did not page"),
    ],
)
def test_policy_holds_what_a_person_must_decide(changes: dict[str, Any], why: str) -> None:
    made = draft("consumer", **changes)
    assert any(why in hold.sentence() for hold in made.holds)


def test_an_edited_template_is_used_and_checked() -> None:
    mine = TEMPLATES | {
        "resolved.consumer.txt.j2": "Over at {{ recovered_time }}. It was probably Contoso's 42 %."
    }
    made = draft("consumer", templates=mine)
    assert made.text == "Over at 02:11 UTC. It was probably Contoso's 42 %.\n"
    assert [(hold.kind, hold.text) for hold in made.holds] == [
        ("speculation", "probably"),
        ("name", "Contoso"),
        ("number", "42"),
    ]


@pytest.mark.parametrize(
    "text", ["{{ nothing }}", "{% for %}", "{{ incident.__class__ }}", "{{ range(9) }}"]
)
def test_a_template_that_cannot_be_used_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"resolved\.engineering"):
        draft(templates={"resolved.engineering.txt.j2": text})


def test_words_of_the_operators_hold_too() -> None:
    settings = CommsSettings(speculation=("the last update",))
    assert [hold.text for hold in draft(settings=settings).holds] == ["the last update"]


def test_a_persons_own_text_can_be_checked() -> None:
    of = case()
    assert checked(of, "v18 is back on v17 since 01:58:41 UTC.", CommsSettings()) == ()
    held = checked(of, "We believe the root cause is v19.", CommsSettings())
    assert {hold.text for hold in held} == {"We believe".lower(), "root cause", "v19"}


# --- the check itself -----------------------------------------------------------------------------

KNOWN = ["refund-bot v18 at 16:30:10 UTC, 1,095 calls, 22.4 % refusals", "acme"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Since 16:30:10 UTC v18 refuses 22.4 % of 1095 calls.", []),
        ("Acme's calls are affected.", []),
        ("It may take until May.", []),
        ("This may be over.", ["may be"]),
        ("It might be the root  cause.", ["might", "root cause"]),
        ("Mighty fine.", []),
        ("About 23 % are refused.", ["23"]),
        ("Now v19 serves, said Fabrikam.", ["v19", "Fabrikam"]),
        ("It is fixed. Globex is well.", []),
        ("It is fixed for Globex.", ["Globex"]),
        ("See https://status.example/7.", ["https://status.example/7"]),
        ("All 3 of 4.5 are well.", ["3", "4.5"]),
    ],
)
def test_finds_guesses_numbers_and_names(text: str, found: list[str]) -> None:
    assert [hold.text for hold in holds_of(text, KNOWN)] == found


@given(st.integers(10_000, 10**9))
def test_a_number_that_nobody_knows_never_passes(number: int) -> None:
    assert [hold.text for hold in holds_of(f"It was {number}.", KNOWN)] == [str(number)]
    assert [hold.text for hold in holds_of(f"It was {number:,} calls.", KNOWN)] == [str(number)]


@given(st.text(max_size=200))
def test_takes_any_text(text: str) -> None:
    holds_of(text, [text])


def test_nothing_of_the_known_is_ever_held_as_a_number() -> None:
    of = case(signal())
    for moment in of.moments:
        assert holds_of(moment.detail, [moment.detail]) == ()
