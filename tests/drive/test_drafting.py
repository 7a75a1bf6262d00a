"""Status updates are drafted as an incident goes on, once a state, and go to who drafts comms."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.actions.notify.desk import desk
from tests.actions.receiver import Answer, Receiver
from tests.store.samples import NOW_NS, incident, plan
from tripswitch.actions.dispatch import effects_of
from tripswitch.config.model import Config
from tripswitch.drive.drafting import Drafts
from tripswitch.model.incident import (
    Confirmation,
    Incident,
    IncidentState,
    RollbackState,
    Severity,
    Shape,
)
from tripswitch.model.messages import Command, Event, EventName, Notify
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = Config.model_validate({"comms": {"names": {"/chat/refund": "the refund assistant"}}})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


class Counting(Ledger):
    """The same ledger, that counts how many cases are read."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.cases = 0

    def known_incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        return self._ledger.known_incident(incident_id)

    def case(self, incident_id: str) -> dict[str, Any] | None:
        """Return a case, and count that."""
        self.cases += 1
        return self._ledger.case(incident_id)


def happened(name: EventName, after_s: float = 0, **changes: Any) -> Event:
    """Return an event of the incident as changed."""
    return Event(name, NOW_NS + int(after_s * 10**9), incident(**changes), detail="so it was")


def follow(
    ledger: Ledger, drafts: Drafts, *events: Event, config: Config = CONFIG
) -> list[Command]:
    """Record events and what follows from them, as the judge does; return what follows."""
    ledger.record(events, [])
    found = drafts.follow(events, config)
    ledger.record(found, [])
    return found


def states_of(commands: list[Command]) -> list[str]:
    """Return the states of the drafts among ``commands``."""
    return [
        one.draft["status"] for one in commands if isinstance(one, Event) and one.draft is not None
    ]


def test_a_page_is_drafted_for_and_told_of(ledger: Ledger) -> None:
    drafts = Drafts(ledger)
    drafted, told = follow(ledger, drafts, happened(EventName.INCIDENT_OPENED))
    assert isinstance(drafted, Event)
    assert isinstance(told, Notify)
    assert told.event is drafted
    draft = drafted.draft
    assert draft is not None
    assert (drafted.name, draft["status"]) == (EventName.COMMS_DRAFTED, "identified")
    assert draft["title"] == "Some answers are of lower quality than usual"
    assert "the refund assistant" in draft["body"]
    assert "4bf92f3577b34da6a3ce929d0e0e4736" in draft["engineering"]
    assert "4bf92f3577b34da6a3ce929d0e0e4736" not in draft["body"]
    assert draft["tell"] == ["acme"]


def test_a_state_is_drafted_once_also_across_a_restart(ledger: Ledger) -> None:
    follow(ledger, Drafts(ledger), happened(EventName.INCIDENT_OPENED))
    again = follow(ledger, Drafts(ledger), happened(EventName.INCIDENT_ESCALATED, 60))
    assert again == []
    confirmed = plan(state=RollbackState.CONFIRMED)
    moved = happened(EventName.ROLLBACK_CONFIRMED, 120, rollback=confirmed)
    assert states_of(follow(ledger, Drafts(ledger), moved)) == ["monitoring"]
    over = happened(
        EventName.INCIDENT_RECOVERED,
        600,
        rollback=confirmed,
        state=IncidentState.RECOVERED,
        recovered_at_ns=NOW_NS + 600 * 10**9,
    )
    (drafted, _) = follow(ledger, Drafts(ledger), over)
    assert isinstance(drafted, Event)
    assert drafted.draft is not None
    assert drafted.draft["title"] == "Answers are of the usual quality again"
    assert drafted.draft["next_update"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"security": True},
        {"severity": Severity.INVESTIGATE},
        {"confirmations": (Confirmation("comms_closed", "Ada", NOW_NS, "", ""),)},
    ],
)
def test_no_draft_where_none_is_due(ledger: Ledger, changes: dict[str, Any]) -> None:
    assert follow(ledger, Drafts(ledger), happened(EventName.INCIDENT_OPENED, **changes)) == []


