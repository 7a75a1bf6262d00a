"""YAML read into a small tree that remembers the line of every key and value.

Only what a configuration needs is accepted: mappings, lists and scalars, with anchors, aliases and
merge keys. Scalars stay text here; what they mean depends on the field they are for. Everything is
bounded, so that no file, however hostile, costs more than a bounded time and memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from tripswitch.config.problems import InvalidConfig, Mark, Problem, shown

MAX_DEPTH = 32
MAX_VALUES = 50_000

_STRING_TAG = "tag:yaml.org,2002:str"
_MERGE_TAG = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "timestamp", "value")
)
_NULL = re.compile(r"|~|null|Null|NULL")
_TRUE = re.compile(r"true|True|TRUE|yes|Yes|YES|on|On|ON")
_FALSE = re.compile(r"false|False|FALSE|no|No|NO|off|Off|OFF")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it is written; ``quoted`` ones are text whatever they look like."""

    text: str
    quoted: bool
    mark: Mark

    @property
    def is_null(self) -> bool:
        """Whether nothing is written here."""
        return not self.quoted and _NULL.fullmatch(self.text) is not None


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    values: list[Tree]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; ``key_marks`` has the place of each key."""

    values: dict[str, Tree]
    key_marks: dict[str, Mark]
    mark: Mark


Tree = Scalar | Items | Table


def scalar_value(text: str) -> bool | int | float | str | None:
    """Return what a plain YAML scalar means; whatever is no null, boolean or number is text."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def parse_tree(text: str, file: str, problems: list[Problem]) -> Table:
    """Return the mapping that ``text`` holds; empty text is an empty mapping.

    Duplicate keys and the like are added to ``problems`` and left out. Raises InvalidConfig with
    the one place where reading had to stop.
    """
    try:
        root = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise InvalidConfig([_syntax_problem(error, file)]) from None
    except yaml.reader.ReaderError as error:
        mark = _mark_of_position(text, error.position, file)
        found = f"the character U+{ord(text[error.position]):04X}"
        raise InvalidConfig(
            [Problem("config.syntax", mark, (), found, "printable text", "remove it")]
        ) from None
    except (ValueError, OverflowError):
        # The scanner lets an escape that names no character through to chr().
        problem = Problem(
            "config.syntax", Mark(file, None), (), "an escape that is no character", "YAML", ""
        )
        raise InvalidConfig([problem]) from None
    nowhere = Mark(file, 1)
    if root is None:
        return Table({}, {}, nowhere)
    tree = _Reading(file, problems).tree(root, (), 0)
    if isinstance(tree, Table):
        return tree
    if not isinstance(tree, Scalar) or not tree.is_null:
        found = "a list" if isinstance(tree, Items) else "one value"
        problems.append(Problem("config.type", tree.mark, (), found, "a mapping of sections", ""))
    return Table({}, {}, nowhere)


