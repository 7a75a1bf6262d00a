"""YAML with its lines: what is accepted, and what no file can make it do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tripswitch.config.loading import load_config
from tripswitch.config.problems import InvalidConfig, Problem
from tripswitch.config.sample import sample_text
from tripswitch.config.yaml_marks import Items, Scalar, Table, parse_tree, scalar_value

SAMPLE_LINES = sample_text().splitlines()


def parse(text: str) -> Table:
    problems: list[Problem] = []
    tree = parse_tree(text, "t.yaml", problems)
    if problems:
        raise InvalidConfig(problems)
    return tree


def refused(text: str) -> list[Problem]:
    with pytest.raises(InvalidConfig) as caught:
        parse(text)
    return caught.value.problems


def test_every_key_and_value_has_its_line() -> None:
    tree = parse("a:\n  b:\n    - x\n    - 'y'\n  c: {d: 1}\n")
    inner = tree.values["a"]
    assert isinstance(inner, Table)
    assert tree.key_marks["a"].line == 1
    assert inner.key_marks["c"].line == 5
    listed = inner.values["b"]
    assert isinstance(listed, Items)
    assert [value.mark.line for value in listed.values] == [3, 4]
    assert [value.quoted for value in listed.values if isinstance(value, Scalar)] == [False, True]


def test_anchors_and_merge_keys_work() -> None:
    tree = parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {z: 4}]}\n")
    texts = {
        name: {key: value.text for key, value in table.values.items() if isinstance(value, Scalar)}
        for name, table in tree.values.items()
        if isinstance(table, Table)
    }
    assert texts["b"] == {"x": "1", "y": "3"}
    assert texts["c"] == {"x": "1", "y": "2", "z": "4"}


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: [1, 2\nb: 3\n", "config.syntax", 2, 2),
        ("a: b: c\n", "config.syntax", 1, 5),
        ("a:\n\t- b\n", "config.syntax", 2, 1),
        ("a: 'open\n", "config.syntax", 2, 1),
        ("a: *missing\n", "config.syntax", 1, 4),
        ("a: 1\n---\nb: 2\n", "config.syntax", 2, 1),
        ("a: !!python/name:os.system x\n", "config.syntax", 1, None),
        ("? [a]\n: 1\n", "config.syntax", 1, None),
        ("a: {<<: 1}\n", "config.syntax", 1, None),
        ("a: \x00\n", "config.syntax", 1, 4),
        ('a: "\\UFFFFFFFF"\n', "config.syntax", None, None),
        ("a: 1\nb: 2\na: 3\n", "config.duplicate", 3, None),
        ("- a\n", "config.type", 1, None),
        ("text\n", "config.type", 1, None),
        ("[" * 5000, "config.syntax", 1, 33),
        ("a:\n  [" + "1," * 100_000 + "]", "config.too_large", 2, 3),
        ("a: &a [*a]\n", "config.too_large", 1, None),
    ],
)
def test_refusals_name_the_place(
    text: str, code: str, line: int | None, column: int | None
) -> None:
    (problem,) = refused(text)
    assert (problem.code, problem.line, problem.mark.column) == (code, line, column)
    assert problem.wanted


def test_a_billion_laughs_are_not_laughed() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    (problem,) = refused("\n".join(lines))
    assert problem.code == "config.too_large"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("yes", True),
        ("off", False),
        ("017", 17),
        ("-3", -3),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("nan", "nan"),
        ("9" * 5000, "9" * 5000),
        ("none", "none"),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    assert scalar_value(text) == value
    assert type(scalar_value(text)) is type(value)


_JUNK = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,?<~$\\ \n\t01.", max_size=120),
)
_QUIET = settings(
    max_examples=75,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def loads_or_says_why(path: Path) -> list[Problem]:
    try:
        load_config([path], {})
    except InvalidConfig as error:
        return error.problems
    return []


@_QUIET
@given(junk=_JUNK)
def test_junk_raises_nothing_else(tmp_path: Path, junk: str) -> None:
    file = tmp_path / "junk.yaml"
    file.write_bytes(junk.encode("utf-8", "surrogatepass"))
    loads_or_says_why(file)


@_QUIET
@given(junk=st.binary(max_size=100))
def test_junk_bytes_raise_nothing_else(tmp_path: Path, junk: bytes) -> None:
    file = tmp_path / "junk.yaml"
    file.write_bytes(junk)
    loads_or_says_why(file)


@settings(_QUIET, max_examples=25)
@given(data=st.data())
def test_edits_of_the_sample_load_or_name_a_line(tmp_path: Path, data: st.DataObject) -> None:
    lines = list(SAMPLE_LINES)
    settable = [i for i, line in enumerate(lines) if ":" in line and "#" not in line]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.sampled_from(settable))
        key = lines[at].split(":")[0]
        lines[at] = data.draw(
            st.sampled_from(
                [
                    f"{key}:",
                    f"{key}: [1, {{a: b}}]",
                    f"{key}: {{a: [b]}}",
                    f"{key}x: 1",
                    f"{key}: -1",
                    f"{key}: 5s",
                    f"{key}: true",
                    f"{key}: 1e999",
                    f"{key}: ${{env:NOPE}}",
                    f"  {lines[at]}",
                    "",
                ]
            )
        )
    file = tmp_path / "edited.yaml"
    file.write_text("\n".join(lines), "utf-8")
    for problem in loads_or_says_why(file):
        assert problem.line is not None
        assert 1 <= problem.line <= len(lines) + 1
