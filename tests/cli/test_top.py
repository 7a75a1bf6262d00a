"""`tripswitch top`: one frame of a real engine's words, live on a real terminal, and harmless."""

from __future__ import annotations

import copy
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from functools import cache
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.cli.stub_api import StubApi
from tests.play import BAD, config, play
from tests.traffic import Arm
from tripswitch.cli.app import app, app_of
from tripswitch.cli.top import frame_of
from tripswitch.cli.top_frame import render
from tripswitch.config.detect_sections import Detect
from tripswitch.errors import TripswitchError
from tripswitch.web.pages.now import sentence_of

PROGRAM = (sys.executable, "-m", "tripswitch.cli.app")
NASTY = "/[red]x[/red]\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}"


def plan(second: float) -> list[Arm]:
    arms = [Arm(2.0, "v17", "control"), Arm(0.4, "v3", None, route=NASTY)]
    return [*arms, Arm(1.5, "v18", "canary", BAD)] if second > 240 else arms


@cache
def answers() -> dict[str, Any]:
    """Return what the API says of a refund story that pages at its end."""
    session = play(plan, 9, settings=config(detect=Detect(tick=30.0)), honours=False).session
    now, incidents = session.overview.now(), session.overview.open_incidents()
    status, sentence = sentence_of(now, incidents)
    tile = {"name": "Spool", "value": "7", "meaning": "requests wait", "kind": "look"}
    return {
        "/v1/overview": {**now, "status": status, "sentence": sentence, "incidents": incidents},
        "/v1/routes": session.overview.routes(6),
        "/v1/telemetry": {"wire": True, "wire_problem": "", "tiles": [tile], "census": {}},
    }


def drawn(frame: dict[str, Any], width: int = 140, **more: Any) -> str:
    console = Console(width=width, file=StringIO(), force_terminal=False)
    console.print(render(frame, width, **more))
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def frame() -> dict[str, Any]:
    with StubApi(answers()) as api:
        return frame_of(api.url, 6, "")


def test_a_frame_has_the_head_then_what_is_open_then_routes_side_by_side() -> None:
    text = drawn(frame())
    lines = text.splitlines()
    assert lines[0].startswith("tripswitch  BAD  1 incident needs somebody now.")
    assert "forwarding: spool 7" in lines[1]
    incident = text.index("PAGE inc_")
    assert incident < text.index("/chat/refund  ")
    assert "v17 control" in text
    head = next(line for line in lines if "v18 canary" in line and "v17 control" in line)
    assert head.index("signal") < head.index("v17 control")
    (refusals,) = [line for line in lines if "refusal_rate " in line and "│" in line][:1]
    value, _, line_and_verdict = refusals.split("│")[3].strip().partition(" / ")
    assert value.endswith("%")
    assert line_and_verdict.endswith("PAGE")


def test_a_narrow_terminal_shows_fewer_arms_and_says_so() -> None:
    text = drawn(frame(), 60)
    assert "and 1 more versions or cohorts" in text
    assert max(len(line) for line in text.splitlines()) <= 60


@pytest.mark.parametrize("width", [20, 80, 200])
def test_what_spans_say_cannot_steer_the_terminal(width: int) -> None:
    nasty = copy.deepcopy(frame())
    for one in nasty["incidents"]:
        one["why"] = one["id"] = NASTY * 50
        one["scope"]["prompt_version"] = NASTY
    nasty["forwarding"]["problem"] = NASTY
    nasty["sentence"] = NASTY
    text = drawn(nasty, width, trouble=NASTY)
    assert "\x1b" not in text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    assert "[red]" in "".join(text.split())


def test_trouble_lost_numbers_and_the_kill_switch_are_said() -> None:
    changed = copy.deepcopy(frame())
    changed["kill_switch"] = True
    changed["forwarding"] = {"known": False, "problem": "telemetry.metrics is off", "tiles": []}
    changed["total_routes"] = 9
    text = drawn(changed, trouble="connection refused")
    assert "NO ANSWER, this is what was seen last: connection refused" in text
    assert "the kill switch is on" in text
    assert "forwarding: no numbers (telemetry.metrics is off)" in text
    assert "more routes" in text


