"""What the OpenTelemetry Python exporters do on every answer, with tripswitch between and without.

Each cell is one real exporter with a deadline of two seconds, which is long enough for one retry.
All cells of a test run at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
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
from tests.otlp.relay import Relay, relay, until
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
# Every status there is but those about the connection (1xx), those of WebDAV, and 418.
STATUSES = (
    *(200, 201, 202, 203, 204, 205, 206),
    *(300, 301, 302, 303, 304, 305, 307, 308),
    *(status for status in range(400, 418)),
    *(421, 422, 425, 426, 428, 429, 431, 451),
    *(500, 501, 502, 503, 504, 505, 506, 510, 511),
)
HTTP_ANSWERS = {
    **{
        # These two have no body by definition.
        str(status): HttpAnswer(status, b"" if status in (204, 304) else b"no")
        for status in STATUSES
    },
    "429 after 1 s": HttpAnswer(429, headers=(("retry-after", "1"),)),
    "503 after 1 s": HttpAnswer(503, headers=(("retry-after", "1"),)),
    "503 after 30 s": HttpAnswer(503, headers=(("retry-after", "30"),)),
}
# What gets no answer at all is tried again too, but how often is the client's affair.
HANGS_UP = "hangs up"

GRPC_RETRYABLE = [
    *sorted(code.name for code in RETRYABLE),
    *("RESOURCE_EXHAUSTED with a hint", "UNAVAILABLE with a hint"),
    "UNAVAILABLE with a hint beyond the deadline",
]
HTTP_RETRYABLE = [
    *map(str, sorted(RETRYABLE_STATUSES)),
    *("429 after 1 s", "503 after 1 s", "503 after 30 s", HANGS_UP),
]
# The Python exporter sends it again, whatever OTLP says.
RETRIED_ALL_THE_SAME = "RESOURCE_EXHAUSTED"


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
    cell = got.header("x-cell") or ""
    return HttpAnswer(0) if cell == HANGS_UP else HTTP_ANSWERS[cell]


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
            cells = [*HTTP_ANSWERS, HANGS_UP]
            without = await every(cells, over_http(upstream.url), seen)
            through = await every(cells, over_http(between.url), seen)
            for did in (without.pop(HANGS_UP), through.pop(HANGS_UP)):
                assert (did.is_success, did.attempts > 1) == (False, True)
            assert through == without
            assert through["200"] == Did(is_success=True, attempts=1)
            assert through["400"] == Did(is_success=False, attempts=1)
            for status in STATUSES:
                assert (through[str(status)].attempts > 1) is (status in RETRYABLE_STATUSES), status

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
            cells = [str(status) for status in STATUSES if status != 413]
            over = await every(cells, over_grpc(between.endpoint), http_cells(http_upstream))
            for cell in cells:
                assert (over[cell].attempts > 1) is (int(cell) in RETRYABLE_STATUSES), cell
                assert over[cell].is_success is cell.startswith("2"), cell

    asyncio.run(check())


@contextlib.asynccontextmanager
async def kept_on_disk(upstream: str, folder: Path) -> AsyncIterator[tuple[Relay, Spool]]:
    """Run a relay with a spool that is not drained yet."""
    spool = Spool(folder, max_bytes=1 << 26, max_age_s=3600)
    await spool.open()
    async with relay(upstream, mode="upstream-or-disk", spool=spool) as between:
        yield between, spool
    await spool.close()


async def keeps_what_may_be_sent_again(
    between: Relay,
    make: Callable[[str], Any],
    seen: Callable[[], Counter[str]],
    retryable: list[str],
    final: list[str],
) -> None:
    """Check that exporters do not notice the first, and are told of the second as always."""
    kept = await every(retryable, make, seen)
    # One that may be sent again may be sent again: to an upstream that hung up.
    assert all(did.is_success and did.attempts <= 2 for did in kept.values()), kept
    for name in final:
        # One by one, since a permanent answer shows that the upstream is there.
        between.pipeline.acceptance._failures = 0
        did = await every([name], make, seen)
        is_retried = name == RETRIED_ALL_THE_SAME
        assert (did[name].is_success, did[name].attempts > 1) == (False, is_retried), name


async def all_is_drained(
    between: Relay, spool: Spool, seen: Callable[[], Counter[str]], expected: list[str]
) -> None:
    """Check that what waited on disk goes to an upstream that takes it now, once."""
    before = seen()
    draining = asyncio.create_task(spool.drain(between.pipeline.acceptance.resend))
    await until(lambda: spool.figures().delivered_total == len(expected))
    assert seen() - before == Counter(expected)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_with_the_disk_nothing_retryable_is_lost_or_even_noticed(
    protocol: str, tmp_path: Path
) -> None:
    async def check() -> None:
        is_away = True

        def answer(got: Got) -> Reply:
            return grpc_answer(got) if is_away else Reply()

        final = [name for name in GRPC_ANSWERS if name not in {*GRPC_RETRYABLE, "OK"}]
        async with (
            Upstream(answer) as upstream,
            kept_on_disk(upstream.endpoint, tmp_path) as (between, spool),
        ):
            make = over_grpc(between.endpoint) if protocol == "grpc" else over_http(between.url)
            seen = grpc_cells(upstream)
            await keeps_what_may_be_sent_again(between, make, seen, GRPC_RETRYABLE, final)
            is_away = False
            await all_is_drained(between, spool, seen, GRPC_RETRYABLE)

    asyncio.run(check())


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_with_the_disk_before_an_http_upstream_too(protocol: str, tmp_path: Path) -> None:
    async def check() -> None:
        is_away = True

        def answer(got: HttpGot) -> HttpAnswer:
            return http_answer(got) if is_away else HttpAnswer()

        # Below 400 all is well to the exporter over HTTP; 413 is RESOURCE_EXHAUSTED to the other.
        final = [
            str(status)
            for status in STATUSES
            if status not in RETRYABLE_STATUSES
            and (status >= 400 if protocol == "http" else status >= 300 and status != 413)
        ]
        async with (
            HttpUpstream(answer) as upstream,
            kept_on_disk(upstream.url, tmp_path) as (between, spool),
        ):
            make = over_grpc(between.endpoint) if protocol == "grpc" else over_http(between.url)
            seen = http_cells(upstream)
            await keeps_what_may_be_sent_again(between, make, seen, HTTP_RETRYABLE, final)
            is_away = False
            await all_is_drained(between, spool, seen, HTTP_RETRYABLE)

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
