"""Markdown escaping, held against a Markdown parser: a value stays one piece of text."""

from __future__ import annotations

import re

from hypothesis import given
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.incidents.hostile import hostile
from tripswitch.incidents.markdown import diff_block, escaped
from tripswitch.incidents.postmortem.cause import DiffLine, diff_of
from tripswitch.model.plain_text import plain_line

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LONGEST = 5000


def text_of(tokens: list[Token]) -> str:
    """Return the text of inline tokens; raises for any that is no text."""
    parts = []
    for token in tokens:
        for child in token.children or []:
            assert child.type in ("text", "softbreak"), child
            parts.append(child.content)
    return "".join(parts)


@given(hostile)
def test_a_value_in_a_list_is_that_text(value: str) -> None:
    tokens = PARSER.parse(f"- {escaped(value)}\n")
    kinds = [token.type for token in tokens]
    assert set(kinds) <= {
        *("bullet_list_open", "list_item_open", "paragraph_open", "inline"),
        *("paragraph_close", "list_item_close", "bullet_list_close"),
    }
    assert kinds.count("inline") <= 1
    assert text_of(tokens) == plain_line(value, LONGEST)


@given(hostile)
def test_a_value_in_a_cell_is_that_text(value: str) -> None:
    tokens = PARSER.parse(f"| a | b |\n|---|---|\n| {escaped(value)} | end |\n\nafter\n")
    cells = [
        tokens[at + 1] for at, token in enumerate(tokens) if token.type in ("td_open", "th_open")
    ]
    assert len(cells) == 4
    assert text_of([cells[2]]) == plain_line(value, LONGEST)
    assert text_of([cells[3]]) == "end"


@given(hostile)
def test_a_value_in_a_sentence_and_at_its_start_is_that_text(value: str) -> None:
    line = plain_line(value, LONGEST)
    for template in ("{}", "before {}", "{} after"):
        tokens = PARSER.parse(template.format(escaped(value)) + "\n")
        if line or template != "{}":
            assert [token.type for token in tokens] == [
                "paragraph_open",
                "inline",
                "paragraph_close",
            ]
        assert text_of(tokens) == template.format(line).strip()


@given(hostile)
def test_a_value_in_a_heading_is_that_text(value: str) -> None:
    tokens = PARSER.parse(f"# x {escaped(value)}\n")
    assert [token.type for token in tokens] == ["heading_open", "inline", "heading_close"]
    assert text_of(tokens) == f"x {plain_line(value, LONGEST)}".strip()


@given(hostile, hostile)
def test_a_diff_stays_in_its_fence(before: str, after: str) -> None:
    text = f"{diff_block(diff_of(before, after))}\n\nafter\n"
    tokens = PARSER.parse(text)
    assert [token.type for token in tokens] == [
        *("fence", "paragraph_open", "inline", "paragraph_close")
    ]


def test_a_diff_shows_what_changed_with_its_indentation() -> None:
    lines = diff_of("a\n  b\nc", "a\n  B\nc")
    assert [(line.kind, line.text) for line in lines if line.kind in "+-"] == [
        ("-", "  b"),
        ("+", "  B"),
    ]
    assert diff_of("same", "same") == ()


def test_a_long_diff_is_cut_and_says_so() -> None:
    lines = diff_of("", "\n".join(str(number) for number in range(5000)))
    assert len(lines) == 401
    assert lines[-1] == DiffLine("@", "the rest is left out")


def test_links_do_not_make_themselves() -> None:
    # GitHub's autolinks start at "://" and "www."; an escape between ends them.
    said = escaped("https://evil.example www.evil.example <https://evil.example>")
    assert said.count(r"\://") == 2
    assert not re.search(r"\w://|www\.", said)
    assert "<a" not in PARSER.render(said)
