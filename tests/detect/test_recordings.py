"""Recordings through the replay command: traps stay silent, shapes are found, the story ends."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bench.detect.recordings import EXPECTED, STORY_BAD_MINUTE, STORY_NS, Expected, record

_TARGET = (
    "fleet: {single: true}\n"
    "rollback: {targets: [{url: 'http://127.0.0.1:9/', secret: 'whsec_" + "A" * 44 + "'}]}\n"
)
# What takes minutes to write and to replay, all but one trap and one shape.
_QUICK = ("errors-for-a-minute", "outage-2")


def replayed(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the events that the replay command prints for a recording made now."""
    settings = folder / "tripswitch.yaml"
    settings.write_text(_TARGET)
    path = record(name, folder)
    words = [sys.executable, "-m", "tripswitch.cli.app", "replay", "--json", "--config"]
    done = subprocess.run([*words, settings, path], capture_output=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["incident"] is not None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(name, expected, id=name, marks=() if name in _QUICK else pytest.mark.matrix)
        for name, expected in EXPECTED.items()
    ],
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


@pytest.mark.matrix
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
