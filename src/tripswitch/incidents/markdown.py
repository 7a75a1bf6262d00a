"""Escaping for Markdown: a value stays one piece of text wherever a template puts it.

CommonMark and GitHub's dialect. Values are single lines (`plain_line`); what would start or end
markup in a line, at the start of a line or of a table's cell is escaped with a backslash, which
both take before any ASCII punctuation (CommonMark 0.31, section 2.4).
"""

from __future__ import annotations

import re
from typing import Any, Final

from tripswitch.incidents.postmortem.cause import DiffLine
from tripswitch.model.plain_text import plain_line

# "://" and "www." would become links by themselves, "@" and "#" mentions.
_ANYWHERE: Final = re.compile(r"([\\`*_\[\]<>|~&$#@!^{}])")
_AT_START: Final = re.compile(r"^([-+](?=[\s]|$)|[-=]{1,2}(?=[-=\s]|$)|\d{1,9}(?=[.)](?:\s|$)))")
_LINKS: Final = re.compile(r"(?i)(:)(?=//)|(?<=\bwww)(\.)")
_MOST_CHARS: Final = 5000


def escaped(value: Any) -> str:
    """Return ``value`` as text that Markdown shows and does not follow.

    >>> escaped("# [x](http://a) <b> a_b|c")
    '\\\\# \\\\[x\\\\](http\\\\://a) \\\\<b\\\\> a\\\\_b\\\\|c'
    """
    text = plain_line("" if value is None else value, _MOST_CHARS)
    text = _ANYWHERE.sub(r"\\\1", text)
    text = _LINKS.sub(lambda found: "\\" + (found.group(1) or found.group(2)), text)
    return _AT_START.sub(_escape_start, text)


def diff_block(lines: tuple[DiffLine, ...]) -> str:
    """Return a diff as a fenced block whose fence no line can close."""
    body = [f"{line.kind}{line.text}" for line in lines]
    longest = max((len(run) for line in body for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}diff", *body, fence])


def _escape_start(found: re.Match[str]) -> str:
    start = found.group(1)
    # A digit cannot be escaped, the full stop after it can: "1\." is no list.
    return f"\\{start}" if not start[0].isdigit() else f"{start}\\"