class _Composer(yaml.SafeLoader):
    """Composes nodes only, no deeper than MAX_DEPTH and no more than are needed for MAX_VALUES."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark = None if parent is None else parent.start_mark
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=mark)
        self._nodes += 1
        if self._nodes > 2 * MAX_VALUES:  # a key is a node too
            raise yaml.MarkedYAMLError(problem="too many values", problem_mark=mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Reading:
    """Turns nodes into a tree, collecting problems; aliases are expanded within MAX_VALUES."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self._values = 0

    def tree(self, node: yaml.Node, path: tuple[str | int, ...], depth: int) -> Tree:
        self._values += 1
        mark = self._mark(node)
        if self._values > MAX_VALUES or depth > MAX_DEPTH:
            found = f"more than {MAX_VALUES} values" if depth <= MAX_DEPTH else "an endless nesting"
            wanted = f"at most {MAX_VALUES} values, {MAX_DEPTH} deep"
            hint = "look for an anchor (&) that its own aliases (*) repeat"
            raise InvalidConfig([Problem("config.too_large", mark, path, found, wanted, hint)])
        if isinstance(node, yaml.MappingNode):
            return self._table(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return Items(
                [self.tree(item, (*path, i), depth + 1) for i, item in enumerate(node.value)], mark
            )
        known = node.tag == _STRING_TAG or node.tag in _PLAIN_TAGS or node.tag == _MERGE_TAG
        if not known:
            self._refuse(mark, path, "a value with a tag (!...)", "a plain value")
        plain = getattr(node, "style", None) is None
        quoted = not plain or (node.tag == _STRING_TAG and not _is_text(node.value))
        return Scalar(node.value, quoted, mark)

    def _table(self, node: yaml.MappingNode, path: tuple[str | int, ...], depth: int) -> Table:
        own = Table({}, {}, self._mark(node))
        merged: list[Table] = []
        for key_node, value_node in node.value:
            mark = self._mark(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(mark, path, "a list or mapping as a key", "a name as a key")
                continue
            if key_node.tag == _MERGE_TAG:
                merged.extend(self._merged(value_node, path, depth))
                continue
            key = key_node.value
            value = self.tree(value_node, (*path, key), depth + 1)
            if key in own.values:
                first = own.key_marks[key].line
                self.problems.append(
                    Problem(
                        "config.duplicate",
                        mark,
                        (*path, key),
                        f'the key "{shown(key)}" again (first on line {first})',
                        "each key once",
                        "remove one of the two, or put their contents under one key",
                    )
                )
                continue
            own.values[key] = value
            own.key_marks[key] = mark
        for table in merged:
            for key, value in table.values.items():
                if key not in own.values:
                    own.values[key] = value
                    own.key_marks[key] = table.key_marks[key]
        return own

    def _merged(self, node: yaml.Node, path: tuple[str | int, ...], depth: int) -> list[Table]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not all(isinstance(each, yaml.MappingNode) for each in nodes):
            self._refuse(self._mark(node), path, "a merge key (<<) without a mapping", "a mapping")
            return []
        trees = [self.tree(each, path, depth + 1) for each in nodes]
        return [tree for tree in trees if isinstance(tree, Table)]

    def _refuse(self, mark: Mark, path: tuple[str | int, ...], found: str, wanted: str) -> None:
        self.problems.append(Problem("config.syntax", mark, path, found, wanted, ""))

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self.file, node.start_mark.line + 1)


def _is_text(text: str) -> bool:
    return isinstance(scalar_value(text), str)


# The parser's own sentences can quote the file, and so a secret; these never do.
_SYNTAX_WORDS = (
    ("too many values", f"at most {MAX_VALUES} values", ""),
    ("nested too deep", f"nesting of at most {MAX_DEPTH} levels", ""),
    (
        "cannot start any token",
        "a value",
        "indent with spaces, not tabs, and put quotes around text that starts with @, ` or %",
    ),
    (
        "mapping values are not allowed",
        "the end of the line, or a deeper line",
        'one "key: value" a line; put quotes around a text that contains ": "',
    ),
    (
        "undefined alias",
        "an anchor (&name) before its alias (*name)",
        "quote text that starts with *",
    ),
    ("expected <block end>", "a line indented as its neighbours are", "line it up with them"),
    ("could not find expected ':'", 'a ":" after the key', 'write "key: value"'),
    ("while scanning a quoted scalar", "a closing quote", "close the quote on this line"),
    ("found unexpected end of stream", "a closing quote or bracket", "close what was opened"),
    (
        "expected ',' or",
        'a "," or the closing bracket',
        'close the bracket; inside brackets, write "${env:NAME}" in quotes',
    ),
    ("expected a single document", 'one document, without "---"', "use one file a document"),
    ("found another document", 'one document, without "---"', "use one file a document"),
)


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    said = f"{error.context or ''} {error.problem or ''}"
    wanted, hint = next(
        ((wanted, hint) for words, wanted, hint in _SYNTAX_WORDS if words in said),
        ("YAML", "check the indentation, colons and quotes on this line and the one before"),
    )
    line = None if mark is None else mark.line + 1
    column = None if mark is None else mark.column + 1
    found = "text that is not YAML" if wanted == "YAML" else "something else"
    code = "config.too_large" if error.problem == "too many values" else "config.syntax"
    return Problem(code, Mark(file, line, column), (), found, wanted, hint)


def _mark_of_position(text: str, position: int, file: str) -> Mark:
    before = text[:position]
    return Mark(file, before.count("\n") + 1, position - before.rfind("\n"))
