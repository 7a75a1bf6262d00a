"""What a client sends over gRPC arrives upstream to the byte, and the answer likewise."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.otlp.relay import client, relay, send
from tests.otlp.upstream import Got, Pairs, Reply, Upstream
from tripswitch.otlp.grpc_receiver import TRACES_METHOD
from tripswitch.otlp.tap import Tapped

LOGS_METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METHODS = (
    TRACES_METHOD,
    LOGS_METHOD,
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
    "/a.signal.nobody.has.heard.of.v9.Service/Method",
)

KEYS = st.from_regex(r"x-[a-z0-9_.\-]{1,20}", fullmatch=True).filter(
    lambda key: not key.endswith("-bin")
)
TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
PAIRS = st.lists(
    st.one_of(
        st.tuples(KEYS, TEXTS),
        st.tuples(KEYS.map(lambda key: key + "-bin"), st.binary(max_size=40)),
    ),
    max_size=5,
).map(tuple)

REQUESTS = st.lists(
    st.tuples(st.sampled_from(METHODS), st.binary(max_size=2000), PAIRS, st.binary(max_size=200)),
    min_size=1,
    max_size=20,
)


def by_key(metadata: Iterable[Any]) -> dict[str, list[Any]]:
    """Return the values of each key in order; gRPC promises no order between keys."""
    found: dict[str, list[Any]] = {}
    for key, value in metadata:
        found.setdefault(key, []).append(value)
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS)
def test_any_bytes_metadata_and_answers_pass_unchanged(
    requests: list[tuple[str, bytes, Pairs, bytes]],
) -> None:
    async def check() -> None:
        def reply(got: Got) -> Reply:
            number = int(dict(got.metadata)["x-number"])
            _, _, pairs, answer = requests[number]
            return Reply(body=answer, initial=pairs, trailing=pairs)

        async with Upstream(reply) as upstream, relay(upstream.endpoint) as between:
            async with client(between.endpoint) as channel:

                async def one(number: int) -> None:
                    method, body, pairs, answer = requests[number]
                    sent = (*pairs, ("x-number", str(number)))
                    call: Any = channel.unary_unary(method, None, None)(
                        body, metadata=sent, timeout=10
                    )
                    assert await call == answer
                    assert by_key(await call.initial_metadata()) == by_key(pairs)
                    assert by_key(await call.trailing_metadata()) == by_key(pairs)

                await asyncio.gather(*(one(number) for number in range(len(requests))))
            assert len(upstream.got) == len(requests)
            for got in upstream.got:
                number = int(dict(got.metadata)["x-number"])
                method, body, pairs, _ = requests[number]
                assert (got.method, got.body) == (method, body)
                assert by_key(pair for pair in got.metadata if pair in pairs) == by_key(pairs)
            tapped = []
            while isinstance(item := between.tap.take(), Tapped):
                tapped.append(item.body)
            assert sorted(tapped) == sorted(
                body for method, body, _, _ in requests if method in (TRACES_METHOD, LOGS_METHOD)
            )

    asyncio.run(check())


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 1 << 20, 5_600_000, 64 << 20])
def test_every_size_up_to_the_limit_passes(size: int) -> None:
    async def check() -> None:
        body = random.Random(size).randbytes(size)
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            async with client(between.endpoint) as channel:
                assert await send(channel, TRACES_METHOD, body, timeout_s=30) == b""
            assert [got.body == body for got in upstream.got] == [True]
            assert between.pipeline.received_bytes == between.pipeline.acceptance.sent_bytes == size

    asyncio.run(check())


def test_unknown_fields_of_a_newer_schema_survive() -> None:
    async def check() -> None:
        request = ExportTraceServiceRequest()
        request.resource_spans.add().scope_spans.add().spans.add(name="chat")
        # Field 1999, length-delimited, that no schema has; then bytes that are no protobuf at all.
        body = request.SerializeToString() + b"\xfa\x7c\x03new"
        for sent in (body, b"\xff\xff\xff not protobuf"):
            async with Upstream() as upstream, relay(upstream.endpoint) as between:
                async with client(between.endpoint) as channel:
                    await send(channel, TRACES_METHOD, sent)
                assert [got.body for got in upstream.got] == [sent]

    asyncio.run(check())


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_official_exporter_gets_its_spans_through(
    compression: grpc.Compression,
) -> None:
    def export(endpoint: str) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(
            endpoint=endpoint,
            insecure=True,
            headers={"authorization": "Bearer t"},
            timeout=10,
            compression=compression,
        )
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("test").start_as_current_span("chat gpt") as span:
            span.set_attribute("gen_ai.request.model", "gpt")
        provider.shutdown()

    async def check() -> None:
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            await asyncio.to_thread(export, between.endpoint)
            (got,) = upstream.got
            assert ("authorization", "Bearer t") in got.metadata
            request = ExportTraceServiceRequest.FromString(got.body)
            assert request.resource_spans[0].scope_spans[0].spans[0].name == "chat gpt"
            tapped = between.tap.take()
            assert isinstance(tapped, Tapped)
            assert tapped.body == got.body

    asyncio.run(check())
