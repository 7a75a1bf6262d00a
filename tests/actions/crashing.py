"""A process that is to call a rollback target and kills itself (-9) at a given step.

Arguments: the ledger, the kind of effect, the step, and the target: a webhook's URL with its status
URL or nothing, or for the kind "pointer" one entry of ``rollback.targets`` as JSON and nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.actions.workshop import config
from tests.store.samples import event, plan
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.executor import Executor
from tripswitch.config.model import Config
from tripswitch.model.messages import Notify, Rollback
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from tripswitch.model.messages import Command, RollbackOutcome
    from tripswitch.model.outbox import EffectState, Outbox


def die() -> None:
    """End as by ``kill -9``."""
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """The real outbox, whose process dies at a step: begun, leaving, answered, or none."""

    def __init__(self, outbox: Outbox, step: str) -> None:
        self._outbox = outbox
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    def begin(self, key: str) -> bool:
        """Take the effect, and perhaps die."""
        begun = self._outbox.begin(key)
        if self._step == "begun":
            die()
        return begun

    def mark_leaving(self, key: str, kept: str = "", sent: str = "") -> bool:
        """Mark the effect, and perhaps die before its first byte goes."""
        marked = self._outbox.mark_leaving(key, kept, sent)
        if self._step == "leaving":
            die()
        return marked

    def finish(self, key: str, state: EffectState, result: str, now_ns: int) -> bool:
        """Perhaps die, else record the end."""
        if self._step == "answered":
            die()
        return self._outbox.finish(key, state, result, now_ns)


def told(_: RollbackOutcome) -> None:
    """Die when the outcome is on disk and the engine is about to hear it."""
    die()


def main(path: str, kind: str, step: str, url: str, status_url: str) -> None:
    """Record one command, carry it out, die on the way."""
    if kind == "pointer":
        settings = Config.model_validate({"rollback": {"targets": [json.loads(url)]}})
    else:
        settings = config(gateway=url, status=status_url)
        if kind == "notify":
            settings = config(pager=url)
    commands: list[Command] = [event(), Notify("n1", event())]
    if kind != "notify":
        commands = [event(), Rollback("rb-1", plan(), event())]
    ledger = Ledger(Path(path))
    ledger.record(commands, effects_of(commands, settings, time.time_ns()))
    if step == "recorded":
        die()
    executor = Executor(Dying(ledger.outbox, step), settings, told, threads=ledger.threads)
    asyncio.run(executor.run())


if __name__ == "__main__":
    main(*sys.argv[1:])
