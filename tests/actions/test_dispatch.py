"""Commands become effects with settled keys, bodies and deadlines."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.store.samples import NOW_NS, SCOPE, event, incident, plan
from tripswitch.actions.dispatch import MAX_BODY_BYTES, effects_of
from tripswitch.config.model import Config
from tripswitch.model.incident import Change
from tripswitch.model.messages import Event, EventName, Notify, Rollback
from tripswitch.model.outbox import EffectKind, EffectState
from tripswitch.model.scope import Scope

CONFIG = Config.model_validate(
    {"notify": [{"name": "pager"}, {"name": "chat"}], "rollback": {"not_after": "10m"}}
)


def test_a_notification_goes_to_every_notifier_under_a_key_of_its_own() -> None:
    effects = effects_of([event(), Notify("n1", event())], CONFIG, NOW_NS + 5)
    assert [(one.key, one.target) for one in effects] == [
        ("n1/pager", "pager"),
        ("n1/chat", "chat"),
    ]
    only = effects[0]
    assert only.kind is EffectKind.NOTIFY
    assert only.type == "tripswitch.incident.opened.v1"
    assert only.subject == "/chat/refund/v18/canary"
    assert (only.occurred_ns, only.due_ns) == (NOW_NS, NOW_NS + 5)
    assert only.not_after_ns == NOW_NS + 5 + 3 * 86_400 * 10**9
    assert (only.state, only.attempts) == (EffectState.PENDING, 0)
    data = json.loads(only.body)
    assert data == {
        "event": "incident.opened",
        "time": event().as_json()["time"],
        "detail": "it happened",
        "incident": incident().as_json(),
        "dedup_key": incident().dedup_key,
    }


def test_a_rollback_goes_to_its_target_with_all_that_a_receiver_acts_on() -> None:
    told = event(EventName.ROLLBACK_PLANNED)
    (only,) = effects_of([Rollback("rb-1", plan(), told)], CONFIG, NOW_NS)
    assert (only.key, only.kind, only.target) == ("rb-1", EffectKind.ROLLBACK, "gateway")
    assert only.type == "tripswitch.rollback.requested.v1"
    assert only.subject == "/chat/refund/v18/canary"
    assert only.not_after_ns == NOW_NS + 600 * 10**9
    data = json.loads(only.body)
    assert data["action_id"] == "rb-1"
    assert data["rollback"] == plan().as_json()
    assert data["scope"] == plan().pointer.as_json()
    assert data["why"] == incident().why
    assert data["exemplars"] == list(incident().exemplars)
    assert data["incident"] == incident().as_json()


@pytest.mark.parametrize("name", list(EventName))
def test_every_event_has_a_type_of_its_own(name: EventName) -> None:
    (only, _) = effects_of([Notify("n", event(name))], CONFIG, NOW_NS)
    assert only.type == f"tripswitch.{name.value}.v1"


def test_a_bare_change_and_a_scope_that_narrows_nothing_have_a_subject() -> None:
    change = Change("model", NOW_NS, Scope(), "a", "b")
    bare = Event(EventName.CHANGE_SEEN, NOW_NS, None, change)
    (only, _) = effects_of([Notify("n", bare)], CONFIG, NOW_NS)
    assert only.subject == "-/-/-"
    assert json.loads(only.body)["change"]["to"] == "b"


@pytest.mark.parametrize("letter", ["x", "\x00", "\U0001f600"])
def test_a_body_stays_small_and_keeps_what_a_receiver_acts_on(letter: str) -> None:
    long = letter * 5000
    big = incident(
        why=long,
        exemplars=(long,) * 20,
        changes=(Change(long, NOW_NS, Scope(*[long] * 6), long, long),) * 50,
        tenants=((long, 1),) * 50,
        scope=Scope(*[long] * 6),
    )
    told = replace(event(), incident=big, detail=long)
    (only,) = effects_of([Rollback("rb-1", plan(), told)], CONFIG, NOW_NS)
    assert len(only.body.encode()) <= MAX_BODY_BYTES
    data = json.loads(only.body)
    assert data["rollback"] == plan().as_json()
    assert data["scope"] == SCOPE._replace(prompt_version=None).as_json()
    assert data["why"].endswith("…")


def test_a_number_that_json_cannot_say_is_null() -> None:
    (only, _) = effects_of([Notify("n", event(estimate=float("nan")))], CONFIG, NOW_NS)
    assert json.loads(only.body)["incident"]["estimate"] is None
