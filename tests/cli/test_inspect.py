"""`tripswitch inspect` shows what is seen: calls as JSON, or a summary for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.captures import capture, expected_calls
from tests.genai.spans import CHAT, SpanOf, request_of
from tripswitch.cli.app import app
from tripswitch.errors import ConfigError, TripswitchError
from tripswitch.model.calls import Calls

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["inspect", *(str(argument) for argument in arguments)])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "one.traces.binpb"
    spans = [
        SpanOf({**CHAT, "mine.cohort": "canary", "tag.tags": ["blue"]}, span=1),
        SpanOf({**CHAT, "http.route": "/\x1b[31mred"}, span=2),
    ]
    file.write_bytes(request_of(*spans))
    return file


def test_json_is_one_object_a_call_with_the_fixed_names(recording: Path) -> None:
    result = inspect("--json", recording)
    assert result.exit_code == 0
    calls = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(calls) == 2
    names = set(Calls.__dataclass_fields__) - {
        "parent_span_id",
        "is_chat",
        "request_index",
        "scopes",
    }
    assert set(calls[0]) == names | {"latency"}
    assert result.stderr == ""


def test_key_and_cohort_put_the_users_own_in_front(recording: Path) -> None:
    assert json.loads(inspect("--json", recording).stdout.splitlines()[0])["cohort"] is None
    by_key = inspect("--json", "--key", "cohort=mine.cohort", recording)
    assert json.loads(by_key.stdout.splitlines()[0])["cohort"] == "canary"
    by_tag = inspect("--json", "--cohort", "blue", recording)
    assert json.loads(by_tag.stdout.splitlines()[0])["cohort"] == "blue"


def test_config_supplies_keys_and_the_command_line_overtakes_them(
    recording: Path, tmp_path: Path
) -> None:
    config = tmp_path / "tripswitch.yaml"
    config.write_text("read:\n  keys:\n    cohort: [mine.cohort]\n")
    by_config = inspect("--json", "--config", config, recording)
    assert json.loads(by_config.stdout.splitlines()[0])["cohort"] == "canary"
    overtaken = inspect(
        "--json", "--config", config, "--key", "cohort=gen_ai.request.model", recording
    )
    assert json.loads(overtaken.stdout.splitlines()[0])["cohort"] == "gpt-4o-mini"


def test_summary_names_what_is_missing_and_shows_no_terminal_codes(recording: Path) -> None:
    result = inspect(recording)
    assert result.exit_code == 0
    assert result.stdout.startswith("2 calls in 2 spans")
    assert "--key cohort=YOUR.KEY" in result.stdout
    assert "tripswitch.cohort" in result.stdout
    assert "\x1b" not in result.stdout


def test_what_could_not_be_read_goes_to_standard_error(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.traces.binpb").write_bytes(recording.read_bytes()[:-3])
    (tmp_path / "bad.jsonl").write_text("{\n")
    result = inspect("--json", tmp_path)
    assert len(result.stdout.splitlines()) == 2
    assert "bad.jsonl:1" in result.stderr
    assert "1 requests were not readable" in result.stderr


def test_nothing_found_is_said_aloud(tmp_path: Path) -> None:
    (tmp_path / "empty.traces.binpb").write_bytes(b"")
    assert "no LLM call found" in inspect(tmp_path).stderr


def test_wrong_key_is_an_error_that_names_the_facts(recording: Path) -> None:
    for key in ("nonsense=x", "cohort", "cohort="):
        raised = inspect("--key", key, recording).exception
        assert isinstance(raised, ConfigError)
        assert key.partition("=")[0] in raised.message
        assert raised.hint


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    assert isinstance(inspect(tmp_path / "gone").exception, TripswitchError)


def test_capture_shows_all_its_calls() -> None:
    folder = capture("opentelemetry-instrumentation-openai-v2")
    keys = ["prompt_version=app.prompt.version", "cohort=app.cohort", "tenant=app.tenant"]
    options = [part for key in keys for part in ("--key", key)]
    from_folder = inspect("--json", *options, folder / "payloads")
    from_lines = inspect("--json", *options, folder / "traces.otlp.jsonl")
    # The folder has the logs too, and in them the evaluations and verdicts.
    without_logs = [
        {**json.loads(line), "evals": [], "guardrails": []}
        for line in from_folder.stdout.splitlines()
    ]
    assert without_logs == [json.loads(line) for line in from_lines.stdout.splitlines()]
    calls = {call["span_id"]: call for call in map(json.loads, from_lines.stdout.splitlines())}
    expected = expected_calls(folder)
    assert set(calls) == {call["span_id"] for call in expected}
    for call in expected:
        for fact in ("prompt_version", "cohort", "tenant", "input_tokens"):
            assert calls[call["span_id"]][fact] == call["expected"][fact]