def test_what_nothing_came_of_lately_is_gone_and_not_well() -> None:
    changed = copy.deepcopy(frame())
    for route in changed["routes"]:
        for arm in route["arms"]:
            arm["traffic"] = [5.0] * 10 + [0.0] * 5
    text = drawn(changed)
    assert " fine" not in text.partition("/chat/refund  ")[2]
    assert " gone" in text


def test_what_is_over_its_line_and_not_proven_is_not_fine() -> None:
    changed = copy.deepcopy(frame())
    for route in changed["routes"]:
        for arm in route["arms"]:
            for cell in arm["signals"]:
                cell |= {"finding": "healthy", "severity": None, "is_over": True}
    text = drawn(changed, 200)
    assert " over, not proven" in text
    assert " fine" not in text.partition("/chat/refund  ")[2]


def test_nothing_seen_yet_is_a_frame_too() -> None:
    empty: dict[str, Any] = {
        "now": None,
        "status": "unknown",
        "sentence": "Nothing was judged yet: no telemetry has come.",
        "is_lossy": False,
        "kill_switch": False,
        "findings": {},
        "incidents": [],
        "total_routes": 0,
        "routes": [],
        "forwarding": {"known": False, "problem": "", "tiles": []},
    }
    text = drawn(empty)
    assert "UNKNOWN" in text
    assert "no open incident" in text


def test_without_a_terminal_it_prints_one_frame_and_json_is_one_frame() -> None:
    with StubApi(answers()) as api:
        shown = CliRunner().invoke(app, ["top", "--api", api.url])
        told = CliRunner().invoke(app, ["top", "--json", "--url", api.url, "--find", "refund"])
        asked = list(api.asked)
    assert shown.exit_code == 0
    assert "tripswitch  BAD" in shown.stdout
    frame_json = json.loads(told.stdout)
    assert frame_json["status"] == "bad"
    assert frame_json["forwarding"]["tiles"][0]["name"] == "Spool"
    assert "\x1b" not in told.stdout
    assert "/v1/routes?limit=6&q=refund" in asked


def test_nobody_to_ask_is_said_with_exit_code_2() -> None:
    command = (*PROGRAM, "top", "--api", "http://127.0.0.1:9")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "is `tripswitch run` up" in done.stderr
    assert "Traceback" not in done.stderr
    wrong = CliRunner().invoke(app_of(["top"]), ["top", "--every", "soon"])
    assert wrong.exit_code == 1
    assert "--every" in str(wrong.exception)


def test_another_programs_answer_is_said_in_words() -> None:
    wrong: list[dict[str, Any]] = [{"/v1/overview": {}}, {"/v1/overview": []}, {}]
    for answer in wrong:
        with StubApi(answer) as api:
            done = CliRunner().invoke(app_of(["top"]), ["top", "--api", api.url])
        assert isinstance(done.exception, TripswitchError)
        assert "of this version" in str(done.exception)


def read_until(terminal: int, words: bytes, seen: bytes = b"") -> bytes:
    """Read from a terminal until ``words`` were seen."""
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, seen[-500:]
        seen += os.read(terminal, 65536)
    return seen


@pytest.mark.parametrize("end", [b"q", pytest.param(b"\x03", marks=pytest.mark.matrix)])
def test_on_a_terminal_it_is_live_until_q_or_ctrl_c(end: bytes) -> None:
    overview = answers()["/v1/overview"]
    calls = {"overview": 0}

    def changing() -> dict[str, Any]:
        calls["overview"] += 1
        return {**overview, "sentence": f"frame number {min(calls['overview'], 3)}."}

    with StubApi({**answers(), "/v1/overview": changing}) as api:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(ours, (40, 120))
        before = termios.tcgetattr(ours)
        process = subprocess.Popen(
            (
                sys.executable,
                "-m",
                "tripswitch.cli.app",
                "top",
                "--every",
                "200ms",
                "--api",
                api.url,
            ),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm"},
            preexec_fn=lambda: _take_terminal(theirs),
        )
        try:
            seen = read_until(ours, b"frame number 1.")
            seen = read_until(ours, b"frame number 3.", seen)
            os.write(ours, end)
            read_until(ours, b"\x1b[?1049l", seen)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
        # The terminal is as it was: keys are echoed again, by lines.
        assert termios.tcgetattr(ours)[3] == before[3]
        os.close(ours)
        os.close(theirs)


def _take_terminal(descriptor: int) -> None:
    import fcntl

    # What a shell runs in the background ignores it, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, struct.pack("i", 0))
