"""The stream: says once that something changed, to so many and no more, and ends when told to."""

from __future__ import annotations

import asyncio
import json

from starlette.responses import StreamingResponse

from tripswitch.web.stream import MOST_CLIENTS, Stream


class Board:
    """Something that changes when a test says so."""

    def __init__(self) -> None:
        self.revision = "1"
        self.asked = 0

    def headline(self) -> dict[str, int]:
        """Return what is told."""
        self.asked += 1
        return {"open": self.asked}


def opened(stream: Stream) -> StreamingResponse:
    answer = stream.answer()
    assert isinstance(answer, StreamingResponse)
    return answer


def test_a_change_is_told_once_with_the_headline() -> None:
    async def check() -> None:
        board = Board()
        stream = Stream(lambda: board.revision, board.headline, look_every_s=0.001)
        messages = opened(stream).body_iterator.__aiter__()
        assert await anext(messages) == "retry: 3000\n\n"
        first = str(await anext(messages))
        assert first.startswith("event: changed\nid: 1\n")
        assert json.loads(first.split("data: ")[1]) == {"revision": "1", "open": 1}
        waiting = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)
        assert not waiting.done()
        board.revision = "2"
        assert "id: 2\n" in str(await waiting)
        assert board.asked == 2
        stream.close()
        assert [message async for message in messages] == []
        assert stream.clients == 0

    asyncio.run(check())


def test_clients_are_bounded_and_make_room_when_they_leave() -> None:
    async def check() -> None:
        board = Board()
        stream = Stream(lambda: board.revision, board.headline, look_every_s=0.001)
        readers = [opened(stream).body_iterator.__aiter__() for _ in range(MOST_CLIENTS)]
        for reader in readers:
            await anext(reader)
        refused = stream.answer()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        await readers[0].aclose()  # type: ignore[attr-defined]
        opened(stream)
        stream.close()
        for reader in readers[1:]:
            async for _ in reader:
                pass
        assert stream.clients == 0
        assert stream.answer().status_code == 503

    asyncio.run(check())
