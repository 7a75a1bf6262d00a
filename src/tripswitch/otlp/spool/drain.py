"""Draining: what waits on disk goes upstream, oldest first, beside the live traffic.

At most so many requests are in flight and so many bytes go out a second. A record is done, and
noted so on disk, only after its request was answered; after a crash some are sent again and none is
lost. While the upstream is away one request at a time tries, at growing intervals.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import structlog

from tripswitch.otlp.spool.credentials import PausedCredentials
from tripswitch.otlp.spool.record import Death
from tripswitch.otlp.spool.walk import Waiting, Walk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor

    from tripswitch.otlp.delivery import Delivery
    from tripswitch.otlp.spool.clock import Clock
    from tripswitch.otlp.spool.dead_letters import DeadLetters
    from tripswitch.otlp.spool.record import Header
    from tripswitch.otlp.spool.shelf import Shelf

FIRST_BACK_OFF_S: Final = 0.2
LONGEST_BACK_OFF_S: Final = 5.0
SYNC_PROGRESS_S: Final = 1.0
# When all is drained and nothing comes for so long, the last segment is deleted too.
IDLE_S: Final = 1.0

EXPIRED: Final = "expired"
REFUSED: Final = "refused"

_P = ParamSpec("_P")
_T = TypeVar("_T")

_log = structlog.get_logger(__name__)


class Drained(StrEnum):
    """What became of a request that was sent from the spool.

    DELIVERED: the upstream has it. RETRY_LATER: it may be sent again, the upstream seems away.
    REFUSED: it will never be taken. PAUSED_CREDENTIAL: the sender was refused (401, 403,
    UNAUTHENTICATED, PERMISSION_DENIED).
    """

    DELIVERED = "delivered"
    RETRY_LATER = "retry_later"
    REFUSED = "refused"
    PAUSED_CREDENTIAL = "paused_credential"


@dataclass(frozen=True, slots=True)
class Refusal:
    """REFUSED with the reason that a person will see, such as ``INVALID_ARGUMENT`` or ``400``."""

    why: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to drain. ``max_age_s`` is counted from when a record was handed over."""

    bytes_per_s: float
    in_flight: int
    max_age_s: float


