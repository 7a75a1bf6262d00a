"""From the tree of a file to a Config, or to every problem in it in plain words."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from tripswitch.config.consistency import conflicts_of
from tripswitch.config.detect_sections import Signals
from tripswitch.config.fields import ROOT, Spot, key_list_text, leaves, spot_at, wanted_text
from tripswitch.config.model import Config
from tripswitch.config.problems import InvalidConfig, Mark, Problem, path_text, shown
from tripswitch.config.variants import UNKNOWN_KIND
from tripswitch.config.yaml_marks import Items, Scalar, Table, Tree, scalar_value

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Path: TypeAlias = tuple[str | int, ...]

_CODE_BY_TYPE = {
    "extra_forbidden": "config.unknown_key",
    "unknown_names": "config.unknown_key",
    "missing": "config.missing",
    "string_pattern_mismatch": "config.format",
    "format": "config.format",
    "literal_error": "config.range",
    "out_of_range": "config.range",
    "greater_than": "config.range",
    "greater_than_equal": "config.range",
    "less_than": "config.range",
    "less_than_equal": "config.range",
    "finite_number": "config.range",
}
_UNREAD_CODES = ("config.env", "config.syntax")
_SECRET_SIGN = "whsec_"  # noqa: S105 - what a secret in the wrong place can be known by


def config_of(tree: Table, problems: list[Problem]) -> Config:
    """Return the configuration that ``tree`` describes.

    ``problems`` are those found before. Raises InvalidConfig with these and all others: a field
    that is wrong does not keep the rest from being checked.
    """
    tree = with_whole_routes(tree)
    broken = [problem.path for problem in problems]
    # What could not be read is not blamed a second time for its type.
    unread = {(each.mark, each.path[-1:]) for each in problems if each.code in _UNREAD_CODES}
    found = list(problems)
    values = python_value(tree, ROOT)
    config, errors = _validate(values)
    for error in errors:
        for problem in _problems_of(error, tree):
            if (problem.mark, problem.path[-1:]) not in unread:
                found.append(problem)
            broken.append(problem.path)
    if config is None:
        for loc in sorted({tuple(error["loc"]) for error in errors}, key=len, reverse=True):
            _drop(values, loc)
        config, _ = _validate(values)
    if config is not None:
        found.extend(
            placed(problem, tree)
            for problem in conflicts_of(config)
            if not any(
                _touches(one, other) for one in (problem.path, *problem.also) for other in broken
            )
        )
    found = _once_each(found)
    if found or config is None:
        raise InvalidConfig(found)
    return config


def with_whole_routes(tree: Table) -> Table:
    """Return ``tree`` with the file's own signal lines put under each route's section.

    What a route does not name is thereby what `detect` says, not what the model defaults to.
    """
    detect = tree.values.get("detect")
    routes = detect.values.get("routes") if isinstance(detect, Table) else None
    if not isinstance(detect, Table) or not isinstance(routes, Table):
        return tree
    shared = {name: detect.values[name] for name in Signals.model_fields if name in detect.values}
    base = Table(shared, {name: detect.key_marks[name] for name in shared}, detect.mark)
    whole = {
        route: merged_tables(base, lines)
        if isinstance(lines, Table)
        else (base if _is_null(lines) else lines)
        for route, lines in routes.values.items()
    }
    new_routes = Table(whole, routes.key_marks, routes.mark)
    new_detect = Table({**detect.values, "routes": new_routes}, detect.key_marks, detect.mark)
    return Table({**tree.values, "detect": new_detect}, tree.key_marks, tree.mark)


def merged_tables(early: Table, late: Table) -> Table:
    """Return ``late`` laid over ``early``: mappings key by key, anything else as a whole.

    A mapping is not wiped by a key with nothing under it.
    """
    values = dict(early.values)
    for key, value in late.values.items():
        before = values.get(key)
        if not isinstance(before, Table) or not (isinstance(value, Table) or _is_null(value)):
            values[key] = value
        elif isinstance(value, Table):
            values[key] = merged_tables(before, value)
    mark = early.mark if early.mark.file else late.mark
    return Table(values, {**early.key_marks, **late.key_marks}, mark)


def placed(problem: Problem, tree: Table) -> Problem:
    """Return ``problem`` with the place of its field, or of what is nearest above it."""
    return replace(problem, mark=_mark_at(tree, problem.path))


def python_value(tree: Tree, spot: Spot | None) -> Any:
    """Return ``tree`` as plain Python values; the field decides what a scalar means.

    A section, list or mapping with nothing under its key is left out, as if it were not named.
    """
    if isinstance(tree, Items):
        inner = None if spot is None else spot.inner(0)
        return [python_value(value, inner) for value in tree.values]
    if isinstance(tree, Table):
        if spot is not None and spot.variants:
            spot = spot.of_kind(_kind_of(tree))
        values: dict[str, Any] = {}
        for key, value in tree.values.items():
            inner = None if spot is None else spot.inner(key)
            holds_more = inner is not None and (inner.section is not None or inner.origin)
            if not (holds_more and _is_null(value)):
                values[key] = python_value(value, inner)
        return values
    if tree.is_null:
        return None
    if tree.quoted or spot is None or spot.is_text:
        return tree.text
    meaning = scalar_value(tree.text)
    # Pydantic would read true as 1.
    return tree.text if isinstance(meaning, bool) and spot.annotation is not bool else meaning


def _validate(values: Any) -> tuple[Config | None, list[ErrorDetails]]:
    try:
        return Config.model_validate(values), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)


def _problems_of(error: ErrorDetails, tree: Table) -> list[Problem]:
    loc: Path = tuple(error["loc"])
    path = without_kinds(loc)
    context = error.get("ctx", {})
    code = _CODE_BY_TYPE.get(error["type"], "config.type")
    if error["type"] == UNKNOWN_KIND:
        return [_unknown_kind(path, tree)]
    if error["type"] == "extra_forbidden":
        above = spot_at(loc[:-1])
        known = [] if above is None else above.field_names()
        return [_unknown_key(path, known, "" if above is None else key_list_text(above), tree)]
    if error["type"] == "unknown_names":
        known = list(context["known"])
        return [
            _unknown_key((*path, name), known, f"one of: {', '.join(known)}", tree)
            for name in context["unknown"]
        ]
    spot = spot_at(loc)
    mark = _mark_at(tree, path)
    value = _tree_at(tree, path)
    wanted = context.get("wanted") or ("something else" if spot is None else wanted_text(spot))
    hint = "" if spot is None else _hint(spot, value)
    return [Problem(code, mark, path, _found(spot, value), wanted, hint)]


def without_kinds(loc: Path) -> Path:
    """Return a place in the model as a place in the file, which has no step for an entry's kind."""
    path: list[str | int] = []
    spot: Spot | None = ROOT
    for step in loc:
        if spot is None or not spot.variants:
            path.append(step)
        spot = None if spot is None else spot.inner(step)
    return tuple(path)


