"""The supervisor: judges that cannot start, say nothing, or end."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.otlp.relay import until
from tripswitch.drive.supervisor import Supervisor
from tripswitch.otlp.tap import Tap

SILENT = "import signal; signal.pause()"
CLOSES_ITS_END = "import os, sys, signal; os.close(int(sys.argv[-1])); signal.pause()"
ENDS_AT_ONCE = "raise SystemExit(3)"
STOPS_WHEN_ASKED = """
import os, sys
link = int(sys.argv[-1])
os.write(link, b'{"ready": {"api": "a:1"}}' + bytes([10]))
os.read(link, 1)
"""


def supervisor(program: str, stalled_after_s: float = 60.0) -> Supervisor:
    command = (sys.executable, "-c", program)
    return Supervisor(command, Tap(1 << 20), lambda: None, stalled_after_s=stalled_after_s)


@pytest.mark.parametrize("program", [ENDS_AT_ONCE, CLOSES_ITS_END])
def test_a_judge_that_ends_or_hangs_up_is_replaced(program: str) -> None:
    async def check() -> None:
        watched = supervisor(program)
        watched.start()
        await until(lambda: watched.restarts >= 2)
        assert not watched.is_up
        await watched.stop(1)
        assert watched.pid is None

    asyncio.run(check())


def test_a_judge_that_says_nothing_is_killed_and_replaced() -> None:
    async def check() -> None:
        watched = supervisor(SILENT, stalled_after_s=0.3)
        watched.start()
        await until(lambda: watched.pid)
        first = watched.pid
        await until(lambda: watched.pid not in (None, first))
        await watched.stop(0.1)

    asyncio.run(check())


def test_a_command_that_does_not_exist_is_tried_again() -> None:
    async def check() -> None:
        watched = Supervisor(("/nonexistent/judge",), Tap(1 << 20), lambda: None)
        watched.start()
        await until(lambda: watched.restarts >= 2)
        await watched.stop(1)

    asyncio.run(check())


def test_stopping_asks_first() -> None:
    async def check() -> None:
        watched = supervisor(STOPS_WHEN_ASKED)
        watched.start()
        await until(lambda: watched.is_up)
        assert watched.ready == {"api": "a:1"}
        await watched.stop(60)
        assert watched.restarts == 0
        assert watched.pid is None

    asyncio.run(check())


def test_stopping_before_the_first_judge_is_up_leaves_none_behind() -> None:
    async def check() -> None:
        watched = supervisor(SILENT)
        watched.start()
        await watched.stop(0.1)
        assert watched.pid is None
        never = supervisor(SILENT)
        await never.stop(0.1)

    asyncio.run(check())
