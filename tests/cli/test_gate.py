"""`tripswitch gate` as a pipeline calls it: exit codes, JSON, the summary, waiting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from tests.cli.stub_api import StubApi
from tests.drive.rollouts import played
from tests.play import BAD
from tests.traffic import requests, rollout
from tripswitch.cli.app import app_of
from tripswitch.cli.gate_text import markdown
from tripswitch.drive.gate import Answer
from tripswitch.drive.gate_proofs import Proof, Question, State
from tripswitch.errors import TripswitchError

ASKED = ("--route", "/chat/refund", "--prompt-version", "v18")


def api_of(name: str) -> dict[str, Any]:
    """Return what the API answers at the end of a rollout of that name."""
    explained, route, incidents = played(name)
    return {"/v1/explain": explained, "/v1/route": route, "/v1/incidents": incidents}


def gate(*arguments: str) -> Any:
    return CliRunner().invoke(app_of(["gate"]), ["gate", *arguments])


def test_it_passes_fails_and_tells_in_words_and_json() -> None:
    with StubApi(api_of("good")) as api:
        passed = gate(*ASKED, "--url", api.url, "--against", "v17")
        as_json = gate(*ASKED, "--url", api.url, "--json")
        asked = api.asked[0]
    assert passed.exit_code == 0, passed.stdout
    assert passed.stdout.startswith("PASSED: v18 of /chat/refund may be promoted")
    assert passed.stdout.count(" well ") == 6
    told = json.loads(as_json.stdout)
    assert (told["passed"], told["state"], told["missing"]) == (True, "passed", [])
    assert asked == "/v1/explain?scope=route%3D%2Fchat%2Frefund&limit=1000"
    with StubApi(api_of("bad")) as api:
        failed = gate(*ASKED, "--url", api.url)
    assert failed.exit_code == 1
    assert failed.stdout.startswith("FAILED: v18 of /chat/refund is not let through")
    assert "REGRESSED" in failed.stdout


def test_waiting_ends_as_soon_as_it_is_decided() -> None:
    left = [api_of("young")] * 4

    def answer(path: str) -> Any:
        return lambda: (left.pop() if left else api_of("good"))[path]

    told = {path: answer(path) for path in ("/v1/explain", "/v1/route")}
    with StubApi({**api_of("good"), **told}) as api:
        done = gate(*ASKED, "--url", api.url, "--wait", "10m", "--every", "50ms")
    assert done.exit_code == 0, done.stdout
    assert left == []
    with StubApi(api_of("bad")) as api:
        at_once = gate(*ASKED, "--url", api.url, "--wait", "10m", "--every", "10m")
    assert at_once.exit_code == 1


def test_when_the_wait_is_over_it_is_a_no_with_what_is_missing() -> None:
    with StubApi(api_of("young")) as api:
        done = gate(*ASKED, "--url", api.url, "--wait", "300ms", "--every", "100ms", "--json")
        times = sum(path.startswith("/v1/explain") for path in api.asked)
    assert done.exit_code == 1
    assert times >= 2
    told = json.loads(done.stdout)
    assert told["state"] == "insufficient"
    assert any("samples:" in sentence for sentence in told["missing"])


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"/v1/explain": [], "/v1/incidents": []},
        {"/v1/explain": {"now": "x"}, "/v1/incidents": []},
        {"/v1/explain": {"now": "x", "scopes": [{}]}, "/v1/incidents": []},
        {"/v1/explain": {"now": "x", "scopes": 7}, "/v1/incidents": {}},
        {"/v1/explain": "hello", "/v1/incidents": []},
    ],
)
def test_whatever_answers_instead_it_never_passes(answers: dict[str, Any]) -> None:
    with StubApi(answers) as api:
        done = gate(*ASKED, "--url", api.url, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["state"] == "unreachable"


def test_nobody_to_ask_is_a_no_and_stands_in_the_summary(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = gate(*ASKED, "--url", "http://127.0.0.1:9", "--summary", str(summary))
    assert done.exit_code == 1
    assert "nobody could be asked" in done.stdout
    assert "### tripswitch gate: failed" in summary.read_text()
    gate(*ASKED, "--url", "http://127.0.0.1:9", "--summary", str(summary))
    assert summary.read_text().count("### tripswitch gate: failed") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--prompt-version", "v18"), "--route"),
        (("--route", "/chat"), "--prompt-version"),
        ((*ASKED, "--config", "x.yaml"), "--config is for FILE..."),
        ((*ASKED, "--wait", "soon"), "--wait"),
        ((*ASKED, "--signal", "vibes"), '"vibes" is no signal'),
        ((*ASKED, "--min-samples", "0"), "--min-samples"),
    ],
)
def test_bad_usage_is_refused_in_words(arguments: tuple[str, ...], words: str) -> None:
    done = gate(*arguments)
    # What is raised ends the program with 2, as tests/cli/test_run.py shows.
    assert done.exit_code == 2 or isinstance(done.exception, TripswitchError)
    assert words in done.output + str(done.exception)
    assert "PASSED" not in done.output


def test_a_summary_shows_what_spans_say_and_does_not_follow_it() -> None:
    nasty = "<img src=x> [a](http://evil) | `x` \x1b[2J\n# head"
    question = Question(nasty, nasty, nasty, nasty)
    proof = Proof(nasty, nasty, State.INSUFFICIENT, nasty, (nasty,))
    text = markdown(Answer(question, State.INSUFFICIENT, nasty, (proof,), (nasty,), nasty))
    assert "\x1b" not in text
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<img" not in html
    assert "<a " not in html
    assert html.count("<h1") == 0
    assert html.count("<h3") == 1
    assert html.count("<td") == 2 * 6 + 3


def test_a_recording_is_judged_as_the_sidecar_would(tmp_path: Path) -> None:
    plan = rollout(BAD, at_minute=4, canary_per_s=1.5, control_per_s=2)
    recorded = tmp_path / "recorded"
    recorded.mkdir()
    for number, body in enumerate(requests(plan, 9, step_s=20)):
        (recorded / f"{number:05}.binpb").write_bytes(body)
    done = gate(str(recorded), *ASKED, "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["state"] == "regressed"
    assert told["incidents"]
