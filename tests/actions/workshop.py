"""An executor on a real ledger, and a way to wait for what it does."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.actions.receiver import SECRET
from tripswitch.actions.backoff import Pace
from tripswitch.actions.executor import Executor
from tripswitch.config.model import Config
from tripswitch.store.threads import SqliteThreads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tripswitch.actions.call import Call
    from tripswitch.model.messages import RollbackOutcome
    from tripswitch.model.outbox import Outbox

# One attempt, and no other while a test lasts.
ONCE = Pace(rollback_first_s=600.0, rollback_cap_s=600.0, idle_s=0.1)

FAST = Pace(
    rollback_first_s=0.01,
    rollback_cap_s=0.02,
    notify_waits_s=(0.01,),
    ledger_retry_s=0.01,
    idle_s=0.1,
)


def config(
    *, gateway: str = "", status: str = "", timeout_s: float = 10.0, **notifiers: str
) -> Config:
    """Return a config with one rollback target and the named notifiers, all sharing a secret."""
    target = {"url": gateway, "status_url": status, "secret": SECRET, "timeout": timeout_s}
    return Config.model_validate(
        {
            "rollback": {"targets": [target] if gateway else []},
            "notify": [
                {"name": name, "url": url, "secret": SECRET, "timeout": timeout_s}
                for name, url in notifiers.items()
            ],
        }
    )


@asynccontextmanager
async def running(
    outbox: Outbox,
    settings: Config,
    outcomes: list[RollbackOutcome],
    now_ns: Callable[[], int] = time.time_ns,
    on_call: Callable[[Call], None] = lambda _call: None,
    pace: Pace = FAST,
) -> AsyncIterator[Executor]:
    """Run an executor until the block ends; it fails the test when `run` raised."""
    executor = Executor(
        outbox,
        settings,
        outcomes.append,
        now_ns,
        threads=threads_beside(outbox),
        pace=pace,
        share=lambda: 0.5,
        on_call=on_call,
    )
    task = asyncio.create_task(executor.run())
    try:
        yield executor
    finally:
        await executor.close(grace_s=0.0)
        await task


def threads_beside(outbox: Any) -> SqliteThreads:
    """Return the threads in the database of ``outbox``."""
    return SqliteThreads(outbox._database)


async def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait until ``condition`` holds; fail after ``timeout_s``."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            raise AssertionError("what was waited for did not happen")
        await asyncio.sleep(0.005)
