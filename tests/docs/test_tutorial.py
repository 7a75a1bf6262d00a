"""The tutorial as a new reader follows it, and the README's commands: typed as they stand.

Both in clones of what is committed, and on the ports that the pages name, so that nothing else may
listen there: `.ci/full tutorial`. What must hold without running anything is tried in every run.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Fence, fences, page
from tests.docs.terminals import Terminals
from tripswitch.config.loading import load_config

TUTORIAL = page("docs/tutorial.md")
TOY = ROOT / "docs" / "tutorial"
READERS = "terminal 1"
PORTS = (4317, 4318, 8317, 8888, 13133, 14318)

WITHIN_S = 600.0
"""How long one step may take: installing, or the recovery, on a busy machine."""

_WAIT = re.compile(r"until (terminal \d) prints\s+`([^`]+)`")
_SECRET = "whsec_" + "A" * 44


@dataclass(frozen=True)
class Wait:
    """What a reader waits for: words in a terminal."""

    terminal: str
    words: str
    at: int


def steps(text: str) -> list[Fence | Wait]:
    """Return what a page says to type, to wait for and to see, in order."""
    told = [fence for fence in fences(text) if fence.title.startswith("terminal")]
    prose = re.sub(
        r"^```.*?^```$", lambda it: " " * len(it[0]), text, flags=re.MULTILINE | re.DOTALL
    )
    waits = [Wait(match[1], match[2], match.start()) for match in _WAIT.finditer(prose)]
    return sorted([*told, *waits], key=lambda step: step.at)


def pattern(text: str) -> re.Pattern[str]:
    """Return what to look for: the words as they stand, each with a figure in it as any other."""
    parts = [re.escape(word) if not re.search(r"\d", word) else r"\S+" for word in text.split()]
    return re.compile(r"\s+".join(parts))


# --- what holds without running it ----------------------------------------------------------------


def test_the_steps_are_those_of_the_page() -> None:
    told = steps(TUTORIAL)
    typed = [step for step in told if isinstance(step, Fence) and step.language == "sh"]
    assert {step.title for step in typed} == {f"terminal {number}" for number in (1, 2, 3, 4)}
    assert len(typed) == sum(1 for fence in fences(TUTORIAL) if fence.language in ("sh", "console"))
    assert [step.words for step in told if isinstance(step, Wait)] == [
        "a Collector and a pager",
        "judge_ready",
        "2400 questions asked",
        "incident.opened",
        "rollback.acknowledged",
        "rollback.confirmed",
        "incident.recovered",
    ]


@pytest.mark.parametrize(
    ("language", "file"),
    [("python", "app.py"), ("json", "flags.json"), ("yaml", "tripswitch.yaml")],
)
def test_what_the_page_shows_of_a_file_stands_in_it(language: str, file: str) -> None:
    (shown,) = (fence.text for fence in fences(TUTORIAL) if fence.language == language)
    assert shown in (TOY / file).read_text("utf-8")


def test_the_page_says_how_long_the_app_is() -> None:
    lines = len((TOY / "app.py").read_text("utf-8").splitlines())
    assert f"is {lines} lines" in TUTORIAL


def test_the_configuration_has_no_warning_and_asks_for_what_is_shipped() -> None:
    loaded = load_config([TOY / "tripswitch.yaml"], {"TRIPSWITCH_WEBHOOK_SECRET": _SECRET})
    shipped = load_config([], {})
    changed = {
        name
        for name, value in loaded.detect.model_dump().items()
        if value != shipped.detect.model_dump()[name]
    }
    assert changed == {"alert_window"}
    assert loaded.fleet.single


def test_figures_may_differ_and_words_may_not() -> None:
    shown = pattern("up 20.7 points (line 5)")
    assert shown.search("failed, up 18 points\n(line 10), and")
    assert not shown.search("down 20.7 points (line 5)")


# --- what runs it ---------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Clone what is committed, as a reader has it."""
    for port in PORTS:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)), f"something listens on port {port}"
    folder = tmp_path / "tripswitch"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True, timeout=60)
    return folder


def follow(told: list[Fence | Wait], terminals: Terminals) -> None:
    """Do what a page says, step by step."""
    for step in told:
        terminal = terminals[step.terminal if isinstance(step, Wait) else step.title]
        if isinstance(step, Wait):
            terminal.wait_for(step.words, WITHIN_S)
        elif step.language == "sh" and step.title == READERS:
            terminal.run(step.text, WITHIN_S)
        elif step.language == "sh":
            terminal.type(step.text)
        else:
            for part in step.text.split("[...]"):
                assert pattern(part).search(terminal.text()), f"no `{part}`:\n{terminal.text()}"


@pytest.mark.parts
@pytest.mark.timeout(3600)
def test_the_tutorial_works_word_for_word(clone: Path, tmp_path: Path) -> None:
    with Terminals(clone, tmp_path) as terminals:
        follow(steps(TUTORIAL), terminals)
        # What the reader is told to have at the end, beside what each step printed.
        flag = json.loads((clone / "toy" / "flags.json").read_text())["flags"]["refund-bot"]
        assert flag["targeting"]["if"][1] == "v17"
        said = terminals[READERS].text()
        (written,) = re.findall(r"^postmortems/\S+/postmortem\.html$", said, re.MULTILINE)
        assert "refund-bot" in (clone / "toy" / written).read_text("utf-8")
        assert re.search(r"^inc_\w+ resolved: ", said, re.MULTILINE)
        assert re.search(r"^http://127\.0\.0\.1:8317/signin\?code=\S+$", said, re.MULTILINE)
        for name in ("terminal 4", "terminal 3", "terminal 2"):
            assert terminals[name].interrupt() == 0, terminals[name].text()[-4000:]
            assert "Traceback" not in terminals[name].text()


def said_to_type(fence: Fence) -> list[str]:
    """Return the commands of a fence with prompts."""
    return [line[2:] for line in fence.text.splitlines() if line.startswith("$ ")]


@pytest.mark.parts
@pytest.mark.timeout(3600)
def test_the_readmes_commands_work_as_written(clone: Path, tmp_path: Path) -> None:
    demo, _tests = (fence.text for fence in fences(page("README.md")) if fence.language == "sh")
    (config,) = (fence.text for fence in fences(page("README.md")) if fence.language == "yaml")
    (clone / "tripswitch.yaml").write_text(config, "utf-8")
    with Terminals(clone, tmp_path) as terminals:
        # `.ci/run` and `.ci/full fresh` run the other one.
        terminals[READERS].run(demo, WITHIN_S)
        for fence in fences(page("README.md")):
            *lines, last = said_to_type(fence) or [""]
            if "tripswitch run" in last:
                terminals["terminal 2"].run("\n".join(lines), WITHIN_S)
                terminals["terminal 2"].type(f"{last}\n")
                terminals["terminal 2"].wait_for("judge_ready", WITHIN_S)
            elif last:
                terminals[READERS].run("\n".join([*lines, last]), WITHIN_S)
        assert terminals["terminal 2"].interrupt() == 0
