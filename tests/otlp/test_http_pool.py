"""Connections to an HTTP upstream: used again, bounded, tried anew, left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.otlp.http_upstream import HttpAnswer, HttpUpstream
from tests.otlp.relay import until
from tripswitch.otlp import http_pool
from tripswitch.otlp.http_connection import HungUpError
from tripswitch.otlp.http_pool import HttpPool, Origin, origin_of

if TYPE_CHECKING:
    from tripswitch.otlp.http_connection import Answer


async def post(pool: HttpPool) -> Answer:
    """Send a request."""
    async with asyncio.timeout(20):
        return await pool.post(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n", b"x")


def url_of(server: asyncio.Server) -> str:
    """Return where a server listens."""
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://localhost:4318", Origin("localhost", 4318, False, "localhost:4318", "")),
        ("https://Collector/", Origin("collector", 443, True, "collector", "")),
        ("http://[::1]:80/otel/v0/", Origin("::1", 80, False, "[::1]", "/otel/v0")),
        ("https://c:80", Origin("c", 80, True, "c:80", "")),
    ],
)
def test_a_url_says_where_to_connect_and_what_the_host_header_says(
    url: str, origin: Origin
) -> None:
    assert origin_of(url) == origin


def test_one_after_the_other_go_over_one_connection_and_many_at_once_over_many() -> None:
    async def check() -> None:
        async with HttpUpstream() as upstream:
            pool = HttpPool(origin_of(upstream.url), None)
            for _ in range(5):
                assert (await post(pool)).status == 200
                assert len(pool) == 1
            await asyncio.gather(*(post(pool) for _ in range(20)))
            assert 1 < len(pool) <= 20
            pool.close()
            await until(lambda: len(pool) == 0)

    asyncio.run(check())


def test_more_than_the_bound_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_pool, "MAX_CONNECTIONS", 3)

    async def check() -> None:
        hold = asyncio.Event()
        async with HttpUpstream(lambda _got: HttpAnswer(hold=hold)) as upstream:
            pool = HttpPool(origin_of(upstream.url), None)
            asking = [asyncio.create_task(post(pool)) for _ in range(10)]
            await until(lambda: len(upstream.got) == 3)
            assert len(pool) == 3
            hold.set()
            assert [answer.status for answer in await asyncio.gather(*asking)] == [200] * 10
            assert len(pool) == 3
            pool.close()

    asyncio.run(check())


def test_a_connection_that_grew_old_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with HttpUpstream() as upstream:
            pool = HttpPool(origin_of(upstream.url), None)
            await post(pool)
            (first,) = pool._all
            monkeypatch.setattr(http_pool, "IDLE_S", -1.0)
            await post(pool)
            assert not first.is_reusable
            pool.close()

    asyncio.run(check())


def test_a_new_connection_that_is_hung_up_on_is_not_tried_again() -> None:
    async def check() -> None:
        connections = 0

        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await reader.readuntil(b"x")
            writer.transport.abort()

        server = await asyncio.start_server(never, "127.0.0.1", 0)
        async with server:
            pool = HttpPool(
                origin_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), None
            )
            with pytest.raises(HungUpError):
                await post(pool)
            assert connections == 1
        with pytest.raises(ConnectionRefusedError):
            await post(pool)

    asyncio.run(check())


def test_an_answer_that_broke_off_on_a_kept_connection_is_not_asked_for_again() -> None:
    async def check() -> None:
        served = 0

        async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal served
            while True:
                await reader.readuntil(b"\r\n\r\nx")
                served += 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (served - 1))
                if served == 2:
                    writer.close()
                    return

        server = await asyncio.start_server(breaking, "127.0.0.1", 0)
        async with server:
            pool = HttpPool(
                origin_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), None
            )
            await post(pool)
            with pytest.raises(HungUpError):
                await post(pool)
            assert served == 2
            pool.close()

    asyncio.run(check())


def test_a_pool_that_is_left_finishes_what_is_under_way_and_keeps_nothing() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with HttpUpstream() as upstream:
            pool = HttpPool(origin_of(upstream.url), None)
            await asyncio.gather(post(pool), post(pool))
            upstream.answer = lambda _got: HttpAnswer(body=b"late", hold=hold)
            asking = asyncio.create_task(post(pool))
            await until(lambda: len(upstream.got) == 3)
            pool.leave()
            await until(lambda: len(pool) == 1)
            hold.set()
            assert (await asking).body == b"late"
            await until(lambda: len(pool) == 0)

    asyncio.run(check())
