"""What the OpenTelemetry Python exporters do on every answer, with tripswitch between and without.

Each cell is one real exporter with a deadline of two seconds, which is long enough for one retry.
All cells of a test run at the same time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.otlp.http_upstream import HttpAnswer, HttpGot, HttpUpstream
from tests.otlp.relay import relay, until
from tests.otlp.upstream import Got, Reply, Upstream
from tripswitch.otlp.replies import RETRYABLE, RETRYABLE_STATUSES
from tripswitch.otlp.retry_hints import retry_hint
from tripswitch.otlp.spool.spool import Spool

DEADLINE_S = 2.0


class Did(NamedTuple):
    """What an exporter did: its verdict, and how often it sent."""

    is_success: bool
    attempts: int


GRPC_ANSWERS = {
    **{code.name: Reply(code=code, details="no") for code in grpc.StatusCode},
    "RESOURCE_EXHAUSTED with a hint": Reply(
        grpc.StatusCode.RESOURCE_EXHAUSTED, trailing=retry_hint("later", 8, 0.5)
    ),
    "UNAVAILABLE with a hint": Reply(
        grpc.StatusCode.UNAVAILABLE, trailing=retry_hint("later", 14, 0.5)
    ),
    "UNAVAILABLE with a hint beyond the deadline": Reply(
        grpc.StatusCode.UNAVAILABLE, trailing=retry_hint("later", 14, 30)
    ),
}
HTTP_ANSWERS = {
    **{
        str(status): HttpAnswer(status, b"no")
        for status in (200, 400, 401, 403, 404, 408, 413, 415, 429, 500, 501, 502, 503, 504)
    },
    "429 after 1 s": HttpAnswer(429, headers=(("retry-after", "1"),)),
    "503 after 1 s": HttpAnswer(503, headers=(("retry-after", "1"),)),
    "503 after 30 s": HttpAnswer(503, headers=(("retry-after", "30"),)),
}


def span() -> ReadableSpan:
    """Return one finished span."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with provider.get_tracer("test").start_as_current_span("chat gpt") as made:
        made.set_attribute("gen_ai.request.model", "gpt")
    provider.shutdown()
    (finished,) = memory.get_finished_spans()
    return finished


SPAN = span()


def export(exporter: Any) -> SpanExportResult:
    """Export one span and shut the exporter down."""
    try:
        result: SpanExportResult = exporter.export([SPAN])
    finally:
        exporter.shutdown()
    return result


def over_grpc(endpoint: str) -> Callable[[str], Any]:
    """Return what makes a gRPC exporter to ``endpoint``."""
    return lambda cell: GrpcSpanExporter(
        endpoint=endpoint, insecure=True, headers={"x-cell": cell}, timeout=DEADLINE_S
    )


def over_http(url: str, compression: Compression = Compression.Gzip) -> Callable[[str], Any]:
    """Return what makes an HTTP exporter to ``url``."""
    return lambda cell: HttpSpanExporter(
        endpoint=f"{url}/v1/traces",
        headers={"x-cell": cell},
        timeout=DEADLINE_S,
        compression=compression,
    )


async def every(
    cells: Iterable[str], make: Callable[[str], Any], seen: Callable[[], Counter[str]]
) -> dict[str, Did]:
    """Export once for every cell, all at the same time, and return what each exporter did."""
    names = list(cells)
    before = seen()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(names)) as threads:
        results = await asyncio.gather(
            *(loop.run_in_executor(threads, export, make(cell)) for cell in names)
        )
    attempts = seen() - before
    return {
        cell: Did(result is SpanExportResult.SUCCESS, attempts[cell])
        for cell, result in zip(names, results, strict=True)
    }


def grpc_cells(upstream: Upstream) -> Callable[[], Counter[str]]:
    """Return what counts the requests of each cell."""
    return lambda: Counter(str(dict(got.metadata)["x-cell"]) for got in upstream.got)


def http_cells(upstream: HttpUpstream) -> Callable[[], Counter[str]]:
    """Return what counts the requests of each cell."""
    return lambda: Counter(got.header("x-cell") or "" for got in upstream.got)


def grpc_answer(got: Got) -> Reply:
    """Return the answer that a cell's name stands for."""
    return GRPC_ANSWERS[str(dict(got.metadata)["x-cell"])]


def http_answer(got: HttpGot) -> HttpAnswer:
    """Return the answer that a cell's name stands for."""
    return HTTP_ANSWERS[got.header("x-cell") or ""]


