"""The help of a command: its description wrapped, its examples as they are typed.

A command's docstring ends in a part ``Examples:`` with one command a paragraph, indented. Wrapped
like prose they could not be copied.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

from typer.core import TyperCommand

HEADING: Final = "Examples:"


class Told(TyperCommand):
    """A command whose examples are shown line by line."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description and the examples.

        ``ctx`` and ``formatter`` are click's, which newer versions of Typer carry as their own.
        """
        whole = inspect.cleandoc(self.help or "")
        description, _, _ = whole.partition(f"\n{HEADING}\n")
        plain = self.help
        try:
            self.help = description.rstrip()
            super().format_help_text(ctx, formatter)
        finally:
            self.help = plain
        found = examples(whole)
        if found:
            formatter.write_paragraph()
            formatter.write(f"  {HEADING}\n")
            formatter.write("".join(f"    {line}\n" for line in found))


def examples(help_text: str) -> list[str]:
    """Return the commands under ``Examples:``, each on one line."""
    _, heading, text = inspect.cleandoc(help_text).partition(f"\n{HEADING}\n")
    if not heading:
        return []
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]
