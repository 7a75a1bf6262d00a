"""Coercions take what libraries really write, and nothing that only looks like it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.genai import coercion

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12, 12.0),
        (0, 0.0),
        (1.5, 1.5),
        ("12", 12.0),
        (" 12.0 ", 12.0),
        (True, None),
        (-1, None),
        ("-1", None),
        (math.nan, None),
        ("nan", None),
        (math.inf, None),
        ("Infinity", None),
        ("1_000", None),
        ("١٢", None),
        ("twelve", None),
        ("1" * 100, None),
        ([12], None),
        (None, None),
    ],
)
def test_number(value: Any, expected: float | None) -> None:
    assert coercion.number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("v17", "v17"),
        (3, "3"),
        (3.0, "3"),
        (3.5, None),
        (True, "true"),
        ('"control"', "control"),
        ('"', '"'),
        ('"half', '"half'),
        ("  ", None),
        ("", None),
        ([], None),
        (b"x", None),
    ],
)
def test_text(value: Any, expected: str | None) -> None:
    assert coercion.text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        (2, None),
        ("True", True),
        (" no ", False),
        ("maybe", None),
        (1.0, None),
    ],
)
def test_flag(value: Any, expected: bool | None) -> None:
    assert coercion.flag(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["stop", "length"], ["stop", "length"]),
        ('["stop"]', ["stop"]),
        ("stop, length", ["stop", "length"]),
        ("stop", ["stop"]),
        ("", None),
        ([], None),
        ("[broken", None),
        ([None, ["x"], 3], ["3"]),
        ({"a": 1}, None),
    ],
)
def test_text_list(value: Any, expected: list[str] | None) -> None:
    assert coercion.text_list(value) == expected


def test_text_list_is_bounded() -> None:
    found = coercion.text_list(["x" * 1000] * 1000)
    assert found is not None
    assert (len(found), len(found[0])) == (coercion.MAX_ITEMS, coercion.MAX_TEXT)


def test_json_is_bounded_in_size_and_depth() -> None:
    deep = coercion.MAX_JSON_DEPTH
    assert coercion.parsed_json("[" * deep + "]" * deep) is not None
    assert coercion.parsed_json("[" * (deep + 1) + "]" * (deep + 1)) is None
    assert coercion.parsed_json("[" * 200_000) is None
    assert coercion.parsed_json('"' + "x" * coercion.MAX_JSON_CHARS + '"') is None


def test_brackets_inside_text_are_no_depth() -> None:
    assert coercion.parsed_json('["' + "[" * 100 + '\\""]') == ["[" * 100 + '"']


def test_member_of_structured_and_of_text_json() -> None:
    assert coercion.member({"total": 1}, "total") == 1
    assert coercion.member('{"total": 1}', "total") == 1
    assert coercion.member("[1]", "total") is None
    assert coercion.member("NaN", "total") is None


@given(anything)
def test_nothing_raises_and_no_number_is_beyond_use(value: Any) -> None:
    found = coercion.number(value)
    assert found is None or (math.isfinite(found) and found >= 0)
    text = coercion.text(value)
    assert text is None or text.strip() == text != ""
    coercion.flag(value)
    coercion.text_list(value)
    coercion.member(value, "total")


# --- Python literals ------------------------------------------------------------------------------

plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(st.lists(plain_values, max_size=5) | st.dictionaries(st.text(max_size=5), plain_values))
def test_what_repr_wrote_is_read_back(value: Any) -> None:
    assert coercion.parsed_literal(repr(value)) == value
    assert coercion.opened(repr(value)) == value


def test_tuples_come_as_lists() -> None:
    assert coercion.parsed_literal("({'a': (1, 2)}, 'x')") == [{"a": [1, 2]}, "x"]


@pytest.mark.parametrize(
    "source",
    [
        "[f(1)]",
        "[x]",
        "[1 + 1]",
        "[not True]",
        "[*[1]]",
        "[i for i in []]",
        "[lambda: 0]",
        "[f'{1}']",
        "[b'x']",
        "{1, 2}",
        "{1: 2}",
        "{[1]: 2}",
        "[...]",
        "[1",
        "1]",
        "[1]]",
        "[1](2)",
        "[0777]",
        "[1_0]",
        "[nan]",
        r"['\d']",
        r"['\ud800']",
        r"['\N{BULLET}']",
        "['a\nb']",
        "<object>",
        "",
    ],
)
def test_what_is_no_plain_literal_is_not_read_and_makes_nobody_warn(source: str) -> None:
    assert coercion.parsed_literal(source) is None


@pytest.mark.parametrize(
    "source",
    [
        "[" * 33 + "]" * 33,
        "[" * 100_000,
        "[" + "-" * 100_000 + "1]",
        "[" + "1," * 60_000 + "]",
        "['" + "x" * coercion.MAX_JSON_CHARS + "']",
        "[" + "9" * 5_000 + "]",
    ],
)
def test_literals_are_bounded_before_anybody_parses_them(source: str) -> None:
    assert coercion.parsed_literal(source) is None


def test_json_comes_first_and_may_be_written_twice() -> None:
    assert coercion.opened('{"a": true}') == {"a": True}
    assert coercion.opened(json.dumps(json.dumps({"a": 1}))) == {"a": 1}
    assert coercion.opened("{'a': True}") == {"a": True}
    assert coercion.opened("plain text") is None


@given(st.text())
def test_opening_text_never_raises(source: str) -> None:
    coercion.opened(source)
    coercion.opened(f"[{source}]")
    coercion.opened(f"{{'a': {source}}}")


# --- halves of characters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r'"\ud800"', "�"),
        (r'"\uDFFFx"', "�x"),
        (r'"\ude00\ud83d"', "��"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ud83d\ud83d\ude00"', "�😀"),
    ],
)
def test_half_a_character_is_none(source: str, text: str) -> None:
    assert coercion.text(source) == text
    assert coercion.member(f'{{"user_id": {source}}}', "user_id") == text


@given(st.lists(st.sampled_from([r"\ud83d", r"\ude00", r"\uD9ab", r"\\", "u", "d800", "x"])))
def test_whatever_json_holds_can_be_encoded(parts: list[str]) -> None:
    parsed = coercion.parsed_json('"' + "".join(parts) + '"')
    assert parsed is None or parsed.encode("utf-8").decode("utf-8") == parsed
