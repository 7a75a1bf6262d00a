"""Plain text: one short line that can steer neither a terminal nor a reader."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.model.plain_text import plain


@given(st.text(max_size=400), st.integers(1, 100))
def test_is_one_bounded_line_without_anything_unseen(text: str, most: int) -> None:
    line = plain(text, most)
    assert len(line) <= most
    assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert "  " not in line
    assert plain(line, most) == line


def test_colours_breaks_and_directions_are_gone() -> None:
    assert plain("a\x1b[31mb\r\n\tc\u202ed\u200be\u2066f\ufeff") == "a [31mb cdef"
    assert plain("\ud800x\U000e0041") == "x"


def test_a_megabyte_is_cut_and_says_so() -> None:
    assert plain("x" * 1_000_000, 10) == "xxxxxxxxx…"
    assert plain("\u200b" * 1_000_000, 10) == "…"


def test_marks_do_not_pile_up() -> None:
    assert plain("e" + "\u0301" * 50 + "!") == "e\u0301\u0301!"


def test_ordinary_words_of_any_language_stay() -> None:
    for text in ("refund-bot", "Größe 3", "退款", "возврат", "استرداد"):
        assert plain(text) == text
