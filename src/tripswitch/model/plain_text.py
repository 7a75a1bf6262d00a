"""Names and sentences from telemetry as one short line that can steer nothing.

Attributes of spans are an attacker's to choose. Before any of them is shown, what drives a
terminal, turns the writing direction, hides, or breaks a line is taken out, and the length is
bounded. Escaping for a format (HTML, Markdown, JSON) comes after this, where it is written.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_MOST_MARKS: Final = 2
"""Combining marks on one character; more only serve to paint over other lines."""

_BREAKS: Final = frozenset({"Zs", "Zl", "Zp", "Cc"})
_GONE: Final = frozenset({"Cf", "Cs", "Co", "Cn"})


def plain(text: object, most_chars: int = 200) -> str:
    """Return ``text`` as one line of at most ``most_chars`` characters, harmless to show.

    Control characters and every kind of space become one space; what directs the writing or has
    no shape (Unicode categories Cf, Cs, Co, Cn) goes. A text that was cut ends with an ellipsis.

    >>> plain("v18\\x1b[31m\\n<b>")
    'v18 [31m <b>'
    """
    whole = str(text)
    # Most of a megabyte need not be looked at.
    looked_at = whole[: 4 * most_chars]
    kept: list[str] = []
    marks = 0
    for char in looked_at:
        if " " < char < "\x7f":
            kept.append(char)
            marks = 0
            continue
        category = unicodedata.category(char)
        if category in _BREAKS:
            if kept and kept[-1] != " ":
                kept.append(" ")
            marks = 0
        elif category in ("Mn", "Me"):
            marks += 1
            if kept and marks <= _MOST_MARKS:
                kept.append(char)
        elif category not in _GONE:
            kept.append(char)
            marks = 0
    line = "".join(kept).strip()
    if len(line) > most_chars or len(whole) > len(looked_at):
        return line[: most_chars - 1].rstrip() + "…"
    return line
