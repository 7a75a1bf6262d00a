"""``tripswitch explain``, of a recording and of a running sidecar."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.cli.test_run import running, tripswitch
from tests.otlp.relay import client, send, until
from tests.otlp.upstream import Upstream
from tests.play import BAD
from tests.traffic import Arm, requests
from tripswitch.cli.explain_table import show
from tripswitch.config.loading import load_config
from tripswitch.drive.explaining import explain_of
from tripswitch.drive.replay import replay as run_replay
from tripswitch.drive.replay import replay_session
from tripswitch.otlp.grpc_receiver import TRACES_METHOD


def plan(second: float) -> list[Arm]:
    arms = [Arm(2.0, "v17", "control"), Arm(0.4, "v3", None, route="/[red]x[/red]\x1b[2J")]
    return [*arms, Arm(1.5, "v18", "canary", BAD)] if second > 240 else arms


def recording(folder: Path, minutes: float = 8) -> Path:
    """Write a recording, one request a file."""
    folder.mkdir()
    for number, body in enumerate(requests(plan, minutes, step_s=10)):
        (folder / f"{number:05}.binpb").write_bytes(body)
    return folder


def test_a_recording_is_explained_worst_first_with_its_sentences(tmp_path: Path) -> None:
    files = recording(tmp_path / "recorded")
    told = tripswitch("explain", "route=/chat/refund", "--replay", str(files))
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0].strip() == "/chat/refund"
    rows = [line for line in lines if line.startswith("│")]
    assert "refusal_rate" in rows[0]
    assert "page" in rows[0]
    assert "v18" in "".join(rows[:3])
    text = " ".join(told.stdout.split())
    assert "refusals of the control at the same time (control)" in text
    assert "a page waits for" in text
    assert "a change at the line takes" in text


def test_json_of_a_recording_is_that_of_the_api(tmp_path: Path) -> None:
    files = recording(tmp_path / "recorded", 5)
    told = tripswitch("explain", "cohort=canary", "--replay", str(files), "--json")
    assert told.returncode == 0, told.stderr
    config = load_config([], {})
    session = replay_session(config)
    for _ in run_replay(config, [files], session):
        pass
    assert json.loads(told.stdout) == explain_of(session.engine, ["cohort=canary"])


def test_what_telemetry_names_neither_styles_nor_steers_a_terminal(tmp_path: Path) -> None:
    files = recording(tmp_path / "recorded", 3)
    told = subprocess.run(
        (sys.executable, "-m", "tripswitch.cli.app", "explain", "x", "--replay", str(files)),
        capture_output=True,
        check=True,
        env=os.environ | {"FORCE_COLOR": "1", "COLUMNS": "200"},
    )
    assert b"/[red]x[/red]?[2J" in told.stdout
    assert b"\x1b[2J" not in told.stdout
    as_json = tripswitch("explain", "--replay", str(files), "--json")
    assert "\\u001b[2J" in as_json.stdout
    assert "\x1b" not in as_json.stdout


@pytest.mark.matrix
def test_a_running_sidecar_is_asked(tmp_path: Path) -> None:
    async def check() -> None:
        clock = "clock: {source: telemetry}\n"
        async with Upstream() as upstream, running(tmp_path, upstream.endpoint, clock) as live:
            bodies = list(requests(plan, 9, step_s=10))
            async with client(live.endpoint) as channel:
                for body in bodies:
                    await send(channel, TRACES_METHOD, body)
            await until(lambda: live.metric("judge_requests_total") == len(bodies))
            api = f"http://{live.run_file['endpoints']['api']}"
            asked = ("explain", "--api", api)
            told = await asyncio.to_thread(tripswitch, *asked, "canary", "--json")
            assert told.returncode == 0, told.stderr
            (scope,) = json.loads(told.stdout)["scopes"]
            assert scope["label"] == "/chat/refund refund-bot v18 cohort canary"
            assert scope["signals"][0]["severity"] == "page"
            shown = await asyncio.to_thread(tripswitch, *asked, "canary")
            assert "evidence" in shown.stdout
            wrong = await asyncio.to_thread(tripswitch, *asked, "cohrt=canary")
            assert wrong.returncode == 2
            assert '"cohrt" is no field of a scope' in wrong.stderr
            # The same sidecar for the other commands that ask one: it takes a while to start.
            await asyncio.to_thread(check_gate_and_top, api)

    asyncio.run(check())


def check_gate_and_top(api: str) -> None:
    asked = ("gate", "--url", api, "--route", "/chat/refund", "--prompt-version")
    bad = tripswitch(*asked, "v18", "--json")
    assert bad.returncode == 1, bad.stderr
    assert json.loads(bad.stdout)["state"] == "regressed"
    unseen = tripswitch(*asked, "v99")
    assert unseen.returncode == 1
    assert "it is not seen there (seen are: " in unseen.stdout
    frame = json.loads(tripswitch("top", "--url", api, "--json").stdout)
    assert frame["status"] == "bad"
    assert frame["forwarding"]["known"]
    shown = tripswitch("top", "--url", api)
    assert shown.returncode == 0, shown.stderr
    assert "PAGE inc_" in shown.stdout
    assert "\x1b[2J" not in shown.stdout


def test_without_a_sidecar_it_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = tripswitch("explain", "--api", f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 2
    assert "is `tripswitch run` up" in done.stderr
    assert "--replay" in done.stderr


def test_a_wrong_field_or_a_config_without_a_recording_is_said_in_words(tmp_path: Path) -> None:
    files = recording(tmp_path / "recorded", 0.5)
    wrong = tripswitch("explain", "cohrt=x", "--replay", str(files))
    assert wrong.returncode == 2
    assert "there are route, prompt" in wrong.stderr
    many = tripswitch("explain", "--replay", *(str(path) for path in sorted(files.iterdir())[:2]))
    assert many.returncode == 2
    assert "repeat --replay for each file" in many.stderr
    alone = tripswitch("explain", "--config", str(tmp_path / "any.yaml"))
    assert alone.returncode == 2
    assert "--config is for --replay" in alone.stderr


def test_nothing_to_show_is_said_in_words() -> None:
    def said(**found: object) -> str:
        console = Console(width=200, record=True, file=StringIO())
        nothing: dict[str, Any] = {
            "now": None,
            "matched_scopes": 0,
            "left_out_scopes": 0,
            "routes": [],
        }
        show(nothing | {"scopes": []} | found, console)
        return console.export_text()

    now = "2026-11-24T16:20:00.000Z"
    assert "nothing was judged yet" in said()
    assert "no scope is judged yet" in said(now=now)
    assert "the routes are /a, /b" in said(now=now, routes=["/a", "/b"])
