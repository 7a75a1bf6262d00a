"""Tables and code in the Markdown of the generated pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, and an empty one after it."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)
    return [*lines, ""]


def code(text: str) -> str:
    """Return ``text`` as code within a line."""
    return f"`{text}`"