class Drain:
    """Sends what waits on ``shelf``; disk work happens in ``thread``.

    ``changed`` wakes it: something was appended, answered, or the upstream is back. ``seal`` closes
    the active segment so that it can be deleted, False when that cannot be done now.
    """

    def __init__(
        self,
        shelf: Shelf,
        dead_letters: DeadLetters,
        pace: Pace,
        clock: Clock,
        thread: Executor,
        seal: Callable[[], bool],
    ) -> None:
        self.changed = asyncio.Event()
        self.delivered = 0
        self.expired = 0
        self.refused = 0
        self.paused = PausedCredentials()
        self.walk = Walk(shelf)
        self.failures_in_a_row = 0
        self._shelf = shelf
        self._dead_letters = dead_letters
        self._pace = pace
        self._clock = clock
        self._thread = thread
        self._seal = seal
        self._in_flight: dict[int, Waiting] = {}
        self._returned: dict[int, Waiting] = {}
        self._quiet_until_s = 0.0
        self._next_send_s = 0.0
        self._next_sync_s = 0.0
        self._last_seen_ns: int | None = None
        self._is_room_wanted = False

    async def run(self, deliver: Callable[[Delivery], Awaitable[Drained | Refusal]]) -> None:
        """Drain until cancelled; what is in flight then is sent again the next time."""
        try:
            await self._in_thread(self.walk.rewind)
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._turn()
                    taken = await self._take()
                    if taken is None:
                        continue
                    waiting, delivery = taken
                    self._in_flight[waiting.sequence] = waiting
                    group.create_task(self._settle(waiting, delivery, deliver))
        finally:
            # What was in flight has no answer; the next run begins with it again.
            self._in_flight.clear()
            self._returned.clear()

    def use(self, pace: Pace) -> None:
        """Drain at ``pace`` from now on."""
        self._pace = pace
        self._next_send_s = 0.0
        self.changed.set()

    def wake(self) -> None:
        """Try again at once: the upstream has just answered something else."""
        self._quiet_until_s = 0.0
        self.changed.set()

    def make_room(self) -> None:
        """Delete what is all drained as soon as possible: an append found no room."""
        self._is_room_wanted = True
        self.changed.set()

    def oldest_ns(self) -> int | None:
        """Return since when the oldest record has waited, None where none waits.

        Between two records it may be that of the one before.
        """
        if self._shelf.undone <= 0:
            return None
        held = [each.found.header.kept_ns for each in self._held()]
        if self.paused.oldest_ns is not None:
            held.append(self.paused.oldest_ns)
        return min(held, default=self._last_seen_ns)

    def see(self, kept_ns: int) -> None:
        """Note since when the oldest record waits, where none waited before."""
        self._last_seen_ns = kept_ns

    def see_oldest(self) -> None:
        """Look up since when the oldest record waits; disk work."""
        try:
            self._last_seen_ns = self.walk.oldest_ns()
        except OSError as error:
            _log.warning("spool_not_readable", error=str(error))

    async def sync_progress(self) -> None:
        """Return once all that is done is so on the disk for good."""
        try:
            await self._in_thread(self._shelf.sync_done)
        except OSError as error:
            _log.warning("spool_progress_not_synced", error=str(error))

    @property
    def _is_all_drained(self) -> bool:
        return bool(self._shelf.segments) and self._shelf.undone <= 0 and not self._in_flight

    def _held(self) -> list[Waiting]:
        return [*self._in_flight.values(), *self._returned.values()]

    async def _turn(self) -> None:
        """Wait until one more request may go out."""
        while True:
            self.changed.clear()
            now_s = self._clock.monotonic_s()
            most = 1 if self.failures_in_a_row else self._pace.in_flight
            wait_s: float | None = None
            if len(self._in_flight) < most:
                wait_s = max(self._next_send_s, self._quiet_until_s) - now_s
                if wait_s <= 0:
                    return
            await self._clock.wait(self.changed, wait_s)

    async def _take(self) -> tuple[Waiting, Delivery] | None:
        """Return the oldest record that is due; wait for something to change where there is none.

        None means to look again.
        """
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_sync_s:
            self._next_sync_s = now_s + SYNC_PROGRESS_S
            await self.sync_progress()
        if self.paused.end_due(now_s):
            self.walk.rewind()
        await self._sweep()
        try:
            taken = await self._read_next()
        except OSError as error:
            _log.warning("spool_not_readable", error=str(error))
            self._back_off()
            return None
        if taken is not None:
            self._last_seen_ns = taken[0].found.header.kept_ns
            pause_s = taken[0].found.header.record_bytes / self._pace.bytes_per_s
            self._next_send_s = max(self._next_send_s, now_s) + pause_s
        elif self.walk.is_at_end and not self._returned:
            await self._idle(now_s)
        return taken

    async def _read_next(self) -> tuple[Waiting, Delivery] | None:
        if not self._returned:
            return await self._in_thread(self.walk.next, self._is_due)
        waiting = self._returned[min(self._returned)]
        delivery = await self._in_thread(self.walk.read, waiting)
        del self._returned[waiting.sequence]
        self.walk.is_at_end = False
        return None if delivery is None else (waiting, delivery)

    def _is_due(self, header: Header) -> bool:
        if header.sequence in self._in_flight or header.sequence in self._returned:
            return False
        return header.credential not in self.paused or self._is_expired(header)

    def _is_expired(self, header: Header) -> bool:
        return self._clock.now_ns() - header.kept_ns > self._pace.max_age_s * 1e9

    async def _settle(
        self,
        waiting: Waiting,
        delivery: Delivery,
        deliver: Callable[[Delivery], Awaitable[Drained | Refusal]],
    ) -> None:
        header = waiting.found.header
        answer: Drained | Refusal | None = None
        if not self._is_expired(header):
            try:
                answer = await deliver(delivery)
            except Exception as error:  # noqa: BLE001 - whatever failed, the record still waits
                _log.error("drain_failed", error=type(error).__name__, signal=header.signal.value)
                answer = Drained.RETRY_LATER
        following = asyncio.ensure_future(self._follow(waiting, delivery, answer))
        try:
            await asyncio.shield(following)
        except asyncio.CancelledError:
            # What was answered is noted, or it would be sent twice for no reason.
            await following
            raise

    async def _follow(
        self, waiting: Waiting, delivery: Delivery, answer: Drained | Refusal | None
    ) -> None:
        """Do what follows from ``answer``; None stands for a record that expired."""
        header = waiting.found.header
        if answer is Drained.RETRY_LATER:
            self._returned[waiting.sequence] = waiting
            self._back_off()
        elif answer is Drained.PAUSED_CREDENTIAL:
            self.failures_in_a_row = 0
            now_s = self._clock.monotonic_s()
            if self.paused.pause(header.credential, header.kept_ns, now_s):
                _log.warning("credential_paused", paused=len(self.paused))
        elif answer is Drained.DELIVERED:
            self.failures_in_a_row = 0
            self.paused.accept(header.credential)
            await self._in_thread(self.walk.finish, waiting)
            self.delivered += 1
        elif answer is None:
            await self._bury(waiting, delivery, EXPIRED)
            self.expired += 1
        else:
            self.failures_in_a_row = 0
            await self._bury(
                waiting, delivery, answer.why if isinstance(answer, Refusal) else REFUSED
            )
            self.refused += 1
        del self._in_flight[waiting.sequence]
        self.changed.set()

    async def _bury(self, waiting: Waiting, delivery: Delivery, why: str) -> None:
        death = Death(why, self._clock.now_ns())
        await self._dead_letters.bury(delivery, waiting.found.header.kept_ns, death)
        await self._in_thread(self.walk.finish, waiting)

    def _back_off(self) -> None:
        self.failures_in_a_row += 1
        doublings = min(self.failures_in_a_row - 1, 16)
        wait_s = min(FIRST_BACK_OFF_S * 2**doublings, LONGEST_BACK_OFF_S)
        self._quiet_until_s = self._clock.monotonic_s() + wait_s * self._clock.jitter()

    async def _idle(self, now_s: float) -> None:
        """Wait for something to change; with nothing left at all, delete the last segment."""
        ends_s = self.paused.next_end_s
        wait_s = None if ends_s is None else max(0.0, ends_s - now_s)
        if self._shelf.has_unsynced_done or self._is_all_drained:
            wait_s = IDLE_S if wait_s is None else min(wait_s, IDLE_S)
        if not self._is_room_wanted:
            await self._clock.wait(self.changed, wait_s)
        is_quiet = not self.changed.is_set()
        if (is_quiet or self._is_room_wanted) and self._is_all_drained and self._seal():
            await self._sweep()
        self._is_room_wanted = False

    async def _sweep(self) -> None:
        """Delete the segments in which nothing waits any more."""
        for segment in tuple(self._shelf.segments):
            if segment.undone <= 0 and not segment.is_active:
                await self._in_thread(self._shelf.remove, segment)

    async def _in_thread(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: call(*args, **kwargs))
