"""What a client sends over HTTP arrives upstream over HTTP to the byte, and the answer likewise."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.otlp.http_upstream import HttpAnswer, HttpGot, HttpUpstream
from tests.otlp.raw_http import JSON, PROTOBUF, post
from tests.otlp.relay import relay

PATHS = (
    "/v1/traces",
    "/v1/logs",
    "/v1/metrics",
    "/v1development/profiles",
    "/v1/profiles",
    "/api/public/otel/v1/traces",
    "/v1/traces?tenant=a%2Fb&x",
    "/a/signal/nobody/has/heard/of/%7E..%2f/v9",
)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body,
    "identity": lambda body: body,
    # Without the time, or the same body packed twice differs when a second has passed.
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    # Not known here, nor packed: none of tripswitch's business between HTTP and HTTP.
    "snappy": lambda body: body,
}
NAMES = st.from_regex(r"x-[a-z0-9_.\-]{1,20}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(tuple)

REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(PATHS),
        st.binary(max_size=2000),
        st.sampled_from(sorted(PACKERS)),
        st.sampled_from((PROTOBUF, JSON, f"{JSON}; charset=utf-8", "Application/X-Protobuf")),
        HEADERS,
        st.sampled_from((200, 202, 207, 400, 404, 413, 418, 429, 500, 503, 599)),
        st.binary(max_size=200),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS)
def test_any_bytes_headers_and_answers_pass_unchanged(
    requests: list[tuple[str, bytes, str, str, tuple[tuple[str, str], ...], int, bytes]],
) -> None:
    async def check() -> None:
        def answer(got: HttpGot) -> HttpAnswer:
            *_, headers, status, body = requests[int(got.header("x-number") or "")]
            return HttpAnswer(status, body, headers)

        async with HttpUpstream(answer) as upstream, relay(upstream.url) as between:

            async def one(number: int) -> None:
                path, body, encoding, content_type, headers, status, answered = requests[number]
                packed = PACKERS[encoding](body)
                sent = (*headers, ("x-number", str(number)))
                if encoding:
                    sent = (*sent, ("content-encoding", encoding))
                response = await post(between.url, path, packed, content_type, sent)
                assert (response.status, response.body) == (status, answered)
                assert [pair for pair in response.headers if pair in headers] == list(headers)

            await asyncio.gather(*(one(number) for number in range(len(requests))))
            assert len(upstream.got) == len(requests)
            for got in upstream.got:
                number = int(got.header("x-number") or "")
                path, body, encoding, content_type, headers, *_ = requests[number]
                assert (got.target, got.body) == (path, PACKERS[encoding](body))
                assert got.header("content-type") == content_type
                assert (got.header("content-encoding") or "") == encoding
                assert [pair for pair in got.headers if pair in headers] == list(headers)

    asyncio.run(check())


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1 << 20, 5_600_000, 64 << 20])
def test_every_size_up_to_the_limit_passes(size: int) -> None:
    async def check() -> None:
        body = random.Random(size).randbytes(size)
        async with HttpUpstream() as upstream, relay(upstream.url) as between:
            response = await post(between.url, "/v1/traces", body)
            assert (response.status, response.body) == (200, b"")
            assert [got.body == body for got in upstream.got] == [True]
            assert between.pipeline.received_bytes == between.pipeline.acceptance.sent_bytes == size
            assert between.pipeline.admission.in_flight_bytes == 0

    asyncio.run(check())


def test_headers_of_the_hop_stay_on_the_hop() -> None:
    async def check() -> None:
        hop = (
            ("connection", "keep-alive, x-only-this-hop"),
            ("x-only-this-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("proxy-authorization", "Basic abc"),
        )
        kept = (
            ("authorization", "Bearer t"),
            ("x-scope-orgid", "a"),
            ("x-scope-orgid", "b"),
            ("user-agent", "OTel-OTLP-Exporter-Python/1"),
            ("accept-encoding", "gzip"),
        )
        async with HttpUpstream() as upstream, relay(upstream.url) as between:
            await post(between.url, "/v1/traces", b"x", headers=(*hop, *kept))
            (got,) = upstream.got
            ours = {"host", "content-type", "content-length"}
            assert [pair for pair in got.headers if pair[0] not in ours] == list(kept)
            assert got.header("host") == upstream.url.removeprefix("http://")

    asyncio.run(check())


def test_a_prefix_of_the_upstream_stands_before_the_path() -> None:
    async def check() -> None:
        async with (
            HttpUpstream() as upstream,
            relay(f"{upstream.url}/api/public/otel/", headers={"x-tenant": "ours"}) as between,
        ):
            sent = (("x-tenant", "theirs"), ("x-other", "kept"))
            await post(between.url, "/v1/traces?a=b", b"x", headers=sent)
            (got,) = upstream.got
            assert got.target == "/api/public/otel/v1/traces?a=b"
            tenants = [value for name, value in got.headers if name == "x-tenant"]
            assert (tenants, got.header("x-other")) == (["ours"], "kept")

    asyncio.run(check())
