"""`tripswitch drill` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.actions.receiver import Receiver
from tests.drive.drill.scenarios import notifier, settings
from tripswitch.cli.app import app_of
from tripswitch.errors import TripswitchError

QUICK = ("--rate", "120", "--share", "0.4", "--calm", "8m", "--size", "25", "--for", "40m")


def written(folder: Path, **changes: Any) -> str:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(settings(**changes)))
    return str(path)


def drill(*arguments: str) -> Any:
    return CliRunner().invoke(app_of(["drill"]), ["drill", *arguments])


def test_it_prints_the_answer_the_minutes_who_hears_and_the_literal_request(
    tmp_path: Path,
) -> None:
    with Receiver() as pager:
        config = written(tmp_path, notify=[notifier("pager", pager.url, roles=["on_call"])])
        done = drill("--config", config, *QUICK, "--expect", "auto")
        # Nobody is called who was not asked for.
        assert pager.posts == []
    assert done.exit_code == 0, done.stdout
    text = done.stdout
    assert text.startswith("DRILL, on simulated time: eval_drift: after 8 min of calm v2 goes to")
    assert "OK: it would go as asked" in text
    assert "recovered, proven in the spans" in text
    assert "pager (webhook; on_call)" in text
    assert "POST https://gateway.example/rollback" in text
    assert "the literal request, sent to nobody" in text


def test_a_test_message_is_sent_when_asked_for(tmp_path: Path) -> None:
    with Receiver() as pager:
        config = written(tmp_path, notify=[notifier("pager", pager.url)])
        done = drill(
            "--config", config, *QUICK, "--for", "8m", "--expect", "page", "--notify", "--json"
        )
    assert done.exit_code == 0, done.stdout
    assert [one["state"] for one in json.loads(done.stdout)["sent"]] == ["done", "done"]
    assert [post.event["data"]["drill"] for post in pager.posts] == [True, True]


def test_what_is_not_noticed_is_exit_code_1_with_the_reason(tmp_path: Path) -> None:
    config = written(tmp_path)
    done = drill("--config", config, *QUICK, "--size", "1", "--for", "5m")
    assert done.exit_code == 1
    assert "NO: it would not go as asked" in done.stdout
    assert "Why nobody would be paged" in done.stdout
    assert "a page waits for" in done.stdout


def test_a_freeze_of_that_time_holds_it_back(tmp_path: Path) -> None:
    document = settings()
    document["rollback"]["freezes"] = [
        {"begins": "2026-12-24T00:00:00Z", "ends": "2026-12-27T00:00:00Z", "reason": "holidays"}
    ]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    common = ("--config", str(path), *QUICK, "--for", "8m", "--expect", "auto", "--json")
    frozen = drill(*common, "--at", "2026-12-25T12:00:00Z")
    assert frozen.exit_code == 1
    assert "rollbacks are frozen" in json.loads(frozen.stdout)["problems"][0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--size", "-4"), "--size"),
        (("--calm", "long"), "--calm"),
        (("--at", "tomorrow"), "--at"),
        (("--shape", "sadness"), "--shape"),
        (("--config", "no-such.yaml"), "no-such.yaml"),
        (("--rate", "100000"), "more than 1,000,000"),
    ],
)
def test_what_cannot_be_played_is_refused_in_words(arguments: tuple[str, ...], words: str) -> None:
    done = drill(*arguments)
    # What is raised ends the program with 2, as tests/cli/test_run.py shows.
    assert done.exit_code == 2 or isinstance(done.exception, TripswitchError)
    assert words in done.output + str(done.exception)
