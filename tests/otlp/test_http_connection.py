"""What the HTTP client does with answers of every shape, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.otlp.relay import until
from tripswitch.otlp.http_connection import MAX_HEAD_BYTES, Answer, HttpConnection, HungUpError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HEAD = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-one: 1\r\n\r\nab"
CHUNKS = b"3;note=x\r\nabc\r\n1\r\nd\r\n0\r\nx-trailer: t\r\n\r\n"
ANSWERED = Answer(200, [(b"content-length", b"2"), (b"x-one", b"1")], b"ab")


@contextlib.asynccontextmanager
async def connected(serve: Serve, max_body_bytes: int = 1000) -> AsyncIterator[HttpConnection]:
    """Connect to a server that does ``serve``; both are closed in the end."""
    lost: list[HttpConnection] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: HttpConnection(max_body_bytes, lost.append), *address
    )
    async with server:
        yield connection
        connection.abort()
        await until(lambda: lost)
        assert lost == [connection]


def answering(*pieces: bytes, then_close: bool = False) -> Serve:
    """Return a server that answers each request with ``pieces``, a packet each."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if then_close:
                return

    return serve


async def post(connection: HttpConnection, body: bytes = b"x") -> Answer:
    """Send a request."""
    async with asyncio.timeout(20):
        return await connection.post(HEAD % len(body), body)


@given(st.sets(st.integers(1, len(OK) - 1)))
@settings(max_examples=20, deadline=None)
def test_an_answer_may_come_in_any_pieces(cuts: set[int]) -> None:
    async def check() -> None:
        places = [0, *sorted(cuts), len(OK)]
        pieces = [OK[start:end] for start, end in itertools.pairwise(places)]
        async with connected(answering(*pieces)) as connection:
            for _ in range(2):
                assert await post(connection) == ANSWERED
                assert connection.is_reusable

    asyncio.run(check())


@pytest.mark.parametrize(
    ("said", "answer", "is_kept"),
    [
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + OK,
            ANSWERED,
            True,
        ),
        (
            b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: Chunked\r\n\r\n" + CHUNKS,
            Answer(503, [(b"transfer-encoding", b"Chunked")], b"abcd"),
            True,
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, [], b""), True),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n",
            Answer(200, [(b"connection", b"close"), (b"content-length", b"0")], b""),
            False,
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", Answer(200, [], b"until the end"), False),
        (b"HTTP/1.1 200 OK\r\nx: \xe9\r\n\r\n", Answer(200, [(b"x", b"\xe9")], b""), False),
    ],
)
def test_answers_of_every_shape_are_understood(said: bytes, answer: Answer, is_kept: bool) -> None:
    async def check() -> None:
        async with connected(answering(said, then_close=not is_kept)) as connection:
            assert await post(connection) == answer
            assert connection.is_reusable is is_kept

    asyncio.run(check())


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_none(said: bytes) -> None:
    async def check() -> None:
        async with connected(answering(said, then_close=True)) as connection:
            with pytest.raises(HungUpError):
                await post(connection)
            assert not connection.is_reusable
            assert connection.has_begun_answer is bool(said)
            with pytest.raises(HungUpError):
                await post(connection)

    asyncio.run(check())


@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 200 OK\r\nx-long: ",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-trailer: ",
    ],
    ids=["header", "headers", "chunk", "trailer"],
)
def test_an_answer_whose_head_never_ends_is_given_up(begin: bytes) -> None:
    async def check() -> None:
        sent_bytes = 0

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent_bytes
            await reader.readuntil(b"\r\n\r\n")
            writer.write(begin)
            while True:
                writer.write(b"a" * 10_000)
                sent_bytes += 10_000
                await writer.drain()

        async with connected(endless) as connection:
            with pytest.raises(HungUpError):
                await post(connection)
            # What the sockets hold comes on top of what was read.
            assert sent_bytes < 32 << 20

    asyncio.run(check())


def test_a_body_beyond_the_bound_is_cut_off_and_the_connection_ended() -> None:
    async def check() -> None:
        said = b"HTTP/1.1 413 Too Large\r\ncontent-length: 5000\r\n\r\n" + bytes(5000)
        async with connected(answering(said)) as connection:
            answer = await post(connection)
            assert (answer.status, answer.body) == (413, None)
            assert not connection.is_reusable

    asyncio.run(check())


def test_an_answer_before_the_request_is_sent_counts_and_the_rest_is_not_sent() -> None:
    async def check() -> None:
        read_bytes = 0

        async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal read_bytes
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
            while piece := await reader.read(1 << 16):
                read_bytes += len(piece)

        async with connected(refusing) as connection:
            body = bytes(64 << 20)
            assert (await post(connection, body)).status == 413
            assert not connection.is_reusable
            assert read_bytes < len(body)

    asyncio.run(check())


class Slowly:
    """A transport whose second write waits until the other side has reset the connection."""

    def __init__(self, transport: Any, is_reset: threading.Event) -> None:
        self._transport = transport
        self._is_reset = is_reset
        self._writes = 0

    def write(self, data: bytes) -> None:
        """Send."""
        self._writes += 1
        if self._writes == 2:
            assert self._is_reset.wait(10)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        """Be the transport otherwise."""
        return getattr(self._transport, name)


def test_an_answer_that_came_with_a_reset_counts() -> None:
    is_reset = threading.Event()

    def serve(listener: socket.socket) -> None:
        taken, _ = listener.accept()
        taken.recv(1000)
        taken.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        taken.close()
        is_reset.set()

    async def check(listener: socket.socket) -> None:
        lost: list[HttpConnection] = []
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: HttpConnection(1000, lost.append), *listener.getsockname()
        )
        connection.connection_made(Slowly(connection._transport, is_reset))  # type: ignore[arg-type]
        answer = await post(connection, bytes(1 << 20))
        assert (answer.status, answer.body) == (413, b"no")
        assert not connection.is_reusable
        await until(lambda: lost)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        asyncio.run(check(listener))
        serving.join()


def test_a_second_answer_or_one_unasked_for_ends_the_connection() -> None:
    async def check() -> None:
        async with connected(answering(OK + OK)) as connection:
            assert await post(connection) == ANSWERED
            assert not connection.is_reusable

        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await answering(OK, then_close=True)(reader, writer)
            await asked.wait()
            writer.write(OK)
            await writer.drain()

        asked = asyncio.Event()
        async with connected(late) as connection:
            assert await post(connection) == ANSWERED
            assert connection.is_reusable
            asked.set()
            await until(lambda: not connection.is_reusable)

    asyncio.run(check())


def test_giving_up_ends_the_connection_and_leaves_nothing_waiting() -> None:
    async def check() -> None:
        left = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            arrived.set()
            with contextlib.suppress(ConnectionError):
                if size > 1:
                    await left.wait()
                else:
                    await reader.read(2)
            left.set()

        for size in (1, 64 << 20):
            arrived = asyncio.Event()
            left.clear()
            async with connected(silent) as connection:
                asking = asyncio.create_task(post(connection, bytes(size)))
                await arrived.wait()
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                assert not connection.is_reusable
                if size > 1:
                    left.set()
                await asyncio.wait_for(left.wait(), 10)

    asyncio.run(check())
