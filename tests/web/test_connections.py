"""Connections that are cut off: the silent, the slow, the eldest of too many; and the log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.otlp.relay import until
from tripswitch.web.connections import ConnectionLimits
from tripswitch.web.health import Health, health_app
from tripswitch.web.listener import Listener

REQUEST = b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n"


async def open_to(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection."""
    host, _, port = listener.endpoint.partition(":")
    return await asyncio.open_connection(host, int(port))


async def is_cut_off(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection that nothing is sent on."""
    try:
        return await asyncio.wait_for(reader.read(), 10) == b""
    except ConnectionError:
        return True


async def start(limits: ConnectionLimits, app: Any = None, **settings: Any) -> Listener:
    """Serve health, or ``app``, within ``limits``."""
    app = app or health_app(lambda: Health("ready", judge_up=True))
    return await Listener.start(app, "127.0.0.1:0", "test", limits=limits, **settings)


def test_who_sends_no_request_is_cut_off_and_who_does_is_not() -> None:
    async def check() -> None:
        limits = ConnectionLimits(100, header_timeout_s=0.2)
        listener = await start(limits)
        silent, silent_writer = await open_to(listener)
        speaking, speaking_writer = await open_to(listener)
        for _ in range(3):
            speaking_writer.write(REQUEST)
            assert (await speaking.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        assert await is_cut_off(silent)
        assert limits.closed == 1
        speaking_writer.write(REQUEST)
        assert (await speaking.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        speaking_writer.write(REQUEST[:10])
        assert await is_cut_off(speaking)
        assert limits.waiting == {}
        for writer in (silent_writer, speaking_writer):
            writer.close()
        await listener.stop()

    asyncio.run(check())


def test_the_one_silent_for_longest_makes_way_and_one_being_served_never() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        arrived = asyncio.Event()

        async def slow(_scope: Any, _receive: Any, send: Any) -> None:
            arrived.set()
            await hold.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        limits = ConnectionLimits(3, header_timeout_s=60)
        listener = await start(limits, slow)
        served, served_writer = await open_to(listener)
        served_writer.write(REQUEST)
        await arrived.wait()
        eldest, eldest_writer = await open_to(listener)
        await until(lambda: len(limits.waiting) == 1)
        younger, younger_writer = await open_to(listener)
        await until(lambda: len(limits.waiting) == 2)
        _, newest_writer = await open_to(listener)
        assert await is_cut_off(eldest)
        assert limits.closed == 1
        hold.set()
        assert (await served.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        younger_writer.write(REQUEST)
        assert (await younger.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        for writer in (served_writer, eldest_writer, younger_writer, newest_writer):
            writer.close()
        await listener.stop()

    asyncio.run(check())


def test_where_all_are_being_served_the_newest_is_turned_away() -> None:
    async def check() -> None:
        hold = asyncio.Event()

        async def slow(_scope: Any, _receive: Any, send: Any) -> None:
            await hold.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        limits = ConnectionLimits(1, header_timeout_s=60)
        listener = await start(limits, slow)
        served, served_writer = await open_to(listener)
        served_writer.write(REQUEST)
        await until(lambda: limits.waiting == {} and len(listener._server.server_state.tasks) == 1)
        newest, newest_writer = await open_to(listener)
        assert await is_cut_off(newest)
        hold.set()
        assert (await served.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        served_writer.close()
        newest_writer.close()
        await listener.stop()

    asyncio.run(check())


def test_who_is_still_sending_makes_way_before_the_newest_is_turned_away() -> None:
    async def check() -> None:
        async def echo(_scope: Any, receive: Any, send: Any) -> None:
            while (message := await receive())["type"] == "http.request":
                if not message.get("more_body"):
                    await send({"type": "http.response.start", "status": 204, "headers": []})
                    await send({"type": "http.response.body", "body": b""})
                    return

        limits = ConnectionLimits(2, header_timeout_s=60)
        listener = await start(limits, echo)
        part = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nx"
        eldest, eldest_writer = await open_to(listener)
        eldest_writer.write(part)
        await until(lambda: len(limits.serving) == 1)
        younger, younger_writer = await open_to(listener)
        younger_writer.write(part)
        await until(lambda: len(limits.serving) == 2)
        newest, newest_writer = await open_to(listener)
        newest_writer.write(REQUEST)
        assert (await newest.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        assert await is_cut_off(eldest)
        younger_writer.write(b"y")
        assert (await younger.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        await until(lambda: limits.serving == {})
        assert limits.closed == 1
        for writer in (eldest_writer, younger_writer, newest_writer):
            writer.close()
        await listener.stop()

    asyncio.run(check())


def test_strangers_cannot_fill_the_log_and_faults_are_named_without_their_words(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
            raise ValueError("what a user asked in confidence")

        listener = await start(ConnectionLimits(), broken)
        for said in (b"no HTTP at all\r\n\r\n", REQUEST):
            reader, writer = await open_to(listener)
            writer.write(said)
            assert (await reader.read()).startswith((b"HTTP/1.1 400", b"HTTP/1.1 500"))
            writer.close()
        await listener.stop()

    asyncio.run(check())
    said = capsys.readouterr()
    assert "in confidence" not in said.out + said.err + caplog.text
    assert "Invalid HTTP" not in said.out + said.err + caplog.text
    assert said.out.count("http_answer_failed") == 1


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with target, header names and body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    names = b",".join(name for name, _ in scope["headers"])
    said = b"|".join((scope["raw_path"], scope["query_string"], names, body))
    length = str(len(said)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return status line and body."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    return head.partition(b"\r\n")[0], await reader.readexactly(length)


@pytest.mark.parametrize("framing", [b"content-length: 3\r\n\r\nabc", b""])
def test_a_request_that_asks_for_another_protocol_is_served_in_this_one(framing: bytes) -> None:
    async def check() -> None:
        listener = await start(ConnectionLimits(), echo)
        reader, writer = await open_to(listener)
        chunks = b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        asking = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: x\r\n"
        request = b"POST /a//b?c=%2F HTTP/1.1\r\nhost: x\r\n" + asking + (framing or chunks)
        for _ in range(2):
            # Two in one packet, then one byte by byte.
            writer.write(request * 2)
            for byte in request:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            for _ in range(3):
                status, said = await read_answer(reader)
                path, query, names, body = said.split(b"|")
                assert (status, path, query, body) == (
                    b"HTTP/1.1 200 OK",
                    b"/a//b",
                    b"c=%2F",
                    b"abc",
                )
                assert b"upgrade" not in names.split(b",")
        writer.close()
        await listener.stop()

    asyncio.run(check())


@pytest.mark.parametrize(
    "said",
    [
        b"POST / HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * 600 + b"\r\n",
        b"POST /" + b"p" * 3000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /\xe9 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_or_beyond_the_limits_is_400(said: bytes) -> None:
    async def check() -> None:
        listener = await start(ConnectionLimits(max_header_bytes=2000), echo)
        reader, writer = await open_to(listener)
        writer.write(said)
        status, _ = await read_answer(reader)
        assert status == b"HTTP/1.1 400 Bad Request"
        assert await is_cut_off(reader)
        writer.close()
        await listener.stop()

    asyncio.run(check())


CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"POST / HTTP/1.1\r\nx: ", b"y" * 100),
        (CHUNKED + b"1;", b"y" * 100),
        (CHUNKED + b"0\r\nx-trailer: ", b"y" * 100),
        (CHUNKED + b"0\r\n", b"x: y\r\n"),
    ],
)
def test_framing_without_content_that_never_ends_is_cut_off(begin: bytes, more: bytes) -> None:
    async def check() -> None:
        listener = await start(ConnectionLimits(max_header_bytes=2000), echo)
        reader, writer = await open_to(listener)
        writer.write(begin)
        sent = 0
        while not reader.at_eof() and not writer.is_closing() and sent < 1000:
            writer.write(more)
            sent += 1
            await asyncio.sleep(0.001)
        # Some of it was under way when the end came.
        assert sent < 1000
        writer.close()
        await listener.stop()

    asyncio.run(check())


def test_trailers_are_nobodys_and_do_not_spoil_the_next_request() -> None:
    async def check() -> None:
        listener = await start(ConnectionLimits(), echo)
        reader, writer = await open_to(listener)
        head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write((head + b"1\r\na\r\n0\r\nauthorization: no\r\n\r\n") * 2)
        for _ in range(2):
            _, said = await read_answer(reader)
            assert said == b"/||transfer-encoding|a"
        writer.close()
        await listener.stop()

    asyncio.run(check())
