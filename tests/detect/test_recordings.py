"""Recordings through the replay command: traps stay silent, shapes are found, the story ends."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from bench.detect.recordings import (
    EXPECTED,
    RECORDINGS,
    STORY_BAD_MINUTE,
    STORY_NS,
    Expected,
    line_of,
    record,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tripswitch.otlp.json_encoding import encode_request

_TARGET = (
    "fleet: {single: true}\n"
    "rollback: {targets: [{url: 'http://127.0.0.1:9/', secret: 'whsec_" + "A" * 44 + "'}]}\n"
)


def replayed(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the events that the replay command prints for a recording made now."""
    settings = folder / "tripswitch.yaml"
    # Three weeks are looked at once a minute, to be done in minutes.
    settings.write_text(_TARGET + ("detect: {tick: 60s}\n" if name == "weekend-dip" else ""))
    path = record(name, folder)
    words = [sys.executable, "-m", "tripswitch.cli.app", "replay", "--json", "--config"]
    done = subprocess.run([*words, settings, path], capture_output=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["incident"] is not None]


@pytest.mark.matrix
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "expected"),
    [pytest.param(name, expected, id=name) for name, expected in EXPECTED.items()],
)
def test_a_recording_is_told_of_as_what_it_is(
    name: str, expected: Expected | None, tmp_path: Path
) -> None:
    events = told(replayed(name, tmp_path))
    if expected is None:
        assert [event["incident"]["why"] for event in events] == []
        return
    paged = [event["incident"] for event in events if event["incident"]["severity"] == "page"]
    assert Expected(paged[0]["shape"], paged[0]["signal"], expected.rubric) == expected
    assert expected.rubric in (None, paged[0]["rubric"])
    assert {incident["scope"]["prompt_version"] for incident in paged} == {"v18"}
    assert {incident["scope"]["cohort"] for incident in paged} == {"canary"}


def test_recordings_are_lines_that_can_be_read_and_the_same_each_time() -> None:
    for name in ("late-scores", "outage-1"):
        first, again = ([*islice(RECORDINGS[name](), 3)] for _ in range(2))
        assert first == again
        for message in first:
            signal, body = encode_request(line_of(message))
            assert signal == "traces"
            assert ExportTraceServiceRequest.FromString(body) == message


def test_scores_that_come_late_come_as_log_records_of_their_calls() -> None:
    messages = list(islice(RECORDINGS["late-scores"](), 22 * 12 + 1))
    (late,) = (one for one in messages if isinstance(one, ExportLogsServiceRequest))
    records = json.loads(line_of(late))["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    calls = {
        (span.trace_id.hex(), span.span_id.hex())
        for one in messages
        if isinstance(one, ExportTraceServiceRequest)
        for span in one.resource_spans[0].scope_spans[0].spans
        if not span.events
    }
    assert {(one["traceId"], one["spanId"]) for one in records} <= calls
    assert len(records) > 1_000


@pytest.mark.matrix
@pytest.mark.timeout(900)
def test_the_story_pages_and_rolls_back_within_four_minutes(tmp_path: Path) -> None:
    """Twenty scored calls a second; from 16:30 on v18 is worse by 9 points, refusals by 18."""
    events = told(replayed("story", tmp_path))
    began_ns = STORY_NS + int(STORY_BAD_MINUTE * 60e9)
    minutes: dict[str, float] = {}
    for event in events:
        at = datetime.fromisoformat(event["time"]).timestamp()
        is_page = event["incident"]["severity"] == "page"
        name = "page" if event["event"] == "incident.escalated" and is_page else event["event"]
        minutes.setdefault("page" if is_page and name == "incident.opened" else name, at)
    since = {name: (at - began_ns / 1e9) / 60 for name, at in minutes.items()}
    assert 0 < since["page"] <= 4
    assert 0 < since["rollback.planned"] <= 4
    plan = next(event for event in events if event["event"] == "rollback.planned")["incident"]
    assert {key: plan["rollback"][key] for key in ("path", "from", "to", "mode", "state")} == {
        "path": "cohort",
        "from": "v18",
        "to": "v17",
        "mode": "auto",
        "state": "planned",
    }
    assert plan["scope"]["cohort"] == "canary"
    # kb-search, orders and the control stay silent.
    assert {event["incident"]["scope"]["route"] for event in events} == {"/chat/refund"}
    assert {event["incident"]["scope"]["cohort"] for event in events} == {"canary"}
