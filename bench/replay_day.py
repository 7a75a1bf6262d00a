"""What a day of traffic costs to replay: 24 hours at 10 calls a second through `tripswitch replay`.

The traffic is made once, by seed, from the official protobuf classes: a few routes with a control
and a canary each, versions that change during the day, a daily shape around the stated rate,
scores, refusals, errors, traces of two or three spans (half have an agent's, unless ``--agents``
says otherwise), one request every five seconds. Two days are replayed: of one every tenth answer is
scored, as where traffic is dense and judging costs a call of its own; of the other each is, the
most that can come (``--scored``). A day is kept as a recording of compressed protobuf requests and
made anew only for other parameters. The replay runs as a user runs it, in a process of its own
whose processor time counts; where that goes is sampled in another run over the first hours, because
a tracing profiler distorts it. One run says little where others use the machine's memory and
caches: with ``--times`` the least says what the program takes, the spread what the machine adds.

    python -m bench.replay_day [--hours N] [--rate N] [--scored SHARE...] [--agents SHARE]
                               [--times N] [--folder D] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

import tripswitch
from tripswitch.config.model import Config
from tripswitch.drive.replay import replay, replay_session

START_NS = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp()) * 10**9
EXPORT_S = 5
TENANTS = tuple(f"tenant-{number}" for number in range(40))
SAMPLED_HOURS = 2.0
SAMPLE_S = 0.002
SCORED = (0.1, 1.0)
"""The shares of answers that are scored, of the two days."""


class Mix(NamedTuple):
    """The share of answers that are ``scored``, and of traces with an agent's span (``agents``)."""

    scored: float = SCORED[0]
    agents: float = 0.5


USUAL: Final = Mix()


class Arm(NamedTuple):
    """One prompt version in one cohort of a route, with its share of all calls."""

    route: str
    prompt: str
    cohort: str
    share: float
    model: str
    versions: tuple[str, ...]


ARMS = (
    Arm("/chat/refund", "refund-bot", "control", 0.30, "gpt-4o-mini", ("v17",)),
    Arm("/chat/refund", "refund-bot", "canary", 0.10, "gpt-4o-mini", ("v17", "v18")),
    Arm("/chat/search", "kb-search", "control", 0.25, "gpt-4o", ("v3", "v4")),
    Arm("/chat/search", "kb-search", "canary", 0.05, "gpt-4o", ("v4",)),
    Arm("/agent/orders", "orders", "control", 0.20, "claude-sonnet", ("v8",)),
    Arm("/agent/orders", "orders", "canary", 0.10, "claude-sonnet", ("v8", "v9", "v10")),
)


def attribute(key: str, value: str | float | list[str]) -> KeyValue:
    """Return one OTLP attribute."""
    if isinstance(value, str):
        held = AnyValue(string_value=value)
    elif isinstance(value, int):
        held = AnyValue(int_value=value)
    elif isinstance(value, float):
        held = AnyValue(double_value=value)
    else:
        held = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=v) for v in value]))
    return KeyValue(key=key, value=held)


