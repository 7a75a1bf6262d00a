"""Real telemetry reads right: the recorded payloads of published libraries, and their truth."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.captures import capture
from tests.genai.ground_truth import calls_in, differences, truth_of

LIBRARIES = (
    "langfuse",
    "litellm-proxy",
    "litellm-sdk",
    "openinference-instrumentation-openai",
    "openinference-instrumentation-openai-dual",
    "opentelemetry-instrumentation-openai-v2",
    "opentelemetry-instrumentation-openai-v2-legacy",
    "traceai-openai",
    "traceloop-sdk",
)


RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"
RECORDED = sorted(path.name.removesuffix(".tar.gz") for path in RECORDINGS.glob("*.tar.gz"))


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_call_score_and_verdict_reads_right(library: str) -> None:
    folder = capture(library)
    assert differences(truth_of(folder), calls_in(folder / "payloads")) == {}


@pytest.mark.parametrize("library", RECORDED)
def test_recordings_kept_here_read_right_too(library: str, tmp_path: Path) -> None:
    folder = _extracted(library, tmp_path)
    read = calls_in(folder / "payloads")
    assert len(read) >= 28
    assert differences(truth_of(folder), read) == {}


@pytest.mark.parametrize(
    "library", ["opentelemetry-instrumentation-openai-v2", "openinference-instrumentation-openai"]
)
def test_spans_as_the_collector_writes_them_read_the_same(library: str) -> None:
    folder = capture(library)
    from_lines = calls_in(folder / "traces.otlp.jsonl")
    assert from_lines
    # The lines hold spans only: what came as logs is missing.
    assert _without_judgements(from_lines) == _without_judgements(calls_in(folder / "payloads"))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_split_and_repeated_payloads_give_the_same_calls(
    library: str, seed: int, tmp_path: Path
) -> None:
    _assert_order_is_of_no_matter(capture(library), seed, tmp_path)


@pytest.mark.parametrize("library", RECORDED)
def test_recordings_kept_here_read_the_same_in_any_order(library: str, tmp_path: Path) -> None:
    folder = _extracted(library, tmp_path / "recorded")
    (tmp_path / "shuffled").mkdir()
    _assert_order_is_of_no_matter(folder, 1, tmp_path / "shuffled")


def _extracted(library: str, path: Path) -> Path:
    with tarfile.open(RECORDINGS / f"{library}.tar.gz") as archive:
        archive.extractall(path, filter="data")
    return path / library


def _assert_order_is_of_no_matter(folder: Path, seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    requests: list[tuple[str, bytes]] = []
    for file in sorted((folder / "payloads").glob("*.binpb")):
        body = file.read_bytes()
        if ".traces." in file.name:
            requests += [("traces", part) for part in _one_span_each(body)]
        elif ".logs." in file.name:
            requests.append(("logs", body))
    requests += rng.sample(requests, len(requests) // 3)
    rng.shuffle(requests)
    for number, (signal, body) in enumerate(requests):
        (tmp_path / f"{number:06}.{signal}.binpb").write_bytes(body)
    assert _sorted(calls_in(tmp_path)) == _sorted(calls_in(folder / "payloads"))


def _one_span_each(body: bytes) -> list[bytes]:
    parts = []
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                part = ExportTraceServiceRequest()
                only = part.resource_spans.add()
                only.resource.CopyFrom(resource_spans.resource)
                only_scope = only.scope_spans.add()
                only_scope.scope.CopyFrom(scope_spans.scope)
                only_scope.spans.append(span)
                parts.append(part.SerializeToString())
    return parts


def _sorted(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for call in calls:
        for judgements in (call["evals"], call["guardrails"]):
            judgements.sort(key=lambda item: item["name"])
    return sorted(calls, key=lambda call: (call["trace_id"], call["span_id"]))


def _without_judgements(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**call, "evals": [], "guardrails": [], "refusal": None} for call in _sorted(calls)]
