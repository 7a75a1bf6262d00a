"""Requests and answers that go in over one protocol and out over the other."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
import zlib
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
import zstandard
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.otlp.http_upstream import HttpAnswer, HttpGot, HttpUpstream
from tests.otlp.raw_http import JSON, PROTOBUF, post
from tests.otlp.relay import client, relay, send
from tests.otlp.upstream import Got, Reply, Upstream
from tripswitch.otlp.delivery import GRPC_METHODS, HTTP_PATHS, Delivery, Signal
from tripswitch.otlp.encodings import decode
from tripswitch.otlp.grpc_receiver import TRACES_METHOD
from tripswitch.otlp.retry_hints import retry_after_s, retry_hint

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
SIGNALS = list(GRPC_METHODS)
# Responses with a field that no schema has yet.
MESSAGES = st.binary(max_size=100).map(lambda body: b"\xfa\x7c" + bytes([len(body)]) + body)
DOCUMENT = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {"spans": [{"traceId": "5B8EFFF798038103D269B633813FC60C", "name": "chat"}]}
            ]
        }
    ]
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(SIGNALS),
            st.binary(max_size=3000),
            st.sampled_from(sorted(PACKERS)),
            st.binary(max_size=100),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_protobuf_over_http_reaches_grpc_unchanged_whatever_its_encoding(
    requests: list[tuple[Signal, bytes, str, bytes]],
) -> None:
    async def check() -> None:
        def reply(got: Got) -> Reply:
            return Reply(body=requests[int(dict(got.metadata)["x-number"])][3])

        async with Upstream(reply) as upstream, relay(upstream.endpoint) as between:

            async def one(number: int) -> None:
                signal, body, encoding, answered = requests[number]
                sent: tuple[tuple[str, str], ...] = (("x-number", str(number)),)
                if encoding:
                    sent = (*sent, ("content-encoding", encoding))
                response = await post(
                    between.url, HTTP_PATHS[signal], PACKERS[encoding](body), headers=sent
                )
                assert (response.status, response.body) == (200, answered)
                assert response.header("content-type") == PROTOBUF

            await asyncio.gather(*(one(number) for number in range(len(requests))))
            for got in upstream.got:
                signal, body, *_ = requests[int(dict(got.metadata)["x-number"])]
                assert (got.method, got.body) == (GRPC_METHODS[signal], body)

    asyncio.run(check())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(SIGNALS), st.binary(max_size=3000), MESSAGES),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(("none", "gzip", "deflate", "zstd")),
)
def test_grpc_reaches_http_unchanged_whatever_its_compression(
    requests: list[tuple[Signal, bytes, bytes]], compression: str
) -> None:
    async def check() -> None:
        def answer(got: HttpGot) -> HttpAnswer:
            return HttpAnswer(body=requests[int(got.header("x-number") or "")][2])

        async with (
            HttpUpstream(answer) as upstream,
            relay(upstream.url, compression=compression) as between,
            client(between.endpoint) as channel,
        ):

            async def one(number: int) -> None:
                signal, body, answered = requests[number]
                sent = (("x-number", str(number)),)
                assert await send(channel, GRPC_METHODS[signal], body, sent) == answered

            await asyncio.gather(*(one(number) for number in range(len(requests))))
            for got in upstream.got:
                signal, body, _ = requests[int(got.header("x-number") or "")]
                encoding = got.header("content-encoding") or ""
                assert encoding == ("" if compression == "none" else compression)
                assert decode(got.body, encoding, 1 << 20) == body
                assert got.target == HTTP_PATHS[signal]
                assert got.header("content-type") == PROTOBUF

    asyncio.run(check())


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 5_600_000, 60 << 20])
@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
def test_every_size_up_to_the_limit_crosses(size: int, encoding: str) -> None:
    async def check() -> None:
        body = random.Random(size).randbytes(size // 64) * 64
        packed = zlib.compress(body, 1, 31) if encoding == "gzip" else PACKERS[encoding](body)
        sent = (("content-encoding", encoding),) if encoding else ()
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            response = await post(between.url, "/v1/traces", packed, headers=sent)
            assert response.status == 200
            assert [got.body == body for got in upstream.got] == [True]

    asyncio.run(check())


def test_json_is_transcoded_to_grpc_and_answered_in_json() -> None:
    async def check() -> None:
        partial = ExportTraceServiceResponse()
        partial.partial_success.rejected_spans = 3
        partial.partial_success.error_message = "three were too old"
        rejected_logs = ExportLogsServiceResponse()
        rejected_logs.partial_success.rejected_log_records = 2
        answers = {
            GRPC_METHODS[Signal.TRACES]: partial.SerializeToString(),
            GRPC_METHODS[Signal.LOGS]: rejected_logs.SerializeToString(),
            GRPC_METHODS[Signal.METRICS]: b"",
            GRPC_METHODS[Signal.PROFILES]: b"",
        }
        async with (
            Upstream(lambda got: Reply(body=answers[got.method])) as upstream,
            relay(upstream.endpoint) as between,
        ):

            async def ask(signal: Signal, document: object) -> Any:
                body = gzip.compress(json.dumps(document).encode())
                packed = (("content-encoding", "gzip"),)
                response = await post(between.url, HTTP_PATHS[signal], body, JSON, packed)
                assert response.status == 200
                assert response.header("content-type") == JSON
                return json.loads(response.body)

            assert await ask(Signal.TRACES, DOCUMENT) == {
                "partialSuccess": {"rejectedSpans": "3", "errorMessage": "three were too old"}
            }
            assert await ask(Signal.LOGS, {"resourceLogs": []}) == {
                "partialSuccess": {"rejectedLogRecords": "2"}
            }
            assert await ask(Signal.METRICS, {}) == {}
            assert await ask(Signal.PROFILES, {"resourceProfiles": [{}]}) == {}
            request = ExportTraceServiceRequest.FromString(upstream.got[0].body)
            assert request.resource_spans[0].scope_spans[0].spans[0].name == "chat"

    asyncio.run(check())


@pytest.mark.parametrize(
    ("path", "body", "content_type", "encoding", "status"),
    [
        ("/v1/traces", b'{"resourceSpans": [', JSON, "", 400),
        ("/v1/traces", b"[" * 100_000, JSON, "", 400),
        ("/v1/traces", b"no gzip", PROTOBUF, "gzip", 400),
        ("/v1/traces", gzip.compress(b"x" * 100, mtime=0)[:-4], PROTOBUF, "gzip", 400),
        ("/v1/traces", zstandard.ZstdCompressor().compress(b"x" * 100)[:-3], PROTOBUF, "zstd", 400),
        ("/v1/traces", b"x", PROTOBUF, "snappy", 400),
        ("/v1/traces", gzip.compress(bytes(65 << 20), mtime=0), PROTOBUF, "gzip", 413),
        ("/v1/traces", zstandard.ZstdCompressor().compress(bytes(1 << 30)), PROTOBUF, "zstd", 413),
        ("/hello", b"x", PROTOBUF, "", 404),
    ],
)
def test_what_cannot_cross_is_refused_for_good_in_the_clients_words(
    path: str, body: bytes, content_type: str, encoding: str, status: int
) -> None:
    async def check() -> None:
        sent = (("content-encoding", encoding),) if encoding else ()
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            response = await post(between.url, path, body, content_type, sent)
            assert response.status == status
            assert response.header("content-type") == content_type
            if content_type == JSON:
                assert json.loads(response.body)["message"]
            else:
                assert Status.FromString(response.body).message
            assert upstream.got == []
            assert between.pipeline.outcomes() == {"refused": 1}

    asyncio.run(check())


def test_signals_of_tomorrow_cross_both_ways_and_other_methods_do_not() -> None:
    method = "/opentelemetry.proto.collector.entities.v2beta1.EntitiesService/Export"

    async def check() -> None:
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            assert (await post(between.url, "/otel/v2beta1/entities", b"x")).status == 200
            assert upstream.got[0].method == method
        async with (
            HttpUpstream() as http_upstream,
            relay(http_upstream.url) as between,
            client(between.endpoint) as channel,
        ):
            await send(channel, method, b"x")
            assert http_upstream.got[0].target == "/v2beta1/entities"
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, "/some.Service/Method", b"x")
            assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED

    asyncio.run(check())


def test_headers_cross_in_the_other_protocols_spelling() -> None:
    async def check() -> None:
        sent = (
            ("authorization", "Bearer t"),
            ("x-scope-orgid", "a"),
            ("x-token-bin", "AAH/"),
            ("x-broken-bin", "no base64!"),
            ("x-latin", "caf\xe9"),
            ("accept-encoding", "gzip"),
            ("user-agent", "OTel"),
        )
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            await post(between.url, "/v1/traces", b"x", headers=sent)
            (got,) = upstream.got
            assert [pair for pair in got.metadata if pair[0] != "user-agent"] == [
                ("authorization", "Bearer t"),
                ("x-scope-orgid", "a"),
                ("x-token-bin", b"\x00\x01\xff"),
            ]
        async with (
            HttpUpstream() as http_upstream,
            relay(http_upstream.url) as between,
            client(between.endpoint) as channel,
        ):
            metadata = (("authorization", "Bearer t"), ("x-token-bin", b"\x00\x01\xff"))
            await send(channel, TRACES_METHOD, b"x", metadata)
            ours = {"host", "content-type", "content-length"}
            assert [pair for pair in http_upstream.got[0].headers if pair[0] not in ours] == [
                ("authorization", "Bearer t"),
                ("x-token-bin", "AAH/"),
            ]

    asyncio.run(check())


CODES = {
    grpc.StatusCode.CANCELLED: 503,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 503,
    grpc.StatusCode.NOT_FOUND: 500,
    grpc.StatusCode.ALREADY_EXISTS: 500,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 500,
    grpc.StatusCode.ABORTED: 503,
    grpc.StatusCode.OUT_OF_RANGE: 503,
    grpc.StatusCode.UNIMPLEMENTED: 404,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 503,
}


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_every_grpc_code_has_its_http_status(code: grpc.StatusCode, content_type: str) -> None:
    async def check() -> None:
        number = code.value[0]
        refusals = {
            "bare": Reply(code=code, details="no: 100 %"),
            "hinted": Reply(code, details="later", trailing=retry_hint("later", number, 1.2)),
        }
        body = b"{}" if content_type == JSON else b""
        async with (
            Upstream(lambda got: refusals[str(dict(got.metadata)["x-which"])]) as upstream,
            relay(upstream.endpoint) as between,
        ):
            for which, refusal in refusals.items():
                response = await post(
                    between.url, "/v1/traces", body, content_type, (("x-which", which),)
                )
                assert response.status == CODES[code]
                assert response.header("content-type") == content_type
                if content_type == JSON:
                    document = json.loads(response.body)
                    assert (document["code"], document["message"]) == (number, refusal.details)
                else:
                    status = Status.FromString(response.body)
                    assert (status.code, status.message) == (number, refusal.details)
                is_hinted = which == "hinted" and response.status in (429, 503)
                assert response.header("retry-after") == ("2" if is_hinted else None)

    asyncio.run(check())


STATUSES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.INVALID_ARGUMENT,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.UNAVAILABLE,
    301: grpc.StatusCode.INTERNAL,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.INTERNAL,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.UNAVAILABLE,
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("retry_after", ["", "7"])
def test_every_http_status_has_its_grpc_code(status: int, retry_after: str) -> None:
    async def check() -> None:
        headers: tuple[tuple[str, str], ...] = (("content-type", PROTOBUF),)
        if retry_after:
            headers = (*headers, ("retry-after", retry_after))
        body = Status(message="because").SerializeToString()
        async with (
            HttpUpstream(lambda _got: HttpAnswer(status, body, headers)) as upstream,
            relay(upstream.url) as between,
            client(between.endpoint) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, TRACES_METHOD, b"x")
            assert refusal.value.code() is STATUSES[status]
            assert refusal.value.details() == "because"
            sent_back: Any = refusal.value.trailing_metadata()
            packed = dict(sent_back).get("google.rpc.retryinfo-bin")
            if retry_after and status in (429, 502, 503, 504):
                assert RetryInfo.FromString(packed).retry_delay.seconds == 7
            else:
                assert packed is None
            is_ours = between.pipeline.outcomes()
            assert is_ours == {"failed" if status in (429, 502, 503, 504) else "refused": 1}

    asyncio.run(check())


@pytest.mark.parametrize(
    ("status", "named", "expected"),
    [
        (503, grpc.StatusCode.ABORTED, grpc.StatusCode.ABORTED),
        (503, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE),
        (429, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE),
        (400, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.FAILED_PRECONDITION),
        (400, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_a_status_in_the_body_names_the_code_where_retrying_agrees(
    status: int, named: grpc.StatusCode, expected: grpc.StatusCode, content_type: str
) -> None:
    async def check() -> None:
        number = named.value[0]
        body = Status(code=number, message="m").SerializeToString()
        if content_type == JSON:
            body = json.dumps({"code": number, "message": "m"}).encode()
        answer = HttpAnswer(status, body, (("content-type", content_type),))
        async with (
            HttpUpstream(lambda _got: answer) as upstream,
            relay(upstream.url) as between,
            client(between.endpoint) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, TRACES_METHOD, b"x")
            assert (refusal.value.code(), refusal.value.details()) == (expected, "m")

    asyncio.run(check())


@pytest.mark.parametrize(
    "body", [b'{"code": true}', b'{"code": "x"}', b"[]", b'{"message": 5}', b"[" * 100_000, b"\xff"]
)
def test_odd_json_in_a_failure_is_still_that_failure(body: bytes) -> None:
    async def check() -> None:
        answer = HttpAnswer(503, body, (("content-type", JSON),))
        async with (
            HttpUpstream(lambda _got: answer) as upstream,
            relay(upstream.url) as between,
            client(between.endpoint) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(channel, TRACES_METHOD, b"x")
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE

    asyncio.run(check())


def test_details_that_json_cannot_spell_are_left_out() -> None:
    async def check() -> None:
        rich = Status(code=3, message="no")
        details = rich.details.add(type_url="type.googleapis.com/google.rpc.RetryInfo")
        details.value = b"\xff\xff"
        trailing = (("grpc-status-details-bin", rich.SerializeToString()),)
        refusal = Reply(grpc.StatusCode.INVALID_ARGUMENT, details="no", trailing=trailing)
        async with (
            Upstream(lambda _got: refusal) as upstream,
            relay(upstream.endpoint) as between,
        ):
            response = await post(between.url, "/v1/traces", b"{}", JSON)
            assert (response.status, json.loads(response.body)) == (
                400,
                {"code": 3, "message": "no"},
            )

    asyncio.run(check())


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000"])
def test_a_date_to_come_back_at_is_utc_unless_it_says_otherwise(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_after_s(f"Wed, 21 Oct 2026 07:28:00 {zone}", 1_792_567_675.0) == 5.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_partial_success_crosses_from_http_to_grpc() -> None:
    async def check() -> None:
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = 9
        body = response.SerializeToString() + b"\xfa\x7c\x03new"
        async with (
            HttpUpstream(lambda _got: HttpAnswer(body=body)) as upstream,
            relay(upstream.url) as between,
            client(between.endpoint) as channel,
        ):
            assert await send(channel, TRACES_METHOD, b"x") == body

    asyncio.run(check())


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<html>hello</html>", "text/html"), (b"no", PROTOBUF), (b"{}", JSON)],
)
def test_a_success_that_is_no_message_is_an_empty_one_to_grpc(
    body: bytes, content_type: str
) -> None:
    async def check() -> None:
        answer = HttpAnswer(200, body, (("content-type", content_type),))
        async with (
            HttpUpstream(lambda _got: answer) as upstream,
            relay(upstream.url) as between,
            client(between.endpoint) as channel,
        ):
            assert await send(channel, TRACES_METHOD, b"x") == b""

    asyncio.run(check())


def test_a_delivery_of_one_protocol_needs_no_crossing() -> None:
    async def check() -> None:
        async with relay("127.0.0.1:1") as between:
            delivery = Delivery("grpc", TRACES_METHOD, Signal.TRACES, (), b"x", 0)
            reply = await between.upstream.send(delivery, 1.0)
            assert reply.name == "UNAVAILABLE"
            assert reply.is_retryable

    asyncio.run(check())
