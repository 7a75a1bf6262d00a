"""The reference page of the command line, made from the very commands that are run."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final

from tripswitch.cli.markdown_tables import code, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD: Final = """\
# Commands

Every command with its arguments and options, as `tripswitch COMMAND --help` prints them. What the
exit codes mean stands in [errors.md](errors.md#exit-codes). Data goes to standard output, words
for people to standard error.

This page is generated: `tripswitch schema --pages docs/reference`.
"""

_EXAMPLE: Final = re.compile(r"Examples?:\s*")
_A_WIDTH_FOR_NO_WRAPPING: Final = 10_000


def reference_text() -> str:
    """Return the page as Markdown: one section a command, groups followed by what is in them."""
    from typer.main import get_command

    from tripswitch.cli.app import app_of

    sections = [_HEAD]
    for path, command in _commands(("tripswitch",), get_command(app_of())):
        sections.append(_section(path, command))
    return "\n".join(sections)


def _commands(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        if not inner.hidden:
            yield from _commands((*path, name), inner)


def _section(path: tuple[str, ...], command: Any) -> str:
    name = " ".join(path)
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"{'##' if len(path) < 3 else '###'} {name}", "", *_help_lines(command.help or "")]
    lines += ["```text", f"{name} {usage}", "```", ""]
    context.terminal_width = context.max_content_width = _A_WIDTH_FOR_NO_WRAPPING
    rows: list[tuple[str, str]] = []
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record is not None and "--help" not in param.opts:
            rows.append((code(record[0]), " ".join(record[1].split())))
    if rows:
        lines += table(("argument or option", "meaning"), rows)
    return "\n".join(lines)


def _help_lines(text: str) -> list[str]:
    """Return a command's help as Markdown: prose, and its examples as what is typed.

    An example follows ``Example:`` on its line, or stands indented in a paragraph of its own.
    """
    prose: list[str] = []
    examples: list[str] = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        words = " ".join(paragraph.split())
        heading = _EXAMPLE.match(words)
        if heading or paragraph.startswith("  "):
            examples.append(words[heading.end() if heading else 0 :])
        elif words:
            prose += [words, ""]
    typed = [example for example in examples if example]
    return [*prose, "```sh", *typed, "```", ""] if typed else prose
