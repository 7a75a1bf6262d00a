"""Every command that a page shows is one that the program knows, with the options it has."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.docs.pages import PAGES, ROOT, commands, named_in_prose, of_tripswitch, shell_lines
from tripswitch.cli.app import app_of


def shown(lines: Callable[[str], Iterator[str]]) -> list[Any]:
    return [
        pytest.param(words, id=f"{path.relative_to(ROOT)}: {' '.join(words)}")
        for path in PAGES
        for line in dict.fromkeys(lines(path.read_text("utf-8")))
        for words in of_tripswitch(line)
    ]


# Taking these apart would change the files of whoever runs the tests.
_DONE_AT_ONCE = (["--install-completion"], ["--show-completion"])

TYPED, NAMED = shown(shell_lines), shown(named_in_prose)


@cache
def program() -> Any:
    return get_command(app_of())


def parsed(words: list[str]) -> None:
    """Let the program take ``words`` apart, and do nothing. Raises what it says of wrong ones."""
    command, path, rest = program(), ["tripswitch"], list(words)
    while hasattr(command, "commands"):
        if not rest or rest[0].startswith("-"):
            break
        path.append(rest.pop(0))
        assert path[-1] in command.commands, f"no command {' '.join(path)}"
        command = command.commands[path[-1]]
    if rest in _DONE_AT_ONCE:
        assert set(rest) <= {name for param in command.params for name in param.opts}
    elif rest != ["--help"]:
        command.make_context(" ".join(path), rest)


def test_pages_show_commands_at_all() -> None:
    assert len(TYPED) > 50
    assert len(NAMED) > 20


@pytest.mark.parametrize("words", TYPED)
def test_every_command_to_type_parses(words: list[str]) -> None:
    parsed(words)


@pytest.mark.parametrize("words", NAMED)
def test_every_command_in_a_sentence_is_there_and_may_lack_its_arguments(words: list[str]) -> None:
    try:
        parsed(words)
    except Exception as error:
        if type(error).__name__ != "MissingParameter":
            raise


@pytest.mark.parametrize(
    "words", [["chek"], ["incidents", "shwo"], ["check", "--prob"], ["explain", "--most", "many"]]
)
def test_a_command_that_does_not_exist_is_found(words: list[str]) -> None:
    with pytest.raises(Exception, match=r"(?i)no command|no such option|valid int"):
        parsed(words)


def test_lines_are_taken_apart_as_a_shell_does() -> None:
    line = "cd toy && ../.venv/bin/tripswitch check 'a b.yaml' > out; tripswitch status | less"
    assert list(of_tripswitch(line)) == [["check", "a b.yaml"], ["status"]]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_and_script_that_is_called_is_there(path: Path) -> None:
    for line in shell_lines(path.read_text("utf-8")):
        for words in commands(line):
            if "-m" in words and words[0].endswith("python") and len(words) > words.index("-m") + 1:
                module = words[words.index("-m") + 1]
                if module not in ("venv", "pytest"):
                    assert importlib.util.find_spec(module), line
            if words and words[0].startswith(".ci/"):
                assert (ROOT / words[0]).is_file(), line
