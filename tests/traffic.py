"""Seeded traffic for tests: OTLP requests of a chat route with cohorts, versions and faults."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

START_NS = int(datetime(2026, 11, 24, 16, 20, tzinfo=UTC).timestamp()) * 10**9
SECOND_NS = 10**9


@dataclass(frozen=True)
class Tool:
    """A tool that every call runs once; ``latency_s`` is the median."""

    name: str
    latency_s: float = 0.2
    errors: float = 0.01


@dataclass(frozen=True)
class Behaviour:
    """How one arm behaves. Rates and scores 0..1, latency and tokens are medians.

    What is None is not told of: the time to the first token, the dollars of a call, the shares of
    answers that leak, of injections that succeed, and of refusals that an evaluation calls wrong.
    """

    score: float = 0.90
    refusals: float = 0.04
    errors: float = 0.01
    latency_s: float = 0.8
    tokens: float = 400.0
    ttft_s: float | None = None
    cost_usd: float | None = None
    leaks: float | None = None
    injections: float | None = None
    wrong_refusals: float | None = None
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True)
class Arm:
    """Who serves what share of a route. ``None`` leaves the attribute out."""

    calls_per_s: float
    version: str | None
    cohort: str | None
    behaviour: Behaviour = field(default_factory=Behaviour)
    route: str = "/chat/refund"
    model: str = "gpt-4o-mini"
    provider: str = "openai"


Plan = Callable[[float], list[Arm]]
"""Arms by story second."""


def value(item: str | float | list[str]) -> AnyValue:
    """Return an OTLP attribute value."""
    if isinstance(item, str):
        return AnyValue(string_value=item)
    if isinstance(item, list):
        return AnyValue(array_value=ArrayValue(values=[value(part) for part in item]))
    if isinstance(item, int):
        return AnyValue(int_value=item)
    return AnyValue(double_value=item)


def call_span(rng: random.Random, arm: Arm, end_ns: int) -> Span:
    """Return one chat span of ``arm`` that ended at ``end_ns``."""
    behaviour = arm.behaviour
    failed = rng.random() < behaviour.errors
    refused = not failed and rng.random() < behaviour.refusals
    latency_s = behaviour.latency_s * rng.lognormvariate(0.0, 0.5)
    attributes: dict[str, str | float | int | list[str]] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": arm.provider,
        "gen_ai.request.model": arm.model,
        "gen_ai.prompt.name": "refund-bot",
        "http.route": arm.route,
        "tripswitch.tenant": rng.choice(["acme", "globex", "initech"]),
        "gen_ai.conversation.id": f"s{rng.randrange(10**6)}",
    }
    if arm.version is not None:
        attributes["gen_ai.prompt.version"] = arm.version
    if arm.cohort is not None:
        attributes["tripswitch.cohort"] = arm.cohort
    span = Span(
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        name=f"chat {arm.model}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=end_ns - int(latency_s * 1e9),
        end_time_unix_nano=end_ns,
    )
    if failed:
        attributes["error.type"] = "500"
        span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR))
    else:
        tokens = max(2, int(behaviour.tokens * rng.lognormvariate(0.0, 0.4)))
        attributes["gen_ai.usage.input_tokens"] = tokens // 2
        attributes["gen_ai.usage.output_tokens"] = tokens - tokens // 2
        attributes["gen_ai.response.finish_reasons"] = ["refusal" if refused else "stop"]
        _evaluate(span, "faithfulness", _score(rng, behaviour.score))
        if behaviour.ttft_s is not None:
            ttft_s = behaviour.ttft_s * rng.lognormvariate(0.0, 0.4)
            attributes["gen_ai.server.time_to_first_token"] = ttft_s
        if behaviour.cost_usd is not None:
            attributes["gen_ai.usage.cost"] = behaviour.cost_usd * rng.lognormvariate(0.0, 0.4)
        for name, share in (
            ("pii_leak", behaviour.leaks),
            ("prompt_injection", behaviour.injections),
        ):
            if share is not None:
                _evaluate(span, name, float(rng.random() < share))
        if refused and behaviour.wrong_refusals is not None:
            _evaluate(span, "over_refusal", float(rng.random() < behaviour.wrong_refusals))
    span.attributes.extend(KeyValue(key=key, value=value(item)) for key, item in attributes.items())
    return span


def tool_span(rng: random.Random, tool: Tool, call: Span) -> Span:
    """Return the span of one tool that ``call`` ran, below it."""
    latency_s = tool.latency_s * rng.lognormvariate(0.0, 0.4)
    span = Span(
        trace_id=call.trace_id,
        span_id=rng.randbytes(8),
        parent_span_id=call.span_id,
        name=f"execute_tool {tool.name}",
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=call.end_time_unix_nano - int(latency_s * 1e9),
        end_time_unix_nano=call.end_time_unix_nano,
        attributes=[
            KeyValue(key="gen_ai.operation.name", value=value("execute_tool")),
            KeyValue(key="gen_ai.tool.name", value=value(tool.name)),
        ],
    )
    if rng.random() < tool.errors:
        span.attributes.append(KeyValue(key="error.type", value=value("timeout")))
        span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR))
    return span


def _evaluate(span: Span, name: str, score: float) -> None:
    span.events.append(
        Span.Event(
            time_unix_nano=span.end_time_unix_nano,
            name="gen_ai.evaluation.result",
            attributes=[
                KeyValue(key="gen_ai.evaluation.name", value=value(name)),
                KeyValue(key="gen_ai.evaluation.score.value", value=value(score)),
            ],
        )
    )


def _score(rng: random.Random, mean: float) -> float:
    """Return a bimodal score with roughly the given mean: many ones, a soft middle, some zeros."""
    if rng.random() < 0.05:
        return 0.0
    if rng.random() < 0.6:
        return min(1.0, max(0.0, 1.0 - (0.9 - mean)))
    middle = (mean - 0.57) / 0.38
    return min(1.0, max(0.0, rng.gauss(middle, 0.12)))


def requests(
    plan: Plan, minutes: float, *, seed: int = 1, step_s: float = 5.0, start_ns: int = START_NS
) -> Iterator[bytes]:
    """Yield one serialised request for every ``step_s`` of story time."""
    rng = random.Random(seed)
    owed: dict[Arm, float] = {}
    for step in range(int(minutes * 60 / step_s)):
        begun_s = step * step_s
        message = ExportTraceServiceRequest()
        resource = message.resource_spans.add()
        resource.resource.attributes.append(KeyValue(key="service.name", value=value("refund")))
        spans = []
        for arm in plan(begun_s):
            owed[arm] = owed.get(arm, 0.0) + arm.calls_per_s * step_s
            for _ in range(int(owed[arm])):
                end_ns = start_ns + int((begun_s + rng.random() * step_s) * 1e9)
                call = call_span(rng, arm, end_ns)
                spans.append(call)
                spans += [tool_span(rng, tool, call) for tool in arm.behaviour.tools]
            owed[arm] -= int(owed[arm])
        spans.sort(key=lambda span: span.end_time_unix_nano)
        resource.scope_spans.add().spans.extend(spans)
        yield message.SerializeToString()


def rollout(
    bad: Behaviour,
    *,
    at_minute: float = 10.0,
    back_at_minute: float | None = None,
    canary_per_s: float = 10.0,
    control_per_s: float = 12.0,
) -> Plan:
    """Return the refund story: v18 goes to the canary, and perhaps back at a given minute."""
    good = Behaviour()
    control = Arm(control_per_s, "v17", "control", good)
    before = Arm(canary_per_s, "v17", "canary", good)
    after = replace(before, version="v18", behaviour=bad)
    search = Arm(2.0, "v3", "control", good, route="/chat/kb-search")

    def plan(second: float) -> list[Arm]:
        is_bad = second >= at_minute * 60 and (
            back_at_minute is None or second < back_at_minute * 60
        )
        return [control, after if is_bad else before, search]

    return plan
