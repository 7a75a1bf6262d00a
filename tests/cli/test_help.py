"""Every command says what it is for, shows how it is typed, and gives its data as JSON."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tripswitch.cli.app import COMMANDS, app
from tripswitch.cli.help_text import examples

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

# `run` goes on until it is ended, and tells what happens in its log, which is JSON.
WITHOUT_DATA = {("run",)}


def commands(group: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every command by the words that call it."""
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, (*path, name))
        else:
            found[*path, name] = command
    return found


ALL = commands(get_command(app))


def named(paths: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=" ".join)


def parsed(words: list[str]) -> tuple[str, ...]:
    """Parse a command line as the program would, and return which command it calls."""
    command, path = get_command(app), []
    rest = words
    while hasattr(command, "commands"):
        path.append(rest[0])
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(" ".join(path), list(rest))
    return tuple(path)


def test_the_commands_are_those_of_the_design() -> None:
    design = {"run", "demo", "check", "inspect", "replay", "explain", "status", "top", "spool"}
    design |= {"incidents", "comms", "postmortem", "drill", "gate", "schema"}
    assert design <= set(COMMANDS)
    assert set(COMMANDS) == {path[0] for path in ALL}


@named(sorted(ALL))
def test_it_says_what_it_is_for_and_every_option_says_what_it_does(path: tuple[str, ...]) -> None:
    command = ALL[path]
    about = command.help.splitlines()[0]
    assert about[0].isupper()
    assert about.endswith((".", "?"))
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert parameter.help.endswith((".", "1..", ")")), parameter.help


@named(sorted(ALL))
def test_it_has_examples_that_call_it_and_can_be_parsed(path: tuple[str, ...]) -> None:
    found = examples(ALL[path].help)
    assert found, "no part Examples:"
    for line in found:
        words = shlex.split(line.partition(" > ")[0])
        assert words[0] == "tripswitch"
        assert parsed(words[1:]) == path


@named(sorted(set(ALL) - WITHOUT_DATA))
def test_it_gives_its_data_as_json(path: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in ALL[path].params)


@named([("drill",), ("gate",), ("incidents", "resolve")])
def test_examples_are_shown_as_they_are_typed(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    for line in examples(ALL[path].help):
        assert f"    {line}\n" in shown.output
    assert shown.output.count("Examples:") == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_of_the_documents_can_be_parsed(page: Path) -> None:
    fences = re.findall(
        r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    for line in "".join(fences).splitlines():
        typed = re.match(r"\$ (?:\.venv/bin/)?tripswitch (.*)$", line)
        if typed is not None:
            words = shlex.split(typed[1].partition(" > ")[0], comments=True)
            if words != ["--install-completion"] and words != ["--show-completion"]:
                assert parsed(words) in ALL


def test_it_says_which_version_it_is() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"tripswitch {version('tripswitch')}\n")


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["nonsense"]).exit_code == 2
    for command in ("top", "gate", "drill"):
        assert CliRunner().invoke(app, [command, "--nonsense"]).exit_code == 2
