"""A toy refund bot: 20 questions a second for a made-up model.

Which prompt answers whom is a feature flag, read with OpenFeature from `flags.json`. What happens
is told in spans of the OpenTelemetry SDK. Nothing here calls tripswitch.
"""

import itertools
import random
import time

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

QUESTIONS_A_SECOND = 20

# How often each version of the prompt makes the model decline, and how often it makes it say
# something wrong. v18 was meant to be shorter.
WEAK = {"v17": (0.04, 0.08), "v18": (0.22, 0.16)}


def model(version: str, question: str) -> str:
    """Answer as a language model would."""
    declines, wrong = WEAK[version]
    luck = random.random()
    if luck < declines:
        return "I am sorry, I cannot help with that."
    return f"{question} Within {14 if luck < declines + wrong else 30} days, by the same card."


def judge(answer: str) -> float:
    """Say how faithful an answer is to the policy, which says 30 days; from 0 to 1."""
    return 0.95 if "30 days" in answer else 0.3


def ask(user: int, flags: api.OpenFeatureClient, tracer: trace.Tracer) -> None:
    """Let one user ask, and tell of it in two spans: the request, and in it the call."""
    cohort = "canary" if user % 10 < 4 else "control"
    version = flags.get_string_value(
        "refund-bot", "v17", EvaluationContext(f"user-{user}", {"cohort": cohort})
    )
    with tracer.start_as_current_span("POST /chat/refund") as request:
        request.set_attribute("http.route", "/chat/refund")
        request.set_attribute("tripswitch.cohort", cohort)
        request.set_attribute("tripswitch.tenant", random.choice(("northwind", "contoso")))
        with tracer.start_as_current_span("chat toy-1") as call:
            answer = model(version, "When do I get my money?")
            declined = answer.startswith("I am sorry")
            call.set_attribute("gen_ai.operation.name", "chat")
            call.set_attribute("gen_ai.provider.name", "toy")
            call.set_attribute("gen_ai.request.model", "toy-1")
            call.set_attribute("gen_ai.prompt.name", "refund-bot")
            call.set_attribute("gen_ai.prompt.version", version)
            call.set_attribute("gen_ai.usage.input_tokens", 120)
            call.set_attribute("gen_ai.usage.output_tokens", len(answer) // 4)
            call.set_attribute(
                "gen_ai.response.finish_reasons", ["refusal" if declined else "stop"]
            )
            if not declined:
                score = {"name": "faithfulness", "score.value": judge(answer)}
                call.add_event(
                    "gen_ai.evaluation.result",
                    {f"gen_ai.evaluation.{name}": value for name, value in score.items()},
                )
            time.sleep(random.uniform(0.005, 0.02))


def main() -> None:
    """Ask until Ctrl-C."""
    api.set_provider(
        FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path="flags.json")
    )
    spans = TracerProvider(resource=Resource.create({"service.name": "refund-bot"}))
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    began_s = time.monotonic()
    try:
        for asked in itertools.count(1):
            ask(random.randrange(1000), api.get_client(), spans.get_tracer("refund-bot"))
            if asked % 400 == 0:
                print(f"{asked} questions asked", flush=True)
            time.sleep(max(0.0, began_s + asked / QUESTIONS_A_SECOND - time.monotonic()))
    except KeyboardInterrupt:
        spans.shutdown()


if __name__ == "__main__":
    main()
