"""Raw HTTP/2: frames as a client writes them, and calls of gRPC made of these.

Source: RFC 9113 (frames, flow control), RFC 7541 section 6.2.2 (headers that are not indexed).
"""

from __future__ import annotations

import asyncio
import struct
from typing import Final, NamedTuple, Self

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4

_LARGEST_BYTES: Final = 1 << 14
_FIRST_WINDOW_BYTES: Final = (1 << 16) - 1
_INITIAL_WINDOW: Final = 4

Pair = tuple[bytes, bytes]


class Frame(NamedTuple):
    """One frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame as it goes over the wire."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers_block(path: bytes, *more: Pair) -> bytes:
    """Return the headers of a gRPC call."""
    pairs = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *more,
    )
    return b"".join(b"\x00" + _literal(key) + _literal(value) for key, value in pairs)


def opening() -> bytes:
    """Return what a connection begins with."""
    return PREFACE + frame(SETTINGS, 0, 0)


def call(path: bytes, message: bytes, *more: Pair) -> bytes:
    """Return a whole connection with one call whose body is ``message``, framing and all.

    It takes no heed of flow control: for what fits the first window.
    """
    frames = [frame(HEADERS, END_HEADERS, 1, headers_block(path, *more))]
    frames += [
        frame(DATA, 0, 1, message[start : start + _LARGEST_BYTES])
        for start in range(0, len(message), _LARGEST_BYTES)
    ]
    return opening() + b"".join(frames) + frame(DATA, END_STREAM, 1)


def grpc_message(body: bytes, *, is_packed: bool = False) -> bytes:
    """Return a message with its length before it, as it stands in DATA frames."""
    return struct.pack(">BI", is_packed, len(body)) + body


class RawCall:
    """One call on a connection of its own, its body sent within the server's windows.

    ``frames`` are those that came for it. ``is_over`` once the server has ended it.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.frames: list[Frame] = []
        self.is_over = False
        self._reader = reader
        self._writer = writer
        self._window_bytes = {0: _FIRST_WINDOW_BYTES, 1: _FIRST_WINDOW_BYTES}

    @classmethod
    async def open(cls, endpoint: str, path: bytes, *more: Pair) -> Self:
        """Connect and open the call."""
        host, _, port = endpoint.partition(":")
        raw = cls(*await asyncio.open_connection(host, int(port)))
        opened = frame(HEADERS, END_HEADERS, 1, headers_block(path, *more))
        raw._writer.write(opening() + opened)
        return raw

    async def send(self, data: bytes, *, is_last: bool = False) -> None:
        """Send part of the body; returns early where the call is over."""
        at = 0
        while at < len(data) and not self.is_over:
            size_bytes = min(_LARGEST_BYTES, len(data) - at, *self._window_bytes.values())
            if size_bytes <= 0:
                await self.take_in()
                continue
            self._writer.write(frame(DATA, 0, 1, data[at : at + size_bytes]))
            await self._writer.drain()
            at += size_bytes
            for stream in self._window_bytes:
                self._window_bytes[stream] -= size_bytes
        if is_last and not self.is_over:
            self._writer.write(frame(DATA, END_STREAM, 1))

    async def finish(self) -> bytes:
        """Wait for the end; return the headers that came, packed as they are."""
        while not self.is_over:
            await self.take_in()
        self.close()
        return b"".join(each.payload for each in self.frames if each.kind == HEADERS)

    async def take_in(self) -> None:
        """Read one frame and do what it asks for."""
        try:
            head = await self._reader.readexactly(9)
            length = int.from_bytes(head[:3], "big")
            stream = int.from_bytes(head[5:], "big")
            came = Frame(head[3], head[4], stream, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.is_over = True
            return
        if came.kind == WINDOW_UPDATE:
            self._window_bytes[came.stream] += int.from_bytes(came.payload, "big")
        elif came.kind == SETTINGS and not came.flags & ACK:
            for key, value in struct.iter_unpack(">HI", came.payload):
                if key == _INITIAL_WINDOW:
                    self._window_bytes[1] += value - _FIRST_WINDOW_BYTES
            self._writer.write(frame(SETTINGS, ACK, 0))
        elif came.kind == PING and not came.flags & ACK:
            self._writer.write(frame(PING, ACK, 0, came.payload))
        elif came.stream == 1:
            self.frames.append(came)
            is_end = came.kind in (HEADERS, DATA) and bool(came.flags & END_STREAM)
            self.is_over = is_end or came.kind == RST_STREAM
        elif came.kind == GOAWAY:
            self.is_over = True

    def close(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()


def _literal(text: bytes) -> bytes:
    assert len(text) < 0x7F
    return bytes([len(text)]) + text
