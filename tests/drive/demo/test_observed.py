"""Every claim holds for a run that went as told, and exactly the right one fails for one bent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.drive.demo.samples import (
    EVENTS,
    METRICS,
    TOTALS,
    arm,
    call,
    event,
    gateway,
    healthy,
    incident,
    regression,
    scope,
    take,
)
from tripswitch.drive.demo import story
from tripswitch.drive.demo.observed import claims, report
from tripswitch.drive.demo.timeline import Observed


def unheld(seen: Observed) -> set[str]:
    return {claim.claim for claim in claims(seen) if not claim.held}


def test_a_run_that_went_as_told_holds_every_claim() -> None:
    assert unheld(regression()) == set()
    assert unheld(healthy()) == set()


ONE_INCIDENT = "one incident was opened"
ON_CANARY = "an incident was opened on v18 in the canary"
EXEMPLARS = "the traces shown are failing v18 traces that the gateway sent"
ONCE = "the gateway was called once, verified it and moved the pointer"
ORDER = "it all happened in order"
BACK = "the traffic went back to v17"
RECOVERED = "recovery was proven from the spans"
ALERTED = "people were alerted by a signed webhook"
SILENT = "/chat/kb-search was watched too and stayed silent"
READ = "tripswitch read and judged all of it"
UNCHANGED = "every span and byte sent arrived upstream unchanged"


def without(name: str) -> list[dict[str, Any]]:
    return [each for each in EVENTS if each["event"] != name]


def with_incident(**changed: Any) -> Observed:
    bent = incident(**changed)
    return regression([each | {"incident": each["incident"] and bent} for each in EVENTS])


def strangers() -> Observed:
    seen = regression()
    seen.bad_traces = ["d" * 32]
    return seen


def arrived(**changed: Any) -> Observed:
    seen = regression()
    seen.received = TOTALS | changed
    return seen


def counted(**changed: float) -> Observed:
    seen = regression()
    seen.metrics = METRICS | changed
    return seen


def blind() -> Observed:
    seen = regression()
    seen.metrics = {}
    return seen


def cut_short() -> Observed:
    seen = regression()
    seen.cut_short = "stopped after 180 s"
    return seen


def unwatched() -> Observed:
    seen = regression()
    seen.status = {"scopes": []}
    return seen


def other_route_fired() -> Observed:
    elsewhere = incident(id="inc_2", scope=scope(route=story.SEARCH_ROUTE))
    return regression([*EVENTS, event("incident.updated", 1690, elsewhere)])


def calls(*made: dict[str, Any]) -> Observed:
    return regression(played=gateway(calls=list(made)))


ALERT = call("alert", "incident.opened", 664)
ROLLBACK = call("rollback", "rollback.planned", 665)
FORGED = call("rollback", "", 666, verified=False, acted=False, status=401, data=None)

BENT: list[tuple[Callable[[], Observed], set[str]]] = [
    (lambda: regression(without("change.seen")), {"the rollout of v18 was seen", ORDER}),
    (lambda: with_incident(shape="latency_spike"), {ON_CANARY}),
    (lambda: with_incident(scope=scope(route=story.REFUND_ROUTE)), {ON_CANARY}),
    (lambda: with_incident(exemplars=[]), {EXEMPLARS}),
    (strangers, {EXEMPLARS}),
    (
        lambda: regression([*EVENTS, event("incident.opened", 1690, incident(id="inc_2"))]),
        {ONE_INCIDENT},
    ),
    (lambda: calls(ALERT), {ONCE, ORDER}),
    (lambda: calls(ALERT, ROLLBACK, ROLLBACK | {"acted": False, "repeat": True}), {ONCE}),
    (lambda: calls(ALERT, ROLLBACK, FORGED), {ONCE}),
    (lambda: calls(ALERT, ROLLBACK | {"acted": False}), {ONCE}),
    (lambda: calls(ROLLBACK), {ALERTED}),
    (lambda: calls(ROLLBACK, ALERT | {"verified": False, "data": None}), {ALERTED}),
    (lambda: regression(without("rollback.confirmed")), {ORDER, BACK}),
    (lambda: regression(without("rollback.acknowledged")), {ORDER}),
    (lambda: regression(without("incident.recovered")), {ORDER, RECOVERED}),
    (
        lambda: regression(
            played=gateway(
                versions={story.CONTROL: story.OLD_VERSION, story.CANARY: story.NEW_VERSION}
            )
        ),
        {BACK},
    ),
    (other_route_fired, {SILENT}),
    (unwatched, {SILENT}),
    (lambda: arrived(bytes=899), {UNCHANGED}),
    (lambda: arrived(digest="1" * 64), {UNCHANGED}),
    (lambda: counted(reader_spans_total=39), {READ}),
    (lambda: counted(judge_errors_total=1), {READ}),
    (lambda: counted(tap_dropped_requests_total=1), {READ}),
    (blind, {READ}),
    (lambda: regression(played=gateway(failed_spans=2)), {"no export failed"}),
    (cut_short, {"the story was played to its end"}),
]


@pytest.mark.parametrize(("bent", "failing"), BENT)
def test_what_did_not_happen_is_not_claimed(
    bent: Callable[[], Observed], failing: set[str]
) -> None:
    assert unheld(bent()) == failing


def test_a_healthy_run_in_which_something_fired_is_not_healthy() -> None:
    seen = healthy()
    take(seen, EVENTS[1:3], seen.gateway | {"calls": [ALERT, ROLLBACK]}, 2399.0)
    assert unheld(seen) == {
        "no incident was opened",
        "no rollback was called",
        "nobody was alerted",
    }


@pytest.mark.parametrize("finding", ["insufficient", "telemetry_lost", "regressed"])
def test_silence_without_a_judgement_is_not_health(finding: str) -> None:
    seen = healthy()
    seen.status = {"scopes": [arm(story.REFUND_ROUTE, story.CANARY, story.NEW_VERSION, finding)]}
    assert unheld(seen) == {"v18 was judged and found healthy"}
    seen.status = {"scopes": []}
    assert unheld(seen) == {"v18 was judged and found healthy"}


def test_nothing_sent_is_not_everything_arrived() -> None:
    nothing = TOTALS | {"spans": 0}
    seen = regression(played=gateway(sent=nothing))
    seen.received = nothing
    seen.metrics = METRICS | {"reader_spans_total": 0}
    assert unheld(seen) == {UNCHANGED}


def test_the_report_says_ok_only_when_every_claim_held() -> None:
    assert report(regression())["ok"] is True
    told = report(arrived(spans=39))
    assert told["ok"] is False
    assert [claim["claim"] for claim in told["claims"] if not claim["held"]] == [UNCHANGED]
    assert (told["sent"]["spans"], told["received"]["spans"]) == (40, 39)
