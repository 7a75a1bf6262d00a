"""The HTTP receiver: what it refuses and how, its limits, and who is cut off."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING

import psutil
import pytest
import zstandard
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otlp.http_upstream import HttpAnswer, HttpUpstream
from tests.otlp.raw_http import JSON, PROTOBUF, HttpResponse, connect, head, post, read_response
from tests.otlp.relay import client, relay, send, until
from tests.otlp.upstream import Reply, Upstream
from tripswitch.otlp.grpc_receiver import TRACES_METHOD
from tripswitch.otlp.tap import Gap, Tapped
from tripswitch.web.connections import ConnectionLimits

if TYPE_CHECKING:
    from tests.otlp.relay import Relay

DOCUMENT = json.dumps(
    {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "chat", "unknown": [1]}]}]}]}
).encode()


async def _taken(between: Relay) -> list[Tapped | Gap]:
    await between.pipeline.reading.settled()
    taken = []
    while (item := between.tap.take()) is not None:
        taken.append(item)
    return taken


async def _status_or_cut(url: str, headers: tuple[tuple[str, str], ...]) -> int:
    """Return the status, 0 where the connection was closed before it could be read."""
    try:
        return (await post(url, "/v1/traces", b"x", headers=headers)).status
    except (ConnectionError, asyncio.IncompleteReadError):
        return 0


def _message(response: HttpResponse) -> str:
    if response.header("content-type") == JSON:
        return str(json.loads(response.body)["message"])
    return str(Status.FromString(response.body).message)


def test_what_is_no_otlp_is_answered_as_the_collector_does() -> None:
    async def check() -> None:
        async with (
            HttpUpstream() as upstream,
            relay(upstream.url, path_prefixes=("", "/api/public/otel/")) as between,
        ):
            wrong_method = await post(between.url, "/v1/traces", b"", method="GET")
            assert (wrong_method.status, wrong_method.header("allow")) == (405, "POST")
            assert wrong_method.header("content-type") == "text/plain"
            for content_type in ("", "text/plain", "application/protobuf"):
                wrong_type = await post(between.url, "/v1/traces", b"x", content_type)
                assert wrong_type.status == 415
                assert wrong_type.header("content-type") == "text/plain"
            assert (await post(between.url, "/otel/v1/traces", b"x")).status == 404
            assert (await post(between.url, "/api/public/otel/traces", b"x")).status == 404
            assert upstream.got == []
            assert between.pipeline.outcomes() == {"unsupported": 6}
            assert (await post(between.url, "/api/public/otel/v1/traces", b"x")).status == 200
            assert (await post(between.url, "/v1/logs", b"x")).status == 200
            assert len(upstream.got) == 2

    asyncio.run(check())


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_beyond_the_limit_is_413_in_the_clients_words(
    content_type: str, is_chunked: bool
) -> None:
    async def check() -> None:
        body = bytes(3 << 20)
        async with (
            HttpUpstream() as upstream,
            relay(upstream.url, max_recv_msg_bytes=1 << 20) as between,
        ):
            if is_chunked:
                reader, writer = await connect(between.url)
                headers = (("content-type", content_type), ("transfer-encoding", "chunked"))
                chunk = b"%x\r\n%b\r\n" % (len(body), body)
                writer.write(head("/v1/traces", headers) + chunk + b"0\r\n\r\n")
                response = await read_response(reader)
                writer.close()
            else:
                response = await post(between.url, "/v1/traces", body, content_type)
            assert response.status == 413
            assert response.header("content-type") == content_type
            assert "1048576" in _message(response)
            assert upstream.got == []
            assert between.pipeline.outcomes() == {"transport_refused": 1}
            assert between.pipeline.admission.in_flight_bytes == 0

    asyncio.run(check())


def test_bodies_in_chunks_and_after_100_continue_arrive_whole() -> None:
    async def check() -> None:
        async with HttpUpstream() as upstream, relay(upstream.url) as between:
            reader, writer = await connect(between.url)
            headers: tuple[tuple[str, str], ...] = (
                ("content-type", PROTOBUF),
                ("transfer-encoding", "chunked"),
            )
            writer.write(head("/v1/traces", headers) + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            assert (await read_response(reader)).status == 200
            headers = (
                ("content-type", PROTOBUF),
                ("content-length", "3"),
                ("expect", "100-continue"),
            )
            writer.write(head("/v1/traces", headers))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(b"xyz")
            assert (await read_response(reader)).status == 200
            writer.close()
            assert [got.body for got in upstream.got] == [b"abcde", b"xyz"]
            assert upstream.got[0].header("transfer-encoding") is None
            assert upstream.got[1].header("expect") is None

    asyncio.run(check())


def test_json_and_packed_traces_are_read_as_protobuf_and_forwarded_as_they_came() -> None:
    async def check() -> None:
        message = ExportTraceServiceRequest()
        message.resource_spans.add().scope_spans.add().spans.add(name="chat")
        encoded = message.SerializeToString()
        packed = (("content-encoding", "gzip"),)
        zstd = zstandard.ZstdCompressor().compress(encoded)
        async with HttpUpstream() as upstream, relay(upstream.url) as between:
            await post(between.url, "/v1/traces", DOCUMENT, JSON)
            await post(between.url, "/v1/traces", gzip.compress(DOCUMENT), JSON, packed)
            await post(between.url, "/v1/traces", gzip.compress(encoded), headers=packed)
            await post(between.url, "/v1/traces", zstd, headers=(("content-encoding", "zstd"),))
            await post(between.url, "/v1/traces", encoded)
            await post(between.url, "/v1/metrics", b"of no interest to the reader")
            taken = await _taken(between)
            assert [item.body for item in taken if isinstance(item, Tapped)] == [encoded] * 5
            assert upstream.got[0].body == DOCUMENT
            assert upstream.got[3].body == zstd

    asyncio.run(check())


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b'{"resourceSpans":' + b"[" * 100_000, JSON, ""),
        (b'{"a":' * 100_000, JSON, ""),
        (b"no gzip at all", PROTOBUF, "gzip"),
        (b"x", PROTOBUF, "br"),
        (gzip.compress(bytes(80 << 20)), PROTOBUF, "gzip"),
        (zstandard.ZstdCompressor().compress(bytes(1 << 30)), JSON, "zstd"),
        (gzip.compress(b"") * 5000, PROTOBUF, "gzip"),
    ],
)
def test_what_cannot_be_read_is_forwarded_all_the_same_and_marked(
    body: bytes, content_type: str, encoding: str
) -> None:
    async def check() -> None:
        headers = (("content-encoding", encoding),) if encoding else ()
        async with HttpUpstream() as upstream, relay(upstream.url) as between:
            response = await post(between.url, "/v1/traces", body, content_type, headers)
            assert response.status == 200
            assert [got.body == body for got in upstream.got] == [True]
            (gap,) = await _taken(between)
            assert isinstance(gap, Gap)
            assert between.pipeline.reading.unreadable == 1

    asyncio.run(check())


def test_a_bomb_of_gigabytes_costs_a_bounded_amount_of_memory() -> None:
    async def check() -> None:
        packer = zstandard.ZstdCompressor().compressobj()
        zeros = bytes(16 << 20)
        bomb = b"".join(packer.compress(zeros) for _ in range(640)) + packer.flush()
        process = psutil.Process()
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            before = process.memory_info().rss
            sent = (("content-encoding", "zstd"),)
            refused = await asyncio.gather(
                *(post(between.url, "/v1/traces", bomb, headers=sent) for _ in range(4))
            )
            assert {response.status for response in refused} == {413}
            assert process.memory_info().rss - before < 600 << 20
            assert (await post(between.url, "/v1/traces", b"others")).status == 200
            assert [got.body for got in upstream.got] == [b"others"]

    asyncio.run(check())


def test_what_unpacks_in_flight_counts_against_the_shared_bytes() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        packed = gzip.compress(bytes(3 << 20))
        sent = (("content-encoding", "gzip"),)
        async with (
            Upstream(lambda _got: Reply(hold=hold)) as upstream,
            relay(upstream.endpoint, max_in_flight_bytes=4 << 20) as between,
        ):
            first = asyncio.create_task(post(between.url, "/v1/traces", packed, headers=sent))
            await asyncio.wait_for(upstream.arrived.wait(), 10)
            refused = await post(between.url, "/v1/traces", packed, headers=sent)
            assert (refused.status, refused.header("retry-after")) == (503, "2")
            hold.set()
            assert (await first).status == 200
            assert (await post(between.url, "/v1/traces", packed, headers=sent)).status == 200
            await until(lambda: between.pipeline.admission.in_flight_bytes == 0)

    asyncio.run(check())


def test_a_body_that_does_not_arrive_in_time_is_given_up_for_now() -> None:
    async def check() -> None:
        async with (
            HttpUpstream() as upstream,
            relay(upstream.url, read_timeout_s=0.2) as between,
        ):
            reader, writer = await connect(between.url)
            headers = (("content-type", PROTOBUF), ("content-length", "1000"))
            writer.write(head("/v1/traces", headers) + b"only this")
            response = await read_response(reader)
            assert (response.status, response.header("retry-after")) == (503, "2")
            assert "9 bytes did" in _message(response)
            assert response.header("connection") == "close"
            writer.close()
            await until(lambda: between.pipeline.admission.in_flight_bytes == 0)
            assert between.pipeline.outcomes() == {"transport_refused": 1}

    asyncio.run(check())


def test_slow_senders_hold_no_place_of_others() -> None:
    async def check() -> None:
        async with (
            HttpUpstream() as upstream,
            relay(upstream.url, max_concurrent_rpcs=2) as between,
        ):
            slow = []
            headers = (("content-type", PROTOBUF), ("content-length", "1000"))
            for _ in range(50):
                _, writer = await connect(between.url)
                writer.write(head("/v1/traces", headers) + b"x")
                slow.append(writer)
            await until(lambda: between.pipeline.admission.in_flight_bytes > 50 * 2048)
            assert (await post(between.url, "/v1/traces", b"others")).status == 200
            for writer in slow:
                writer.close()
            await until(lambda: between.pipeline.outcomes().get("cancelled") == 50)
            assert between.pipeline.admission.in_flight_bytes == 0

    asyncio.run(check())


def test_headers_that_never_end_or_are_too_many_cut_the_connection_off() -> None:
    async def check() -> None:
        limits = ConnectionLimits(1000, header_timeout_s=0.3)
        async with HttpUpstream() as upstream, relay(upstream.url, limits=limits) as between:
            reader, writer = await connect(between.url)
            dribble = head("/v1/traces", (("content-type", PROTOBUF),))[:-4]
            for byte in dribble * 20:
                writer.write(bytes([byte]))
                if reader.at_eof() or writer.is_closing():
                    break
                await asyncio.sleep(0.01)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await read_response(reader)
            writer.close()
            silent, silent_writer = await connect(between.url)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await read_response(silent)
            silent_writer.close()
            assert limits.closed == 2
            flood = tuple((f"x-{number}", "y" * 1000) for number in range(1000))
            assert await _status_or_cut(between.url, flood) in (400, 0)
            assert upstream.got == []
            assert (await post(between.url, "/v1/traces", b"others")).status == 200

    asyncio.run(check())


def test_two_thousand_idle_connections_make_way_for_those_that_send() -> None:
    async def check() -> None:
        limits = ConnectionLimits(500, header_timeout_s=60)
        async with HttpUpstream() as upstream, relay(upstream.url, limits=limits) as between:
            served, served_writer = await connect(between.url)
            idle = [await connect(between.url) for _ in range(2000)]
            assert (await post(between.url, "/v1/traces", b"others")).status == 200
            await until(lambda: limits.closed >= 1500)
            assert len(limits.waiting) <= 500
            for _, writer in idle:
                writer.close()
            served_writer.close()
            assert served.at_eof() or served.exception() is not None or limits.closed >= 1501

    asyncio.run(check())


def test_too_many_at_once_are_refused_for_now_over_both_protocols_apart() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            HttpUpstream(lambda _got: HttpAnswer(hold=hold)) as upstream,
            relay(upstream.url, max_concurrent_rpcs=1) as between,
            client(between.endpoint) as channel,
        ):
            first = asyncio.create_task(post(between.url, "/v1/traces", b"first"))
            await asyncio.wait_for(upstream.arrived.wait(), 10)
            refused = await post(between.url, "/v1/traces", bytes(20 << 20), JSON)
            assert (refused.status, refused.header("retry-after")) == (503, "2")
            document = json.loads(refused.body)
            assert document["code"] == 14
            assert document["details"][0]["retryDelay"] == "1.900s"
            over_grpc = asyncio.create_task(send(channel, TRACES_METHOD, b"grpc has its own"))
            await until(lambda: len(upstream.got) == 2)
            hold.set()
            assert (await first).status == 200
            await over_grpc
            assert between.pipeline.outcomes() == {"overloaded": 1, "accepted": 2}

    asyncio.run(check())


def test_bytes_in_flight_are_shared_between_the_protocols() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            HttpUpstream(lambda _got: HttpAnswer(hold=hold)) as upstream,
            relay(upstream.url, max_in_flight_bytes=3 << 20) as between,
            client(between.endpoint) as channel,
        ):
            first = asyncio.create_task(send(channel, TRACES_METHOD, bytes(2 << 20)))
            await asyncio.wait_for(upstream.arrived.wait(), 10)
            claimed = await post(between.url, "/v1/traces", bytes(2 << 20))
            assert claimed.status == 503
            reader, writer = await connect(between.url)
            headers = (("content-type", PROTOBUF), ("transfer-encoding", "chunked"))
            chunk = b"%x\r\n%b\r\n" % (2 << 20, bytes(2 << 20))
            writer.write(head("/v1/traces", headers) + chunk + b"0\r\n\r\n")
            assert (await read_response(reader)).status == 503
            writer.close()
            hold.set()
            await first
            assert (await post(between.url, "/v1/traces", bytes(2 << 20))).status == 200
            assert between.pipeline.outcomes() == {"overloaded": 2, "accepted": 2}

    asyncio.run(check())


def test_a_client_that_gives_up_cancels_its_request_upstream() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            HttpUpstream(lambda _got: HttpAnswer(hold=hold)) as upstream,
            relay(upstream.url) as between,
        ):
            _, writer = await connect(between.url)
            headers = (("content-type", PROTOBUF), ("content-length", "1"))
            writer.write(head("/v1/traces", headers) + b"x")
            await asyncio.wait_for(upstream.arrived.wait(), 10)
            writer.close()
            await until(lambda: upstream.left == 1)
            await until(lambda: between.pipeline.outcomes() == {"cancelled": 1})
            assert between.http.in_flight == 0
            assert between.pipeline.admission.in_flight_bytes == 0
            assert len(between.tap) == 0

    asyncio.run(check())


def test_an_upstream_that_hangs_up_is_503_and_a_stale_connection_is_tried_again() -> None:
    async def check() -> None:
        served = 0
        connections = 0

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Answer the first request of a connection and hang up on the second."""
            nonlocal served, connections
            connections += 1
            await reader.readuntil(b"\r\n\r\nx")
            served += 1
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()

        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.transport.abort()

        server = await asyncio.start_server(once, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, relay(url) as between:
            for _ in range(3):
                assert (await post(between.url, "/v1/traces", b"x")).status == 200
            assert (served, connections) == (3, 3)
        server = await asyncio.start_server(never, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, relay(url) as between:
            response = await post(between.url, "/v1/traces", b"x")
            assert response.status == 503
            assert Status.FromString(response.body).code == 14

    asyncio.run(check())


def test_an_answer_beyond_the_limit_is_cut_and_keeps_its_status() -> None:
    async def check() -> None:
        async with (
            HttpUpstream(lambda _got: HttpAnswer(200, bytes(5 << 20))) as upstream,
            relay(upstream.url) as between,
        ):
            response = await post(between.url, "/v1/traces", b"x")
            assert (response.status, response.body) == (200, b"")

    asyncio.run(check())


def test_a_silent_upstream_is_answered_when_its_time_is_over() -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            HttpUpstream(lambda _got: HttpAnswer(hold=hold)) as upstream,
            relay(upstream.url, timeout_s=0.2) as between,
        ):
            response = await post(between.url, "/v1/traces", b"x")
            assert response.status == 503
            assert Status.FromString(response.body).code == 4
            await until(lambda: upstream.left == 1)

    asyncio.run(check())


def test_connections_are_kept_between_requests_and_the_shutdown_lets_them_finish() -> None:
    async def check() -> None:
        async with HttpUpstream() as upstream, relay(upstream.url) as between:
            reader, writer = await connect(between.url)
            headers = (("content-type", PROTOBUF), ("content-length", "1"))
            for _ in range(5):
                writer.write(head("/v1/traces", headers) + b"x")
                assert (await read_response(reader)).status == 200
            # Two at once on one connection, as clients that pipeline send them.
            writer.write((head("/v1/traces", headers) + b"y") * 2)
            for _ in range(2):
                assert (await read_response(reader)).status == 200
            writer.close()
            assert len(upstream.got) == 7

    asyncio.run(check())


def test_a_fault_of_our_own_is_503() -> None:
    async def check() -> None:
        async with HttpUpstream() as upstream, relay(upstream.url) as between:
            between.pipeline.requests = None  # type: ignore[assignment]  # a fault on purpose
            response = await post(between.url, "/v1/traces", b"x")
            assert response.status == 503
            assert response.header("retry-after") == "2"

    asyncio.run(check())
