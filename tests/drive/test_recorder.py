"""What is commanded reaches the ledger, whatever stands in the way for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.store.samples import event, plan
from tripswitch.config.model import Config
from tripswitch.drive import recorder
from tripswitch.drive.recorder import Recorder
from tripswitch.errors import LedgerError
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.messages import Rollback
from tripswitch.model.outbox import LONGEST_REST_NS
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = Config()
ASKED = Rollback("rb-1", plan(), event())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def faults() -> list[Exception]:
    return []


@pytest.fixture
def writer(ledger: Ledger, faults: list[Exception]) -> Recorder:
    return Recorder(
        ledger, approval=None, following=[], on_effects=lambda: None, on_fault=faults.append
    )


def refuse(*_: object) -> None:
    raise LedgerError("the disk is full")


def test_a_rollback_that_the_ledger_took_late_is_given_up_as_early_as_any(
    ledger: Ledger, writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = [time.time_ns()]
    monkeypatch.setattr(time, "time_ns", lambda: now_ns[0])
    with monkeypatch.context() as full:
        full.setattr(ledger, "record", refuse)
        writer.record([ASKED], CONFIG)
    asked_ns = now_ns[0]
    now_ns[0] += 7200 * NS_PER_S
    writer.record([], CONFIG)
    (effect,) = ledger.outbox.due(now_ns[0], 1)
    assert effect.not_after_ns == asked_ns + int(CONFIG.rollback.not_after * NS_PER_S)
    assert effect.not_after_ns < now_ns[0]


def test_no_rollback_falls_to_the_bound_of_what_waits(
    ledger: Ledger, writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MOST_UNRECORDED", 3)
    with monkeypatch.context() as full:
        full.setattr(ledger, "record", refuse)
        writer.record([ASKED, *[event()] * 9], CONFIG)
    assert writer.counts["ledger_dropped_commands_total"] == 7
    writer.record([], CONFIG)
    assert [one.key for one in ledger.outbox.due(time.time_ns(), 9)] == ["rb-1"]
    assert len(ledger.events(0, 99)) == 3


def test_a_command_that_cannot_be_written_costs_itself_alone(
    ledger: Ledger, writer: Recorder, faults: list[Exception]
) -> None:
    bad = event()
    object.__setattr__(bad, "time_ns", 2**70)
    writer.record([event(), bad, ASKED], CONFIG)
    assert faults
    assert writer.counts["ledger_dropped_commands_total"] == 1
    assert [one.key for one in ledger.outbox.due(time.time_ns(), 9)] == ["rb-1"]
    assert len(ledger.events(0, 99)) == 1


def test_a_clock_that_was_set_back_does_not_put_a_rollback_off(
    ledger: Ledger, writer: Recorder
) -> None:
    writer.record([ASKED], CONFIG)
    set_back_ns = time.time_ns() - LONGEST_REST_NS - 60 * NS_PER_S
    assert [one.key for one in ledger.outbox.due(set_back_ns, 9)] == ["rb-1"]
