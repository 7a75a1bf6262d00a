"""The upstream over gRPC: errors, deadlines, metadata and absence, as a client sees them."""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import threading
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.otlp.relay import client, relay, send, until
from tests.otlp.upstream import Got, Reply, Upstream
from tripswitch.otlp.crossing import to_grpc
from tripswitch.otlp.delivery import Delivery, Signal
from tripswitch.otlp.grpc_receiver import TRACES_METHOD
from tripswitch.otlp.grpc_upstream import GrpcUpstream
from tripswitch.otlp.headers import of_a_grpc_request
from tripswitch.otlp.replies import GrpcReply, HttpReply
from tripswitch.otlp.replies import Reply as OurReply

ERRORS = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.mark.parametrize("code", ERRORS, ids=lambda code: code.name)
def test_errors_come_back_as_they_are(code: grpc.StatusCode) -> None:
    async def check() -> None:
        trailing = (
            ("grpc-status-details-bin", b"\x08\x0e"),
            ("google.rpc.retryinfo-bin", b"\x0a\x02\x08\x01"),
            ("x-reason", "because"),
        )
        refusal = Reply(code=code, details="no: \N{SNOWMAN} 100 %", trailing=trailing)
        async with (
            Upstream(lambda _got: refusal) as upstream,
            relay(upstream.endpoint) as between,
            client(between.endpoint) as channel,
        ):
            call: Any = channel.unary_unary(TRACES_METHOD, None, None)(b"x", timeout=10)
            assert await call.code() is code
            assert await call.details() == "no: \N{SNOWMAN} 100 %"
            assert sorted(await call.trailing_metadata()) == sorted(trailing)
            assert len(upstream.got) == 1

    asyncio.run(check())


def test_an_absent_upstream_is_unavailable_and_found_again_when_it_is_back() -> None:
    async def check() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        async with relay(endpoint) as between, client(between.endpoint) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, TRACES_METHOD, b"x")
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            async with Upstream(endpoint=endpoint) as upstream:
                async with asyncio.timeout(10):
                    while not upstream.got:
                        call: Any = channel.unary_unary(TRACES_METHOD, None, None)(b"again")
                        assert await call.code() in (
                            grpc.StatusCode.UNAVAILABLE,
                            grpc.StatusCode.OK,
                        )
                assert upstream.got[0].body == b"again"

    asyncio.run(check())


def test_an_upstream_that_hangs_up_in_the_middle_is_unavailable() -> None:
    async def check() -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # The client's preface, SETTINGS and HEADERS; answered with empty SETTINGS and silence.
            await reader.read(100)
            writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            await writer.drain()
            await reader.read(1)
            writer.transport.abort()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, relay(endpoint) as between, client(between.endpoint) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, TRACES_METHOD, b"x")
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE

    asyncio.run(check())


def test_the_clients_deadline_is_passed_on_and_ours_holds_without_one() -> None:
    async def check() -> None:
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, timeout_s=500) as between,
            client(between.endpoint) as channel,
        ):
            await send(channel, TRACES_METHOD, b"x", timeout_s=100)
            await send(channel, TRACES_METHOD, b"x", timeout_s=None)
            # gRPC sends deadlines rounded up to two or three digits.
            assert upstream.got[0].remaining_s == pytest.approx(100, abs=3)
            assert upstream.got[1].remaining_s == pytest.approx(500, abs=15)

    asyncio.run(check())


def test_a_silent_upstream_is_answered_before_the_client_leaves() -> None:
    async def check() -> None:
        silence = asyncio.Event()
        async with (
            Upstream(lambda _got: Reply(hold=silence)) as upstream,
            relay(upstream.endpoint) as between,
            client(between.endpoint) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await send(channel, TRACES_METHOD, b"x", timeout_s=1)
            assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            await until(lambda: upstream.cancelled and not between.receiver.in_flight)
            assert between.pipeline.outcomes() == {"failed": 1}

    asyncio.run(check())


def test_metadata_of_the_hop_stays_on_the_hop() -> None:
    kept = (("authorization", "Bearer t"), ("x-scope-orgid", "a"), ("x-scope-orgid", "b"))
    hop = (
        ("user-agent", "OTel"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", "10S"),
        ("grpc-encoding", "gzip"),
        (":path", "/x"),
        ("connection", "close"),
    )
    assert of_a_grpc_request((*hop, *kept)) == kept

    async def check() -> None:
        seen: list[Got] = []

        def reply(got: Got) -> Reply:
            seen.append(got)
            return Reply()

        async with Upstream(reply) as upstream, relay(upstream.endpoint) as between:
            async with client(between.endpoint) as channel:
                await send(channel, TRACES_METHOD, b"x", metadata=kept)
            assert tuple(pair for pair in seen[0].metadata if pair[0] != "user-agent") == kept

    asyncio.run(check())


def test_what_unpacking_takes_is_not_the_upstreams_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb is refused however long it takes to see, and never kept for later instead."""
    patience_s = 0.5
    packed = gzip.compress(random.Random(1).randbytes(20_000))
    delivery = Delivery(
        "http", "/v1/traces", Signal.TRACES, (), packed, 0, "application/x-protobuf", "gzip"
    )
    done = threading.Event()

    def slowly(delivery: Delivery, max_bytes: int) -> Delivery | OurReply:
        done.wait(2 * patience_s)
        return to_grpc(delivery, max_bytes)

    async def sent_to(largest_bytes: int) -> tuple[OurReply, list[Got]]:
        async with Upstream() as upstream:
            to = GrpcUpstream(upstream.endpoint, timeout_s=5, largest_bytes=largest_bytes)
            try:
                return await to.send(delivery, None, patience_s), upstream.got
            finally:
                await to.close()

    monkeypatch.setattr("tripswitch.otlp.grpc_upstream.to_grpc", slowly)
    taken, got = asyncio.run(sent_to(1 << 20))
    assert taken.is_ok
    assert [len(each.body) for each in got] == [20_000]
    refused, got = asyncio.run(sent_to(10_000))
    assert isinstance(refused, HttpReply)
    assert (refused.status, got) == (413, [])


def test_an_upstream_has_no_more_than_the_patience_for_it() -> None:
    async def check() -> None:
        silence = asyncio.Event()
        delivery = Delivery("grpc", TRACES_METHOD, Signal.TRACES, (), b"", 0)
        async with Upstream(lambda _got: Reply(hold=silence)) as upstream:
            to = GrpcUpstream(upstream.endpoint, timeout_s=60, largest_bytes=1 << 20)
            try:
                reply = await to.send(delivery, None, 0.2)
            finally:
                await to.close()
            await until(lambda: bool(upstream.cancelled))
        assert isinstance(reply, GrpcReply)
        assert reply.code is grpc.StatusCode.DEADLINE_EXCEEDED

    asyncio.run(check())


def test_a_fault_of_our_own_is_unavailable() -> None:
    async def check() -> None:
        upstream = GrpcUpstream("127.0.0.1:1", timeout_s=1, largest_bytes=1 << 20)
        # gRPC refuses upper-case keys with an exception of its own before anything is sent.
        delivery = Delivery("grpc", TRACES_METHOD, Signal.TRACES, (("UPPER", "x"),), b"", 0)
        try:
            reply = await upstream.send(delivery, 1.0)
        finally:
            await upstream.close()
        assert isinstance(reply, GrpcReply)
        assert reply.code is grpc.StatusCode.UNAVAILABLE
        assert upstream.in_flight == 0

    asyncio.run(check())
