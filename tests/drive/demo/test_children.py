"""Processes of the demo: they say when they are ready, why they died, and none stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tripswitch.drive.demo.children import Child, DemoError, clean_environment

COLLECTOR = (sys.executable, "-P", "-m", "tripswitch.drive.demo.collector")


def child(folder: Path, *command: str) -> Child:
    return Child("one", command, clean_environment(os.environ), folder / "one.log")


def test_it_says_where_it_listens_and_stops_when_told(tmp_path: Path) -> None:
    one = child(tmp_path, *COLLECTOR)
    try:
        facts = one.announced()
        one.check()
    finally:
        one.stop()
    assert set(facts) == {"otlp_grpc", "control"}
    with pytest.raises(DemoError, match="ended with exit code"):
        one.check()
    one.stop()


def test_its_last_words_are_in_the_error(tmp_path: Path) -> None:
    one = child(tmp_path, sys.executable, "-c", "raise SystemExit('out of luck')")
    try:
        with pytest.raises(DemoError, match=r"(?s)one process ended with exit code 1.*out of luck"):
            one.announced()
    finally:
        one.stop()


def test_one_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tripswitch.drive.demo.children._STOP_WITHIN_S", 0.2)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('{}', flush=True); time.sleep(600)"
    )
    one = child(tmp_path, sys.executable, "-c", deaf)
    one.announced()
    one.stop()
    with pytest.raises(DemoError, match="exit code -9"):
        one.check()


def test_a_child_ends_when_its_parent_is_gone() -> None:
    with subprocess.Popen(
        COLLECTOR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as orphan:
        assert orphan.stdin is not None
        assert orphan.stdout is not None
        assert orphan.stdout.readline()
        orphan.stdin.close()
        assert orphan.wait(20) == 0


def test_settings_of_the_shell_do_not_reach_the_demo() -> None:
    shell = {
        "PATH": "/bin",
        "TRIPSWITCH_DETECT__TICK": "5s",
        "OTEL_SDK_DISABLED": "true",
        "https_proxy": "http://proxy.example:3128",
    }
    assert clean_environment(shell, SECRET="x") == {"PATH": "/bin", "SECRET": "x"}
