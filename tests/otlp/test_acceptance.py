"""Acknowledgement: what the upstream takes, what the disk takes, and what goes back refused."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.otlp.http_upstream import HttpAnswer, HttpGot, HttpUpstream
from tests.otlp.raw_http import JSON, post
from tests.otlp.relay import Relay, client, relay, send, until
from tests.otlp.upstream import Got, Reply, Upstream
from tripswitch.otlp.acceptance import FAILURES_IN_A_ROW, Acceptance
from tripswitch.otlp.delivery import Delivery
from tripswitch.otlp.grpc_receiver import TRACES_METHOD
from tripswitch.otlp.replies import RETRYABLE, RETRYABLE_STATUSES
from tripswitch.otlp.spool.spool import Spool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tripswitch.otlp.acceptance import Mode

FINAL = [
    code for code in grpc.StatusCode if code not in RETRYABLE and code is not grpc.StatusCode.OK
]


class Kept:
    """A spool in memory: what it was given, and how often it was woken."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.wakes = 0

    async def append(self, delivery: Delivery, now_ns: int) -> None:
        """Keep it."""
        assert now_ns == delivery.received_ns
        self.deliveries.append(delivery)

    def wake(self) -> None:
        """Count it."""
        self.wakes += 1


@contextlib.asynccontextmanager
async def spooling(
    upstream: str, folder: Path, mode: Mode = "upstream-or-disk", max_bytes: int = 1 << 30
) -> AsyncIterator[tuple[Relay, Spool]]:
    """Run a relay with a real spool that is drained."""
    spool = Spool(folder, max_bytes=max_bytes, max_age_s=3600)
    await spool.open()
    try:
        async with relay(upstream, mode=mode, spool=spool) as between:
            draining = asyncio.create_task(spool.drain(between.pipeline.acceptance.resend))
            try:
                yield between, spool
            finally:
                draining.cancel()
                await asyncio.gather(draining, return_exceptions=True)
    finally:
        await spool.close()


def free_address() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_what_the_upstream_takes_is_not_kept() -> None:
    async def check() -> None:
        kept = Kept()
        async with (
            Upstream(lambda _got: Reply(body=b"partial")) as upstream,
            relay(upstream.endpoint, mode="upstream-or-disk", spool=kept) as between,
            client(between.endpoint) as channel,
        ):
            assert await send(channel, TRACES_METHOD, b"x") == b"partial"
            assert (await post(between.url, "/v1/traces", b"y")).body == b"partial"
            assert kept.deliveries == []
            assert between.pipeline.outcomes() == {"accepted": 2}

    asyncio.run(check())


