"""The pages and what stands in them: fences, commands, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").rglob("*.md")]
)

_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]*)"')
_INDENTED = re.compile(r"^    (.+)$", re.MULTILINE)
_IN_LINE = re.compile(r"`(tripswitch [a-z][^`\n]*)`")
_LEAD = re.compile(r"^(?:\./|\.\./)*(?:\.venv/bin/)?")


@dataclass(frozen=True)
class Fence:
    """A fence: its language (empty for none), its title, what is in it, where it begins."""

    language: str
    title: str
    text: str
    at: int


def page(name: str) -> str:
    """Return the text of a page, named from the repository's root."""
    return (ROOT / name).read_text("utf-8")


def fences(text: str) -> Iterator[Fence]:
    """Yield every fence of a page in order, its indentation taken off."""
    for match in _FENCE.finditer(text):
        indent, info, body = match.groups()
        lines = body.splitlines(keepends=True)
        title = _TITLE.search(info)
        yield Fence(
            info.split()[0] if info.strip() else "",
            title[1] if title else "",
            "".join(line.removeprefix(indent) for line in lines),
            match.start(),
        )


def shell_lines(text: str) -> Iterator[str]:
    """Yield every line that a page says to type: of ``sh`` fences, after ``$``, indented."""
    for fence in fences(text):
        body = fence.text.replace("\\\n", " ")
        if fence.language == "sh":
            yield from body.splitlines()
        elif fence.language == "console":
            yield from (line[2:] for line in body.splitlines() if line.startswith("$ "))
    prose = _FENCE.sub("", text)
    for line in _INDENTED.findall(prose.replace("\\\n", " ")):
        if re.match(r"(?:\.venv/bin/)?(?:tripswitch|python) |\.ci/", line.strip()):
            yield line.strip()


def named_in_prose(text: str) -> Iterator[str]:
    """Yield every command that a sentence of a page names."""
    yield from (match[1] for match in _IN_LINE.finditer(_FENCE.sub("", text)))


def commands(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line, each as its words, without what the shell does with them."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        # A sentence's word, with the apostrophe of a language.
        return
    found: list[str] = []
    skips = False
    for word in words:
        if skips:
            skips = False
        elif set(word) <= set("|&;"):
            yield found
            found = []
        elif set(word) <= set("<>"):
            skips = True
        else:
            found.append(word)
    yield found


def of_tripswitch(line: str) -> Iterator[list[str]]:
    """Yield what follows ``tripswitch`` in the commands of a line that call it."""
    for words in commands(line):
        if words and _LEAD.sub("", words[0]) == "tripswitch":
            # What may be left out stands in brackets.
            yield [word.strip("[]") for word in words[1:]]