def _kind_of(entry: Table) -> str | None:
    kind = entry.values.get("type")
    return kind.text if isinstance(kind, Scalar) and not kind.is_null else None


def _unknown_kind(path: Path, tree: Table) -> Problem:
    spot = spot_at(path)
    known = [] if spot is None else list(spot.variants)
    where = (*path, "type")
    value = _tree_at(tree, where)
    found, near = "no text", []
    if isinstance(value, Scalar):
        found = f'"{shown(value.text)}"'
        near = difflib.get_close_matches(value.text.lower(), known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else ""
    wanted = f"one of: {', '.join(known)}"
    return Problem("config.range", _mark_at(tree, where), where, found, wanted, hint)


def _unknown_key(path: Path, known: list[str], all_keys: str, tree: Table) -> Problem:
    key = str(path[-1])
    near = difflib.get_close_matches(key.lower(), known, n=1)
    elsewhere = "" if near else _elsewhere(key)
    hint = f'did you mean "{near[0]}"?' if near else elsewhere
    wanted = "a known key" if near or not all_keys else f"a known key, {all_keys}"
    mark = _key_mark_at(tree, path)
    return Problem("config.unknown_key", mark, path, f'"{shown(key)}"', wanted, hint)


def _elsewhere(key: str) -> str:
    homes: list[tuple[str, ...]] = [(name,) for name in ROOT.field_names()]
    homes += [path for path, _ in leaves()]
    home = next((path for path in homes if path[-1] == key), None)
    return "" if home is None else f"did you mean {path_text(home)}? Check the indentation"


def _found(spot: Spot | None, value: Tree | None) -> str:
    if value is None or _is_null(value):
        return "nothing"
    if isinstance(value, Table):
        return "a mapping"
    if isinstance(value, Items):
        return "a list"
    if spot is None or spot.is_secret or _SECRET_SIGN in value.text:
        return "a value that is not shown"
    return f'"{shown(value.text)}"'


def _hint(spot: Spot, value: Tree | None) -> str:
    if not isinstance(value, Scalar):
        return _container_hint(spot, value)
    number = scalar_value(value.text)
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if spot.quantity is not None and spot.quantity.noun == "a duration" and is_number:
        return f"a number needs its unit: write {value.text}s or {value.text}m, not {value.text}"
    if spot.choices:
        near = difflib.get_close_matches(value.text.lower(), spot.choices, n=1)
        return f'did you mean "{near[0]}"?' if near else ""
    if spot.name.endswith("_points") and value.text.endswith("%"):
        return f"write {value.text[:-1]}, the unit is already points"
    if spot.name == "endpoint" and "://" in value.text:
        return "leave the scheme (http://) and the path away"
    if spot.origin is list:
        return "put it in brackets: [one, two], or on lines of their own that start with -"
    return ""


def _container_hint(spot: Spot, value: Tree | None) -> str:
    if spot.origin is list and isinstance(value, Table):
        return 'start each entry of the list with "- "'
    return ""


def _mark_at(tree: Tree, path: Path) -> Mark:
    mark = tree.mark
    for step in path:
        below = _below(tree, step)
        if below is None:
            break
        # Nothing written: the key is the place to look at.
        if isinstance(tree, Table) and _is_null(below):
            mark = tree.key_marks[str(step)]
        else:
            mark = below.mark
        tree = below
    return mark


def _key_mark_at(tree: Table, path: Path) -> Mark:
    above = _tree_at(tree, path[:-1])
    if isinstance(above, Table) and path[-1] in above.key_marks:
        return above.key_marks[str(path[-1])]
    return _mark_at(tree, path)


def _tree_at(tree: Tree, path: Path) -> Tree | None:
    current: Tree | None = tree
    for step in path:
        current = None if current is None else _below(current, step)
    return current


def _below(tree: Tree, step: str | int) -> Tree | None:
    if isinstance(tree, Table):
        return tree.values.get(str(step))
    if isinstance(tree, Items) and isinstance(step, int) and step < len(tree.values):
        return tree.values[step]
    return None


def _is_null(tree: Tree) -> bool:
    return isinstance(tree, Scalar) and tree.is_null


def _drop(values: Any, loc: Path) -> None:
    *above, last = without_kinds(loc)
    try:
        for step in above:
            values = values[step]
        if isinstance(values, dict):
            del values[last]
        else:
            # The other entries keep their places.
            spot = spot_at(loc)
            section = spot is not None and (spot.section is not None or bool(spot.variants))
            values[last] = {} if section else ""
    except (KeyError, IndexError, TypeError):
        return


def _touches(one: Path, other: Path) -> bool:
    depth = min(len(one), len(other))
    return one[:depth] == other[:depth]


def _once_each(problems: list[Problem]) -> list[Problem]:
    # A line that routes inherit, or an anchor, shows under several paths: the shortest names it.
    seen: set[tuple[str, Mark, str]] = set()
    kept: list[Problem] = []
    for problem in sorted(problems, key=lambda each: len(each.path)):
        identity = (problem.code, problem.mark, str(problem.path[-1:]))
        if problem.line is None or identity not in seen:
            kept.append(problem)
        seen.add(identity)
    return kept
