"""``tripswitch replay``: the same files give the same output, in every form they come in."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.play import BAD, story
from tests.traffic import Behaviour, requests, rollout


def _replay(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tripswitch.cli.app", "replay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=100)


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    """The story, shortened: v18 at minute four, four minutes of it."""
    return list(requests(rollout(BAD, at_minute=4, canary_per_s=5, control_per_s=6), 8))


def _line(body: bytes) -> str:
    """Return one request as the Collector's file exporter writes it: hex ids, numbers as enums."""
    message = ExportTraceServiceRequest.FromString(body)
    document = MessageToDict(message, use_integers_for_enums=True)
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for written, span in zip(spans, message.resource_spans[0].scope_spans[0].spans, strict=True):
        written["traceId"], written["spanId"] = span.trace_id.hex(), span.span_id.hex()
    return json.dumps(document)


@pytest.fixture(scope="module")
def recordings(bodies: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same traffic as a folder of protobuf requests, JSON lines, and both compressions."""
    folder = tmp_path_factory.mktemp("recordings")
    many = folder / "many"
    many.mkdir()
    for index, body in enumerate(bodies):
        (many / f"{index:05}.traces.binpb").write_bytes(body)
    # Requests joined end to end are themselves one valid request: batches of six.
    joined = folder / "joined"
    joined.mkdir()
    for index in range(0, len(bodies), 6):
        (joined / f"{index:05}.traces.binpb").write_bytes(b"".join(bodies[index : index + 6]))
    text = "".join(_line(body) + "\n" for body in bodies).encode()
    (folder / "traffic.jsonl").write_bytes(text)
    (folder / "traffic.jsonl.gz").write_bytes(gzip.compress(text))
    (folder / "traffic.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(text))
    return {
        "many": many,
        "joined": joined,
        "jsonl": folder / "traffic.jsonl",
        "gz": folder / "traffic.jsonl.gz",
        "zst": folder / "traffic.jsonl.zst",
    }


@pytest.mark.matrix
def test_same_recording_gives_the_same_bytes_in_every_form(recordings: dict[str, Path]) -> None:
    first = _replay("--json", recordings["many"])
    assert first.returncode == 0
    for name in ("many", "jsonl", "gz", "zst"):
        again = _replay("--json", recordings[name])
        assert (again.returncode, again.stdout) == (0, first.stdout), name
    events = [json.loads(line) for line in first.stdout.splitlines()]
    assert [event["event"] for event in events][:2] == ["change.seen", "incident.opened"]
    assert events[1]["incident"]["scope"]["prompt_version"] == "v18"
    assert events[1]["incident"]["exemplars"]


def test_one_by_one_or_in_batches_gives_the_same_incidents(recordings: dict[str, Path]) -> None:
    seen = []
    for name in ("many", "joined"):
        lines = _replay("--json", recordings[name]).stdout.splitlines()
        incidents = [json.loads(line)["incident"] for line in lines]
        seen.append([(one["shape"], one["scope"], one["severity"]) for one in incidents if one])
    assert seen[0]
    assert seen[0] == seen[1]


def test_a_rollback_is_planned_and_never_called(
    tmp_path: Path, recordings: dict[str, Path]
) -> None:
    settings = tmp_path / "tripswitch.yaml"
    settings.write_text(
        "fleet: {single: true}\n"
        "rollback: {targets: [{url: 'http://127.0.0.1:9/', secret: 'whsec_" + "A" * 44 + "'}]}\n"
    )
    played = _replay("--json", "--config", settings, recordings["jsonl"])
    events = {json.loads(line)["event"]: json.loads(line) for line in played.stdout.splitlines()}
    plan = events["rollback.planned"]["incident"]["rollback"]
    assert {key: plan[key] for key in ("path", "from", "to", "blast_radius", "mode", "state")} == {
        "path": "cohort",
        "from": "v18",
        "to": "v17",
        "blast_radius": "cohort",
        "mode": "auto",
        "state": "planned",
    }
    assert "rollback.acknowledged" not in events


def test_fail_says_by_its_exit_code_that_an_incident_was_found(
    tmp_path: Path, recordings: dict[str, Path]
) -> None:
    assert _replay("--fail", recordings["jsonl"]).returncode == 1
    healthy = tmp_path / "healthy.traces.binpb"
    healthy.write_bytes(b"".join(requests(story(Behaviour()), 1)))
    assert _replay("--fail", healthy).returncode == 0


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    missing = _replay(tmp_path / "nothing.jsonl")
    assert missing.returncode == 2
    assert b"nothing.jsonl" in missing.stderr
    assert b"hint:" in missing.stderr
