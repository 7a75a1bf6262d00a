"""The traffic of a drill: requests of OTLP with the spans that an application would send.

They carry tripswitch's own keys, which win over any other, so that the operator's reading of
attributes does not matter here. Ids, luck and times come from one seed: the same drill is the same
bytes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tripswitch.drive.drill.scenario import FALLBACK_ROUTE, Behaviour, Cause, Scenario
from tripswitch.model.clocktext import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_S: Final = 10.0
"""Seconds of the drill in one request."""

_POOR: Final = 0.30
_GOOD: Final = 0.97
_INPUT_TOKENS: Final = 300.0
_FALLBACK_SHARE: Final = 0.1
_TENANTS: Final = ("tenant-1", "tenant-2", "tenant-3", "tenant-4")


@dataclass(slots=True)
class Served:
    """Who serves what now: what a rollback moves."""

    canary_is_new: bool = False
    provider_is_bad: bool = False
    is_failed_over: bool = False
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    """A part of a route's traffic: its version, cohort and provider, and how it answers."""

    per_minute: float
    route: str
    version: str
    cohort: str
    provider: str
    behaviour: Behaviour


def arms(scenario: Scenario, served: Served) -> Iterator[Arm]:
    """Yield every part of the traffic as it is served now."""
    usual, bad = Behaviour(), scenario.behaviour()
    provider = scenario.fallback if served.is_failed_over else scenario.provider
    old, new = scenario.old_version, scenario.new_version
    for number, route in enumerate(scenario.routes):
        for cohort, share in (
            (scenario.control, 1 - scenario.share),
            (scenario.cohort, scenario.share),
        ):
            is_new = served.canary_is_new and cohort == scenario.cohort and number == 0
            is_bad = is_new or (served.provider_is_bad and not served.is_failed_over)
            how = bad if is_bad and not served.is_limited else usual
            version = new if is_new else old
            yield Arm(scenario.rate * share, route, version, cohort, provider, how)
    if scenario.fallback:
        per_minute = scenario.rate * _FALLBACK_SHARE
        yield Arm(per_minute, FALLBACK_ROUTE, old, scenario.control, scenario.fallback, usual)


class Traffic:
    """Makes the requests of a drill, step by step, in the order of time."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._rng = random.Random(scenario.seed)  # noqa: S311 - simulated traffic, no secret
        self._owed: dict[Arm, float] = {}

    def step(self, begun_s: float, served: Served) -> bytes:
        """Return one request with everything that ends within `STEP_S` after ``begun_s``."""
        message = ExportTraceServiceRequest()
        resource = message.resource_spans.add()
        resource.resource.attributes.append(_pair("service.name", "tripswitch-drill"))
        spans = []
        owed: dict[Arm, float] = {}
        for arm in arms(self._scenario, served):
            # What is owed to a part of the traffic stays its own whoever serves it now.
            due = self._owed.get(arm, self._rng.random()) + arm.per_minute * STEP_S / 60
            for _ in range(int(due)):
                end_ns = self._scenario.start_ns + int(
                    (begun_s + self._rng.random() * STEP_S) * NS_PER_S
                )
                spans.append(self._span(arm, end_ns))
            owed[arm] = due - int(due)
        self._owed = owed
        spans.sort(key=lambda span: span.end_time_unix_nano)
        resource.scope_spans.add().spans.extend(spans)
        return message.SerializeToString()

    def _span(self, arm: Arm, end_ns: int) -> Span:
        rng, scenario, how = self._rng, self._scenario, arm.behaviour
        has_failed = rng.random() < how.errors
        has_refused = not has_failed and rng.random() < how.refusals
        latency_s = how.latency_s * rng.lognormvariate(0.0, 0.45)
        spent = rng.lognormvariate(0.0, 0.4)
        attributes: dict[str, str | int | float | list[str]] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": arm.provider,
            "gen_ai.request.model": scenario.model,
            "tripswitch.route": arm.route,
            "tripswitch.prompt.name": scenario.prompt,
            "tripswitch.prompt.version": arm.version,
            "tripswitch.cohort": arm.cohort,
            "tripswitch.tenant": rng.choice(_TENANTS),
        }
        span = Span(
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
            name=f"chat {scenario.model}",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=end_ns - int(latency_s * NS_PER_S),
            end_time_unix_nano=end_ns,
        )
        if has_failed:
            attributes["error.type"] = "500"
            span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR))
        else:
            # Questions stay as long as they are: only what is answered changes.
            asked = 1 + int(_INPUT_TOKENS * spent)
            attributes["gen_ai.usage.input_tokens"] = asked
            attributes["gen_ai.usage.output_tokens"] = max(1, int(how.tokens * spent) - asked)
            attributes["gen_ai.usage.cost"] = how.cost_usd * spent
            attributes["gen_ai.response.finish_reasons"] = ["refusal" if has_refused else "stop"]
            if rng.random() < scenario.scored:
                self._score(span, how.score)
        span.attributes.extend(_pair(key, value) for key, value in attributes.items())
        return span

    def _score(self, span: Span, mean: float) -> None:
        # Judges answer good or poor; the share of poor ones makes the mean.
        poor = min(max((_GOOD - mean) / (_GOOD - _POOR), 0.0), 1.0)
        around = _POOR if self._rng.random() < poor else _GOOD
        score = min(1.0, max(0.0, around + 0.03 * (2 * self._rng.random() - 1)))
        span.events.append(
            Span.Event(
                time_unix_nano=span.end_time_unix_nano,
                name="gen_ai.evaluation.result",
                attributes=[
                    _pair("gen_ai.evaluation.name", self._scenario.rubric),
                    _pair("gen_ai.evaluation.score.value", score),
                ],
            )
        )


def begin(scenario: Scenario, served: Served) -> Served:
    """Return who serves once it has gone bad."""
    if scenario.cause is Cause.RELEASE:
        return replace(served, canary_is_new=True)
    return replace(served, provider_is_bad=True)


def _pair(key: str, value: str | float | list[str]) -> KeyValue:
    return KeyValue(key=key, value=_value(value))


def _value(value: str | float | list[str]) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_value(one) for one in value]))
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(double_value=value)
