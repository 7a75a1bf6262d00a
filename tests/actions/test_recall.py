"""A rollback that still waits is not sent any more once a decision has overtaken it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.actions.receiver import Answer, Receiver, closed_url, says
from tests.actions.workshop import ONCE, config, running, until
from tests.store.samples import NOW_NS, effect, event, incident, plan
from tripswitch.actions.carry_out import carry_out
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.exchange import open_client
from tripswitch.actions.open_rollback import open_target
from tripswitch.errors import LedgerError
from tripswitch.incidents.plan import undo_of
from tripswitch.model.incident import IncidentState, RollbackState
from tripswitch.model.messages import Command, Event, EventName, Rollback, RollbackOutcome
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def told(state: RollbackState, *, is_closed: bool = False) -> Event:
    of = incident(rollback=plan(state=state))
    if is_closed:
        of = replace(of, state=IncidentState.RESOLVED, resolved_at_ns=NOW_NS)
    return Event(EventName.ROLLBACK_RELEASED, NOW_NS, of, detail="it happened")


def outcomes_after(ledger: Ledger, command: Command) -> list[RollbackOutcome]:
    """Let a gateway be down, then something be decided, then the gateway be back for long."""
    outcomes: list[RollbackOutcome] = []

    async def story() -> None:
        down = config(gateway=closed_url())
        commands: list[Command] = [Rollback("rb-1", plan(), event())]
        ledger.record(commands, effects_of(commands, down, time.time_ns()))
        async with running(ledger.outbox, down, [], pace=ONCE) as executor:
            await until(
                lambda: executor.counters["actions_attempts_total", "rollback", "gateway", "retry"]
            )
        with Receiver() as receiver:
            up = config(gateway=receiver.url)
            ledger.record([command], effects_of([command], up, time.time_ns()))
            async with running(ledger.outbox, up, outcomes, lambda: time.time_ns() + 900 * 10**9):
                await until(lambda: outcomes)
            assert "rb-1" not in [post.id for post in receiver.posts]

    asyncio.run(story())
    return outcomes


def test_a_version_that_a_person_released_is_not_rolled_back_by_a_late_retry(
    ledger: Ledger,
) -> None:
    (outcome,) = outcomes_after(ledger, told(RollbackState.RELEASED))
    assert (outcome.state, outcome.key) == ("failed", "rb-1")
    assert "decided otherwise" in outcome.detail


def test_nor_is_one_whose_incident_was_closed(ledger: Ledger) -> None:
    (outcome,) = outcomes_after(ledger, told(RollbackState.PLANNED, is_closed=True))
    assert outcome.state == "failed"


def test_nor_is_one_of_a_closed_incident_of_which_only_the_plan_is_known(ledger: Ledger) -> None:
    released = plan(state=RollbackState.RELEASED)
    event_of_plan = Event(EventName.ROLLBACK_RELEASED, NOW_NS, None, detail="", plan=released)
    (outcome,) = outcomes_after(ledger, event_of_plan)
    assert outcome.state == "failed"


def test_a_sibling_that_only_proposed_the_same_move_recalls_nothing(ledger: Ledger) -> None:
    ledger.outbox.put([effect("rb-1")])
    ledger.record([told(RollbackState.PROPOSED, is_closed=True)], [])
    (waiting,) = ledger.outbox.due(NOW_NS, 1)
    assert waiting.not_after_ns == effect("rb-1").not_after_ns


def test_what_was_taken_back_while_unknown_is_not_sent_again_after_it(ledger: Ledger) -> None:
    """The write never arrived and its answer is lost; a person takes it back meanwhile."""
    outcomes: list[RollbackOutcome] = []

    async def story() -> None:
        with Receiver(Answer(504)) as receiver:
            receiver.status = lambda _: says(state="not_applied")
            settings = config(gateway=receiver.url, status=receiver.status_url)
            commands: list[Command] = [Rollback("rb-1", plan(), event())]
            ledger.record(commands, effects_of(commands, settings, time.time_ns()))
            async with running(ledger.outbox, settings, [], pace=ONCE) as executor:
                await until(
                    lambda: executor.counters[
                        "actions_attempts_total", "rollback", "gateway", "unknown"
                    ]
                )
            back = undo_of(plan(), "ada", NOW_NS)
            undoing: list[Command] = [
                told(RollbackState.UNDOING),
                Rollback(back.key, back, event()),
            ]
            ledger.record(undoing, effects_of(undoing, settings, time.time_ns()))
            late = lambda: time.time_ns() + 900 * 10**9  # noqa: E731
            async with running(ledger.outbox, settings, outcomes, late):
                await until(lambda: len(outcomes) == 2)
            assert [post.id for post in receiver.posts].count("rb-1") == 1
            assert {one.key: one.state for one in outcomes} == {
                "rb-1": "failed",
                back.key: "acknowledged",
            }

    asyncio.run(story())


def test_the_kill_switch_of_a_route_holds_between_two_attempts(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []

    async def story() -> None:
        with Receiver(then=Answer(500)) as receiver:
            settings = config(gateway=receiver.url)
            off = settings.model_copy(
                update={
                    "rollback": settings.rollback.model_copy(
                        update={"disabled_routes": ["/chat/refund"]}
                    )
                }
            )
            ledger.outbox.put([effect("rb-1")])
            async with running(ledger.outbox, settings, outcomes) as executor:
                await until(lambda: receiver.posts)
                executor.reload(off)
                await until(lambda: outcomes)

    asyncio.run(story())
    assert outcomes[0].detail == "kill switch: rollback.disabled_routes names its route"


def test_what_another_process_has_taken_over_is_not_sent_as_well(tmp_path: Path) -> None:
    """One was held for dead, by a lock that is gone, and goes on all the same."""

    async def story() -> None:
        with Receiver() as receiver, Ledger(tmp_path / "l") as first, Ledger(tmp_path / "l") as two:
            settings = config(gateway=receiver.url)
            commands: list[Command] = [Rollback("rb-1", plan(), event())]
            first.record(commands, effects_of(commands, settings, time.time_ns()))
            (asked,) = first.outbox.due(time.time_ns(), 1)
            assert first.outbox.begin("rb-1")
            first.outbox.close()
            assert two.outbox.recover(time.time_ns()) == 1
            assert two.outbox.begin("rb-1")
            async with open_client() as client:
                (section,) = settings.rollback.targets
                target = open_target(section, client, "test", time.time_ns)
                with pytest.raises(LedgerError, match="taken over"):
                    await carry_out(target, asked, first.outbox)
            assert receiver.posts == []

    asyncio.run(story())
