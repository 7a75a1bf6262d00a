"""What is asked of ``/v1/explain``, and the JSON it says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tests.play import BAD, config
from tests.traffic import Arm, Behaviour, Tool, requests
from tripswitch.cli.explain_table import show
from tripswitch.drive.explaining import explain_of, wanted_of
from tripswitch.drive.session import Arrival, Session
from tripswitch.model.scope import Scope

CANARY = Scope("/chat/refund", "refund-bot", "v18", "canary")
CONTROL = Scope("/chat/refund", "refund-bot", "v17", "control")
LEAF = CONTROL._replace(request_model="gpt-4o", provider="openai")


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], [CANARY, CONTROL, LEAF]),
        (["route=/chat/refund"], [CANARY, CONTROL, LEAF]),
        (["route=/chat/refund cohort=canary"], [CANARY]),
        (["route=/chat/refund", "cohort=canary"], [CANARY]),
        (["/chat/refund"], [CANARY, CONTROL, LEAF]),
        (["CANARY"], [CANARY]),
        (["v17 "], [CONTROL, LEAF]),
        (["version=v1*", "cohort=Control"], [CONTROL, LEAF]),
        (["cohort=control", "model=-"], [CONTROL]),
        (["model=gpt-*"], [LEAF]),
        (["provider=openai", "prompt=refund-bot"], [LEAF]),
        (["route=/chat"], []),
        (["refund", "canary", "v17"], []),
        ([""], [CANARY, CONTROL, LEAF]),
    ],
)
def test_scopes_are_asked_for_by_field_or_by_any_part(texts: list[str], found: list[Scope]) -> None:
    wanted = wanted_of(texts)
    assert [scope for scope in (CANARY, CONTROL, LEAF) if wanted.scope(scope)] == found


def test_a_field_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r'"cohrt" is no field .* route, prompt, .* cohort'):
        wanted_of(["cohrt=canary"])


def test_a_route_may_have_an_equals_sign_in_it() -> None:
    assert wanted_of(["/search?q=x"]).words == ["/search?q=x"]


def played(minutes: float) -> Session:
    session = Session(config())
    plan = [Arm(4.0, "v17", "control"), Arm(3.0, "v18", "canary", BAD)]
    for body in requests(lambda second: plan if second > 300 else plan[:1], minutes):
        session.feed([Arrival(body, 0)])
    session.finish()
    return session


def test_json_says_what_is_seen_against_what_and_what_is_missing() -> None:
    session = played(14)
    found = session.explain(["cohort=canary"], 50)
    json.dumps(found, allow_nan=False)
    assert (found["matched_scopes"], found["left_out_scopes"]) == (1, 0)
    (scope,) = found["scopes"]
    assert scope["scope"] == CANARY.as_json()
    by_name = {(one["signal"], one["direction"]): one for one in scope["signals"]}
    refusals = by_name["refusal_rate", "up"]
    assert refusals["severity"] == "page"
    assert refusals["missing"] == []
    assert refusals["against"]["comparison"] == "control"
    assert refusals["against"]["scope"]["cohort"] == "control"
    assert refusals["evidence"]["page_control"] >= 1
    assert refusals["sees"]["per_minute"] == pytest.approx(180, rel=0.1)
    errors = by_name["error_rate", "up"]
    assert errors["finding"] == "healthy"
    assert errors["line"] == {"page": 0.02, "investigate": 0.02, "events": 5, "traces": 0}
    assert errors["missing"]
    assert errors["outlook"]["minutes"] > 0
    # The worst comes first.
    assert scope["signals"][0]["severity"] == "page"
    assert scope["signals"][-1]["severity"] is None


def test_every_signal_is_shown_in_its_own_unit() -> None:
    usual = Behaviour(ttft_s=0.3, cost_usd=0.01, leaks=0.0, injections=0.0, tools=(Tool("search"),))
    leaking = replace(usual, leaks=0.02, cost_usd=0.02, ttft_s=2.0)
    session = Session(config())
    plan = [Arm(4.0, "v17", "control", usual), Arm(3.0, "v18", "canary", leaking)]
    for body in requests(lambda second: plan if second > 300 else plan[:1], 14):
        session.feed([Arrival(body, 0)])
    session.finish()
    found = session.explain(["cohort=canary"], 50)
    json.dumps(found, allow_nan=False)
    told = {one["signal"]: one for one in found["scopes"][0]["signals"]}
    assert told["pii_leak"]["severity"] == "page"
    assert told["pii_leak"]["line"]["events"] == 3
    assert told["prompt_injection"]["severity"] is None
    assert any("events: 0 of 3" in text for text in told["prompt_injection"]["missing"])
    # What must be rare is not found sooner by a thousand times the traffic.
    assert told["prompt_injection"]["remedies"] == []
    console = Console(width=200, record=True, file=StringIO())
    show(found, console)
    text = console.export_text()
    for shown in (
        r"pii_leak .* page .* [12]\.\d+ % .* 3 leaks",
        r"prompt_injection .* 0 % .* 0\.5 %",
        r"cost_per_success .* \$0\.0\d+ .* \$0\.01\d* .* x 1\.5",
        r"ttft_p99 .* \d+\.\d % .* \d %",
        r"tool_latency:search .* \d\.\d % .* \d %",
        r"tool_errors:search .* points",
        r"\$0\.0\d+ a success against \$0\.01\d* a success of the control",
        r"% slow runs",
        r"% calls slow to their first token",
    ):
        assert re.search(shown, text), shown


def test_signals_are_asked_for_too() -> None:
    session = played(8)
    for texts, names in (
        (["canary signal=eval_score"], {"eval_score"}),
        (["rubric=faith*"], {"eval_score"}),
        (["signal=refusal*"], {"refusal_rate"}),
    ):
        found = session.explain(texts, 50)
        signals = [one["signal"] for scope in found["scopes"] for one in scope["signals"]]
        assert set(signals) == names


def test_nothing_judged_and_nothing_found_are_told_apart() -> None:
    empty = Session(config())
    assert explain_of(empty.engine)["now"] is None
    found = played(3).explain(["nowhere"], 50)
    assert found["scopes"] == []
    assert found["now"] is not None
    assert found["routes"] == ["/chat/refund"]


def test_many_scopes_are_bounded() -> None:
    session = Session(config())
    arms = [Arm(0.2, "v1", None, route=f"/r{number}") for number in range(30)]
    for body in requests(lambda _: arms, 2):
        session.feed([Arrival(body, 0)])
    session.finish()
    found = session.explain([], 7)
    assert len(found["scopes"]) == 7
    assert found["matched_scopes"] - found["left_out_scopes"] == 7


def test_a_minute_with_lost_telemetry_and_one_before_the_first_tick_are_told_as_such() -> None:
    session = played(8)
    before = session.engine.now_ns
    session.lost(100)
    session.engine.advance(before + 10 * 10**9)
    found = session.explain(["canary"], 50)
    for signal in found["scopes"][0]["signals"]:
        assert signal["finding"] == "telemetry_lost"
        assert signal["missing"] == [
            "telemetry: part of this minute's was lost, and what is left adds no evidence"
        ]
    again = Session(config())
    again.resume(session.snapshot(), session.engine.now_ns)
    assert again.explain([], 50)["now"] is None
