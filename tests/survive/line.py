"""A line to the upstream that can be cut: a TCP relay on loopback that resets and refuses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import random
    from types import TracebackType

# Sent on closing in place of the rest: a reset.
_AT_ONCE = struct.pack("ii", 1, 0)

_LONGEST_LIFE_BYTES = 200_000

# Below the ports that the kernel hands out by itself, so that nobody is given one of these while
# its process is down.
_STEADY_PORTS = range(20_000, 30_000)


def steady_port(choice: random.Random) -> int:
    """Return a free port that stays free while nobody listens on it."""
    while True:
        port = choice.choice(_STEADY_PORTS)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port


class Line:
    """An async context manager; ``endpoint`` leads to ``target`` (``host:port``).

    ``is_cut``: nobody listens, and every connection is reset. ``is_torn``: connections are made
    and reset after a random number of bytes, answers included.
    """

    def __init__(self, target: str, choice: random.Random) -> None:
        self.port = steady_port(choice)
        self.endpoint = f"127.0.0.1:{self.port}"
        self.resets = 0
        self.is_torn = False
        self._target = target
        self._choice = choice
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def mend(self) -> None:
        """Listen and pass on everything."""
        self.is_torn = False
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def tear(self) -> None:
        """Listen, and reset every connection before long."""
        await self.mend()
        self.is_torn = True
        self._reset_all()

    def cut(self) -> None:
        """Refuse connections and reset those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset_all()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        ends = [writer]
        try:
            host, _, port = self._target.partition(":")
            back, there = await asyncio.open_connection(host, int(port))
            ends.append(there)
            left_bytes = [self._choice.randrange(_LONGEST_LIFE_BYTES)] if self.is_torn else None
            await asyncio.gather(_pass(reader, there, left_bytes), _pass(back, writer, left_bytes))
        except (OSError, _LineTornError):
            self.resets += 1
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            for end in ends:
                _reset(end)

    def _reset_all(self) -> None:
        for writer in tuple(self._open):
            _reset(writer)


class _LineTornError(Exception):
    pass


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left_bytes: list[int] | None
) -> None:
    while data := await reader.read(1 << 16):
        if left_bytes is not None:
            left_bytes[0] -= len(data)
            if left_bytes[0] <= 0:
                raise _LineTornError
        writer.write(data)
        await writer.drain()
    raise _LineTornError


def _reset(writer: asyncio.StreamWriter) -> None:
    carrier = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()
