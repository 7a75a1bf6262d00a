"""What the pages ask of an engine: sorted worst first, made once a tick, in people's units."""

from __future__ import annotations

import json
import math

import pytest

from tests.play import play, story
from tests.traffic import Arm, Behaviour
from tests.web.desk import watched
from tripswitch.config.model import Config
from tripswitch.drive.overview import MOST_ARMS, WHOLE_ROUTES, Overview
from tripswitch.engine import Engine


def overview() -> Overview:
    return watched().judge.session.overview


def test_before_the_first_tick_there_is_nothing_and_no_fault() -> None:
    engine = Engine(Config())
    fresh = Overview(lambda: engine)
    assert fresh.now()["now"] is None
    assert fresh.routes(10)["routes"] == []
    assert fresh.route("/chat", "15m") is None
    assert fresh.open_incidents() == fresh.changes(10) == []


def test_what_was_counted_is_what_is_judged() -> None:
    now = overview().now()
    status = watched().judge.session.status()
    found = [signal["finding"] for scope in status["scopes"] for signal in scope["signals"]]
    assert now["findings"] == {
        name: found.count(name) for name in ("regressed", "healthy", "insufficient")
    }
    assert now["findings"]["regressed"] > 0


def test_cells_say_what_status_says_with_the_line_in_the_signals_own_unit() -> None:
    route = overview().routes(10)["routes"][0]
    assert route["route"] == "/chat/refund"
    canary = next(arm for arm in route["arms"] if arm["scope"]["prompt_version"] == "v18")
    cells = {(cell["signal"], cell["rubric"]): cell for cell in canary["signals"]}
    score = cells["eval_score", "faithfulness"]
    assert score["finding"] == "regressed"
    assert score["unit"] == "score"
    assert score["value"] < score["line"] < score["usual"]
    assert score["is_over"]
    assert math.isclose(score["line"], score["usual"] - 0.05, abs_tol=1e-4)
    refusals = cells["refusal_rate", None]
    assert refusals["usual"] < refusals["line"] < refusals["value"]
    assert len(score["points"]) == 15
    known = [point for point in score["points"] if point is not None]
    assert 3 <= len(known) <= 6
    assert all(0.6 < point < 1 for point in known)
    assert canary["against"] == "/chat/refund refund-bot cohort control"
    assert route["arms"][0]["scope"]["cohort"] == "control"
    assert route["severity"] == "page"


@pytest.mark.parametrize(("span", "slots"), [("15m", 15), ("6h", 24), ("24h", 24)])
def test_a_route_has_the_course_of_every_arm(span: str, slots: int) -> None:
    found = overview().route("/chat/refund", span)  # type: ignore[arg-type]
    assert found is not None
    for arm in found["arms"]:
        assert len(arm["course"]["calls"]) == slots
        assert all(len(one["points"]) == slots for one in arm["course"]["signals"])
    assert sum(sum(arm["course"]["calls"]) for arm in found["arms"]) > 5000
    assert {scope["label"] for scope in found["explained"]} >= {
        "/chat/refund refund-bot v18 cohort canary"
    }


def test_nothing_is_made_twice_in_a_tick() -> None:
    seen = overview()
    assert seen.revision == seen.revision
    made = seen._seen()
    assert seen._seen() is made


def test_many_routes_are_paged_and_only_the_first_are_written_out() -> None:
    arms = [Arm(0.05, "v1", f"c{number}", route="/many") for number in range(MOST_ARMS + 3)]
    arms += [Arm(0.05, "v1", None, route=f"/route/{number:02d}") for number in range(30)]
    session = play(lambda _second: arms, 4).session
    first = session.overview.routes(24)
    second = session.overview.routes(24, 24)
    # One more than there are: the model that all of them share is judged over all of them.
    assert first["total"] == second["total"] == 32
    assert [("arms" in route) for route in first["routes"]] == [
        place < WHOLE_ROUTES for place in range(24)
    ]
    assert len(second["routes"]) == 8
    names = {route["title"] for route in first["routes"] + second["routes"]}
    assert names == {"all routes together", *(arm.route for arm in arms)}
    many = session.overview.route("/many", "15m")
    assert many is not None
    shown = session.overview.routes(50, 0, "many")["routes"]
    assert [(len(route["arms"]), route["more_arms"]) for route in shown] == [(MOST_ARMS, 4)]
    # The eleven cohorts are judged together too, and counted once.
    assert sum(arm["is_rollup"] for arm in many["arms"]) == 1
    own = [arm["calls_15m"] for arm in many["arms"] if not arm["is_rollup"]]
    assert sum(own) == many["calls_15m"]
    shares = [arm["share"] for arm in many["arms"] if arm["share"] is not None]
    assert sum(shares) == pytest.approx(1, abs=0.01)
    json.dumps([first, second, many], allow_nan=False)


def test_what_fell_is_shown_as_falling_only_where_it_is_worse() -> None:
    quiet = play(story(Behaviour()), 4).session.overview.routes(10)
    directions = {
        cell["direction"]
        for route in quiet["routes"]
        for arm in route["arms"]
        for cell in arm["signals"]
    }
    assert directions == {"up"}
