"""Killed (-9) at any step and started again: no rollback twice, none forgotten."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.actions.receiver import OK, Answer, Receiver, says
from tests.actions.rollback.fakes.mlflow import FakeMlflow
from tests.actions.rollback.fakes.server import Fault
from tests.actions.workshop import config, running, until
from tripswitch.config.model import Config
from tripswitch.model.messages import RollbackOutcome
from tripswitch.store.ledger import Ledger

ROOT = Path(__file__).parents[2]


def killed_at(
    step: str, path: Path, receiver: Receiver, *, kind: str = "rollback", status_url: str = ""
) -> None:
    """Run a process that dies at ``step``; at "sent" it is killed when the request arrives."""
    with dying(path, kind, step, receiver.url, status_url) as process:
        if step == "sent":
            receiver.answers(Answer(first=process.kill, cut=True))


@contextmanager
def dying(path: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process and, when the block is left, wait until it was killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.actions.crashing", str(path), *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    ) as process:
        yield process
        assert process.wait(60) == -signal.SIGKILL


def restarted(path: Path, receiver: Receiver, status_url: str) -> list[RollbackOutcome]:
    """Start again as the live drive does and return what the engine is told."""
    return started_again(path, config(gateway=receiver.url, status=status_url))


def started_again(path: Path, settings: Config) -> list[RollbackOutcome]:
    """Start again as the live drive does and return what the engine is told."""
    with Ledger(path) as ledger:
        (incident,) = ledger.open_incidents()
        assert incident.rollback is not None
        outcomes = ledger.settled_rollbacks([incident.rollback.key])

        async def story() -> None:
            async with running(ledger.outbox, settings, outcomes):
                await until(lambda: outcomes)

        asyncio.run(story())
    return outcomes


@pytest.mark.parametrize(
    ("step", "readable", "sent_before", "sent_in_all", "outcome"),
    [
        ("recorded", True, 0, 1, "acknowledged"),
        ("recorded", False, 0, 1, "acknowledged"),
        ("begun", True, 0, 1, "acknowledged"),
        ("begun", False, 0, 1, "acknowledged"),
        ("leaving", True, 0, 1, "acknowledged"),
        ("leaving", False, 0, 0, "unknown"),
        ("sent", True, 1, 1, "acknowledged"),
        ("sent", False, 1, 1, "unknown"),
        ("answered", True, 1, 1, "acknowledged"),
        ("answered", False, 1, 1, "unknown"),
        ("told", True, 1, 1, "acknowledged"),
        ("told", False, 1, 1, "acknowledged"),
    ],
)
def test_a_rollback_survives_its_caller_once(
    tmp_path: Path, step: str, readable: bool, sent_before: int, sent_in_all: int, outcome: str
) -> None:
    path = tmp_path / "state" / "ledger.sqlite"
    with Receiver() as receiver:
        status_url = receiver.status_url if readable else ""
        receiver.status = lambda action: says(
            state="applied" if action in {post.id for post in receiver.posts} else "unknown"
        )
        killed_at(step, path, receiver, status_url=status_url)
        assert len(receiver.posts) == sent_before
        outcomes = restarted(path, receiver, status_url)
        assert [(one.key, one.state) for one in outcomes] == [("rb-1", outcome)]
        # A third start has nothing to do: what was told before is told again, and no more.
        assert restarted(path, receiver, status_url) == outcomes
        assert [post.id for post in receiver.posts] == ["rb-1"] * sent_in_all


@pytest.mark.parametrize(
    ("step", "acts", "outcome"),
    [
        ("begun", False, "read back"),
        ("leaving", False, "read back"),
        ("sent", False, "read back"),
        ("sent", True, "read back"),
        ("answered", True, "read back"),
    ],
)
def test_a_pointer_is_moved_once_whenever_its_mover_dies(
    tmp_path: Path, step: str, acts: bool, outcome: str
) -> None:
    path = tmp_path / "state" / "ledger.sqlite"
    with FakeMlflow() as fake:
        entry = {
            "type": "mlflow",
            "name": "gateway",
            "url": fake.url,
            "token": "mlflow-token",
            "cohort_labels": {"canary": "canary-label"},
        }
        with dying(path, "pointer", step, json.dumps(entry), "") as process:
            if step == "sent":
                fake.write_faults = [Fault(Answer(first=process.kill, cut=True), acts)]
        settings = Config.model_validate({"rollback": {"targets": [entry]}})
        assert fake.registry.labels["canary-label"] == (17 if acts else 18)
        (told,) = started_again(path, settings)
        assert (told.key, told.state) == ("rb-1", "acknowledged")
        assert outcome in told.detail
        assert started_again(path, settings) == [told]
        assert fake.registry.labels == {"production": 18, "canary-label": 17}
        # A write that was cut off before it acted is made again; one that acted never is.
        assert len(fake.writes) == (2 if (step, acts) == ("sent", False) else 1)


@pytest.mark.parametrize("step", ["leaving", "answered"])
def test_a_file_is_replaced_once_whenever_its_writer_dies(tmp_path: Path, step: str) -> None:
    path = tmp_path / "state" / "ledger.sqlite"
    flags = tmp_path / "flags.json"
    flag = {"variants": {"v17": "a", "v18": "b"}, "defaultVariant": "v18"}
    flags.write_text(json.dumps({"flags": {"refund-bot": flag}}), encoding="utf-8")
    entry = {"type": "openfeature", "name": "gateway", "path": str(flags)}
    with dying(path, "pointer", step, json.dumps(entry), ""):
        pass
    inode = flags.stat().st_ino
    settings = Config.model_validate({"rollback": {"targets": [entry]}})
    (told,) = started_again(path, settings)
    assert told.state == "acknowledged"
    assert "v17" in flags.read_text(encoding="utf-8").split('"targeting"')[1]
    assert (flags.stat().st_ino == inode) is (step == "answered")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["flags.json", "state"]


@pytest.mark.parametrize(
    ("step", "copies"), [("recorded", 1), ("begun", 1), ("sent", 2), ("answered", 2)]
)
def test_a_notification_survives_its_caller_under_one_id(
    tmp_path: Path, step: str, copies: int
) -> None:
    path = tmp_path / "state" / "ledger.sqlite"
    with Receiver(then=OK) as receiver:
        killed_at(step, path, receiver, kind="notify")

        async def story(ledger: Ledger) -> None:
            async with running(ledger.outbox, config(pager=receiver.url), []):
                await until(lambda: len(receiver.posts) >= copies)

        with Ledger(path) as ledger:
            asyncio.run(story(ledger))
        assert {post.id for post in receiver.posts} == {"n1/pager"}
        assert len({post.body for post in receiver.posts}) == 1
        assert len(receiver.posts) == copies