def test_nothing_is_lost_while_the_upstream_is_away_and_all_arrives_as_it_was(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        endpoint = free_address()
        rng = random.Random(3)
        sent = [rng.randbytes(rng.randrange(5000)) for _ in range(40)]
        metadata = (("authorization", "Bearer t"), ("x-bits-bin", b"\x00\xff"))
        async with spooling(endpoint, tmp_path) as (between, spool):
            async with client(between.endpoint) as channel:
                for body in sent[:20]:
                    assert await send(channel, TRACES_METHOD, body, metadata) == b""
            for body in sent[20:]:
                headers = (("authorization", "Bearer t"), ("x-bits-bin", "AP8="))
                response = await post(between.url, "/v1/traces", body, headers=headers)
                assert (response.status, response.body) == (200, b"")
            assert between.pipeline.outcomes() == {"spooled": 40}
            assert len(between.tap) == 40
            async with Upstream(endpoint=endpoint) as upstream:
                await until(lambda: spool.figures().records == 0)
                assert sorted(got.body for got in upstream.got) == sorted(sent)
                assert {got.method for got in upstream.got} == {TRACES_METHOD}
                for got in upstream.got:
                    own = [pair for pair in got.metadata if pair[0] != "user-agent"]
                    assert sorted(own) == sorted(metadata)
                assert spool.figures().delivered_total == 40
                assert len(between.tap) == 40
                async with client(between.endpoint) as channel:
                    await send(channel, TRACES_METHOD, b"live again")
                assert upstream.got[-1].body == b"live again"
                assert spool.figures().appended_total == 40

    asyncio.run(check())


def test_what_a_client_sent_with_json_is_acknowledged_in_json(tmp_path: Path) -> None:
    async def check() -> None:
        body = b'{"resourceSpans": [], "unknown": 1}'
        answers = iter([503, 503, 200])
        async with (
            HttpUpstream(lambda _got: HttpAnswer(next(answers))) as upstream,
            spooling(upstream.url, tmp_path) as (between, spool),
        ):
            response = await post(between.url, "/v1/traces?a=b", body, JSON, (("x-a", "b"),))
            assert (response.status, response.body) == (200, b"{}")
            assert response.header("content-type") == JSON
            await until(lambda: spool.figures().delivered_total == 1)
            assert len(upstream.got) == 3
            for got in upstream.got:
                assert (got.target, got.body) == ("/v1/traces?a=b", body)
                assert (got.header("content-type"), got.header("x-a")) == (JSON, "b")

    asyncio.run(check())


@pytest.mark.parametrize("code", sorted(RETRYABLE, key=str), ids=lambda code: code.name)
def test_every_retryable_code_goes_to_disk(code: grpc.StatusCode) -> None:
    async def check() -> None:
        kept = Kept()
        async with (
            Upstream(lambda _got: Reply(code=code)) as upstream,
            relay(upstream.endpoint, mode="upstream-or-disk", spool=kept) as between,
            client(between.endpoint) as channel,
        ):
            assert await send(channel, TRACES_METHOD, b"x") == b""
            assert [delivery.body for delivery in kept.deliveries] == [b"x"]
            assert between.pipeline.outcomes() == {"spooled": 1}

    asyncio.run(check())


@pytest.mark.parametrize("code", FINAL, ids=lambda code: code.name)
def test_what_is_refused_for_good_goes_back_and_is_not_kept(code: grpc.StatusCode) -> None:
    async def check() -> None:
        kept = Kept()
        refusal = Reply(code=code, details="no", trailing=(("x-why", "because"),))
        async with (
            Upstream(lambda _got: refusal) as upstream,
            relay(upstream.endpoint, mode="upstream-or-disk", spool=kept) as between,
            client(between.endpoint) as channel,
        ):
            call: Any = channel.unary_unary(TRACES_METHOD, None, None)(b"x", timeout=10)
            assert (await call.code(), await call.details()) == (code, "no")
            assert ("x-why", "because") in tuple(await call.trailing_metadata())
            assert kept.deliveries == []
            assert between.pipeline.outcomes() == {"refused": 1}

    asyncio.run(check())


@pytest.mark.parametrize("status", [*sorted(RETRYABLE_STATUSES), 400, 401, 404, 413, 500, 501])
def test_http_statuses_are_kept_or_go_back_by_the_table(status: int) -> None:
    async def check() -> None:
        kept = Kept()
        async with (
            HttpUpstream(lambda _got: HttpAnswer(status, b"no")) as upstream,
            relay(upstream.url, mode="upstream-or-disk", spool=kept) as between,
        ):
            response = await post(between.url, "/v1/traces", b"x")
            if status in RETRYABLE_STATUSES:
                assert (response.status, len(kept.deliveries)) == (200, 1)
            else:
                assert (response.status, response.body) == (status, b"no")
                assert kept.deliveries == []

    asyncio.run(check())


def test_a_silent_upstream_costs_a_share_of_the_deadline_and_no_request() -> None:
    async def check() -> None:
        kept = Kept()
        silence = asyncio.Event()
        async with (
            Upstream(lambda _got: Reply(hold=silence)) as upstream,
            relay(upstream.endpoint, mode="upstream-or-disk", spool=kept) as between,
            client(between.endpoint) as channel,
        ):
            assert await send(channel, TRACES_METHOD, b"x", timeout_s=1) == b""
            assert [delivery.body for delivery in kept.deliveries] == [b"x"]
            await until(lambda: upstream.cancelled == 1)

    asyncio.run(check())


def test_after_failures_in_a_row_one_request_a_second_asks_for_the_rest() -> None:
    async def check() -> None:
        now_s = [1000.0]
        kept = Kept()
        is_away = [True]

        def reply(_got: Got) -> Reply:
            return Reply(code=grpc.StatusCode.UNAVAILABLE) if is_away[0] else Reply()

        async with (
            Upstream(reply) as upstream,
            relay(
                upstream.endpoint, mode="upstream-or-disk", spool=kept, now_s=lambda: now_s[0]
            ) as between,
            client(between.endpoint) as channel,
        ):

            async def tried(count: int) -> int:
                before = len(upstream.got)
                for _ in range(count):
                    assert await send(channel, TRACES_METHOD, b"x") == b""
                return len(upstream.got) - before

            acceptance: Acceptance = between.pipeline.acceptance
            assert await tried(FAILURES_IN_A_ROW) == FAILURES_IN_A_ROW
            assert acceptance.is_upstream_away
            assert await tried(10) == 1
            now_s[0] += 0.9
            assert await tried(10) == 0
            now_s[0] += 0.2
            assert await tried(10) == 1
            is_away[0] = False
            assert await tried(10) == 0
            now_s[0] += 1.1
            assert (await tried(5), kept.wakes) == (5, 1)
            assert not acceptance.is_upstream_away

    asyncio.run(check())


def test_disk_mode_asks_nobody_and_hides_no_answer(tmp_path: Path) -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            Upstream(lambda _got: Reply(hold=hold)) as upstream,
            spooling(upstream.endpoint, tmp_path, "disk") as (between, spool),
            client(between.endpoint) as channel,
        ):
            for number in range(10):
                assert await send(channel, TRACES_METHOD, b"%d" % number) == b""
            assert spool.figures().appended_total == 10
            hold.set()
            await until(lambda: spool.figures().delivered_total == 10)
            assert sorted(got.body for got in upstream.got) == [b"%d" % n for n in range(10)]

    asyncio.run(check())


