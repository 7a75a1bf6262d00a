"""Text from outside becomes one harmless, bounded line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.model.plain_text import cut, cut_bytes, plain_line


@given(st.text(), st.integers(1, 200))
def test_a_line_is_bounded_and_holds_nothing_that_acts(text: str, most_chars: int) -> None:
    line = plain_line(text, most_chars)
    assert len(line) <= most_chars
    assert line.splitlines() in ([], [line])
    assert all(unicodedata.category(char)[0] != "C" for char in line)
    line.encode("utf-8")


@given(st.text(max_size=300))
def test_a_plain_line_stays_as_it_is(text: str) -> None:
    line = plain_line(text, 500)
    assert plain_line(line, 500) == line


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil.example\x07click\x1b]8;;\x07", "click"),
        ("\x9b31mred", "red"),
        ("a\r\nb\u2028c\x85d\te", "a b c d e"),
        ("user\u202etxt.exe\u2066x\u2069", "usertxt.exex"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("tag\U000e0041\U000e007f", "tag"),
        ("a" + "\u0301" * 50, "a\u0301\u0301\u0301"),
        ("half \ud800 pair", "half pair"),
        ("\u3164hangul filler", "hangul filler"),
        ("v18 → v17, 9 Punkte, 東京, 🙂", "v18 → v17, 9 Punkte, 東京, 🙂"),
    ],
)
def test_what_acts_goes_and_what_says_something_stays(text: str, wanted: str) -> None:
    assert plain_line(text, 100) == wanted


def test_a_megabyte_is_cut_and_says_so() -> None:
    assert plain_line("x" * 1_000_000, 10) == "x" * 9 + "…"
    assert plain_line("\x00" * 1_000_000 + "x", 10) == "…"


def test_text_is_cut_by_characters_and_by_bytes() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cut_bytes("äöü", 6) == "äöü"
    assert cut_bytes("äöüß", 7) == "äö…"
    assert len(cut_bytes("🙂" * 10, 12).encode()) <= 12
