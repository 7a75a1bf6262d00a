"""The generated reference pages: as committed, and with everything in them that there is."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import grpc
import pytest
from typer.testing import CliRunner

import tripswitch
from tests.docs.pages import ROOT, page
from tests.docs.pictures import PICTURES
from tripswitch.cli.app import app
from tripswitch.cli.commands_reference import _help_lines
from tripswitch.cli.errors_reference import EXIT_ONES
from tripswitch.cli.schema import PAGES
from tripswitch.otlp.delivery import Signal
from tripswitch.otlp.replies import GrpcReply, HttpReply, Reply
from tripswitch.otlp.reply_crossing import as_http
from tripswitch.otlp.status_bodies import PROTOBUF
from tripswitch.web.openapi import OPERATIONS

PACKAGE = Path(tripswitch.__file__).parent
FOLDER = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_generated_anew(name: str) -> None:
    text = importlib.import_module(PAGES[name]).reference_text()
    committed = (FOLDER / name).read_text("utf-8")
    assert committed == text, "tripswitch schema --pages docs/reference"


def test_one_command_writes_all_of_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schema", "--pages", str(tmp_path)])
    assert result.exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == set(PAGES)
    assert all((tmp_path / name).read_bytes() == (FOLDER / name).read_bytes() for name in PAGES)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schema", "--pages", str(tmp_path / "none")])
    assert str(tmp_path / "none") in str(result.exception)


def test_the_page_of_the_api_has_every_operation() -> None:
    headings = set(re.findall(r"^## ([A-Z]+ /\S+)$", page("docs/reference/api.md"), re.MULTILINE))
    assert headings == {f"{one.method} {one.path}" for one in OPERATIONS}


def test_every_table_is_one() -> None:
    for name in PAGES:
        text = re.sub(
            r"^```.*?^```$", "", page(f"docs/reference/{name}"), flags=re.MULTILINE | re.DOTALL
        )
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            columns = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
            assert len(columns) == 1, table


def calls(folder: Path, *names: str) -> Iterator[tuple[Path, ast.Call]]:
    """Yield each call of a function, or method, of these names."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else ""
                if (called.id if isinstance(called, ast.Name) else name) in names:
                    yield path, node


def test_every_command_that_can_answer_no_says_what_that_means() -> None:
    # A command's name is its module's; only those of a group have one more.
    modules = {
        path.stem
        for path, call in calls(PACKAGE / "cli", "Exit")
        if any(isinstance(node, ast.Constant) and node.value == 1 for node in ast.walk(call))
    }
    assert modules == {name.split()[0] for name in EXIT_ONES}


def test_every_answer_of_our_own_to_otlp_is_told() -> None:
    text = page("docs/reference/errors.md")
    told = set(re.findall(r"`([A-Z_]+|\d{3})`", text[text.index("## OTLP") : text.index("### ")]))
    given: set[Reply] = set()
    for _, call in calls(PACKAGE / "otlp", "refusal", "http_refusal", "HttpReply", "GrpcReply"):
        for node in call.args[:1]:
            if isinstance(node, ast.Constant) and isinstance(node.value, int):
                given.add(HttpReply(node.value))
            if isinstance(node, ast.Attribute) and node.attr.isupper():
                given.add(GrpcReply(grpc.StatusCode[node.attr]))
    refusals = {reply for reply in given if not reply.is_ok}
    assert len(refusals) > 7
    for reply in refusals:
        # What only HTTP clients can bring about is told as they see it.
        assert {reply.name, as_http(reply, PROTOBUF, Signal.TRACES).name} & told, reply


@pytest.mark.parametrize("name", PICTURES)
def test_every_chart_is_drawn_anew(name: str) -> None:
    committed = (ROOT / "docs" / "images" / name).read_text("utf-8")
    assert committed == PICTURES[name](), "python -m tests.docs.pictures docs/images"


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "images").glob("*.svg")))
def test_a_picture_is_whole_in_itself_and_said_in_words(path: Path) -> None:
    text = path.read_text("utf-8")
    root = ET.fromstring(text)
    assert {element.tag.partition("}")[2] for element in root} >= {"title", "desc", "style"}
    assert "prefers-color-scheme: dark" in text
    assert set(re.findall(r"\w+://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(script|image|foreignObject)\b|@import|\shref=|\son\w+=", text)


def test_examples_of_a_command_are_shown_as_they_are_typed() -> None:
    help_text = """Say a thing.

    It goes on
    here.

    Examples:

      tripswitch one --a

      tripswitch two |
        less
    """
    assert _help_lines(help_text) == [
        *("Say a thing.", "", "It goes on here.", "", "```sh"),
        *("tripswitch one --a", "tripswitch two | less", "```", ""),
    ]
    assert _help_lines("Say.\n\nExample: tripswitch one") == [
        *("Say.", "", "```sh", "tripswitch one", "```", "")
    ]
