"""`tripswitch spool` says what waits, what is dead and what is damaged, and changes nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.otlp.spool.stand import append_all, drain_all, make_spool, request
from tripswitch.cli.app import app
from tripswitch.cli.spool import _age_text
from tripswitch.errors import ConfigError
from tripswitch.otlp.delivery import Delivery, Signal
from tripswitch.otlp.spool.disk import LocalDisk
from tripswitch.otlp.spool.drain import Drained, Refusal


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["spool", *arguments])


def seen(*arguments: str) -> dict[str, Any]:
    result = run("--json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def log_request(number: int) -> Delivery:
    return Delivery("http", "/v1/logs", Signal.LOGS, (), b"logs", number, "application/json")


@pytest.mark.parametrize(
    ("age_s", "text"), [(0.4, "0s"), (119, "119s"), (120, "2m"), (7300, "2h"), (900_000, "10d")]
)
def test_ages_are_short(age_s: float, text: str) -> None:
    assert _age_text(age_s) == text


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Six requests that wait, two of them logs, the oldest for an hour; two dead letters."""
    place = tmp_path / "state" / "spool"

    async def fill() -> None:
        spool = make_spool(LocalDisk(), directory=place, segment_bytes=900)
        await spool.open()
        await append_all(spool, map(request, range(2)))
        refusals: Iterator[Drained | Refusal] = iter([Refusal("INVALID_ARGUMENT"), Drained.REFUSED])
        await drain_all(spool, lambda _delivery: next(refusals))
        now_ns = time.time_ns()
        await append_all(spool, [request(2)], now_ns - 3600 * 10**9)
        for number in range(3, 6):
            await append_all(spool, [request(number)], now_ns)
        await append_all(spool, map(log_request, range(6, 8)), now_ns)
        await spool.close()

    asyncio.run(fill())
    return place


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def damage(directory: Path, offset: int) -> None:
    path = min(directory.glob("*.spool"))
    content = bytearray(path.read_bytes())
    content[offset] ^= 4
    path.write_bytes(content)


def test_it_says_what_waits_and_what_is_dead_and_touches_nothing(directory: Path) -> None:
    before = contents(directory)
    found = seen("--directory", str(directory), "--verify")
    assert contents(directory) == before
    waiting, dead = found["waiting"], found["dead_letters"]
    assert (waiting["records"], waiting["by_signal"]) == (6, {"traces": 4, "logs": 2})
    assert 3600 <= waiting["oldest_age_s"] < 3700
    assert waiting["record_bytes"] < waiting["file_bytes"]
    assert (dead["records"], dead["by_reason"]) == (2, {"INVALID_ARGUMENT": 1, "refused": 1})
    assert (found["damaged"], found["verified"]) == (0, True)


def test_words(directory: Path) -> None:
    result = run("--directory", str(directory), "--verify")
    assert result.exit_code == 0
    assert "waiting: 6 requests" in result.stdout
    assert "the oldest for 60m" in result.stdout
    assert "signals: logs 2, traces 4" in result.stdout
    assert "dead letters: 2 requests" in result.stdout
    assert "why: INVALID_ARGUMENT 1, refused 1" in result.stdout
    assert "verified: nothing is damaged" in result.stdout


def test_the_configuration_says_where_it_is(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tripswitch.yaml"
    file.write_text(f"storage: {{directory: {tmp_path / 'state'}}}\n")
    assert seen("--config", str(file))["waiting"]["records"] == 6
    file.write_text(f"spool: {{directory: {directory}}}\n")
    assert seen("--config", str(file))["waiting"]["records"] == 6
    monkeypatch.chdir(tmp_path)
    assert seen()["waiting"]["records"] == 6


def test_no_spool_yet_is_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = seen("--verify")
    assert found["waiting"]["records"] == 0
    assert found["waiting"]["oldest_age_s"] is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = run("--directory", str(tmp_path / "elsewhere"))
    assert isinstance(result.exception, ConfigError)
    assert "no folder" in result.exception.message


def test_it_reads_beside_a_live_writer(directory: Path) -> None:
    async def story() -> None:
        spool = make_spool(LocalDisk(), directory=directory)
        await spool.open()
        await append_all(spool, map(request, range(10, 20)))
        found = await asyncio.to_thread(seen, "--directory", str(directory), "--verify")
        assert found["waiting"]["records"] == 16
        await drain_all(spool)
        found = await asyncio.to_thread(seen, "--directory", str(directory), "--verify")
        assert found["waiting"]["records"] == 0
        await spool.close()

    asyncio.run(story())


def test_a_damaged_body_is_found_by_verify_alone(directory: Path) -> None:
    body = request(4).body
    # What was done with stands there too as long as its segment does, and is not looked at.
    path = next(path for path in directory.glob("*.spool") if body in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(body, bytes(len(body)), 1))
    place = ("--directory", str(directory))
    assert run(*place).exit_code == 0
    result = run(*place, "--verify")
    assert result.exit_code == 1
    assert "DAMAGED: 1 request\n" in result.stdout
    assert "waiting: 5 requests" in result.stdout


@pytest.mark.parametrize(
    ("offset", "words"), [(30, "DAMAGED: 1 request"), (9, "DAMAGED: the headers of 1 segment")]
)
def test_a_damaged_header_is_found(directory: Path, offset: int, words: str) -> None:
    damage(directory, offset)
    result = run("--directory", str(directory), "--verify")
    assert result.exit_code == 1
    assert words in result.stdout


def test_a_record_cut_off_by_a_crash_is_no_damage(directory: Path) -> None:
    last = max(directory.glob("*.spool"))
    last.write_bytes(last.read_bytes()[:-3])
    result = run("--directory", str(directory), "--verify")
    assert result.exit_code == 0
    assert "waiting: 5 requests" in result.stdout
    assert "unfinished: " in result.stdout


def test_a_damaged_header_at_the_very_end_is_damage(directory: Path) -> None:
    last = max(directory.glob("*.spool"))
    content = bytearray(last.read_bytes())
    content[content.rindex(bytes.fromhex(last.stem.split("-")[1])) + 12] ^= 1
    last.write_bytes(content)
    result = run("--directory", str(directory), "--verify")
    assert result.exit_code == 1
    assert "DAMAGED: 1 request\n" in result.stdout


def test_reasons_from_the_upstream_cannot_steer_the_terminal(tmp_path: Path) -> None:
    place = tmp_path / "spool"

    async def fill() -> None:
        spool = make_spool(LocalDisk(), directory=place)
        await spool.open()
        await append_all(spool, [request(1)])
        await drain_all(spool, lambda _delivery: Refusal("\x1b[2Jgone"))
        await spool.close()

    asyncio.run(fill())
    assert "?[2Jgone 1" in run("--directory", str(place)).stdout
