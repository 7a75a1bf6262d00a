"""The OpenTelemetry Python SDK as a client: makes a fixed set of records and exports them.

    python -m tests.interop.python_client SIGNAL PROTOCOL ENDPOINT COMPRESSION

SIGNAL is traces, logs or metrics; PROTOCOL grpc or http; ENDPOINT host:port; COMPRESSION none or
gzip, for http also deflate. Ids and times are fixed, so that two runs send the same bytes. Exits
with 1 when a request was not accepted.
"""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.util.types import AnyValue

START_NS = 1_795_485_401_123_456_789
MS_NS = 1_000_000
# 1 and 10 are what a quiet application sends, 512 what the batch processor does under load.
REQUESTS = (1, 10, 512)
RECORDS = sum(REQUESTS)

SCHEMA_URL = "https://example.com/schema"
RESOURCE = Resource(
    {
        "service.name": "refund-bot",
        "host.names": ["a", "b"],
        "process.pid": 41,
        "text.unicode": "Grüße, 世界 🛰",
    },
    schema_url=SCHEMA_URL,
)
CONTENT = "Where is my refund? " * 40


class CountingIds(IdGenerator):
    """Fixed ids: as distinct as random ones, and the same in every run."""

    def __init__(self) -> None:
        self._ids = count(0xA0_00_00_01)

    def generate_trace_id(self) -> int:
        """Return the next id as a trace's."""
        return next(self._ids) << 64

    def generate_span_id(self) -> int:
        """Return the next id as a span's."""
        return next(self._ids)


def attributes(number: int) -> dict[str, Any]:
    """Return attributes of every kind that the SDK takes."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.1 + number / 7,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 400 + number,
        "gen_ai.input.messages": CONTENT,
        "empty.text": "",
        "empty.list": [],
        "big.integer": 2**63 - 1,
        "negative": -number,
        "flag": number % 2 == 0,
        "numbers": [1.5, float("inf"), -0.0],
    }


def spans() -> Sequence[Any]:
    """Return RECORDS spans, each linked to the one before."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=RESOURCE, id_generator=CountingIds())
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("interop", "1.2.3", SCHEMA_URL, {"scope.attribute": "x"})
    before = SpanContext(7, 8, is_remote=True, trace_state=TraceState([("vendor", "a-b")]))
    for number in range(RECORDS):
        start_ns = START_NS + number * MS_NS
        span = tracer.start_span(
            f"chat {number}",
            kind=SpanKind.CLIENT,
            attributes=attributes(number),
            links=[Link(before, {"link.number": number})],
            start_time=start_ns,
        )
        span.add_event("gen_ai.content.prompt", {"event.number": number}, start_ns + 1)
        if number % 3 == 0:
            span.set_status(Status(StatusCode.ERROR, "upstream hung up"))
        span.end(start_ns + 900 * MS_NS)
        before = span.get_span_context()
    return memory.get_finished_spans()


def log_records() -> Sequence[Any]:
    """Return RECORDS log records with bodies of text and of nested values."""
    memory = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    logger = provider.get_logger("interop", "1.2.3", SCHEMA_URL)
    nested: AnyValue = {"score": 0.25, "nested": {"list": [1, "two", True, None, b"\x00\xff"]}}
    for number in range(RECORDS):
        logger.emit(
            LogRecord(
                timestamp=START_NS + number * MS_NS,
                observed_timestamp=START_NS + number * MS_NS + 1,
                severity_number=SeverityNumber.WARN if number % 2 else SeverityNumber.INFO,
                severity_text="warn" if number % 2 else "info",
                body=f"evaluated {number}" if number % 2 else nested,
                attributes=attributes(number),
                event_name="gen_ai.evaluation.result",
            )
        )
    return memory.get_finished_logs()


def metrics() -> MetricsData:
    """Return every kind of metric that the SDK exports."""
    cumulative, delta = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
    end_ns = START_NS + 60_000 * MS_NS

    def numbers(factor: float) -> list[NumberDataPoint]:
        return [
            NumberDataPoint({"model": f"m{number}"}, START_NS, end_ns, number * factor)
            for number in range(RECORDS)
        ]

    histogram = HistogramDataPoint(
        {"model": "m"}, START_NS, end_ns, 6, 12.5, [1, 2, 3], [0.5, 5.0], 0.1, 9.9
    )
    exponential = ExponentialHistogramDataPoint(
        {}, START_NS, end_ns, 6, 1.5, 4, 1, Buckets(-3, [1, 0, 2]), Buckets(0, [2]), 0, -1.0, 2.0
    )
    listed = [
        Metric("calls", "Calls by model", "{call}", Sum(numbers(1), cumulative, True)),
        Metric("in_flight", None, None, Sum(numbers(-0.5), delta, False)),
        Metric("temperature", "", "Cel", Gauge(numbers(-1.25))),
        Metric("latency", "", "s", Histogram([histogram], delta)),
        Metric("exponential", "", "s", ExponentialHistogram([exponential], cumulative)),
    ]
    scope = InstrumentationScope("interop", "1.2.3", SCHEMA_URL)
    in_scope = ScopeMetrics(scope, listed, SCHEMA_URL)
    return MetricsData([ResourceMetrics(RESOURCE, [in_scope], SCHEMA_URL)])


def batches(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield ``records`` in requests of the sizes in REQUESTS."""
    first = 0
    for size in REQUESTS:
        yield records[first : first + size]
        first += size


SIGNALS: dict[str, tuple[str, str, Callable[[], Iterator[Any]]]] = {
    "traces": ("trace_exporter", "OTLPSpanExporter", lambda: batches(spans())),
    "logs": ("_log_exporter", "OTLPLogExporter", lambda: batches(log_records())),
    "metrics": ("metric_exporter", "OTLPMetricExporter", lambda: iter([metrics()])),
}


def exporter(signal: str, protocol: str, endpoint: str, compression: str) -> Any:
    """Return the SDK's exporter for ``signal``."""
    module, name, _ = SIGNALS[signal]
    made = getattr(import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{module}"), name)
    if protocol == "grpc":
        import grpc

        algorithm = grpc.Compression.Gzip if compression == "gzip" else None
        return made(endpoint=endpoint, insecure=True, compression=algorithm)
    from opentelemetry.exporter.otlp.proto.http import Compression

    url = f"http://{endpoint}/v1/{signal}"
    return made(endpoint=url, compression=Compression(compression))


def main(signal: str, protocol: str, endpoint: str, compression: str) -> int:
    """Export everything; return the exit code."""
    client = exporter(signal, protocol, endpoint, compression)
    results = [client.export(batch) for batch in SIGNALS[signal][2]()]
    client.shutdown()
    return 0 if all(result.name == "SUCCESS" for result in results) else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
