"""Notices edits of the configuration files while running.

Folders are watched, not files: editors replace a file by another, and Kubernetes swaps a link
beside it. An edit counts once the content has stayed the same for a moment, because a file that is
being written is empty first, and an empty file is a valid configuration.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

_SETTLE_S = 0.1
_LONGEST_SETTLE_ROUNDS = 20

# Also looked at without a notice, for links whose target lies in a folder that is not watched.
_LOOK_AGAIN_MS = 2_000


class ConfigEdits:
    """The edits of ``paths`` since this object was made. Make it before the files are read.

    With ``look_every_s`` the files are looked at that often, and watchfiles, which tells sooner,
    is not needed: it costs the wire 3 MiB.
    """

    def __init__(self, paths: Sequence[Path], *, look_every_s: float | None = None) -> None:
        self._paths = tuple(paths)
        self._look_every_s = look_every_s
        self._seen = self._digest()

    async def __aiter__(self) -> AsyncIterator[None]:
        """Yield once for every edit that changed what the files say."""
        if not self._paths:
            return
        async for _ in self._notices():
            if self._digest() == self._seen:
                continue
            settled = await self._settled()
            if settled != self._seen:
                self._seen = settled
                yield

    async def _notices(self) -> AsyncIterator[None]:
        """Yield whenever the files are worth a look."""
        if self._look_every_s is not None:
            while True:
                await asyncio.sleep(self._look_every_s)
                yield
        from watchfiles import awatch

        async for _ in awatch(
            *{path.absolute().parent for path in self._paths},
            watch_filter=None,
            debounce=200,
            step=50,
            recursive=False,
            rust_timeout=_LOOK_AGAIN_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            yield

    async def _settled(self) -> bytes:
        now = self._digest()
        for _ in range(_LONGEST_SETTLE_ROUNDS):
            await asyncio.sleep(_SETTLE_S)
            before, now = now, self._digest()
            if before == now:
                break
        return now

    def _digest(self) -> bytes:
        digest = hashlib.sha256()
        for path in self._paths:
            try:
                content = path.read_bytes()
            except OSError as error:
                content = f"unreadable: {error.errno}".encode()
            digest.update(hashlib.sha256(content).digest())
        return digest.digest()
