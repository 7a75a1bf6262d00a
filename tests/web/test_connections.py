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
