"""The reference story: v18 is bad, the pointer goes back to v17, once, and the ledger shows it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.actions.receiver import Answer
from tests.actions.rollback.fakes.server import Asking, FakeServer
from tests.actions.rollback.kinds import asking
from tests.actions.workshop import running, until
from tests.store.samples import event, plan
from tripswitch.actions.attempt import Attempt
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.prompts import prompt_texts
from tripswitch.config.model import Config
from tripswitch.model.messages import Command, Rollback, RollbackOutcome
from tripswitch.model.outbox import Effect
from tripswitch.model.scope import Scope
from tripswitch.store.ledger import Ledger


class Passing(FakeServer):
    """Passes every request on to the real server and remembers what went through."""

    def __init__(self, url: str) -> None:
        self._real = url
        super().__init__()

    def authorized(self, asking: Asking) -> bool:  # noqa: ARG002 - the fakes' shape
        """Leave that to the real server."""
        return True

    def handled(self, asking: Asking) -> Answer:
        """Ask the real server."""
        path = "/".join(quote(each, safe="") for each in asking.segments)
        headers = {
            name: text
            for name, text in asking.headers.items()
            if name not in ("host", "content-length", "connection")
        }
        answer = httpx.request(
            asking.method,
            f"{self._real}/{path}",
            params=asking.params,
            headers=headers,
            content=asking.body,
            timeout=60,
        )
        kept = {"content-type": answer.headers.get("content-type", "text/plain")}
        return Answer(answer.status_code, answer.content, kept)


def played(folder: Path, entry: dict[str, Any], pointer: Scope, path: str) -> RollbackOutcome:
    """Let the incident's rollback go through ledger, outbox and target; return what came of it."""
    settings = Config.model_validate({"rollback": {"targets": [{"name": "gateway", **entry}]}})
    made = plan(pointer=pointer, path=path)
    commands: list[Command] = [event(rollback=made), Rollback(made.key, made, event(rollback=made))]
    with Ledger(folder / "state" / "ledger.sqlite") as ledger:
        ledger.record(commands, effects_of(commands, settings, time.time_ns()))
        (outcome,) = _carried_out(ledger, settings)
        assert ledger.broken_link() is None
    return outcome


def undone(folder: Path, entry: dict[str, Any], **asked: Any) -> RollbackOutcome:
    """Let the undo of that rollback go the same way."""
    settings = Config.model_validate({"rollback": {"targets": [{"name": "gateway", **entry}]}})
    effect: Effect = asking("v17", "v18", key="undo-1", undoes="rb-1", **asked)
    with Ledger(folder / "state" / "ledger.sqlite") as ledger:
        ledger.outbox.put([effect])
        (outcome,) = _carried_out(ledger, settings)
    return outcome


def _carried_out(ledger: Ledger, settings: Config) -> list[RollbackOutcome]:
    outcomes: list[RollbackOutcome] = []

    async def story() -> None:
        async with running(ledger.outbox, settings, outcomes):
            await until(lambda: outcomes, timeout_s=60)

    asyncio.run(story())
    return outcomes


def texts(entry: dict[str, Any], prompt: str, versions: tuple[str, str]) -> tuple[str, str]:
    """Return the texts of two versions as a postmortem compares them."""
    config = Config.model_validate({"rollback": {"targets": [entry]}})
    found = asyncio.run(prompt_texts(config.rollback.targets, "", prompt, versions))
    assert not isinstance(found, Attempt), found.detail
    return found
