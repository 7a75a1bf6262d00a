"""Dead letters: records that expired or were refused for good, kept within a bound for people.

They have a bound of their own; when it is reached the oldest segment of them is deleted and its
records are counted. What cannot be kept even so, because the disk takes nothing, is counted too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from tripswitch.otlp.spool.record import Death, draft_of
from tripswitch.otlp.spool.segment import START_BYTES
from tripswitch.otlp.spool.writer import GroupWriter, SpoolError, SpoolFullError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from tripswitch.otlp.delivery import Delivery
    from tripswitch.otlp.spool.record import Draft
    from tripswitch.otlp.spool.shelf import Shelf

DIRECTORY_NAME: Final = "dead-letters"
# The oldest eighth makes way at a time.
_SEGMENTS: Final = 8

_log = structlog.get_logger(__name__)


class DeadLetters:
    """A bounded shelf. ``dropped`` counts the letters that are not kept any more."""

    def __init__(self, shelf: Shelf, max_bytes: int, segment_bytes: int, thread: Executor) -> None:
        self.shelf = shelf
        self.buried = 0
        self.dropped = 0
        self._max_bytes = max_bytes
        self._thread = thread
        self._writer = GroupWriter(shelf, min(segment_bytes, max_bytes // _SEGMENTS), thread)
        self._turn = asyncio.Lock()

    def use(self, max_bytes: int, segment_bytes: int) -> None:
        """Keep to these bounds from the next letter on."""
        self._max_bytes = max_bytes
        self._writer.segment_bytes = min(segment_bytes, max_bytes // _SEGMENTS)

    async def bury(self, delivery: Delivery, kept_ns: int, death: Death) -> None:
        """Keep ``delivery`` on disk as long as there is room for it; never raises for the disk."""
        self.buried += 1
        draft = draft_of(delivery, kept_ns, death)
        # One at a time: two that make room at once would delete twice as much.
        async with self._turn:
            if draft.record_bytes + START_BYTES > self._max_bytes or not await self._keep(draft):
                self.dropped += 1
                _log.warning("dead_letter_not_kept", why=death.why, record_bytes=draft.record_bytes)

    async def close(self) -> None:
        """Close the files."""
        await self._writer.close()

    async def _keep(self, draft: Draft) -> bool:
        needed_bytes = draft.record_bytes + START_BYTES
        while self.shelf.size_bytes + needed_bytes > self._max_bytes:
            if not await self._drop_oldest():
                return False
        while True:
            try:
                await self._writer.append(draft)
            except SpoolFullError:
                if not await self._drop_oldest():
                    return False
            except SpoolError as error:
                _log.warning("dead_letters_failed", error=error.message)
                return False
            else:
                return True

    async def _drop_oldest(self) -> bool:
        if not self.shelf.segments:
            return False
        oldest = self.shelf.segments[0]
        if oldest.is_active:
            self._writer.seal()
        await asyncio.get_running_loop().run_in_executor(self._thread, self.shelf.remove, oldest)
        if oldest in self.shelf.segments:
            return False
        self.dropped += oldest.extent.records
        return True
