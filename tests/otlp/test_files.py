"""Recordings on disk are read to the end, and what is bad in them is reported with its place."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
import zstandard

from tests.genai.spans import CHAT, SpanOf, request_of
from tripswitch.errors import TripswitchError
from tripswitch.otlp.files import FileProblem, StoredRequest, read_requests

if TYPE_CHECKING:
    from pathlib import Path

BODY = request_of(SpanOf(CHAT))


def line(trace: int = 1) -> str:
    span = {"traceId": f"{trace:032x}", "spanId": f"{trace:016x}", "name": "chat"}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}) + "\n"


def read(*paths: Path, max_line_bytes: int = 1 << 20) -> tuple[list[StoredRequest], list[str]]:
    problems: list[FileProblem] = []
    requests = list(read_requests(paths, problems.append, max_line_bytes=max_line_bytes))
    return requests, [
        f"{problem.source.rpartition('/')[2]} {problem.message}" for problem in problems
    ]


def test_lines_come_in_order_with_their_place(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_text(line(1) + "\n" + line(2))
    requests, problems = read(file)
    assert [request.source for request in requests] == [f"{file}:1", f"{file}:3"]
    assert {request.signal for request in requests} == {"traces"}
    assert problems == []


def test_gzip_and_zstandard_read_like_plain(tmp_path: Path) -> None:
    text = (line(1) + line(2)).encode()
    (tmp_path / "a.jsonl").write_bytes(text)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text))
    # The Collector appends a frame a write.
    compressor = zstandard.ZstdCompressor()
    (tmp_path / "c.jsonl.zst").write_bytes(
        compressor.compress(line(1).encode()) + compressor.compress(line(2).encode())
    )
    (tmp_path / "d.traces.binpb.gz").write_bytes(gzip.compress(BODY))
    requests, problems = read(tmp_path)
    assert problems == []
    bodies = [request.body for request in requests]
    assert bodies[0:2] == bodies[2:4] == bodies[4:6]
    assert bodies[6:] == [BODY]


def test_folder_is_read_in_name_order_and_the_rest_of_it_reported(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner.jsonl").write_text(line(3))
    (tmp_path / "b.binpb").write_bytes(BODY)
    (tmp_path / "a.jsonl").write_text(line(1))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "again").symlink_to(tmp_path)
    requests, problems = read(tmp_path)
    assert [r.source.removeprefix(f"{tmp_path}/") for r in requests] == [
        "a.jsonl:1",
        "b.binpb",
        "sub/inner.jsonl:1",
    ]
    assert problems == ["notes.txt not a .jsonl or .binpb recording, skipped"]


def test_bad_lines_cost_themselves_only(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_text(line(1) + "{broken\n" + '{"other": 1}\n' + line(2) + line(3)[:40])
    requests, problems = read(file)
    assert len(requests) == 2
    assert [problem.split()[0] for problem in problems] == [
        "traces.jsonl:2",
        "traces.jsonl:3",
        "traces.jsonl:5",
    ]


def test_line_longer_than_the_bound_is_skipped_without_being_held(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_text(line(1) + "x" * 3_000_000 + "\n" + line(2))
    requests, problems = read(file, max_line_bytes=1000)
    assert len(requests) == 2
    assert problems == ["traces.jsonl:2 line longer than 1000 bytes"]


def test_damaged_compression_is_reported_and_the_next_file_read(tmp_path: Path) -> None:
    packed = gzip.compress((line(1) * 2000).encode())
    (tmp_path / "a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "b.jsonl.zst").write_bytes(b"no zstandard")
    (tmp_path / "c.jsonl").write_text(line(1))
    requests, problems = read(tmp_path)
    assert requests[-1].source.endswith("c.jsonl:1")
    assert [problem.split()[0].split(":")[0] for problem in problems] == [
        "a.jsonl.gz",
        "b.jsonl.zst",
    ]


@pytest.mark.parametrize(
    ("name", "body", "signal"),
    [
        ("0001.traces.binpb", b"", "traces"),
        ("0001.logs.binpb", b"", "logs"),
        ("0001.metrics.binpb", b"", "metrics"),
        ("request.binpb", BODY, "traces"),
        ("request.binpb", BODY[:-4], "unknown"),
        ("request.binpb", b"", "unknown"),
    ],
)
def test_signal_of_a_raw_request(tmp_path: Path, name: str, body: bytes, signal: str) -> None:
    (tmp_path / name).write_bytes(body)
    requests, _ = read(tmp_path)
    assert [(request.signal, request.body) for request in requests] == [(signal, body)]


def test_missing_file_is_an_error_that_says_what_to_name(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line(1))
    with pytest.raises(TripswitchError) as raised:
        read(tmp_path / "a.jsonl", tmp_path / "gone.jsonl")
    assert "gone.jsonl" in raised.value.message
    assert raised.value.hint


def test_file_named_by_hand_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text(line(1))
    assert len(read(tmp_path / "export.json")[0]) == 1
    assert read(tmp_path)[1] == ["export.json not a .jsonl or .binpb recording, skipped"]
