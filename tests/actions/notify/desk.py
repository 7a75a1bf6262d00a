"""Sends news through the real executor, on a real ledger, at a clock that the test moves."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.actions.workshop import FAST, until
from tests.store.samples import event
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.executor import Executor
from tripswitch.config.model import Config
from tripswitch.model.messages import EventName, Notify
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tripswitch.model.messages import Command, Event

S_NS = 1_000_000_000


class Desk:
    """One ledger and what is told from it.

    ``now_ns`` is the real clock and what `pass_s` added. `tell` records events as the judge does;
    `deliver` runs the executor until nothing is due any more.
    """

    def __init__(self, path: Path, **sections: Any) -> None:
        self.ledger = Ledger(path / "ledger.sqlite")
        self.config = Config.model_validate(sections)
        self.jumped_ns = 0
        self.told = 0
        self.charts: dict[str, bytes] = {}
        self.executor = self._new_executor()

    def now_ns(self) -> int:
        """Return the time here."""
        return time.time_ns() + self.jumped_ns

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.jumped_ns += int(seconds * S_NS)

    def tell(self, *names: str, **changes: Any) -> None:
        """Record events of one incident, in order."""
        for name in names:
            self.record(event(EventName(name), **changes))

    def record(self, *told: Event) -> None:
        """Record events, each with its `Notify`."""
        commands: list[Command] = []
        for one in told:
            self.told += 1
            commands += [one, Notify(f"nt_{self.told}", replace(one, time_ns=self.now_ns()))]
        effects = effects_of(commands, self.config, self.now_ns(), self.ledger.threads)
        self.ledger.record(commands, effects)

    def reconfigure(self, **sections: Any) -> None:
        """Start again with another configuration, as after an edit and a restart."""
        self.config = Config.model_validate(sections)
        self.executor = self._new_executor()

    def deliver(self) -> None:
        """Carry out what is due."""
        asyncio.run(self._deliver(lambda: not self.is_due()))

    def keep(self, name: str) -> None:
        """Let the keeper of a notifier renew what is open, once."""

        async def story() -> None:
            executor = self._new_executor()
            notifier: Any = executor.delivery._notifiers.configured(name)
            await executor.delivery._kept(name, notifier)
            await executor._client.aclose()

        asyncio.run(story())

    def states(self) -> dict[str, str]:
        """Return the state of every effect by key."""
        rows = self.ledger._database.read("SELECT key, state FROM outbox ORDER BY seq")
        return {row["key"]: row["state"] for row in rows}

    def results(self) -> list[str]:
        """Return what came of every effect."""
        rows = self.ledger._database.read("SELECT last_result FROM outbox ORDER BY seq")
        return [row["last_result"] for row in rows]

    def is_due(self) -> bool:
        """Return whether something is due, or is being sent."""
        now_ns = self.now_ns()
        resting = self.executor.delivery.resting(now_ns)
        next_ns = self.ledger.outbox.next_due_ns(resting.keys())
        busy = "sending" in self.states().values() or bool(self.executor._lanes)
        return busy or (next_ns is not None and next_ns <= now_ns)

    async def _deliver(self, is_done: Callable[[], bool]) -> None:
        executor = self._new_executor()
        executor.delivery.wards = self.executor.delivery.wards
        executor.counters.update(self.executor.counters)
        self.executor = executor
        task = asyncio.create_task(executor.run())
        try:
            await until(is_done)
        finally:
            await executor.close(grace_s=1.0)
            await task

    def _new_executor(self) -> Executor:
        return Executor(
            self.ledger.outbox,
            self.config,
            lambda _: None,
            self.now_ns,
            threads=self.ledger.threads,
            pace=replace(FAST, notify_waits_s=(5.0, 15.0, 60.0, 300.0)),
            share=lambda: 0.0,
            chart_of=self.charts.get,
        )


@contextmanager
def desk(path: Path, **sections: Any) -> Iterator[Desk]:
    """Return a desk whose ledger is closed at the end."""
    opened = Desk(path, **sections)
    try:
        yield opened
    finally:
        asyncio.run(opened.executor._client.aclose())
        opened.ledger.close()
