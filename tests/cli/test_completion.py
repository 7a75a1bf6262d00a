"""Completion as a shell asks for it: it never waits for long, never fails and never prints."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.stub_api import StubApi
from tests.missing import not_tested
from tripswitch.cli.completion import (
    cohorts_known,
    incidents_or_latest,
    routes_known,
    scopes_known,
    signals_known,
    versions_known,
)

PROGRAM = str(Path(sys.executable).with_name("tripswitch"))
HOSTILE = ["$(touch x)", "`id`", "a b", "*", "a\nb", "\x1b[2J", "x" * 300, None, 7, "é"]


def scope(version: str | None, cohort: str | None) -> dict[str, Any]:
    return {"scope": {"prompt_version": version, "cohort": cohort, "route": "/chat"}}


ROUTES: dict[str, Any] = {
    "routes": [
        {"route": "/chat", "arms": [scope("v17", "control"), scope("v18", "canary")]},
        {"route": "/search"},
        *({"route": name, "arms": [scope(name, name)]} for name in HOSTILE),  # type: ignore[arg-type]
    ]
}
ANSWERS: dict[str, Any] = {
    "/v1/routes": ROUTES,
    "/v1/incidents": [{"id": "inc_1"}, {"id": "inc_2"}, {"id": "$(id)"}, "nonsense"],
}


def completed(shell: str, line: str, api: str) -> subprocess.CompletedProcess[str]:
    """Ask the program as the script of ``shell`` does; ``line`` ends where the cursor is."""
    words = line.split(" ")
    asked = {"_TRIPSWITCH_COMPLETE": f"complete_{shell}", "TRIPSWITCH_API": api}
    if shell == "bash":
        asked |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    else:
        asked |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        asked |= {"_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1]}
    return subprocess.run(
        [PROGRAM], capture_output=True, text=True, check=False, timeout=60, env=os.environ | asked
    )


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_values_are_completed_as_other_shells_ask(shell: str) -> None:
    with StubApi(ANSWERS) as api:
        routes = completed(shell, "tripswitch gate --route ", api.url)
    assert routes.returncode == 0
    assert "/chat" in routes.stdout
    assert "touch" not in routes.stdout
    assert routes.stderr == ""


def test_without_a_sidecar_there_is_nothing_and_no_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        api = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = completed("bash", "tripswitch gate --route ", api)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_bash_itself_completes_with_the_script_that_is_shown() -> None:
    bash = shutil.which("bash")
    assert bash is not None
    script = (
        f'export PATH="{Path(PROGRAM).parent}:$PATH"; eval "$(tripswitch --show-completion bash)"; '
        "COMP_WORDS=(tripswitch drill --sh); COMP_CWORD=2; _tripswitch_completion tripswitch; "
        'printf "%s\\n" "${COMPREPLY[@]}"; COMP_WORDS=(tripswitch drill --shape e); COMP_CWORD=3; '
        '_tripswitch_completion tripswitch; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--shape", "--share", "eval_drift"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".bash_completions/tripswitch.sh"),
        pytest.param("zsh", ".zfunc/_tripswitch", marks=pytest.mark.matrix),
        pytest.param("fish", ".config/fish/completions/tripswitch.fish", marks=pytest.mark.matrix),
    ],
)
def test_it_installs_itself_where_each_shell_looks(shell: str, file: str, tmp_path: Path) -> None:
    told = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    subprocess.run(
        [PROGRAM, "--install-completion", shell],
        capture_output=True,
        check=True,
        env=os.environ | told,
    )
    assert "_TRIPSWITCH_COMPLETE" in (tmp_path / file).read_text()
    if shell != "fish":
        return
    fish = shutil.which("fish")
    if fish is None:
        not_tested("completion in fish, which is not installed")
    line = f"source {tmp_path / file}; complete -C 'tripswitch drill --shape e'"
    path = f"{Path(PROGRAM).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [fish, "-c", line],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PATH": path, "HOME": str(tmp_path)},
    )
    assert "eval_drift" in done.stdout


@pytest.mark.parametrize("answer", [StubApi.HANG, None, [], "text", {"routes": 5}, {"routes": [1]}])
def test_whatever_answers_completion_ends_with_nothing(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StubApi({"/v1/routes": answer, "/v1/incidents": answer}) as api:
        monkeypatch.setenv("TRIPSWITCH_API", api.url)
        assert routes_known("") == []
        if answer is not StubApi.HANG:
            assert versions_known("") == []
            assert incidents_or_latest("") == ["latest"]


def test_only_plain_names_reach_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    with StubApi(ANSWERS) as api:
        monkeypatch.setenv("TRIPSWITCH_API", api.url)
        assert routes_known("") == ["/chat", "/search"]
        assert routes_known("/s") == ["/search"]
        assert versions_known("") == ["v17", "v18"]
        assert cohorts_known("c") == ["canary", "control"]
        assert incidents_or_latest("") == ["latest", "inc_1", "inc_2"]
        assert incidents_or_latest("inc") == ["inc_1", "inc_2"]
        assert scopes_known("route=") == ["route=/chat"]
        assert signals_known("error") == ["error_rate"]


def test_an_address_that_is_none_is_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPSWITCH_API", "::not an address::")
    assert routes_known("") == []
