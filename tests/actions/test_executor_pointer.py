"""The executor with a target that moves a pointer: one write, read back, undone by its record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.actions.receiver import CUT, Answer, Receiver
from tests.actions.rollback.fakes.mlflow import FakeMlflow
from tests.actions.rollback.fakes.server import Fault, told
from tests.actions.rollback.kinds import asking
from tests.actions.workshop import config, running, until
from tripswitch.actions.call import Call
from tripswitch.config.model import Config
from tripswitch.model.messages import RollbackOutcome
from tripswitch.store.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "state" / "ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def fake() -> Iterator[FakeMlflow]:
    with FakeMlflow() as server:
        yield server


def settings_for(fake: FakeMlflow, **fields: Any) -> Config:
    entry = {"type": "mlflow", "name": "gateway", "url": fake.url, "token": "mlflow-token"}
    return Config.model_validate({"rollback": {"targets": [entry | fields]}})


def outcomes_of(
    ledger: Ledger,
    settings: Config,
    count: int,
    on_call: Callable[[Call], None] = lambda _: None,
) -> list[RollbackOutcome]:
    """Run until ``count`` outcomes were told."""
    outcomes: list[RollbackOutcome] = []

    async def story() -> None:
        async with running(ledger.outbox, settings, outcomes, on_call=on_call):
            await until(lambda: len(outcomes) >= count)

    asyncio.run(story())
    return outcomes


def test_a_lost_answer_is_read_back_and_not_written_again(ledger: Ledger, fake: FakeMlflow) -> None:
    fake.write_faults = [Fault(CUT, acts=True)]
    ledger.outbox.put([asking("v18", "v17")])
    calls: list[Call] = []
    (outcome,) = outcomes_of(ledger, settings_for(fake), 1, calls.append)
    assert outcome.state == "acknowledged"
    assert outcome.detail.startswith("read back")
    assert [(call.action, call.state) for call in calls] == [
        ("rollback", "unknown"),
        ("read_back", "applied"),
    ]
    assert len(fake.writes) == 1
    assert json.loads(ledger.outbox.kept("rb-1")) == {"found": "18", "wrote": "17"}


def test_a_write_that_failed_is_made_again_after_another_look(
    ledger: Ledger, fake: FakeMlflow
) -> None:
    fake.write_faults = [Fault(told(500)), Fault(CUT)]
    ledger.outbox.put([asking("v18", "v17")])
    (outcome,) = outcomes_of(ledger, settings_for(fake), 1)
    assert outcome.state == "acknowledged"
    assert len(fake.writes) == 3
    assert fake.registry.labels["production"] == 17


def test_a_person_who_moves_the_pointer_between_two_attempts_is_respected(
    ledger: Ledger, fake: FakeMlflow
) -> None:
    def moved() -> None:
        fake.registry.labels["production"] = 12

    fake.write_faults = [Fault(Answer(500, first=moved))]
    ledger.outbox.put([asking("v18", "v17")])
    (outcome,) = outcomes_of(ledger, settings_for(fake), 1)
    assert outcome.state == "failed"
    assert "a person moved it" in outcome.detail
    assert fake.registry.labels["production"] == 12
    assert len(fake.writes) == 1


def test_an_undo_takes_the_record_of_what_it_undoes(ledger: Ledger, fake: FakeMlflow) -> None:
    fake.write_faults = [Fault(CUT, acts=True)]
    ledger.outbox.put([asking("v18", "v17")])
    outcomes_of(ledger, settings_for(fake), 1)
    # The undo's own answer is lost too.
    fake.write_faults = [Fault(CUT, acts=True)]
    ledger.outbox.put([asking("v17", "v18", key="undo-1", undoes="rb-1")])
    (outcome,) = outcomes_of(ledger, settings_for(fake), 1)
    assert (outcome.key, outcome.state) == ("undo-1", "acknowledged")
    assert fake.registry.labels["production"] == 18
    assert len(fake.writes) == 2


@pytest.mark.parametrize("undoes", ["rb-1", "rb-2"])
def test_an_undo_of_what_this_sidecar_never_wrote_is_refused(
    ledger: Ledger, fake: FakeMlflow, undoes: str
) -> None:
    fake.registry.labels["production"] = 17
    ledger.outbox.put([asking("v18", "v17")])
    (first,) = outcomes_of(ledger, settings_for(fake), 1)
    assert "nothing was sent" in first.detail
    ledger.outbox.put([asking("v17", "v18", key="undo-1", undoes=undoes)])
    (outcome,) = outcomes_of(ledger, settings_for(fake), 1)
    assert outcome.state == "failed"
    assert "wrote nothing" in outcome.detail
    assert not fake.writes


def test_an_undo_goes_to_a_webhook_under_its_own_type(ledger: Ledger) -> None:
    ledger.outbox.put([asking("v17", "v18", key="undo-1", undoes="rb-1")])
    with Receiver() as receiver:
        (outcome,) = outcomes_of(ledger, config(gateway=receiver.url), 1)
        (post,) = receiver.posts
    assert outcome.state == "acknowledged"
    assert post.event["type"] == "tripswitch.rollback.undo.v1"


def test_the_kill_switch_holds_an_undo_too(ledger: Ledger, fake: FakeMlflow) -> None:
    ledger.outbox.put([asking("v17", "v18", key="undo-1", undoes="rb-1")])
    off = settings_for(fake)
    off = off.model_copy(update={"rollback": off.rollback.model_copy(update={"enabled": False})})
    (outcome,) = outcomes_of(ledger, off, 1)
    assert "kill switch" in outcome.detail
    assert not fake.asked