def test_what_customers_do_not_notice_has_no_text_for_them(ledger: Ledger) -> None:
    costly = happened(
        EventName.INCIDENT_OPENED, shape=Shape.COST_SPIKE, signal="cost_per_success", rubric=None
    )
    (drafted, _) = follow(ledger, Drafts(ledger), costly)
    assert isinstance(drafted, Event)
    assert drafted.draft is not None
    assert (drafted.draft["title"], drafted.draft["body"]) == ("", "")
    assert drafted.draft["engineering"]


def test_a_flood_of_pages_is_no_flood_of_drafts(ledger: Ledger) -> None:
    counting = Counting(ledger)
    drafts = Drafts(counting)
    opened = [happened(EventName.INCIDENT_OPENED, at, id=f"inc-{at}") for at in range(50)]
    found = follow(ledger, drafts, *opened)
    assert len(states_of(found)) == CONFIG.notifications.flood_opens
    assert drafts.counts["comms_drafts_skipped_total"] == 50 - CONFIG.notifications.flood_opens
    # Nothing is read for those: a flood is no time for it.
    assert counting.cases == CONFIG.notifications.flood_opens
    # One that was left out is drafted for when the flood is over and it changes.
    later = happened(EventName.ROLLBACK_CONFIRMED, 300, id="inc-49")
    assert len(states_of(follow(ledger, drafts, later))) == 1


def test_templates_that_cannot_be_used_cost_the_draft_alone(ledger: Ledger, tmp_path: Path) -> None:
    drafts = Drafts(ledger)
    config = Config.model_validate({"comms": {"templates": str(tmp_path / "none")}})
    assert follow(ledger, drafts, happened(EventName.INCIDENT_OPENED), config=config) == []
    assert drafts.counts["comms_drafts_skipped_total"] == 1


def test_a_status_page_gets_it_unless_it_would_tell_others(tmp_path: Path) -> None:
    with Receiver(then=Answer(201)) as receiver:
        page = {"type": "statuspage", "api_key": "K", "page": "p"}
        notify = [page | {"url": receiver.url.removesuffix("/hook")}]
        with desk(tmp_path, notify=notify) as opened:
            drafts = Drafts(opened.ledger)
            follow(opened.ledger, drafts, happened(EventName.INCIDENT_OPENED))
            for at, tenants in enumerate(([], ["acme", "globex"])):
                config = Config.model_validate(
                    opened.config.model_dump() | {"comms": {"tenants": tenants}}
                ).model_copy(update={"notify": opened.config.notify})
                one = replace(
                    happened(EventName.INCIDENT_OPENED, id=f"inc-{at + 2}"), time_ns=NOW_NS + at
                )
                commands = follow(opened.ledger, drafts, one, config=config)
                effects = effects_of(commands, config, opened.now_ns(), opened.ledger.threads)
                opened.ledger.outbox.put(effects)
                opened.deliver()
                opened.pass_s(2)
            (post,) = receiver.posts
            assert post.event["template"]["update_status"] == "identified"
            assert post.event["template"]["title"] == "Some answers are of lower quality than usual"
            assert "tenants that are not affected" in opened.results()[-1]


def test_hostile_names_come_out_harmless_in_what_is_told(ledger: Ledger) -> None:
    hostile = "<b>\x1b[1m*x*</b>\n# all clear"
    (_, told) = follow(
        ledger, Drafts(ledger), happened(EventName.INCIDENT_OPENED, tenants=((hostile, 3),))
    )
    (effect,) = effects_of(
        [told],
        Config.model_validate(
            {"notify": [{"type": "webhook", "url": "http://127.0.0.1:1/", "secret": ""}]}
        ),
        NOW_NS,
    )
    draft = json.loads(effect.body)["draft"]
    assert "\x1b" not in draft["tell"][0]
    assert "\n" not in draft["tell"][0]


def test_a_service_of_many_tenants_makes_no_endless_message(ledger: Ledger) -> None:
    many = [f"tenant-{number:06}" for number in range(50_000)]
    config = Config.model_validate({"comms": {"tenants": many}})
    drafts = Drafts(ledger)
    drafted, _ = follow(ledger, drafts, happened(EventName.INCIDENT_OPENED), config=config)
    assert isinstance(drafted, Event)
    assert drafted.draft is not None
    listed = drafted.draft["do_not_tell"]
    assert len(listed) < 200
    assert listed[-1] == f"and {50_000 - len(listed) + 1} more, see tripswitch comms"
