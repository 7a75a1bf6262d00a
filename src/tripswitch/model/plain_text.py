"""Text from spans made plain: one line, bounded, without anything that acts on who shows it.

Span attributes are written by whoever sends telemetry. What is left here is text that shows what it
says in a terminal, a log, a mail header or a page: no control characters, no ANSI sequences, no
bidirectional overrides (which make text read in another order than it stands), no invisible
characters, no line breaks. Markup is another matter, of the medium that has it: each escapes its
own beside where it writes.
"""

from __future__ import annotations

import re
import unicodedata

# ECMA-48: CSI and OSC sequences as a whole, so that "[31m" does not stay behind as litter.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
_SPACE = re.compile(r"\s+")

# Format characters (Cf) hold the bidi overrides, zero-width marks and tags; surrogates (Cs) cannot
# be encoded; private use and unassigned code points show as anything or nothing.
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Letters without a width of their own that are no format characters: they hide text in plain sight.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_MOST_MARKS = 3


def plain_line(text: object, most_chars: int = 200) -> str:
    """Return ``text`` as one plain line of at most ``most_chars`` (1 or more) characters.

    >>> plain_line("\\x1b[31mred\\x1b[0m\\u202e\\nnext", 20)
    'red next'
    >>> plain_line("abcdef", 4)
    'abc…'
    """
    # What is cut away need not be looked at: a megabyte costs as much as a page.
    whole = str(text)
    kept = _kept(_ANSI.sub("", whole[: 8 * most_chars + 4096]))
    line = _SPACE.sub(" ", kept).strip()
    is_cut = len(line) > most_chars or len(whole) > 8 * most_chars + 4096
    return cut(line + "…" if is_cut and len(line) <= most_chars else line, most_chars)


def plain(text: object, most_chars: int = 200) -> str:
    """Return what `plain_line` does, at the length of a name or a short sentence."""
    return plain_line(text, most_chars)


def cut(text: str, most_chars: int) -> str:
    """Return ``text``, its end replaced by one ``…`` where it is longer than ``most_chars``."""
    return text if len(text) <= most_chars else text[: most_chars - 1].rstrip() + "…"


def cut_bytes(text: str, most_bytes: int) -> str:
    """Return ``text`` shortened to at most ``most_bytes`` (3 or more) of UTF-8."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most_bytes:
        return text
    return encoded[: most_bytes - 3].decode("utf-8", "ignore") + "…"


def _kept(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for char in text:
        if char.isascii():
            marks = 0
            if char.isprintable() or char.isspace():
                kept.append(char)
            continue
        category = unicodedata.category(char)
        if category in _DROPPED or char in _BLANK:
            # NEL and the like end a line; what is left out must not join two words.
            if char.isspace():
                kept.append(" ")
            continue
        # A tower of combining marks covers the lines around it.
        marks = marks + 1 if category.startswith("M") else 0
        if marks <= _MOST_MARKS:
            kept.append(char)
    return "".join(kept)