class Day:
    """The traffic of a day, a request at a time. The same parameters give the same bytes."""

    def __init__(
        self,
        hours: float,
        calls_per_s: float,
        seed: int,
        export_s: float = EXPORT_S,
        mix: Mix = USUAL,
    ) -> None:
        self.hours = hours
        self.mix = mix
        self.calls_per_s = calls_per_s
        self.export_s = export_s
        self._rng = random.Random(seed)
        self._constant: dict[tuple[Arm, str], list[KeyValue]] = {}

    def requests(self) -> Any:
        """Yield the serialised requests, one for every ``export_s``."""
        owed = 0.0
        for step in range(round(self.hours * 3600 / self.export_s)):
            begun_s = step * self.export_s
            # Two thirds at night, four thirds by day.
            shape = 1 - math.cos(2 * math.pi * begun_s / 86_400) / 3
            owed += self.calls_per_s * shape * self.export_s
            message = ExportTraceServiceRequest()
            resource_spans = message.resource_spans.add()
            resource_spans.resource.attributes.append(attribute("service.name", "assistant"))
            spans = resource_spans.scope_spans.add().spans
            for arm in self._rng.choices(ARMS, [arm.share for arm in ARMS], k=int(owed)):
                end_ns = START_NS + int((begun_s + self._rng.random() * self.export_s) * 1e9)
                self._trace(spans, arm, end_ns, begun_s / (self.hours * 3600))
            owed -= int(owed)
            yield message.SerializeToString()

    def _trace(self, spans: Any, arm: Arm, end_ns: int, passed: float) -> None:
        rng = self._rng
        version = arm.versions[int(passed * len(arm.versions))]
        trace_id, root_id = rng.randbytes(16), rng.randbytes(8)
        duration_ns = int(8e8 * rng.lognormvariate(0, 0.5))
        failed = rng.random() < 0.01
        parent_id = root_id
        if rng.random() < self.mix.agents:
            parent_id = rng.randbytes(8)
            agent = self._span(spans, trace_id, root_id, parent_id, end_ns, duration_ns)
            agent.name = f"invoke_agent {arm.prompt}"
            agent.attributes.append(attribute("gen_ai.operation.name", "invoke_agent"))
            agent.attributes.append(attribute("gen_ai.agent.name", arm.prompt))
        call = self._span(spans, trace_id, parent_id, rng.randbytes(8), end_ns, duration_ns)
        call.name = f"chat {arm.model}"
        call.kind = Span.SPAN_KIND_CLIENT
        call.attributes.extend(self._constant_of(arm, version))
        call.attributes.append(attribute("tripswitch.tenant", rng.choice(TENANTS)))
        call.attributes.append(attribute("gen_ai.conversation.id", f"s{rng.randrange(10**6)}"))
        if failed:
            call.attributes.append(attribute("error.type", "500"))
            call.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR))
        else:
            self._answer(call, end_ns)
        root = self._span(spans, trace_id, None, root_id, end_ns + 10**6, duration_ns + 2 * 10**6)
        root.name = f"POST {arm.route}"
        root.kind = Span.SPAN_KIND_SERVER
        root.attributes.append(attribute("http.route", arm.route))
        root.attributes.append(attribute("http.request.method", "POST"))
        root.attributes.append(attribute("http.response.status_code", 500 if failed else 200))

    def _answer(self, call: Span, end_ns: int) -> None:
        rng = self._rng
        call.attributes.append(attribute("gen_ai.usage.input_tokens", rng.randrange(200, 900)))
        call.attributes.append(attribute("gen_ai.usage.output_tokens", rng.randrange(50, 400)))
        reason = "refusal" if rng.random() < 0.04 else "stop"
        call.attributes.append(attribute("gen_ai.response.finish_reasons", [reason]))
        score = rng.betavariate(9, 1)
        if self.mix.scored < 1 and rng.random() >= self.mix.scored:
            return
        call.events.add(
            time_unix_nano=end_ns,
            name="gen_ai.evaluation.result",
            attributes=[
                attribute("gen_ai.evaluation.name", "faithfulness"),
                attribute("gen_ai.evaluation.score.value", score),
            ],
        )

    def _span(
        self,
        spans: Any,
        trace_id: bytes,
        parent_id: bytes | None,
        span_id: bytes,
        end_ns: int,
        duration_ns: int,
    ) -> Any:
        return spans.add(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent_id,
            start_time_unix_nano=end_ns - duration_ns,
            end_time_unix_nano=end_ns,
        )

    def _constant_of(self, arm: Arm, version: str) -> list[KeyValue]:
        known = self._constant.get((arm, version))
        if known is None:
            known = self._constant[arm, version] = [
                attribute("gen_ai.operation.name", "chat"),
                attribute("gen_ai.provider.name", "openai"),
                attribute("gen_ai.request.model", arm.model),
                attribute("gen_ai.response.model", f"{arm.model}-2026-08-06"),
                attribute("gen_ai.request.max_tokens", 512),
                attribute("gen_ai.prompt.name", arm.prompt),
                attribute("gen_ai.prompt.version", version),
                attribute("http.route", arm.route),
                attribute("tripswitch.cohort", arm.cohort),
                attribute("server.address", "api.example.test"),
            ]
        return known


