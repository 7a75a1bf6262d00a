"""The receiver: limits, refusals, what is tapped, and that every request is counted once."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from tests.otlp.raw_http2 import END_HEADERS, HEADERS, frame, headers_block, opening
from tests.otlp.raw_http2 import call as call_of
from tests.otlp.relay import client, relay, send, until
from tests.otlp.upstream import Reply, Upstream
from tripswitch.errors import ConfigError
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

ANY_METHOD = "/some.Service/Method"


def test_a_100_mb_request_is_refused_cleanly_and_counted() -> None:
    async def check() -> None:
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            async with client(between.endpoint) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await send(channel, TRACES_METHOD, bytes(100_000_000), timeout_s=60)
                assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                await send(channel, TRACES_METHOD, b"next")
            assert [got.body for got in upstream.got] == [b"next"]
            assert between.pipeline.outcomes() == {"transport_refused": 1, "accepted": 1}
            assert between.receiver.in_flight == 0

    asyncio.run(check())


def test_a_gzip_bomb_is_held_to_the_limit_after_decompression() -> None:
    async def check() -> None:
        async with Upstream() as upstream:
            async with (
                relay(upstream.endpoint, max_recv_msg_bytes=1 << 20) as between,
                client(between.endpoint) as channel,
            ):
                call: Any = channel.unary_unary(TRACES_METHOD, None, None)(
                    bytes(2 << 20), timeout=10, compression=grpc.Compression.Gzip
                )
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await call
                assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert between.pipeline.outcomes() == {"transport_refused": 1}
            assert upstream.got == []

    asyncio.run(check())


def test_too_many_at_once_are_refused_for_now_with_both_hints_before_they_are_read() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            Upstream(lambda _got: Reply(hold=hold)) as upstream,
            relay(upstream.endpoint, max_concurrent_rpcs=1) as between,
            client(between.endpoint) as channel,
        ):
            first = asyncio.create_task(send(channel, TRACES_METHOD, b"first"))
            await asyncio.wait_for(upstream.arrived.wait(), 10)
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, TRACES_METHOD, bytes(20 << 20))
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            sent_back: Any = refusal.value.trailing_metadata()
            trailers: dict[str, Any] = dict(sent_back)
            bare = RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
            rich = Status.FromString(trailers["grpc-status-details-bin"])
            packed = RetryInfo()
            assert rich.details[0].Unpack(packed)
            assert rich.code == 14
            assert bare.retry_delay.ToMilliseconds() == packed.retry_delay.ToMilliseconds() == 1900
            hold.set()
            await first
            assert between.pipeline.outcomes() == {"overloaded": 1, "accepted": 1}
            assert between.pipeline.received_bytes == len(b"first")

    asyncio.run(check())


def test_arrow_streams_are_unimplemented() -> None:
    async def check() -> None:
        method = "/opentelemetry.proto.experimental.arrow.v1.ArrowTracesService/ArrowTraces"
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            async with client(between.endpoint) as channel:
                streams: Any = channel.stream_stream(method, None, None)
                call = streams()
                assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
            assert upstream.got == []
            assert between.pipeline.outcomes() == {"unsupported": 1}

    asyncio.run(check())


@pytest.mark.parametrize(
    ("code", "trailing", "outcome"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, (), "refused"),
        (grpc.StatusCode.UNAVAILABLE, (), "failed"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, (), "refused"),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            (("google.rpc.retryinfo-bin", RetryInfo().SerializeToString()),),
            "failed",
        ),
    ],
)
def test_only_what_the_upstream_refused_for_good_is_not_tapped(
    code: grpc.StatusCode, trailing: tuple[tuple[str, bytes], ...], outcome: str
) -> None:
    async def check() -> None:
        refusal = Reply(code=code, trailing=trailing)
        async with (
            Upstream(lambda got: refusal if got.body == b"no" else Reply()) as upstream,
            relay(upstream.endpoint) as between,
            client(between.endpoint) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError):
                await send(channel, TRACES_METHOD, b"no")
            await send(channel, TRACES_METHOD, b"yes")
            await send(channel, ANY_METHOD, b"of no interest to the reader")
            is_read = outcome == "failed"
            assert len(between.tap) == (2 if is_read else 1)
            assert between.pipeline.reading.skipped == (0 if is_read else 1)
            assert between.pipeline.outcomes() == {outcome: 1, "accepted": 2}
            assert between.pipeline.acceptance.upstream_codes == {code.name: 1, "OK": 2}

    asyncio.run(check())


def test_a_broken_or_full_tap_does_not_reach_the_sender() -> None:
    async def check() -> None:
        def explode() -> None:
            raise RuntimeError("a reader with a fault")

        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, tap_bytes=1000) as between,
            client(between.endpoint) as channel,
        ):
            between.tap.listen(explode)
            for _ in range(10):
                await send(channel, TRACES_METHOD, bytes(100))
            assert len(upstream.got) == 10
            assert between.pipeline.reading.errors == 10
            assert between.tap.dropped_requests == 8

    asyncio.run(check())


def test_a_client_that_gives_up_is_counted_and_frees_its_place() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            Upstream(lambda _got: Reply(hold=hold)) as upstream,
            relay(upstream.endpoint) as between,
            client(between.endpoint) as channel,
        ):
            call: Any = channel.unary_unary(TRACES_METHOD, None, None)(b"x", timeout=30)
            await asyncio.wait_for(upstream.arrived.wait(), 10)
            call.cancel()
            await until(lambda: upstream.cancelled and not between.receiver.in_flight)
            assert between.pipeline.outcomes() == {"cancelled": 1}
            assert len(between.tap) == 0

    asyncio.run(check())


def test_stopping_lets_requests_under_way_finish() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            Upstream(lambda _got: Reply(hold=hold, body=b"done")) as upstream,
            relay(upstream.endpoint) as between,
            client(between.endpoint) as channel,
        ):
            under_way = asyncio.create_task(send(channel, TRACES_METHOD, b"x"))
            await asyncio.wait_for(upstream.arrived.wait(), 10)
            stopping = asyncio.create_task(between.receiver.stop(10))
            hold.set()
            assert await under_way == b"done"
            await stopping

    asyncio.run(check())


def test_a_taken_port_is_an_error_with_a_hint() -> None:
    async def check() -> None:
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint) as between,
            relay(upstream.endpoint) as other,
        ):
            with pytest.raises(ConfigError, match="cannot listen") as refusal:
                await other.receiver.start(between.endpoint)
            assert "port" in refusal.value.hint

    asyncio.run(check())


def test_a_request_that_does_not_arrive_in_time_is_given_up_for_now() -> None:
    async def check() -> None:
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, read_timeout_s=0.2, max_concurrent_rpcs=1) as between,
            client(between.endpoint) as channel,
        ):
            streams: Any = channel.stream_unary(TRACES_METHOD, None, None)
            call = streams(timeout=30)
            assert await call.code() is grpc.StatusCode.UNAVAILABLE
            assert {key for key, _ in await call.trailing_metadata()} == {
                "google.rpc.retryinfo-bin",
                "grpc-status-details-bin",
            }
            assert between.pipeline.outcomes() == {"transport_refused": 1}
            await send(channel, TRACES_METHOD, b"others")
            assert [got.body for got in upstream.got] == [b"others"]

    asyncio.run(check())


def test_a_path_that_ends_grpcs_server_costs_no_request_under_way_and_others_are_served() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            Upstream(
                lambda got: Reply(hold=hold if got.body == b"under way" else None)
            ) as upstream,
            relay(upstream.endpoint) as between,
            client(between.endpoint) as channel,
        ):
            under_way = asyncio.create_task(send(channel, TRACES_METHOD, b"under way"))
            await asyncio.wait_for(upstream.arrived.wait(), 10)
            host, _, port = between.endpoint.partition(":")
            for restarts in (1, 2):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(call_of(b"/\xff/Export", b""))
                await until(lambda: between.receiver.restarts == restarts)  # noqa: B023 - awaited
                async with client(between.endpoint) as another:
                    call: Any = another.unary_unary(TRACES_METHOD, None, None)
                    assert await call(b"others", timeout=10, wait_for_ready=True) == b""
                writer.close()
            hold.set()
            assert await under_way == b""
            assert between.pipeline.outcomes() == {"accepted": 3}

    asyncio.run(check())


def test_who_sends_slowly_makes_way_where_all_places_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check() -> None:
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, max_concurrent_rpcs=2) as between,
            client(between.endpoint) as channel,
        ):
            streams: Any = channel.stream_unary(TRACES_METHOD, None, None)
            slow = []
            for place in (1, 2):
                slow.append(streams(timeout=60))
                await until(lambda: between.receiver.in_flight == place)  # noqa: B023 - awaited
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, TRACES_METHOD, b"too soon")
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            monkeypatch.setattr("tripswitch.otlp.grpc_receiver._SLOW_S", 0.0)
            await send(channel, TRACES_METHOD, b"others")
            assert [got.body for got in upstream.got] == [b"others"]
            assert await slow[0].code() is grpc.StatusCode.UNAVAILABLE
            assert "did not arrive" in await slow[0].details()
            assert not slow[1].done()
            slow[1].cancel()
            await until(lambda: between.receiver.in_flight == 0)
            # One that ends before its message counts as one that did not arrive.
            assert between.pipeline.outcomes() == {
                "overloaded": 1,
                "accepted": 1,
                "transport_refused": 2,
            }

    asyncio.run(check())


@pytest.mark.parametrize("said", [b"", opening(), opening()[:10]], ids=["silent", "idle", "slow"])
def test_two_thousand_idle_connections_leave_room_for_others(said: bytes) -> None:
    async def check() -> None:
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            host, _, port = between.endpoint.partition(":")
            idle = [await asyncio.open_connection(host, int(port)) for _ in range(2000)]
            for _, writer in idle:
                writer.write(said)
            async with client(between.endpoint) as channel:
                await send(channel, TRACES_METHOD, b"others")
            assert [got.body for got in upstream.got] == [b"others"]
            for _, writer in idle:
                writer.close()

    asyncio.run(check())


def test_of_thousands_of_calls_that_begin_at_once_none_goes_uncounted() -> None:
    calls = 5000

    async def check() -> None:
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, max_concurrent_rpcs=2) as between,
        ):
            host, _, port = between.endpoint.partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            block = headers_block(b"/some.Service/Method")
            streams = range(1, 2 * calls, 2)
            writer.write(
                opening()
                + b"".join(frame(HEADERS, END_HEADERS, stream, block) for stream in streams)
            )
            reading = asyncio.create_task(reader.read(-1))
            await until(lambda: sum(between.pipeline.outcomes().values()) >= calls - 2)
            writer.close()
            await reading
            await until(lambda: between.receiver.in_flight == 0)
            assert sum(between.pipeline.outcomes().values()) == calls

    asyncio.run(check())


def test_a_flood_of_headers_is_refused_and_others_are_served() -> None:
    async def check() -> None:
        flood = tuple((f"x-{number}", "y" * 1000) for number in range(100))
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            async with client(between.endpoint) as channel:
                with pytest.raises(grpc.aio.AioRpcError):
                    await send(channel, TRACES_METHOD, b"x", flood)
                await send(channel, TRACES_METHOD, b"others")
            assert [got.body for got in upstream.got] == [b"others"]

    asyncio.run(check())


def test_a_fault_of_our_own_is_unavailable() -> None:
    async def check() -> None:
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint) as between,
            client(between.endpoint) as channel,
        ):
            between.pipeline.requests = None  # type: ignore[assignment]  # a fault on purpose
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, TRACES_METHOD, b"x")
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            # The sender may have its answer before the receiver is done with the request.
            await until(lambda: between.pipeline.admission.in_flight_bytes == 0)

    asyncio.run(check())
