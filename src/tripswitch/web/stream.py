"""``/v1/stream``: tells browsers that something changed, by server-sent events.

A message says only that there is something new, and how many incidents are open; the page then asks
for the part it shows. So a message costs the same whatever is watched. Clients are bounded, nobody
gets more than one message a second, and a stream ends after an hour, when its client comes again.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response, StreamingResponse

from tripswitch.web.answering import json_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MOST_CLIENTS: Final = 32

_LOOK_EVERY_S: Final = 1.0
_HEARTBEAT_S: Final = 15.0
_LASTS_S: Final = 3600.0
_RETRY_MS: Final = 3000


class Stream:
    """The open streams. ``revision`` is another text whenever a page would look different."""

    def __init__(
        self,
        revision: Callable[[], str],
        headline: Callable[[], dict[str, Any]],
        *,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self.clients = 0
        self._revision = revision
        self._headline = headline
        self._look_every_s = look_every_s
        self._closed = asyncio.Event()

    def answer(self) -> Response:
        """Return the stream, or 503 where there are too many."""
        if self.clients >= MOST_CLIENTS or self._closed.is_set():
            answer = json_answer({"error": "too many streams are open; ask again later"}, 503)
            answer.headers["retry-after"] = "30"
            return answer
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._messages(), media_type="text/event-stream", headers=headers)

    def close(self) -> None:
        """End every stream, because the listener stops."""
        self._closed.set()

    async def _messages(self) -> AsyncIterator[str]:
        self.clients += 1
        try:
            yield f"retry: {_RETRY_MS}\n\n"
            seen, quiet_s, passed_s = "", 0.0, 0.0
            while not self._closed.is_set() and passed_s < _LASTS_S:
                revision = self._revision()
                if revision != seen:
                    seen, quiet_s = revision, 0.0
                    content = json.dumps({"revision": revision, **self._headline()})
                    yield f"event: changed\nid: {revision}\ndata: {content}\n\n"
                elif quiet_s >= _HEARTBEAT_S:
                    quiet_s = 0.0
                    yield ": nothing new\n\n"
                await self._pause()
                quiet_s += self._look_every_s
                passed_s += self._look_every_s
        finally:
            self.clients -= 1

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._look_every_s):
                await self._closed.wait()
        except TimeoutError:
            return