def test_a_full_spool_is_back_pressure_in_both_protocols(tmp_path: Path) -> None:
    async def check() -> None:
        body = bytes(100_000)
        async with (
            spooling(free_address(), tmp_path, max_bytes=1 << 20) as (between, spool),
            client(between.endpoint) as channel,
        ):
            while spool.figures().bytes + len(body) < 1 << 20:
                await send(channel, TRACES_METHOD, body)
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, TRACES_METHOD, body)
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            trailers: Any = refusal.value.trailing_metadata()
            assert {key for key, _ in trailers} == {
                "google.rpc.retryinfo-bin",
                "grpc-status-details-bin",
            }
            response = await post(between.url, "/v1/traces", body)
            assert (response.status, response.header("retry-after")) == (503, "2")
            assert spool.figures().full_total == between.pipeline.acceptance.spool_refused == 2

    asyncio.run(check())


def test_from_the_disk_refusals_are_told_apart(tmp_path: Path) -> None:
    async def check() -> None:
        is_away = [True]

        def answer(got: HttpGot) -> HttpAnswer:
            if is_away[0]:
                return HttpAnswer(503)
            return HttpAnswer({b"bad": 400, b"who": 403}.get(got.body, 200))

        async with (
            HttpUpstream(answer) as upstream,
            spooling(upstream.url, tmp_path) as (between, spool),
        ):
            for body, who in ((b"bad", "a"), (b"who", "b"), (b"good", "a")):
                sent = (("authorization", who),)
                assert (await post(between.url, "/v1/traces", body, headers=sent)).status == 200
            is_away[0] = False
            spool.wake()
            await until(lambda: spool.figures().delivered_total == 1)
            await until(lambda: spool.figures().dead_letter_total == 1)
            await until(lambda: spool.figures().paused_credentials == 1)
            assert spool.figures().refused_total == 1

    asyncio.run(check())


def test_every_mode_but_upstream_needs_a_spool() -> None:
    async def check() -> None:
        async with relay("127.0.0.1:1") as between:
            with pytest.raises(ValueError, match="needs a spool"):
                Acceptance(between.upstream, "disk", None)

    asyncio.run(check())
