"""Snapshots of a judge: taken up, put aside, written in turn; nothing about them stops a judge."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from tests.otlp.relay import until
from tripswitch.detect.validity import Kept
from tripswitch.drive.snapshots import SNAPSHOT_FILE, Snapshots
from tripswitch.model.snapshot import Snapshot, SnapshotMismatch
from tripswitch.store.snapshot_file import read_snapshot, write_snapshot

NOW_NS = 1_795_485_401_000_000_000


class Knowing:
    """Knows a number."""

    def __init__(self, number: int = 0, fault: Exception | None = None) -> None:
        self.number = number
        self.fault = fault

    def snapshot(self) -> Snapshot:
        return Snapshot(NOW_NS, {"number": self.number})

    def resume(self, snapshot: Snapshot, now_ns: int) -> Kept:
        if self.fault is not None:
            raise self.fault
        assert now_ns == NOW_NS + 90 * 10**9
        self.number = snapshot.facts["number"]
        return Kept(3, ["what was old"])


def resumed(folder: Path, session: Knowing) -> tuple[Snapshots, list[structlog.typing.EventDict]]:
    snapshots = Snapshots(folder)
    with structlog.testing.capture_logs() as logs:
        snapshots.resume(session, NOW_NS + 90 * 10**9)
    return snapshots, list(logs)


def test_what_was_written_last_is_taken_up_and_told_in_one_line(tmp_path: Path) -> None:
    Snapshots(tmp_path).write_last(Knowing(1))
    Snapshots(tmp_path).write_last(Knowing(7))
    session = Knowing()
    snapshots, logs = resumed(tmp_path, session)
    assert session.number == 7
    (line,) = logs
    assert line["event"] == "snapshot_resumed"
    assert (line["unwatched_s"], line["rows_with_evidence"]) == (90, 3)
    assert line["dropped"] == ["what was old"]
    # It stays, for a judge that dies before it has written its own.
    assert snapshots.path.exists()
    assert snapshots.counts["snapshots_put_aside_total"] == 0


def test_a_first_start_says_nothing(tmp_path: Path) -> None:
    assert resumed(tmp_path, Knowing())[1] == []


@pytest.mark.parametrize(
    ("content", "fault", "reason"),
    [
        (b"nonsense", None, "something else"),
        (None, SnapshotMismatch("another clock"), "does not fit: another clock"),
        (None, KeyError("a prompt that somebody wrote"), "cannot be taken up: KeyError"),
        (None, MemoryError(), "MemoryError"),
    ],
)
def test_what_cannot_be_taken_up_is_put_aside_and_counted(
    tmp_path: Path, content: bytes | None, fault: Exception | None, reason: str
) -> None:
    path = tmp_path / SNAPSHOT_FILE
    if content is None:
        write_snapshot(path, Knowing(5).snapshot())
    else:
        path.write_bytes(content)
    session = Knowing(1, fault)
    snapshots, logs = resumed(tmp_path, session)
    assert session.number == 1
    (line,) = logs
    assert line["event"] == "snapshot_put_aside"
    assert reason in line["reason"]
    assert "prompt" not in str(line)
    assert snapshots.counts["snapshots_put_aside_total"] == 1
    assert [file.name for file in tmp_path.iterdir()] == [f"{SNAPSHOT_FILE}.aside"]
    assert resumed(tmp_path, Knowing())[1] == []


def test_a_folder_that_nothing_can_be_renamed_in_costs_the_snapshot_and_not_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(path))

    write_snapshot(tmp_path / SNAPSHOT_FILE, Knowing(5).snapshot())
    monkeypatch.setattr(Path, "rename", refuse)
    session = Knowing(1)
    snapshots, logs = resumed(tmp_path, session)
    assert session.number == 1
    assert [line["event"] for line in logs] == ["snapshot_not_resumed"]
    assert snapshots.counts["snapshots_failed_total"] == 1


class Killed(BaseException):
    """Ends a start as a kill does: nothing after it runs."""


def test_a_file_that_ends_two_starts_does_not_end_a_third(tmp_path: Path) -> None:
    write_snapshot(tmp_path / SNAPSHOT_FILE, Knowing(5).snapshot())
    deadly = Knowing()
    deadly.resume = _kill  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(Killed):
            Snapshots(tmp_path).resume(deadly, NOW_NS)
    snapshots, logs = resumed(tmp_path, Knowing())
    assert "two starts have ended" in logs[0]["reason"]
    assert snapshots.counts["snapshots_put_aside_total"] == 1
    assert resumed(tmp_path, Knowing())[1] == []


def test_one_start_that_ended_while_reading_is_made_again(tmp_path: Path) -> None:
    write_snapshot(tmp_path / SNAPSHOT_FILE, Knowing(5).snapshot())
    deadly = Knowing()
    deadly.resume = _kill  # type: ignore[method-assign]
    with pytest.raises(Killed):
        Snapshots(tmp_path).resume(deadly, NOW_NS)
    session = Knowing()
    resumed(tmp_path, session)
    assert session.number == 5
    assert [file.name for file in tmp_path.iterdir()] == [SNAPSHOT_FILE]


def _kill(snapshot: Snapshot, now_ns: int) -> Kept:
    raise Killed


def test_they_are_written_again_and_again_but_not_after_a_fault(tmp_path: Path) -> None:
    async def check() -> None:
        snapshots = Snapshots(tmp_path, interval_s=0.001)
        asked = 0

        def is_sound() -> bool:
            nonlocal asked
            asked += 1
            session.number += 1
            return asked <= 3

        session = Knowing()
        keeping = asyncio.create_task(snapshots.keep(session, is_sound, lambda: 0.002))
        await until(lambda: asked >= 6)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        assert snapshots.counts["snapshots_written_total"] == 3
        assert read_snapshot(snapshots.path).facts["number"] == 3

    asyncio.run(check())


def test_a_large_or_slow_one_stretches_the_time_to_the_next(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    assert snapshots.rest_s() == 30
    snapshots.counts["snapshot_bytes"] = 400e6
    assert snapshots.rest_s() == 100
    snapshots.counts["snapshot_copy_seconds"] = 3
    assert snapshots.rest_s() == 150


def test_a_later_one_is_never_written_over_by_one_that_waited(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    early, session = Knowing(1).snapshot(), Knowing(2)
    snapshots._copied = 5
    snapshots.write_last(session)
    snapshots._write(early, 5)
    assert read_snapshot(snapshots.path).facts["number"] == 2


def test_a_disk_that_refuses_is_said_once_and_counted_each_time(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "gone")
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            snapshots.write_last(Knowing())
    assert [line["event"] for line in logs] == ["snapshot_not_written"]
    assert snapshots.counts["snapshots_failed_total"] == 3
