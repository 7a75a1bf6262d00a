"""The terminals that the tutorial is typed into tell of what fails in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.terminals import Terminals


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    with Terminals(tmp_path, tmp_path) as opened:
        yield opened


def test_a_terminal_goes_on_where_it_was(terminals: Terminals, tmp_path: Path) -> None:
    terminals["one"].run("mkdir a && cd a\nA=b\necho $A > c", 30)
    terminals["two"].run("test ! -e c", 30)
    assert (tmp_path / "a" / "c").read_text() == "b\n"


def test_a_command_that_fails_is_told_with_its_words(terminals: Terminals) -> None:
    with pytest.raises(AssertionError, match="`false` ended with"):
        terminals["one"].run("echo well\nfalse\necho never", 30)
    assert "never" not in terminals["one"].text()


def test_words_that_do_not_come_are_told(terminals: Terminals) -> None:
    terminals["one"].type("echo something else\n")
    with pytest.raises(AssertionError, match="no `rollback`"):
        terminals["one"].wait_for("rollback", 0.3)


@pytest.mark.parametrize(("code", "ends"), [("sys.exit(0)", 0), ("sys.exit(3)", 3)])
def test_ctrl_c_ends_what_runs_and_gives_its_code(
    terminals: Terminals, code: str, ends: int
) -> None:
    program = (
        f"import signal, sys; signal.signal(2, lambda *_: {code}); print('up'); signal.pause()"
    )
    terminals["one"].type(f'python3 -c "{program}"\n')
    terminals["one"].wait_for("up", 30)
    assert terminals["one"].interrupt() == ends
    terminals["one"].run("true", 30)
