"""What the environment adds: ``${env:NAME}`` inside values, ``TRIPSWITCH_A__B`` over fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tripswitch.config.fields import ROOT, Spot
from tripswitch.config.problems import InvalidConfig, Mark, Problem, shown
from tripswitch.config.yaml_marks import Items, Scalar, Table, Tree, parse_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_PREFIX = "TRIPSWITCH_"
NESTING = "__"

_REFERENCE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?:env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"(?::-(?P<default>[^}]*))?\}|(?P<broken>)))",
    re.ASCII,
)


def expanded(table: Table, environ: Mapping[str, str], problems: list[Problem]) -> Table:
    """Return ``table`` with every ``${env:NAME}`` and ``${env:NAME:-default}`` filled in.

    The default counts when the variable is unset or empty. ``$$`` is one dollar sign. A plain value
    that is one reference and nothing else is read again as YAML, so that numbers are numbers;
    anything else stays text. References that cannot be filled in are added to ``problems``.
    """
    return _expand_table(table, environ, problems, ())


def _expand_table(
    table: Table, environ: Mapping[str, str], problems: list[Problem], path: tuple[str | int, ...]
) -> Table:
    values = {
        key: _expand(value, environ, problems, (*path, key)) for key, value in table.values.items()
    }
    return Table(values, table.key_marks, table.mark)


def _expand(
    tree: Tree, environ: Mapping[str, str], problems: list[Problem], path: tuple[str | int, ...]
) -> Tree:
    if isinstance(tree, Table):
        return _expand_table(tree, environ, problems, path)
    if isinstance(tree, Items):
        return Items(
            [_expand(value, environ, problems, (*path, i)) for i, value in enumerate(tree.values)],
            tree.mark,
        )
    return _expand_scalar(tree, environ, problems, path) if "$" in tree.text else tree


def _expand_scalar(
    scalar: Scalar,
    environ: Mapping[str, str],
    problems: list[Problem],
    path: tuple[str | int, ...],
) -> Scalar:
    def fill(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name = match["name"]
        if name is None:
            problems.append(
                Problem(
                    "config.env",
                    scalar.mark,
                    path,
                    'a "${" that starts no reference',
                    "${env:NAME} or ${env:NAME:-default}",
                    'write "$$" for a dollar sign that is part of the text',
                )
            )
            return ""
        value = environ.get(name, "")
        if value == "" and match["default"] is not None:
            return match["default"]
        if name not in environ:
            problems.append(
                Problem(
                    "config.env",
                    scalar.mark,
                    path,
                    f"{name}, which is not set",
                    "an environment variable that is set",
                    f"export {name}, or give a default: ${{env:{name}:-default}}",
                )
            )
        return value

    whole = _REFERENCE.fullmatch(scalar.text)
    text = _REFERENCE.sub(fill, scalar.text)
    plain = not scalar.quoted and whole is not None and whole["name"] is not None
    return Scalar(text, not plain, scalar.mark)


def overrides(environ: Mapping[str, str], problems: list[Problem]) -> Table:
    """Return the tree that variables such as ``TRIPSWITCH_DETECT__TICK`` stand for.

    A name without a double underscore is no override. Text fields take the value as it is; a list
    or a mapping is given whole, as YAML: ``[control, stable]``.
    """
    tree = Table({}, {}, Mark("environment", None))
    for name in sorted(environ):
        rest = name.removeprefix(ENV_PREFIX)
        if rest == name or NESTING not in rest:
            continue
        mark = Mark(f"environment variable {shown(name)}", None)
        path = tuple(rest.lower().split(NESTING))
        value = _override_value(_spot(path), environ[name], mark, path, problems)
        if value is not None:
            _put(tree, path, value, mark)
    return tree


def _spot(path: tuple[str, ...]) -> Spot | None:
    spot: Spot | None = ROOT
    for step in path:
        spot = None if spot is None or spot.origin is list else spot.inner(step)
    return spot


def _override_value(
    spot: Spot | None, text: str, mark: Mark, path: tuple[str, ...], problems: list[Problem]
) -> Tree | None:
    if spot is None or (spot.origin is None and spot.section is None):
        return Scalar(text, False, mark)
    found: list[Problem] = []
    try:
        tree = parse_tree(f"value: {text}", mark.file, found).values.get("value")
    except InvalidConfig:
        tree = None
    if tree is None or found:
        wanted = "a list or mapping on one line, as YAML"
        problems.append(
            Problem("config.syntax", mark, path, "something else", wanted, "for instance [a, b]")
        )
        return None
    return _on_mark(tree, mark)


def _on_mark(tree: Tree, mark: Mark) -> Tree:
    if isinstance(tree, Scalar):
        return Scalar(tree.text, tree.quoted, mark)
    if isinstance(tree, Items):
        return Items([_on_mark(value, mark) for value in tree.values], mark)
    values = {key: _on_mark(value, mark) for key, value in tree.values.items()}
    return Table(values, dict.fromkeys(values, mark), mark)


def _put(tree: Table, path: tuple[str, ...], value: Tree, mark: Mark) -> None:
    *above, last = path
    for step in above:
        below = tree.values.get(step)
        if not isinstance(below, Table):
            below = Table({}, {}, mark)
            tree.values[step] = below
            tree.key_marks[step] = mark
        tree = below
    tree.values[last] = value
    tree.key_marks[last] = mark