def test_the_grpc_exporter_does_the_same_with_tripswitch_between() -> None:
    async def check() -> None:
        async with Upstream(grpc_answer) as upstream, relay(upstream.endpoint) as between:
            seen = grpc_cells(upstream)
            without = await every(GRPC_ANSWERS, over_grpc(upstream.endpoint), seen)
            through = await every(GRPC_ANSWERS, over_grpc(between.endpoint), seen)
            assert through == without
            assert through["OK"] == Did(is_success=True, attempts=1)
            assert through["INTERNAL"] == Did(is_success=False, attempts=1)
            assert through["UNAVAILABLE"].attempts > 1

    asyncio.run(check())


def test_the_http_exporter_does_the_same_with_tripswitch_between() -> None:
    async def check() -> None:
        async with HttpUpstream(http_answer) as upstream, relay(upstream.url) as between:
            seen = http_cells(upstream)
            without = await every(HTTP_ANSWERS, over_http(upstream.url), seen)
            through = await every(HTTP_ANSWERS, over_http(between.url), seen)
            assert through == without
            assert through["200"] == Did(is_success=True, attempts=1)
            assert through["400"] == Did(is_success=False, attempts=1)
            assert through["503"].attempts > 1

    asyncio.run(check())


def test_across_protocols_what_may_be_sent_again_is_and_what_may_not_is_not() -> None:
    async def check() -> None:
        async with Upstream(grpc_answer) as upstream, relay(upstream.endpoint) as between:
            codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
            through = await every(
                [code.name for code in codes], over_http(between.url), grpc_cells(upstream)
            )
            for code in codes:
                # The Collector's table makes 429 of it, whether or not there is a hint.
                is_retried = code in RETRYABLE or code is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert (through[code.name].attempts > 1) is is_retried, code
        async with HttpUpstream(http_answer) as http_upstream, relay(http_upstream.url) as between:
            statuses = [status for status in HTTP_ANSWERS if status.isdigit() and status != "413"]
            over = await every(statuses, over_grpc(between.endpoint), http_cells(http_upstream))
            for status in statuses:
                assert (over[status].attempts > 1) is (int(status) in RETRYABLE_STATUSES), status
                assert over[status].is_success is (status == "200")

    asyncio.run(check())


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_with_the_disk_nothing_retryable_is_lost_or_even_noticed(
    protocol: str, tmp_path: Path
) -> None:
    async def check() -> None:
        is_away = True

        def answer(got: Got) -> Reply:
            return grpc_answer(got) if is_away else Reply()

        retryable = [code.name for code in RETRYABLE]
        final = [
            name
            for name in GRPC_ANSWERS
            if name not in retryable and not name.startswith(("OK", "UNAV", "RESOURCE"))
        ]
        spool = Spool(tmp_path, max_bytes=1 << 26, max_age_s=3600)
        await spool.open()
        async with (
            Upstream(answer) as upstream,
            relay(upstream.endpoint, mode="upstream-or-disk", spool=spool) as between,
        ):
            make = over_grpc(between.endpoint) if protocol == "grpc" else over_http(between.url)
            kept = await every(retryable, make, grpc_cells(upstream))
            assert all(did.is_success and did.attempts <= 1 for did in kept.values())
            for name in final:
                # One by one, since a permanent answer shows that the upstream is there.
                between.pipeline.acceptance._failures = 0
                did = await every([name], make, grpc_cells(upstream))
                assert did[name] == Did(is_success=False, attempts=1), name
            is_away = False
            before = grpc_cells(upstream)()
            draining = asyncio.create_task(spool.drain(between.pipeline.acceptance.resend))
            await until(lambda: spool.figures().delivered_total == len(retryable))
            assert grpc_cells(upstream)() - before == Counter(retryable)
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
        await spool.close()

    asyncio.run(check())


@pytest.mark.parametrize("compression", list(Compression), ids=lambda each: each.value)
def test_every_compression_of_the_http_exporter_arrives_as_the_same_spans(
    compression: Compression,
) -> None:
    async def check() -> None:
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint) as between,
            HttpUpstream() as http_upstream,
            relay(http_upstream.url) as through,
        ):
            done = await every(["a"], over_http(between.url, compression), grpc_cells(upstream))
            assert done["a"].is_success
            await every(["b"], over_http(through.url, compression), http_cells(http_upstream))
            plain = await every(["c"], over_grpc(between.endpoint), grpc_cells(upstream))
            assert plain["c"].is_success
            assert upstream.got[0].body == upstream.got[1].body
            await through.pipeline.reading.settled()
            tapped = through.tap.take()
            assert tapped is not None
            assert getattr(tapped, "body", None) == upstream.got[1].body

    asyncio.run(check())
