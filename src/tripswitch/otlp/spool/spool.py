"""The spool as the wire sees it: append, drain, and figures.

What `Spool.append` returned for is on the disk for good, until it was delivered or became a dead
letter. The spool never makes room by forgetting: full means that new work is refused, and that it
is taken again as soon as there is room.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from tripswitch.errors import ConfigError
from tripswitch.otlp.spool.clock import Clock, SystemClock
from tripswitch.otlp.spool.dead_letters import DIRECTORY_NAME, DeadLetters
from tripswitch.otlp.spool.disk import Disk, LocalDisk, Lock
from tripswitch.otlp.spool.drain import Drain, Drained, Pace, Refusal
from tripswitch.otlp.spool.record import draft_of
from tripswitch.otlp.spool.segment import START_BYTES
from tripswitch.otlp.spool.shelf import Shelf
from tripswitch.otlp.spool.writer import GroupWriter, SpoolFullError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tripswitch.config.model import Config
    from tripswitch.otlp.delivery import Delivery

# Whole segments are deleted, so a spool of one segment would be full until all of it is drained.
_FEWEST_SEGMENTS: Final = 4

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolFigures:
    """Gauges, then counters since the start. ``bytes`` is what the segments take on disk.

    ``oldest_age_s`` is 0 when nothing waits. Corrupt records and torn tails were damaged on disk;
    what a torn tail held had not been acknowledged unless the disk lost it. ``full_total`` counts
    the appends refused for want of room, ``failed_total`` those that the disk did not take for
    another reason, ``dead_letters_dropped_total`` the dead letters that are not kept any more.
    """

    records: int
    bytes: int
    max_bytes: int
    oldest_age_s: float
    segments: int
    dead_letter_records: int
    dead_letter_bytes: int
    paused_credentials: int
    is_full: bool
    appended_total: int
    appended_bytes_total: int
    delivered_total: int
    corrupt_records_total: int
    torn_tails_total: int
    expired_total: int
    refused_total: int
    dead_letter_total: int
    dead_letters_dropped_total: int
    full_total: int
    failed_total: int
    fsyncs_total: int


def spool_directory(config: Config) -> Path:
    """Return the folder of the spool that ``config`` asks for."""
    return Path(config.spool.directory or Path(config.storage.directory) / "spool")


class Spool:
    """Requests on disk in ``directory``, at most ``max_bytes`` of them.

    What is older than ``max_age_s`` when its turn comes is a dead letter, and of those at most
    ``dead_letter_bytes`` are kept. ``drain_bytes_per_s`` and ``drain_in_flight`` bound the drain.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        max_age_s: float,
        segment_bytes: int = 64 << 20,
        dead_letter_bytes: int = 64 << 20,
        drain_bytes_per_s: float = 32 << 20,
        drain_in_flight: int = 4,
        disk: Disk | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._disk = LocalDisk() if disk is None else disk
        self._clock = SystemClock() if clock is None else clock
        self._write_thread = ThreadPoolExecutor(1, "spool-write")
        self._read_thread = ThreadPoolExecutor(1, "spool-read")
        self._shelf = Shelf(self._disk, directory)
        self._writer = GroupWriter(
            self._shelf, min(segment_bytes, max_bytes // _FEWEST_SEGMENTS), self._write_thread
        )
        self._dead_letters = DeadLetters(
            Shelf(self._disk, directory / DIRECTORY_NAME),
            dead_letter_bytes,
            segment_bytes,
            self._read_thread,
        )
        self._drain = Drain(
            self._shelf,
            self._dead_letters,
            Pace(drain_bytes_per_s, drain_in_flight, max_age_s),
            self._clock,
            self._read_thread,
            self._writer.seal,
        )
        self._lock: Lock | None = None
        self._is_full = False
        self._appended = 0
        self._appended_bytes = 0
        self._full = 0
        self._failed = 0

    @classmethod
    def configured(cls, config: Config) -> Spool:
        """Return the spool that ``config`` asks for, not opened yet."""
        spool = config.spool
        return cls(
            spool_directory(config),
            max_bytes=spool.max_bytes,
            max_age_s=spool.max_age,
            segment_bytes=spool.segment_bytes,
            dead_letter_bytes=spool.dead_letter_bytes,
            drain_bytes_per_s=spool.drain_bytes_per_s,
            drain_in_flight=spool.drain_in_flight,
        )

    def use(
        self,
        *,
        max_bytes: int,
        max_age_s: float,
        segment_bytes: int,
        dead_letter_bytes: int,
        drain_bytes_per_s: float,
        drain_in_flight: int,
    ) -> None:
        """Keep to these bounds from now on; see the class.

        A smaller ``max_bytes`` than is held refuses new work until enough is drained.
        """
        self.max_bytes = max_bytes
        self._writer.segment_bytes = min(segment_bytes, max_bytes // _FEWEST_SEGMENTS)
        self._dead_letters.use(dead_letter_bytes, segment_bytes)
        self._drain.use(Pace(drain_bytes_per_s, drain_in_flight, max_age_s))

    async def open(self) -> None:
        """Lock the directory and take in what is there, whatever its state.

        Raises ConfigError where another process holds the directory or it cannot be written to.
        """
        await asyncio.get_running_loop().run_in_executor(self._write_thread, self._open)

    async def append(self, delivery: Delivery, now_ns: int) -> None:
        """Return once ``delivery`` is on disk for good; its age counts from ``now_ns``.

        Raises SpoolFullError where there is no room, SpoolError where the disk did not take it;
        either way it may come again. An append that is cancelled may be on disk or not.
        """
        draft = draft_of(delivery, now_ns)
        held_bytes = self._shelf.size_bytes + self._writer.reserved_bytes
        if held_bytes + draft.record_bytes + START_BYTES > self.max_bytes:
            self._note_full("its bound is reached")
            raise SpoolFullError(
                f"the spool holds {held_bytes} bytes of at most {self.max_bytes}, "
                f"there is no room for {draft.record_bytes} more"
            )
        had_none = self._shelf.undone <= 0
        refused_before = self._full
        try:
            await self._writer.append(draft)
        except SpoolFullError as full:
            self._note_full(full.message)
            raise
        except Exception as error:
            self._failed += 1
            _log.error("spool_failed", error=str(error))
            raise
        self._appended += 1
        self._appended_bytes += draft.record_bytes
        if had_none:
            self._drain.see(draft.kept_ns)
        if self._is_full and self._full == refused_before:
            self._is_full = False
            _log.warning("spool_has_room_again", held_bytes=held_bytes)
        self._drain.changed.set()

    async def drain(self, deliver: Callable[[Delivery], Awaitable[Drained | Refusal]]) -> None:
        """Send what waits by ``deliver``, oldest first, until cancelled.

        ``deliver`` says what became of each request and must have its own time limit; what it
        raises counts as RETRY_LATER. It may see a request again after a restart. Only one drain
        may run at a time.
        """
        await self._drain.run(deliver)

    def wake(self) -> None:
        """Try the upstream again at once: it has just answered a live request."""
        self._drain.wake()

    async def close(self) -> None:
        """Finish the appends under way, sync the progress and let go of the directory.

        The drain must have ended.
        """
        await self._writer.close()
        await self._dead_letters.close()
        await self._drain.sync_progress()
        await asyncio.get_running_loop().run_in_executor(None, self._let_go)

    def figures(self) -> SpoolFigures:
        """Return what the spool holds and what it has done."""
        oldest_ns = self._drain.oldest_ns()
        age_s = 0.0 if oldest_ns is None else (self._clock.now_ns() - oldest_ns) / 1e9
        letters = self._dead_letters.shelf
        return SpoolFigures(
            records=max(0, self._shelf.undone),
            bytes=self._shelf.size_bytes,
            max_bytes=self.max_bytes,
            oldest_age_s=max(0.0, age_s),
            segments=len(self._shelf.segments),
            dead_letter_records=letters.undone,
            dead_letter_bytes=letters.size_bytes,
            paused_credentials=len(self._drain.paused),
            is_full=self._is_full,
            appended_total=self._appended,
            appended_bytes_total=self._appended_bytes,
            delivered_total=self._drain.delivered,
            corrupt_records_total=self._drain.walk.corrupt,
            torn_tails_total=self._shelf.torn_tails + letters.torn_tails,
            expired_total=self._drain.expired,
            refused_total=self._drain.refused,
            dead_letter_total=self._dead_letters.buried,
            dead_letters_dropped_total=self._dead_letters.dropped,
            full_total=self._full,
            failed_total=self._failed,
            fsyncs_total=self._writer.syncs,
        )

    def _open(self) -> None:
        try:
            self._disk.make_directory(self.directory)
            lock = self._disk.lock(self.directory)
            try:
                self._shelf.open()
                self._dead_letters.shelf.open()
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise ConfigError(
                f'the spool cannot use "{self.directory}": {error.strerror or error}',
                hint="spool.directory must be a folder that tripswitch may write to",
            ) from error
        self._lock = lock
        self._drain.see_oldest()

    def _let_go(self) -> None:
        self._write_thread.shutdown()
        self._read_thread.shutdown()
        for shelf in (self._shelf, self._dead_letters.shelf):
            for segment in shelf.segments:
                shelf.close(segment)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _note_full(self, reason: str) -> None:
        self._full += 1
        if not self._is_full:
            self._is_full = True
            _log.error("spool_full", reason=reason, directory=str(self.directory))
        self._drain.make_room()
