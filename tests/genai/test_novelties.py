"""First sights on a route: what is new after its first minute is a change."""

from __future__ import annotations

from typing import Any

from tests.genai.spans import CHAT, SpanOf
from tests.genai.test_traces import Flow
from tripswitch.model.incident import Change


def changes(flow: Flow, at_s: float, trace: int, **facts: Any) -> list[tuple[str, Any, Any]]:
    """Return what one call at ``at_s`` shows to be new."""
    attributes = dict(CHAT) | {key.replace("__", "."): value for key, value in facts.items()}
    attributes["http.route"] = attributes.get("http.route", "/chat")
    flow.spans(at_s, SpanOf(attributes, trace=trace, parent=0, start_s=at_s, end_s=at_s + 1))
    found: list[Change] = flow.settle(at_s + 10).changes
    return [(change.kind, change.before, change.after) for change in found]


def test_what_the_first_minute_shows_is_no_change() -> None:
    flow = Flow()
    assert changes(flow, 0, 1) == []
    assert changes(flow, 20, 2, gen_ai__request__model="gpt-4o") == []


def test_new_model_and_deployment_are_changes_once() -> None:
    flow = Flow()
    changes(flow, 0, 1)
    assert changes(flow, 100, 2, gen_ai__request__model="gpt-5") == [
        ("request_model", "gpt-4o-mini", "gpt-5")
    ]
    assert changes(flow, 120, 3, gen_ai__request__model="gpt-5") == []
    assert changes(flow, 140, 4) == []


def test_routes_are_looked_at_apart() -> None:
    flow = Flow()
    changes(flow, 0, 1)
    assert changes(flow, 100, 2, http__route="/other", gen_ai__request__model="gpt-5") == []


def test_names_that_are_made_up_are_counted_not_kept() -> None:
    flow = Flow()
    changes(flow, 0, 1)
    told = 0
    for number in range(5, 305):
        told += len(changes(flow, 20 * number, number, gen_ai__request__model=f"made-up-{number}"))
    assert told == 255
    assert flow.count("ignored_changes") == 45
