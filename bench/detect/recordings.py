"""Recordings of what must stay silent and of what must be found, for `tripswitch replay`.

    python -m bench.detect.recordings FOLDER [NAME...]

Writes one file of OTLP JSON lines for each trap, for each of the five shapes at three sizes, and
for the story of the refund bot. By seed: the same name gives the same bytes. ``EXPECTED`` says
what a replay of each file has to find, None for nothing at all. tests/detect/test_recordings.py
replays every one of them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import zstandard
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from tests.traffic import START_NS, Arm, Behaviour, Plan, Tool, requests

GOOD: Final = Behaviour(
    errors=0.005,
    ttft_s=0.3,
    cost_usd=0.002,
    leaks=0.0,
    injections=0.0,
    tools=(Tool("search"), Tool("refund", 0.4)),
)
PLAIN: Final = Behaviour()
AWFUL: Final = replace(GOOD, score=0.5, refusals=0.3, latency_s=5.0, cost_usd=0.02, ttft_s=2.0)
CONTROL: Final = Arm(4.0, "v17", "control", GOOD)
CANARY: Final = Arm(4.0, "v18", "canary", GOOD)
ALONE: Final = Arm(4.0, "v3", None, GOOD, route="/alone")
STORY_NS: Final = START_NS - 10 * 60 * 10**9
"""16:10, so that v18 comes at 16:30 after twenty minutes."""
STORY_BAD_MINUTE: Final = 20.0
DAY_S: Final = 86_400.0


class Expected(NamedTuple):
    """What the first page of a replay has to be of; ``rubric`` only of a score or a tool."""

    shape: str
    signal: str
    rubric: str | None = None


def _steady(arms: list[Arm]) -> Plan:
    return lambda _: arms


def _between(arms: list[Arm], first_minute: float, last_minute: float, bad: Behaviour) -> Plan:
    """Return a plan in which everybody behaves badly between two minutes."""
    hit = [replace(arm, behaviour=bad) for arm in arms]
    return lambda second: hit if first_minute <= second / 60 < last_minute else arms


def _ramp(second: float) -> list[Arm]:
    """Traffic that halves, halves again, and grows tenfold."""
    minute = second / 60
    share = 0.5 if minute < 8 else 0.25 if minute < 16 else min(2.5, 0.25 * (minute - 15))
    return [replace(arm, calls_per_s=share * arm.calls_per_s) for arm in (CONTROL, CANARY)]


def _mix(second: float) -> list[Arm]:
    """Ever harder questions for both arms, and ever more of them go to the canary (Simpson)."""
    share = min(0.9, 0.1 + second / 60 / 30)
    hard = replace(GOOD, score=0.90 - 0.12 * share, refusals=0.04 + 0.06 * share)
    both = ((CONTROL, 1 - share), (CANARY, share))
    return [replace(arm, calls_per_s=8 * part, behaviour=hard) for arm, part in both]


def _sessions(second: float) -> list[Arm]:
    """Six requests in a row share one outcome, a twelfth of them a bad one, apart in each arm."""
    rng = random.Random(int(second))
    worse = replace(PLAIN, score=0.5, refusals=0.9)
    arms = [replace(arm, calls_per_s=1.2, behaviour=PLAIN) for arm in (CONTROL, CANARY, ALONE)]
    return [replace(arm, behaviour=worse) if rng.random() < 1 / 12 else arm for arm in arms]


def _once(second: float, at_s: float, arm: Arm, behaviour: Behaviour) -> list[Arm]:
    """Return one call of an arm in the five seconds from ``at_s`` on."""
    return [replace(arm, calls_per_s=0.2, behaviour=behaviour)] if second == at_s else []


def _enormous(second: float) -> list[Arm]:
    huge = replace(GOOD, tokens=200_000.0, cost_usd=30.0, latency_s=120.0)
    return [
        CONTROL,
        ALONE,
        *(one for arm in (CONTROL, ALONE) for one in _once(second, 1_200, arm, huge)),
    ]


def _leak(second: float) -> list[Arm]:
    return [CONTROL, CANARY, *_once(second, 600.0, CANARY, replace(GOOD, leaks=1.0))]


def _tiny(second: float) -> list[Arm]:
    is_bad = 20 * 60 <= second < 22 * 60
    return [CONTROL, replace(CANARY, calls_per_s=1 / 60, behaviour=AWFUL if is_bad else GOOD)]


def _weekend(second: float) -> list[Arm]:
    """Three calls a minute, more by day, and a third of that on Saturdays and Sundays."""
    # The recording begins on a Monday at midnight.
    day = second / DAY_S
    shape = 1 - 0.4 * math.cos(2 * math.pi * day)
    shape *= 1 / 3 if int(day) % 7 >= 5 else 1.0
    calls = int(np.random.default_rng(int(second)).poisson(3.0 * shape))
    return [replace(ALONE, calls_per_s=calls / 60, behaviour=PLAIN)]


_MONDAY_NS: Final = START_NS - START_NS % (7 * 86_400 * 10**9) + 4 * 86_400 * 10**9
TRAPS: Final[dict[str, Callable[[], Iterator[Message]]]] = {
    "spike-of-two-minutes": lambda: _spans(_between([CONTROL, ALONE], 20, 22, AWFUL), 32),
    "errors-for-a-minute": lambda: _spans(
        _between([CONTROL, ALONE], 20, 21, replace(GOOD, errors=0.5)), 30
    ),
    "weekend-dip": lambda: _spans(_weekend, 21 * 1_440, step_s=60.0, start_ns=_MONDAY_NS),
    "traffic-ramp": lambda: _spans(_ramp, 28),
    "mix-shift": lambda: _spans(_mix, 26),
    "late-scores": lambda: _late_scores(_steady([CONTROL, CANARY]), 30),
    "sessions": lambda: _spans(_sessions, 90),
    "enormous-request": lambda: _spans(_enormous, 30),
    "one-leak": lambda: _spans(_leak, 20),
    "tiny-cohort": lambda: _spans(_tiny, 40),
}
"""The ten that must stay silent."""

SIZES: Final[dict[str, tuple[Expected, tuple[Behaviour, ...]]]] = {
    "eval-drift": (
        Expected("eval_drift", "eval_score", "faithfulness"),
        tuple(replace(GOOD, score=score) for score in (0.82, 0.75, 0.60)),
    ),
    "cost-spike": (
        Expected("cost_spike", "tokens_per_success"),
        tuple(replace(GOOD, tokens=400.0 * times) for times in (1.8, 2.5, 5.0)),
    ),
    "latency-spike": (
        Expected("latency_spike", "p99_latency"),
        tuple(replace(GOOD, latency_s=0.8 * times) for times in (2.5, 4.0, 10.0)),
    ),
    "guardrail-regression": (
        Expected("guardrail_regression", "refusal_rate"),
        tuple(replace(GOOD, refusals=share) for share in (0.18, 0.28, 0.50)),
    ),
    "outage": (
        Expected("outage", "error_rate"),
        tuple(replace(GOOD, errors=share) for share in (0.06, 0.20, 0.80)),
    ),
    "slow-tool": (
        Expected("latency_spike", "tool_latency", "search"),
        tuple(
            replace(GOOD, tools=(Tool("search", 0.2 * times), GOOD.tools[1]))
            for times in (3.5, 8.0, 30.0)
        ),
    ),
}
"""The five shapes, and a tool, from the smallest size to the largest."""


def _release(bad: Behaviour) -> Plan:
    """Return v18 in a canary from minute eight on, beside a control."""
    before = replace(CANARY, version="v17")
    arms, after = [CONTROL, before], [CONTROL, replace(CANARY, behaviour=bad)]
    return lambda second: after if second >= 8 * 60 else arms


def _story(second: float) -> list[Arm]:
    """The refund bot at twenty scored calls a second, with two other routes beside it."""
    is_bad = second >= 60 * STORY_BAD_MINUTE
    bad = replace(PLAIN, score=PLAIN.score - 0.09, refusals=PLAIN.refusals + 0.18)
    return [
        Arm(10.0, "v17", "control", PLAIN),
        Arm(10.0, "v18" if is_bad else "v17", "canary", bad if is_bad else PLAIN),
        Arm(2.0, "v3", "control", PLAIN, route="/chat/kb-search"),
        Arm(2.0, "v9", None, PLAIN, route="/chat/orders"),
    ]


RECORDINGS: Final[dict[str, Callable[[], Iterator[Message]]]] = {
    **TRAPS,
    **{
        f"{name}-{number}": (lambda bad=bad: _spans(_release(bad), 16))  # type: ignore[misc]
        for name, (_, sizes) in SIZES.items()
        for number, bad in enumerate(sizes, start=1)
    },
    "story": lambda: _spans(_story, STORY_BAD_MINUTE + 8, start_ns=STORY_NS),
}

EXPECTED: Final[dict[str, Expected | None]] = {
    **dict.fromkeys(TRAPS),
    **{
        f"{name}-{number}": expected
        for name, (expected, sizes) in SIZES.items()
        for number in range(1, len(sizes) + 1)
    },
}


def _spans(plan: Plan, minutes: float, **more: Any) -> Iterator[Message]:
    for body in requests(plan, minutes, **more):
        yield ExportTraceServiceRequest.FromString(body)


def _late_scores(plan: Plan, minutes: float) -> Iterator[Message]:
    """Yield traffic whose judge is down from minute 15 to 22 and then scores all it has missed."""
    missed = ExportLogsServiceRequest()
    records = missed.resource_logs.add().scope_logs.add().log_records
    for step, request in enumerate(_spans(plan, minutes)):
        assert isinstance(request, ExportTraceServiceRequest)
        minute = step * 5 / 60
        if 15 <= minute < 22:
            for span in request.resource_spans[0].scope_spans[0].spans:
                for event in span.events:
                    records.append(
                        LogRecord(
                            event_name=event.name,
                            trace_id=span.trace_id,
                            span_id=span.span_id,
                            attributes=event.attributes,
                        )
                    )
                del span.events[:]
        elif records:
            last_ns = request.resource_spans[0].scope_spans[0].spans[-1].end_time_unix_nano
            for record in records:
                record.time_unix_nano = last_ns
            yield missed
            missed = ExportLogsServiceRequest()
            records = missed.resource_logs.add().scope_logs.add().log_records
        yield request


def line_of(message: Message) -> str:
    """Return one request as the Collector's file exporter writes it: hex ids, numbers as enums."""
    document = MessageToDict(message, use_integers_for_enums=True)
    for resource, of_resource in zip(
        next(iter(document.values()), ()), message.ListFields()[0][1], strict=True
    ):
        for name in ("scopeSpans", "scopeLogs"):
            for scope, of_scope in zip(
                resource.get(name, ()), getattr(of_resource, _snake(name), ()), strict=True
            ):
                for kind in ("spans", "logRecords"):
                    _name_ids(scope.get(kind, ()), getattr(of_scope, _snake(kind), ()))
    return json.dumps(document)


def _name_ids(written: Any, given: Any) -> None:
    for one, item in zip(written, given, strict=True):
        one["traceId"], one["spanId"] = item.trace_id.hex(), item.span_id.hex()
        if getattr(item, "parent_span_id", b""):
            one["parentSpanId"] = item.parent_span_id.hex()


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def record(name: str, folder: Path) -> Path:
    """Write the recording of a name into ``folder``; return its file."""
    path = folder / f"{name}.jsonl.zst"
    with path.open("wb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file) as into:
        for message in RECORDINGS[name]():
            into.write(line_of(message).encode() + b"\n")
    return path


def main() -> int:
    """Write the recordings that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help=f"all by default: {', '.join(RECORDINGS)}")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(RECORDINGS))
    if unknown:
        parser.error(f"no recording named {', '.join(unknown)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or RECORDINGS:
        path = record(name, options.folder)
        sys.stdout.write(f"{path} ({path.stat().st_size / 1e6:.1f} MB)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
