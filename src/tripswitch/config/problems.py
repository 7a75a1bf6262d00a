"""What is wrong with a configuration: where it stands, what was found, what was wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

ERROR_CODES = (
    "config.file",
    "config.too_large",
    "config.syntax",
    "config.duplicate",
    "config.env",
    "config.unknown_key",
    "config.missing",
    "config.type",
    "config.range",
    "config.format",
    "config.secret",
    "config.order",
    "config.conflict",
    "config.loop",
)
WARNING_CODES = (
    "config.wide_bind",
    "config.proposed_only",
    "config.unfilled_role",
    "config.unverified_target",
    "config.no_notifier",
    "config.no_rollback_target",
)

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_/-]+")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place: a file (or the name of an environment variable), a line and a column, from 1."""

    file: str
    line: int | None
    column: int | None = None

    def __str__(self) -> str:
        line = "" if self.line is None else f" line {self.line}"
        column = "" if self.column is None else f" column {self.column}"
        return f"{self.file}{line}{column}"


NOWHERE = Mark("", None)


class ProblemJson(TypedDict):
    """A problem as `tripswitch check --json` prints it; unknown places are null."""

    code: str
    file: str | None
    line: int | None
    path: str
    found: str
    wanted: str
    hint: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or worth a warning.

    ``code`` is stable and one of ERROR_CODES or WARNING_CODES. ``found`` and ``wanted`` are
    phrases that read on from "expected ... got ..."; ``hint`` is a sentence or empty. None of
    them ever holds a secret. ``also`` are the other fields that it takes to make the problem.
    """

    code: str
    mark: Mark
    path: tuple[str | int, ...]
    found: str
    wanted: str
    hint: str
    also: tuple[tuple[str | int, ...], ...] = ()

    @property
    def file(self) -> str:
        """File, or environment variable, that the problem stands in; empty when unknown."""
        return self.mark.file

    @property
    def line(self) -> int | None:
        """Line from 1, when known."""
        return self.mark.line

    @property
    def dotted_path(self) -> str:
        """The field as one word, such as ``detect.tick``."""
        return path_text(self.path)

    def __str__(self) -> str:
        where = ": ".join(part for part in (str(self.mark), self.dotted_path) if part)
        hint = f"\n    hint: {self.hint}" if self.hint else ""
        return (
            f"{where or 'configuration'}: expected {self.wanted}, got {self.found} "
            f"[{self.code}]{hint}"
        )

    def as_json(self) -> ProblemJson:
        """Return the problem with JSON types only."""
        return {
            "code": self.code,
            "file": self.file or None,
            "line": self.line,
            "path": self.dotted_path,
            "found": self.found,
            "wanted": self.wanted,
            "hint": self.hint,
        }


class InvalidConfig(ConfigError):  # noqa: N818 - named for what it says, a kind of ConfigError
    """The configuration cannot be used; ``problems`` lists every reason, by file and line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=_reading_order)
        count = len(self.problems)
        title = "1 problem" if count == 1 else f"{count} problems"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{title} in the configuration{lines}")


def path_text(path: Sequence[str | int]) -> str:
    """Return ``path`` with dots; a key with other signs in it stands in quotes."""
    return ".".join(
        str(step) if isinstance(step, int) or _PLAIN_KEY.fullmatch(step) else f'"{shown(step)}"'
        for step in path
    )


def shown(text: str, limit: int = 60) -> str:
    """Return ``text`` fit for a terminal: one line, no control characters, at most ``limit``."""
    cut = text if len(text) <= limit else text[:limit] + "..."
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in cut
    )


def _reading_order(problem: Problem) -> tuple[str, int, int, str]:
    return (problem.file, problem.line or 0, problem.mark.column or 0, problem.dotted_path)
