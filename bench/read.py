"""What reading costs: the reader and the understanding of calls, against the official classes.

One run measures both sides in turns on the same requests, so that a busy machine slows both; what
counts is the ratio of the medians. The official side parses with opentelemetry-proto and walks
every attribute of every span, keeping the same keys: what a reader costs that does not yet
understand anything. Ours has three stages, each with those before it: the reader alone, the
understanding of each span, and everything up to settled calls in the windows of the engine.

    python bench/read.py [--json] [--repeats N]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tripswitch.config.model import Config
from tripswitch.config.read_section import Read
from tripswitch.drive.session import Arrival, Session
from tripswitch.genai.event_names import WANTED_EVENTS
from tripswitch.genai.understand import Understanding
from tripswitch.genai.vocabulary import Vocabulary
from tripswitch.otlp.attributes import AttributeReader, Wanted
from tripswitch.otlp.reader import SpanReader

SPANS_A_REQUEST = (16, 64, 512)
CONTENT_CHARS = (0, 8192)
# So many spans a repeat, whatever the size of the requests.
SPANS_A_REPEAT = 2048

VOCABULARY = Vocabulary({}, content_facts=True)
NOW_NS = 1_795_485_500_000_000_000
OFFICIAL, READER, UNDERSTANDING, ENGINE = "official", "reader", "understanding", "engine"


def request(spans: int, content_chars: int, first: int) -> bytes:
    """Return a request of chat spans with 18 attributes, plus input and output messages."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    _put(resource_spans.resource.attributes, "service.name", "refund-bot")
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "opentelemetry.instrumentation.openai_v2"
    for number in range(first, first + spans):
        span = scope_spans.spans.add()
        span.trace_id = (number + 1).to_bytes(16, "big")
        span.span_id = (number + 1).to_bytes(8, "big")
        span.parent_span_id = (number + 2).to_bytes(8, "big")
        span.name = "chat gpt-4o-mini"
        span.kind = Span.SPAN_KIND_CLIENT
        span.start_time_unix_nano = 1_795_485_401_647_041_178 + number * 1_000_000
        span.end_time_unix_nano = span.start_time_unix_nano + 900_000_000
        for key, value in (
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "gpt-4o-mini"),
            ("gen_ai.request.temperature", 0.2),
            ("gen_ai.request.max_tokens", 512),
            ("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
            ("gen_ai.response.id", f"chatcmpl-{number:08d}"),
            ("gen_ai.response.finish_reasons", ["stop"]),
            ("gen_ai.usage.input_tokens", 400 + number % 300),
            ("gen_ai.usage.output_tokens", 90 + number % 120),
            ("gen_ai.prompt.name", "refund-bot"),
            ("gen_ai.prompt.version", "18" if number % 10 == 0 else "17"),
            ("tripswitch.cohort", "canary" if number % 10 == 0 else "control"),
            ("http.route", "/chat/refund"),
            ("session.id", f"session-{number % 500}"),
            ("user.id", f"user-{number % 900}"),
            ("server.address", "api.openai.com"),
            ("server.port", 443),
        ):
            _put(span.attributes, key, value)
        if content_chars:
            text = "lorem ipsum " * (content_chars // 24)
            _put(span.attributes, "gen_ai.input.messages", _messages("user", text))
            _put(span.attributes, "gen_ai.output.messages", _messages("assistant", text))
    return message.SerializeToString()


def _messages(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def _put(attributes: Any, key: str, value: object) -> None:
    attribute = attributes.add(key=key)
    if isinstance(value, str):
        attribute.value.string_value = value
    elif isinstance(value, int):
        attribute.value.int_value = value
    elif isinstance(value, float):
        attribute.value.double_value = value
    elif isinstance(value, list):
        for item in value:
            attribute.value.array_value.values.add(string_value=item)


def official(requests: list[bytes]) -> int:
    """Walk the official classes; return how many attributes were kept."""
    wanted = VOCABULARY.wanted
    kept = 0
    for body in requests:
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    identity = (
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.name,
                        span.kind,
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        span.status.code,
                    )
                    attributes = {
                        attribute.key: _plain(attribute.value)
                        for attribute in span.attributes
                        if attribute.key in wanted
                    }
                    kept += len(attributes) if identity else 0
    return kept


def _plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def reader(requests: list[bytes]) -> int:
    """Read the spans."""
    attributes = AttributeReader(Wanted(VOCABULARY.wants, VOCABULARY.private))
    spans = SpanReader(attributes, WANTED_EVENTS)
    return sum(1 for body in requests for _ in spans.spans(body))


def understanding(requests: list[bytes]) -> int:
    """Read the spans, and understand each of them by itself."""
    return len(Understanding(Read()).traces(requests).items)


def engine(requests: list[bytes]) -> int:
    """Read the spans, settle their traces, and take the calls into the windows."""
    session = Session(Config())
    session.feed([Arrival(body, NOW_NS) for body in requests])
    session.engine.flush()
    return int(session.counters()["reader_calls_total"])


def timed_us(work: Callable[[list[bytes]], int], requests: list[bytes]) -> float:
    """Return the microseconds a span that ``work`` takes on ``requests``."""
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    work(requests)
    elapsed = time.perf_counter() - start
    gc.enable()
    return elapsed / SPANS_A_REPEAT * 1e6


STAGES: dict[str, Callable[[list[bytes]], int]] = {
    OFFICIAL: official,
    READER: reader,
    UNDERSTANDING: understanding,
    ENGINE: engine,
}


def measure(spans: int, content_chars: int, repeats: int) -> dict[str, float | int]:
    """Return the medians of one setting, and what the official walk costs as a multiple."""
    requests = [request(spans, content_chars, first) for first in range(0, SPANS_A_REPEAT, spans)]
    times: dict[str, list[float]] = {name: [] for name in STAGES}
    for _ in range(repeats):
        for name, work in STAGES.items():
            times[name].append(timed_us(work, requests))
    medians = {name: statistics.median(values) for name, values in times.items()}
    result: dict[str, float | int] = {"spans_a_request": spans, "content_chars": content_chars}
    result |= {f"{name}_us_a_span": round(median, 2) for name, median in medians.items()}
    for name in (READER, UNDERSTANDING, ENGINE):
        result[f"official_over_{name}"] = round(medians[OFFICIAL] / medians[name], 2)
    return result


def main() -> None:
    """Measure every setting and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object a setting")
    parser.add_argument("--repeats", type=int, default=9, help="repeats of each side, in turns")
    arguments = parser.parse_args()
    if not arguments.json:
        print("spans  content  us a span: official, reader, understood, settled and windowed")
    for content_chars in CONTENT_CHARS:
        for spans in SPANS_A_REQUEST:
            result = measure(spans, content_chars, arguments.repeats)
            if arguments.json:
                print(json.dumps(result))
            else:
                costs = "  ".join(f"{result[f'{name}_us_a_span']:>7.1f}" for name in STAGES)
                ratios = ", ".join(
                    f"/ {name} {result[f'official_over_{name}']:.2f}"
                    for name in (READER, UNDERSTANDING, ENGINE)
                )
                print(f"{spans:>5}  {content_chars:>7}  {costs}   official {ratios}")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
