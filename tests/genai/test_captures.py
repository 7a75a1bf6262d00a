"""Real telemetry reads right: the recorded payloads against their ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.captures import capture, expected_calls
from tripswitch.config.model import Read
from tripswitch.genai.understand import Understanding
from tripswitch.otlp.files import FileProblem, read_requests

if TYPE_CHECKING:
    from pathlib import Path

OWN_KEYS = {
    "prompt_version": ["app.prompt.version"],
    "cohort": ["app.cohort"],
    "tenant": ["app.tenant"],
}

# Name in the ground truth -> name here, where they are the same kind of value.
SAME = {
    "request_model": "request_model",
    "response_model": "response_model",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_input_tokens": "cached_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "prompt_name": "prompt_name",
    "prompt_version": "prompt_version",
    "cohort": "cohort",
    "route": "route",
    "session_id": "session",
    "tenant": "tenant",
    "refusal": "refusal",
    "error_type": "error_type",
}
# OpenAI's words in the ground truth, ours here.
FINISH_REASONS = {"tool_calls": "tool_call"}


def calls_in(*paths: Path) -> dict[str, dict[str, Any]]:
    problems: list[FileProblem] = []
    bodies = [
        request.body
        for request in read_requests(paths, problems.append)
        if request.signal == "traces"
    ]
    assert [p for p in problems if not p.source.endswith("index.json")] == []
    observed = Understanding(Read(keys=OWN_KEYS)).observe(bodies)
    assert observed.rejected == {}
    calls = [observed.calls.as_json(row) for row in range(len(observed.calls))]
    return {call["span_id"]: call for call in calls}


@pytest.mark.parametrize("source", ["payloads", "traces.otlp.jsonl"])
def test_every_call_of_the_opentelemetry_capture_reads_right(source: str) -> None:
    folder = capture("opentelemetry-instrumentation-openai-v2")
    found = calls_in(folder / source)
    expected = expected_calls(folder)
    assert set(found) == {call["span_id"] for call in expected}
    assert len(found) == 29
    differences = [
        (call["call_id"], theirs, call["expected"][theirs], found[call["span_id"]][ours])
        for call in expected
        for theirs, ours in SAME.items()
        if call["expected"][theirs] != found[call["span_id"]][ours]
    ]
    assert differences == []
    for call in expected:
        read = found[call["span_id"]]
        reasons = call["expected"]["finish_reasons"] or []
        assert read["finish_reasons"] == [FINISH_REASONS.get(r, r) for r in reasons]
        assert (read["error_class"] is not None) == bool(call["expected"]["error"])
        assert read["streaming"] is bool(call["expected"]["streaming"])
        assert read["dialect"] == "semconv"
    users = {call["expected"]["user_id"]: found[call["span_id"]]["user"] for call in expected}
    for call in expected:
        assert found[call["span_id"]]["user"] == users[call["expected"]["user_id"]]
    assert len(set(users.values())) == len(users)
    assert not set(users) & set(users.values())


def test_both_recordings_of_the_capture_read_the_same() -> None:
    folder = capture("opentelemetry-instrumentation-openai-v2")
    assert calls_in(folder / "payloads") == calls_in(folder / "traces.otlp.jsonl")


def test_older_generation_of_the_conventions_reads_right() -> None:
    folder = capture("opentelemetry-instrumentation-openai-v2-legacy")
    found = calls_in(folder / "payloads")
    expected = expected_calls(folder)
    assert set(found) == {call["span_id"] for call in expected}
    differences = [
        (call["call_id"], theirs, call["expected"][theirs], found[call["span_id"]][ours])
        for call in expected
        for theirs, ours in SAME.items()
        if call["expected"][theirs] != found[call["span_id"]][ours]
    ]
    assert differences == []
