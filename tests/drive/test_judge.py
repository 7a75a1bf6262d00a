"""The judge inside one process: from commands to the ledger to the calls, and back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog

from tests.actions.receiver import SECRET
from tests.drive.stand_in_judge import RecordingSession
from tests.otlp.relay import until
from tests.store.samples import NOW_NS, incident, plan
from tripswitch.config.model import Config
from tripswitch.detect.validity import Kept
from tripswitch.drive.inbox import Inbox
from tripswitch.drive.judge import Judge
from tripswitch.drive.link import JudgeLink, socket_pair
from tripswitch.drive.session import Arrival
from tripswitch.drive.snapshots import Snapshots
from tripswitch.errors import LedgerError
from tripswitch.model.incident import Incident, RollbackPlan, RollbackState
from tripswitch.model.messages import Command, Event, EventName, Notify, Rollback, RollbackOutcome
from tripswitch.model.outbox import Effect
from tripswitch.model.snapshot import Snapshot
from tripswitch.otlp.tap import Tap
from tripswitch.store.ledger import Ledger


class Scripted(RecordingSession):
    """Commands what it is told to, and remembers what it was told."""

    def __init__(self, config: Config, record: Path) -> None:
        super().__init__(config, record)
        self.commands: list[Command] = []
        self.outcomes: list[RollbackOutcome] = []
        self.is_faulty = self.is_deaf = False
        self.waited_for: list[str] = []
        self.resumed: list[Snapshot] = []
        self.restored: list[Incident] = []
        self.past: list[RollbackPlan] = []

    def restore(self, incidents: Sequence[Incident], past_plans: Sequence[RollbackPlan]) -> None:
        self.restored = list(incidents)
        self.past = list(past_plans)

    def snapshot(self) -> Snapshot:
        return Snapshot(NOW_NS, {"fed": self._fed})

    def resume(self, snapshot: Snapshot, now_ns: int) -> Kept:
        assert now_ns > 0
        assert not self.restored
        self.resumed.append(snapshot)
        return Kept()

    def reload(self, config: Config) -> Kept:
        super().reload(config)
        return Kept(7, ["what means something else now"])

    def feed(self, arrivals: Sequence[Arrival]) -> list[Command]:
        if self.is_faulty:
            raise ValueError
        super().feed(arrivals)
        commands, self.commands = self.commands, []
        return commands

    def undecided(self) -> list[str]:
        return [] if self.outcomes else self.waited_for

    def outcome(self, outcome: RollbackOutcome) -> list[Command]:
        if self.is_deaf:
            self.is_deaf = False
            raise ValueError
        self.outcomes.append(outcome)
        return [Event(EventName.ROLLBACK_FAILED, NOW_NS, incident())]


class FullDisk(Ledger):
    """A ledger whose disk is full until it is not."""

    is_full = True

    def record(self, commands: Sequence[Command], effects: Sequence[Effect]) -> None:
        if self.is_full:
            raise LedgerError("disk full")
        super().record(commands, effects)


class Bench(NamedTuple):
    """A judge on a link, with its parts."""

    judge: Judge
    session: Scripted
    tap: Tap
    link: JudgeLink


@contextlib.asynccontextmanager
async def judging(
    ledger: Ledger, folder: Path, config: Config, snapshots: Snapshots | None = None
) -> AsyncIterator[Bench]:
    ours, theirs = socket_pair()
    tap = Tap(1 << 20)
    link = JudgeLink(ours, tap, lambda: None)
    link.open()
    session = Scripted(config, folder / "fed")
    judge = Judge(config, session, ledger, await Inbox.open(theirs), snapshots)
    judge.restore()
    running = asyncio.create_task(judge.run({"api": ""}))
    try:
        yield Bench(judge, session, tap, link)
    finally:
        link.close()
        await asyncio.wait_for(running, 10)


def config_with(**parts: Any) -> Config:
    return Config.model_validate(parts)


def unanswered() -> dict[str, Any]:
    """A target at a port that nobody listens on."""
    return {"targets": [{"name": "gateway", "url": "http://127.0.0.1:1/", "secret": SECRET}]}


OPENED = Event(EventName.INCIDENT_OPENED, NOW_NS, incident())


def test_commands_and_their_effects_are_on_disk_before_anything_is_called(tmp_path: Path) -> None:
    async def check() -> None:
        config = config_with(rollback={**unanswered(), "enabled": False})
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config) as bench:
                bench.session.commands = [OPENED, Rollback("rb-1", plan(), OPENED)]
                bench.tap.offer(b"body", NOW_NS)
                await until(lambda: bench.session.outcomes)
                # The kill switch is off, so the executor refuses: the outcome comes back.
                (outcome,) = bench.session.outcomes
                assert (outcome.key, outcome.state) == ("rb-1", "failed")
                await until(lambda: len(ledger.events(0, 10)) == 5)
                names = [one["event"] for one in ledger.events(0, 10)]
                assert names[:2] == ["config.loaded", "incident.opened"]
                assert names[2:4] == ["comms.drafted", "action.answered"]
                assert [one.id for one in ledger.open_incidents()] == ["inc-1"]
                assert bench.judge.counters()["judge_requests_total"] == 1

    asyncio.run(check())


def test_an_outcome_that_the_last_judge_did_not_take_in_is_given_again(tmp_path: Path) -> None:
    async def check() -> None:
        opened = Event(EventName.ROLLBACK_PLANNED, NOW_NS, incident(rollback=plan()))
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with()) as bench:
                bench.session.commands = [opened, Rollback("rb-1", plan(), opened)]
                bench.tap.offer(b"body", NOW_NS)
                await until(lambda: bench.session.outcomes)
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with()) as bench:
                assert [one.id for one in bench.session.restored] == ["inc-1"]
                assert [one.key for one in bench.session.past] == ["rb-1"]
                assert [one.key for one in bench.session.outcomes] == ["rb-1"]

    asyncio.run(check())


def test_what_the_ledger_refuses_is_kept_until_it_takes_it(tmp_path: Path) -> None:
    async def check() -> None:
        with FullDisk(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with()) as bench:
                bench.session.commands = [OPENED]
                bench.tap.offer(b"body", NOW_NS)
                # The configuration in force waits as well.
                await until(lambda: bench.judge.counters()["ledger_unrecorded_commands"] == 2)
                assert bench.judge.counters()["ledger_errors_total"] > 1
                assert ledger.events(0, 10) == []
                ledger.is_full = False
                await until(lambda: len(ledger.events(0, 10)) == 3)
                assert bench.judge.counters()["ledger_unrecorded_commands"] == 0

    asyncio.run(check())


def test_losses_told_by_the_wire_reach_the_session(tmp_path: Path) -> None:
    async def check() -> None:
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with()) as bench:
                bench.tap.offer(bytes(2 << 20), NOW_NS)
                bench.tap.offer(b"fits", NOW_NS)
                await until(lambda: bench.session.counters()["stand_in_lost_total"] == 1)
                await until(lambda: bench.link.is_drained)
                assert bench.judge.counters()["judge_requests_total"] == 1

    asyncio.run(check())


def test_counters_of_the_executor_carry_labels(tmp_path: Path) -> None:
    async def check() -> None:
        notify = [{"name": "hook", "url": "http://127.0.0.1:1/", "secret": SECRET}]
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with(notify=notify)) as bench:
                bench.session.commands = [OPENED, Notify("n-1", OPENED)]
                bench.tap.offer(b"body", NOW_NS)
                prefix = "actions_attempts_total;kind=notify;target=hook;result="
                await until(
                    lambda: any(name.startswith(prefix) for name in bench.link.counters), 30
                )

    asyncio.run(check())


@pytest.mark.parametrize("state", [RollbackState.ACKNOWLEDGED, RollbackState.CONFIRMED])
def test_an_outcome_that_was_taken_in_is_not_given_again(
    tmp_path: Path, state: RollbackState
) -> None:
    async def check() -> None:
        event = Event(EventName.ROLLBACK_ACKNOWLEDGED, NOW_NS, incident(rollback=plan(state=state)))
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with()) as bench:
                bench.session.commands = [event, Rollback("rb-1", plan(state=state), event)]
                bench.tap.offer(b"body", NOW_NS)
                await until(lambda: bench.session.outcomes)
            ledger.record([event], [])
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with()) as bench:
                assert bench.session.restored
                assert bench.session.outcomes == []

    asyncio.run(check())


def test_what_is_known_is_written_at_the_end_and_taken_up_before_the_ledger(tmp_path: Path) -> None:
    async def check() -> None:
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with(), Snapshots(tmp_path)) as bench:
                assert bench.session.resumed == []
                bench.tap.offer(b"body", NOW_NS)
                await until(lambda: bench.link.is_drained)
                assert bench.judge.counters()["snapshots_written_total"] == 0
            assert bench.judge.counters()["snapshots_written_total"] == 1
            async with judging(ledger, tmp_path, config_with(), Snapshots(tmp_path)) as bench:
                (snapshot,) = bench.session.resumed
                assert snapshot.facts == {"fed": 1}

    asyncio.run(check())


def test_what_a_fault_left_behind_is_not_written(tmp_path: Path) -> None:
    async def check() -> None:
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with(), Snapshots(tmp_path)) as bench:
                bench.session.is_faulty = True
                bench.tap.offer(b"body", NOW_NS)
                await until(lambda: bench.judge.counters()["judge_errors_total"] == 1)
            assert bench.judge.counters()["snapshots_written_total"] == 0

    asyncio.run(check())


def test_a_reload_says_in_one_line_what_became_of_the_evidence(tmp_path: Path) -> None:
    async def check() -> None:
        file = tmp_path / "tripswitch.yaml"
        file.write_text("detect: {eval_score: {page_points: 4}}\n")
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config_with()) as bench:
                with structlog.testing.capture_logs() as logs:
                    assert bench.judge.reload([file], {})
                (line,) = [one for one in logs if one["event"] == "config_reloaded"]
                assert line["rows_with_evidence"] == 7
                assert line["dropped"] == ["what means something else now"]

    asyncio.run(check())


def test_an_answer_that_a_fault_swallowed_is_heard_at_the_next_tick(tmp_path: Path) -> None:
    """So is one that another process on the ledger got: its engine is told, this one asks."""

    async def check() -> None:
        config = config_with(rollback={**unanswered(), "enabled": False}, detect={"tick": "1s"})
        with Ledger(tmp_path / "ledger") as ledger:
            async with judging(ledger, tmp_path, config) as bench:
                bench.session.is_deaf, bench.session.waited_for = True, ["rb-1"]
                bench.session.commands = [OPENED, Rollback("rb-1", plan(), OPENED)]
                bench.tap.offer(b"body", NOW_NS)
                await until(lambda: bench.session.outcomes)
                assert bench.judge.counters()["judge_errors_total"] == 1
                assert [one.state for one in bench.session.outcomes] == ["failed"]

    asyncio.run(check())
