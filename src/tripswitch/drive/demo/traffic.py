"""The gateway's telemetry: real spans of the official SDK, sent by the official OTLP exporter.

Only the times are the story's: spans are started and ended with explicit timestamps. The digest is
taken of the very message that the exporter hands to gRPC.

Names follow the OpenTelemetry semantic conventions for HTTP server spans, GenAI client spans and
the ``gen_ai.evaluation.result`` event.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from tripswitch.drive.demo import story
from tripswitch.drive.demo.tally import Tally
from tripswitch.model.clocktext import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.util.types import AttributeValue

MAX_BATCH_SPANS = 512

# Ids must not repeat the visits' random numbers, or a trace id would tell its answer.
_ID_SEED_OFFSET = 1 << 32


class CountingExporter(OTLPSpanExporter):
    """The OTLP gRPC exporter, which also tallies every request that the receiver accepted.

    ``failed_spans`` counts spans of exports that failed after the exporter's own retries.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint=endpoint, insecure=True)
        self.tally = Tally()
        self.failed_spans = 0
        self._body = b""

    def _translate_data(self, data: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        request = super()._translate_data(data)
        self._body = request.SerializeToString()
        return request

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export ``spans`` and count them as sent or as failed."""
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self.tally.add(self._body, len(spans))
        else:
            self.failed_spans += len(spans)
        return result


class Traffic:
    """Turns answers into spans. ``endpoint`` is host and port of an OTLP gRPC receiver."""

    def __init__(self, endpoint: str, seed: int) -> None:
        self.exporter = CountingExporter(endpoint)
        self._processor = BatchSpanProcessor(
            self.exporter, max_export_batch_size=MAX_BATCH_SPANS, max_queue_size=8 * MAX_BATCH_SPANS
        )
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "llm-gateway", "service.version": "demo"}),
            id_generator=_SeededIds(seed),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("llm-gateway")

    def record(self, answer: story.Answer) -> str:
        """Make the spans of one answer; return their trace id as hex."""
        visit = answer.visit
        start_ns = _ns(visit.start_s)
        call_start_ns = _ns(visit.start_s + visit.overhead_s / 2)
        call_end_ns = _ns(visit.start_s + visit.overhead_s / 2 + visit.latency_s)
        root = self._tracer.start_span(
            f"POST {visit.route.path}",
            Context(),
            SpanKind.SERVER,
            {
                "http.request.method": "POST",
                "http.route": visit.route.path,
                "http.response.status_code": 504 if answer.failed else 200,
            },
            start_time=start_ns,
        )
        call = self._tracer.start_span(
            f"chat {story.MODEL}",
            set_span_in_context(root, Context()),
            SpanKind.CLIENT,
            call_attributes(answer),
            start_time=call_start_ns,
        )
        if answer.score is not None:
            call.add_event(
                "gen_ai.evaluation.result",
                {
                    "gen_ai.evaluation.name": story.RUBRIC,
                    "gen_ai.evaluation.score.value": answer.score,
                },
                timestamp=call_end_ns,
            )
        if answer.failed:
            call.set_attribute("error.type", "timeout")
            call.set_status(Status(StatusCode.ERROR))
            root.set_status(Status(StatusCode.ERROR))
        call.end(call_end_ns)
        root.end(_ns(answer.end_s))
        return f"{root.get_span_context().trace_id:032x}"

    def flush(self) -> None:
        """Send what was recorded and wait until the receiver has answered."""
        self._processor.force_flush()

    def close(self) -> None:
        """Send the rest and close the connection."""
        self._provider.shutdown()


def call_attributes(answer: story.Answer) -> dict[str, AttributeValue]:
    """Return the attributes of the chat span of an answer; what failed has no response."""
    visit = answer.visit
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": story.PROVIDER,
        "gen_ai.request.model": story.MODEL,
        "gen_ai.conversation.id": visit.session,
        "gen_ai.prompt.name": visit.route.prompt_name,
        "gen_ai.prompt.version": answer.version,
        "tripswitch.cohort": visit.cohort,
        "tripswitch.tenant": visit.tenant,
        "http.route": visit.route.path,
    }
    if not answer.failed:
        attributes |= {
            "gen_ai.response.id": f"chatcmpl-{visit.session}",
            "gen_ai.response.model": f"{story.MODEL}-2024-07-18",
            "gen_ai.response.finish_reasons": ["refusal" if answer.refused else "stop"],
            "gen_ai.usage.input_tokens": visit.input_tokens,
            "gen_ai.usage.output_tokens": visit.output_tokens,
        }
    return attributes


def _ns(story_s: float) -> int:
    return story.START_NS + int(story_s * NS_PER_S)


class _SeededIds(IdGenerator):
    """Trace and span ids that are the same in every run with one seed, and never zero."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed + _ID_SEED_OFFSET)  # noqa: S311 - ids, no secret

    def generate_span_id(self) -> int:
        """Return 64 random bits."""
        return self._rng.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        """Return 128 random bits."""
        return self._rng.getrandbits(128) or 1
