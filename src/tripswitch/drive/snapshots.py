"""Snapshots of the judge: written every half minute and at the end, taken up at the start.

What cannot be taken up (damaged, of something else, of a newer tripswitch, of another clock) is put
aside, counted and told in one line, and the judge starts without it: baselines are then learnt
anew, which costs time and never a wrong page. A file in whose reading two starts have ended is put
aside too, so that no file can keep the judge from starting.

Taking a snapshot copies arrays on the judge's own thread, which is all that judging waits for; the
rest, writing and fsync, is done beside it. It is taken half-way between two ticks, so that none
waits for it. A snapshot that is large or slow to copy stretches the time to the next one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from tripswitch.drive.logs import place_of
from tripswitch.errors import SnapshotError
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.snapshot import SnapshotMismatch
from tripswitch.store.snapshot_file import read_snapshot, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tripswitch.detect.validity import Kept
    from tripswitch.model.snapshot import Snapshot

SNAPSHOT_FILE: Final = "judge.snapshot"

INTERVAL_S: Final = 30.0

# Of the judge's time copying takes a fiftieth at most, and the disk is not kept busy.
_LONGEST_SHARE: Final = 0.02
_MOST_BYTES_A_SECOND: Final = 4e6

_log = structlog.get_logger(__name__)


class Known(Protocol):
    """What can be put into a snapshot and be taken from one: a session."""

    def snapshot(self) -> Snapshot:
        """Return all that is known now."""

    def resume(self, snapshot: Snapshot, now_ns: int) -> Kept:
        """Be what ``snapshot`` was. Whatever it raises, nothing was taken up then."""


class Snapshots:
    """The snapshot in one folder. ``counts`` go to the metrics page."""

    def __init__(self, folder: Path, *, interval_s: float = INTERVAL_S) -> None:
        self.path = folder / SNAPSHOT_FILE
        self.counts: dict[str, float] = {
            "snapshots_written_total": 0,
            "snapshots_failed_total": 0,
            "snapshots_put_aside_total": 0,
            "snapshot_bytes": 0,
            "snapshot_copy_seconds": 0,
        }
        self._interval_s = interval_s
        self._is_failing = False
        self._turn = threading.Lock()
        self._written = 0
        self._copied = 0

    def resume(self, session: Known, now_ns: int) -> None:
        """Have ``session`` take up the snapshot that is there, if there is one that it can."""
        try:
            self._resume(session, now_ns)
        except OSError as error:
            # A folder that nothing can be renamed in, say.
            self.counts["snapshots_failed_total"] += 1
            _log.error("snapshot_not_resumed", reason=error.strerror or str(error))

    def _resume(self, session: Known, now_ns: int) -> None:
        names = [self.path, self._beside("opening"), self._beside("opening-again")]
        found = next((path for path in names if path.exists()), None)
        if found is None:
            return
        if found == names[-1]:
            self._put_aside(found, "two starts have ended while it was read")
            return
        opened = found.rename(names[names.index(found) + 1])
        try:
            snapshot = read_snapshot(opened)
            kept = session.resume(snapshot, now_ns)
        except SnapshotError as error:
            self._put_aside(opened, error.message)
        except SnapshotMismatch as error:
            self._put_aside(opened, f"does not fit: {error}")
        except Exception as error:  # noqa: BLE001 - whatever is in a file, the judge starts
            self._put_aside(opened, f"cannot be taken up: {type(error).__name__} {place_of(error)}")
        else:
            opened.rename(self.path)
            _log.info(
                "snapshot_resumed",
                unwatched_s=max(0, (now_ns - snapshot.taken_ns) // NS_PER_S),
                rows_with_evidence=kept.rows,
                dropped=kept.dropped,
            )

    async def keep(
        self, session: Known, is_sound: Callable[[], bool], tick_s: Callable[[], float]
    ) -> None:
        """Write a snapshot again and again, where ``is_sound`` says that nothing went wrong.

        ``tick_s`` returns the length of a tick; ticks fall on multiples of it of the wall clock.
        """
        while True:
            await asyncio.sleep(self.rest_s())
            await asyncio.sleep((tick_s() / 2 - time.time()) % tick_s())
            if is_sound():
                snapshot = self._copy(session)
                await asyncio.to_thread(self._write, snapshot, self._copied)
                del snapshot

    def rest_s(self) -> float:
        """Return how long to wait after the snapshot written last."""
        by_copy_s = self.counts["snapshot_copy_seconds"] / _LONGEST_SHARE
        by_size_s = self.counts["snapshot_bytes"] / _MOST_BYTES_A_SECOND
        return max(self._interval_s, by_copy_s, by_size_s)

    def write_last(self, session: Known) -> None:
        """Write what is known at the end."""
        self._write(self._copy(session), self._copied)

    def _copy(self, session: Known) -> Snapshot:
        begun_s = time.perf_counter()
        snapshot = session.snapshot()
        self._copied += 1
        for kind, count in snapshot.left_out.items():
            self.counts[f"snapshot_left_out;kind={kind}"] = count
        self.counts["snapshot_copy_seconds"] = time.perf_counter() - begun_s
        return snapshot

    def _write(self, snapshot: Snapshot, number: int) -> None:
        """Write the snapshot taken as the ``number``-th, unless a later one is written already."""
        with self._turn:
            if number < self._written:
                return
            self._written = number
            try:
                self.counts["snapshot_bytes"] = write_snapshot(self.path, snapshot)
            except OSError as error:
                self.counts["snapshots_failed_total"] += 1
                if not self._is_failing:
                    reason = error.strerror or str(error)
                    _log.error("snapshot_not_written", reason=reason, kept="the one before it")
                self._is_failing = True
            else:
                self.counts["snapshots_written_total"] += 1
                self._is_failing = False

    def _put_aside(self, path: Path, reason: str) -> None:
        aside = path.rename(self._beside("aside"))
        self.counts["snapshots_put_aside_total"] += 1
        _log.error(
            "snapshot_put_aside", file=aside.name, reason=reason, start="without it, learning anew"
        )

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{ending}")
