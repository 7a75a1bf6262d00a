"""What an application adds to be judged by version and cohort; the rest of it is as it was.

pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-grpc
"""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def set_up(endpoint: str = "http://localhost:4317") -> TracerProvider:
    """Send spans to tripswitch. OTEL_EXPORTER_OTLP_ENDPOINT does the same without code."""
    provider = TracerProvider(resource=Resource({"service.name": "refund-bot"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, insecure=True)))
    return provider


def answer(tracer: trace.Tracer, version: str, cohort: str) -> str:
    """Ask the model once, under a span that says for whom, with which prompt, and how it went."""
    with tracer.start_as_current_span("chat gpt-4.1") as span:
        span.set_attributes(
            {
                # These four are tripswitch's own names, on the call's span or any span above it.
                "tripswitch.route": "/chat/refund",
                "tripswitch.prompt.name": "refund-bot",
                "tripswitch.prompt.version": version,
                "tripswitch.cohort": cohort,
                # An instrumentation of your SDK writes these by itself.
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4.1",
                "gen_ai.usage.input_tokens": 812,
                "gen_ai.usage.output_tokens": 97,
                "gen_ai.response.finish_reasons": ["stop"],
            }
        )
        return "the model's answer"


if __name__ == "__main__":
    running = set_up()
    answer(running.get_tracer("refund-bot"), "v18", "canary")
    running.shutdown()
