"""`tripswitch check` says what is wrong, what is odd, and how much memory it may take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tripswitch.cli.app import app
from tripswitch.config.sample import sample_text


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


def test_a_fine_file_is_ok_with_warnings_and_memory(tmp_path: Path) -> None:
    file = write(tmp_path, "fine.yaml", "")
    result = run(file)
    assert result.exit_code == 0
    assert f"{file}: ok" in result.stdout
    assert "config.no_notifier" in result.stdout
    memory = "4416MiB = 64 gRPC requests in flight x 64MiB each + 256MiB over HTTP + 64MiB"
    assert memory in result.stdout


def test_a_wrong_file_lists_all_problems(tmp_path: Path) -> None:
    file = write(tmp_path, "wrong.yaml", "detect:\n  tik: 5s\n  alert_window: 15\n")
    result = run(file)
    assert result.exit_code == 2
    assert f"{file}: 2 problems" in result.stdout
    assert f"{file} line 2: detect.tik" in result.stdout
    assert f"{file} line 3: detect.alert_window" in result.stdout
    assert "memory" not in result.stdout


def test_files_are_checked_one_by_one(tmp_path: Path) -> None:
    fine = write(tmp_path, "fine.yaml", "fleet: {single: true}\n")
    wrong = write(tmp_path, "wrong.yaml", "fleet: {single: perhaps}\n")
    result = run(fine, wrong)
    assert result.exit_code == 2
    assert f"{fine}: ok" in result.stdout
    assert f"{wrong}: 1 problem\n" in result.stdout


def test_merge_checks_the_files_as_one(tmp_path: Path) -> None:
    one = write(tmp_path, "one.yaml", "detect: {eval_score: {page_points: 3}}\n")
    two = write(tmp_path, "two.yaml", "detect: {eval_score: {investigate_points: 4}}\n")
    assert run(one, two).exit_code == 0
    result = run("--merge", one, two)
    assert result.exit_code == 2
    assert "config.order" in result.stdout


def test_json(tmp_path: Path) -> None:
    wrong = write(tmp_path, "wrong.yaml", "\ndetect: {tik: 5s}\n")
    larger = write(tmp_path, "larger.yaml", "tap: {max_bytes: 1GiB}\n")
    result = run("--json", wrong, larger)
    assert result.exit_code == 2
    said = json.loads(result.stdout)
    assert said["ok"] is False
    assert said["problems"] == [
        {
            "code": "config.unknown_key",
            "file": wrong,
            "line": 2,
            "path": "detect.tik",
            "found": '"tik"',
            "wanted": "a known key",
            "hint": 'did you mean "tick"?',
        }
    ]
    assert {each["code"] for each in said["warnings"]} == {
        "config.no_notifier",
        "config.no_rollback_target",
    }
    assert said["memory"]["tap_bytes"] == 1 << 30
    assert said["memory"]["total_bytes"] == 64 * (64 << 20) + (256 << 20) + (1 << 30)
    assert [each["ok"] for each in said["files"]] == [False, True]


def test_no_argument_means_the_default_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    missing = run()
    assert missing.exit_code == 2
    assert "config.file" in missing.stdout
    (tmp_path / "config").mkdir()
    write(tmp_path / "config", "tripswitch.yaml", sample_text())
    assert run().exit_code == 0


def test_the_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, "fine.yaml", "")
    monkeypatch.setenv("TRIPSWITCH_DETECT__TICK", "7s")
    result = run(file)
    assert result.exit_code == 2
    assert "environment variable TRIPSWITCH_DETECT__TICK" in result.stdout