def recording(folder: Path, hours: float, calls_per_s: float, seed: int, mix: Mix = USUAL) -> Path:
    """Return the folder of a recording, made now if it is not there yet."""
    name = f"tripswitch-day-{hours:g}h-{calls_per_s:g}-{mix.scored:g}-{mix.agents:g}-{seed}"
    made = folder / name
    if made.exists():
        return made
    unfinished = made.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    compressor = zstandard.ZstdCompressor(level=1)
    for number, body in enumerate(Day(hours, calls_per_s, seed, mix=mix).requests()):
        path = unfinished / f"{number:06d}.traces.binpb.zst"
        path.write_bytes(compressor.compress(body))
    unfinished.rename(made)
    return made


def replayed(folder: Path) -> tuple[float, int, str]:
    """Return the processor seconds of `tripswitch replay`, its events, and its last words."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "tripswitch.cli.app", "replay", "--json", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu_s, len(done.stdout.splitlines()), done.stderr.strip().splitlines()[-1]


def _environment() -> dict[str, str]:
    # One core, and the very package that this run has imported.
    source = str(Path(tripswitch.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def shares(folder: Path, hours: float) -> dict[str, float]:
    """Return the share of the time by room, sampled over the first ``hours`` of a recording."""
    package = Path(tripswitch.__file__).parent
    samples: Counter[str] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        while frame is not None and not frame.f_code.co_filename.startswith(str(package)):
            frame = frame.f_back
        if frame is None:
            samples["other"] += 1
        else:
            inside = Path(frame.f_code.co_filename).relative_to(package)
            samples[inside.parts[0].removesuffix(".py")] += 1

    files = sorted(folder.iterdir())[: int(hours * 3600 / EXPORT_S)]
    previous = signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
    try:
        for _ in replay(Config(), files, replay_session(Config())):
            pass
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
    return {room: count / samples.total() for room, count in samples.most_common()}


def main() -> int:
    """Make the recording, replay it, and print what it cost and where."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--rate", type=float, default=10.0, help="calls a second, on average")
    parser.add_argument(
        "--scored", type=float, nargs="+", default=SCORED, help="shares of the answers, 0 to 1"
    )
    parser.add_argument("--agents", type=float, default=0.5, help="share of the traces, 0 to 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=1, help="how often it is replayed")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    for scored in options.scored:
        result = measured(options, Mix(scored, options.agents))
        if options.json:
            sys.stdout.write(json.dumps(result) + "\n")
        else:
            sys.stdout.writelines(in_words(result))
    return 0


def measured(options: argparse.Namespace, mix: Mix) -> dict[str, Any]:
    """Replay the day of a mix; return what it cost and where."""
    folder = recording(options.folder, options.hours, options.rate, options.seed, mix)
    runs = sorted(replayed(folder) for _ in range(options.times))
    cpu_s, events, said = runs[0]
    return {
        "hours": options.hours,
        "calls_per_s": options.rate,
        **mix._asdict(),
        "cpu_s": round(cpu_s, 1),
        "cpu_s_of_each": [round(each, 1) for each, _, _ in runs],
        "cpu_s_a_day": round(cpu_s * 24 / options.hours, 1),
        "events": events,
        "said": said,
        "shares": {
            room: round(share, 3)
            for room, share in shares(folder, min(options.hours, SAMPLED_HOURS)).items()
        },
    }


def in_words(result: dict[str, Any]) -> Iterator[str]:
    """Yield what `measured` found, piece by piece."""
    yield f"{result['hours']:g} h at {result['calls_per_s']:g} calls/s, {result['scored']:.0%} of "
    yield f"the answers scored, {result['agents']:.0%} of the traces with an agent: "
    yield f"{result['cpu_s']:.1f} s of processor time, {result['cpu_s_a_day']:.1f} s a day; "
    yield f"{result['said']}\n"
    if len(result["cpu_s_of_each"]) > 1:
        each = ", ".join(f"{one:.1f}" for one in result["cpu_s_of_each"])
        yield f"  of each run, least first: {each} s\n"
    for room, share in result["shares"].items():
        yield f"  {room:<10} {100 * share:5.1f} %\n"


if __name__ == "__main__":
    sys.exit(main())
