"""Keeps one judge running beside the wire: starts it, notices when it is gone, starts another.

The judge is spawned, never forked, in a session of its own, so that Ctrl-C reaches the wire alone
and the wire decides when the judge stops. A judge ends by closing its end of the link; one that
says nothing for `STALLED_AFTER_S` although it is alive is killed. A new judge starts after 0.2 s,
doubling to 10 s while judges keep dying young.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import structlog

from tripswitch.drive.link import JudgeLink, socket_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tripswitch.otlp.tap import Tap

STALLED_AFTER_S = 60.0
"""Longest silence of a living judge. It speaks every second; a pause of many seconds is a long
batch, a minute is a process that will not come back and detects nothing meanwhile."""

FIRST_BACK_OFF_S = 0.2
LONGEST_BACK_OFF_S = 10.0

# A judge that lived this long did not die of how it was started.
_GROWN_UP_S = 30.0

# Between closing the link and its exit a judge may take this long before it is killed.
_LAST_WORDS_S = 1.0

_log = structlog.get_logger(__name__)


class Supervisor:
    """Runs ``command`` with ``--link-fd N`` added, again and again until `stop`.

    ``on_change`` is called when a judge becomes ready, is gone, or was started anew. ``restarts``
    counts judges after the first.
    """

    def __init__(
        self,
        command: Sequence[str],
        tap: Tap,
        on_change: Callable[[], None],
        *,
        stalled_after_s: float = STALLED_AFTER_S,
    ) -> None:
        self.restarts = 0
        self.link: JudgeLink | None = None
        self.last_counters: dict[str, float] = {}
        self._command = tuple(command)
        self._tap = tap
        self._on_change = on_change
        self._stalled_after_s = stalled_after_s
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self._announced: dict[str, Any] | None = None

    @property
    def is_up(self) -> bool:
        """Return whether a judge has said that it is ready and has not gone since."""
        return self.ready is not None

    @property
    def ready(self) -> dict[str, Any] | None:
        """Return what the running judge said when it became ready, None while none is."""
        return None if self.link is None or self.link.closed.is_set() else self.link.ready

    @property
    def pid(self) -> int | None:
        """Return the process id of the running judge, None while none runs."""
        return None if self._process is None else self._process.pid

    def lag_s(self) -> float:
        """Return the age of the oldest request that no judge has taken in yet, 0 without any."""
        oldest_ns = self._tap.oldest_ns if self.link is None else self.link.oldest_ns
        return 0.0 if oldest_ns is None else max(0.0, (time.time_ns() - oldest_ns) / 1e9)

    def start(self) -> None:
        """Start the first judge, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._keep_running())

    async def drain(self, longest_s: float) -> bool:
        """Wait until the judge has taken in all there is; False when it did not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                while self.link is None or not self.link.is_drained:
                    self._heard.clear()
                    await self._heard.wait()
                return True
        return False

    async def stop(self, longest_s: float) -> None:
        """Close the link, which asks the judge to end; kill it when it has not after a while."""
        self._stopping.set()
        if self._task is None:
            return
        if self.link is not None:
            self.link.close()
        process = self._process
        if process is not None:
            try:
                await asyncio.wait_for(process.wait(), longest_s)
            except TimeoutError:
                _log.warning("judge_killed", pid=process.pid, reason="did not stop in time")
                _kill(process)
        await self._task

    async def _keep_running(self) -> None:
        back_off_s = FIRST_BACK_OFF_S
        while not self._stopping.is_set():
            started_s = time.monotonic()
            try:
                await self._run_one()
            except OSError as error:
                _log.error("judge_not_started", error=str(error))
            if self._stopping.is_set():
                return
            if time.monotonic() - started_s > _GROWN_UP_S:
                back_off_s = FIRST_BACK_OFF_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), back_off_s)
            back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)
            self.restarts += 1

    async def _run_one(self) -> None:
        ours, theirs = socket_pair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    "--link-fd",
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError:
            ours.close()
            raise
        self._process = process
        link = JudgeLink(ours, self._tap, self._note)
        self.link = link
        try:
            if self._stopping.is_set():
                return
            link.open()
            _log.info("judge_started", pid=process.pid)
            self._on_change()
            await self._until_gone(process, link)
        finally:
            _kill(process)
            code = await process.wait()
            link.close()
            self.link = None
            self._process = None
            if not self._stopping.is_set():
                _log.error("judge_gone", pid=process.pid, exit_code=code)
            self._on_change()

    async def _until_gone(self, process: asyncio.subprocess.Process, link: JudgeLink) -> None:
        gone = asyncio.ensure_future(process.wait())
        hung_up = asyncio.ensure_future(link.closed.wait())
        try:
            while not gone.done():
                silent_s = asyncio.get_running_loop().time() - link.heard_at_s
                if silent_s >= self._stalled_after_s:
                    _log.error("judge_killed", pid=process.pid, reason="silent", silent_s=silent_s)
                    return
                waited_for = {gone} if self._stopping.is_set() else {gone, hung_up}
                await asyncio.wait(
                    waited_for,
                    timeout=self._stalled_after_s - silent_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if hung_up.done() and not self._stopping.is_set():
                    await asyncio.wait({gone}, timeout=_LAST_WORDS_S)
                    return
        finally:
            gone.cancel()
            hung_up.cancel()

    def _note(self) -> None:
        self._heard.set()
        if self.link is None:
            return
        self.last_counters = self.link.counters
        if self.link.ready is not self._announced:
            self._announced = self.link.ready
            self._on_change()


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
