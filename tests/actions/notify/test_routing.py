"""Who hears what: by role, severity, shape, route and tenant, to the end of what was begun."""

from __future__ import annotations

from typing import Any

import pytest

from tests.store.samples import event, incident
from tripswitch.actions.notify.routing import Hearer, hearers
from tripswitch.config.model import Config
from tripswitch.model.incident import Change, Severity, Shape
from tripswitch.model.messages import Event, EventName
from tripswitch.model.scope import Scope

OUTAGE: dict[str, Any] = {"shape": Shape.OUTAGE, "signal": "error_rate"}

STAFF = (
    {"name": "pager", "roles": ["on_call"]},
    {"name": "evals", "roles": ["eval_owner"]},
    {"name": "comms", "roles": ["comms_drafter"]},
    {"name": "captain", "roles": ["release_captain"]},
    {"name": "security", "roles": ["security_reviewer"]},
    {"name": "all"},
)


def config(*notify: dict[str, Any], **roles: list[str]) -> Config:
    return Config.model_validate({"notify": list(notify), "notifications": {"roles": roles}})


def heard(told: Event, settings: Config, *before: str) -> list[str]:
    """Return who hears, with a ``?`` behind those who hear veiled."""
    return [
        one.name + ("?" if one.is_veiled else "") for one in hearers(told, settings, set(before))
    ]


def named(name: str, **changes: Any) -> Event:
    """Return an event of a name that may not be known yet."""
    told = event(**changes)

    class Later:
        value = name

    return Event(Later(), told.time_ns, told.incident)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (event(**OUTAGE), ["pager", "all"]),
        (event(severity=Severity.INVESTIGATE, **OUTAGE), ["pager", "all"]),
        (event(), ["pager", "evals", "all"]),
        (event(EventName.ROLLBACK_PLANNED, **OUTAGE), ["pager", "captain", "all"]),
        (event(EventName.ROLLBACK_UNDONE), ["pager", "evals", "captain", "all"]),
        (event(security=True), ["security", "all?"]),
        (event(EventName.ROLLBACK_PLANNED, security=True), ["captain?", "security", "all?"]),
        (named("comms.drafted"), ["comms", "all"]),
        (named("comms.due"), ["comms", "all"]),
        (named("postmortem.due"), ["pager", "all"]),
        (named("comms.drafted", security=True), ["comms?", "security", "all?"]),
        (named("incident.something_new", **OUTAGE), ["pager", "all"]),
    ],
)
def test_each_kind_of_news_has_its_roles(told: Event, wanted: list[str]) -> None:
    assert heard(told, config(*STAFF)) == wanted


def test_the_roles_of_a_kind_of_news_can_be_set() -> None:
    settings = config(*STAFF, security=["security_reviewer", "on_call"], eval_drift=[])
    assert heard(event(security=True), settings) == ["pager", "security", "all?"]
    assert heard(event(), settings) == ["pager", "all"]


def test_a_security_incident_without_a_reviewer_is_told_as_any_page() -> None:
    settings = config({"name": "pager", "roles": ["on_call"]}, {"name": "all"})
    assert heard(event(security=True, **OUTAGE), settings) == ["pager", "all"]


def test_a_page_that_nobody_would_hear_goes_to_everybody_who_may() -> None:
    settings = config(
        {"name": "comms", "roles": ["comms_drafter"]},
        {"name": "elsewhere", "roles": ["comms_drafter"], "routes": ["/other"]},
    )
    assert heard(event(**OUTAGE), settings) == ["comms"]
    assert heard(event(severity=Severity.INVESTIGATE, **OUTAGE), settings) == []


@pytest.mark.parametrize(
    ("fields", "changes", "is_heard"),
    [
        ({"severities": ["page"]}, {}, True),
        ({"severities": ["page"]}, {"severity": Severity.INVESTIGATE}, False),
        ({"shapes": ["outage"]}, {}, False),
        ({"shapes": ["outage", "eval_drift"]}, {}, True),
        ({"routes": ["/chat/refund"]}, {}, True),
        ({"routes": ["/chat/*"]}, {}, True),
        ({"routes": ["/agents/*"]}, {}, False),
        ({"routes": ["/agents/*"]}, {"scope": Scope(provider="openai")}, True),
        ({"tenants": ["acme"]}, {}, True),
        ({"tenants": ["globex"]}, {}, False),
    ],
)
def test_a_notifier_hears_what_its_filters_let_pass(
    fields: dict[str, Any], changes: dict[str, Any], is_heard: bool
) -> None:
    settings = config({"name": "one", **fields}, {"name": "other"})
    assert ("one" in heard(event(**changes), settings)) is is_heard


def test_who_was_told_hears_of_it_to_its_end() -> None:
    settings = config(
        {"name": "pager", "roles": ["on_call"], "severities": ["page"], "tenants": ["acme"]},
        {"name": "captain", "roles": ["release_captain"]},
        {"name": "other"},
    )
    end = event(EventName.INCIDENT_RESOLVED, tenants=(), severity=Severity.INVESTIGATE)
    assert heard(end, settings) == ["other"]
    assert heard(end, settings, "pager", "captain") == ["pager", "captain", "other"]
    assert heard(end, settings, "left-the-file") == ["other", "left-the-file"]
    assert heard(named("comms.drafted"), settings, "pager") == ["other"]


def test_a_bare_change_goes_to_those_who_want_everything() -> None:
    bare = Event(EventName.CHANGE_SEEN, 1, None, Change("model", 1, Scope(), "a", "b"))
    settings = config({"name": "some", "shapes": ["outage"]}, {"name": "all"})
    assert hearers(bare, settings, ()) == [Hearer("all")]


def test_what_is_veiled_holds_no_detail_of_a_security_incident() -> None:
    from tripswitch.actions.dispatch import effects_of
    from tripswitch.model.messages import Notify

    told = event(security=True, why="the leak is at 42", exemplars=("trace-1",))
    effects = effects_of([Notify("n", told)], config(*STAFF), 1)
    bodies = {one.target: one.body for one in effects}
    assert "the leak is at 42" in bodies["security"]
    for word in ("leak is at", "trace-1", "acme", "faithfulness", "0.81", "it happened"):
        assert word not in bodies["all"], word
    assert incident(security=True).dedup_key in bodies["all"]
