"""Turning what an attribute holds into what a fact is.

Libraries write numbers as text, lists as JSON, flags as "True". Each function returns None where
the value is no such thing, so that the next key can be tried; nothing here raises. NaN, infinities
and negative numbers are never facts, and a bool is never a number.
"""

from __future__ import annotations

import ast
import json
import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tripswitch.otlp.values import Value

MAX_TEXT = 256
# Below it every whole number is a float.
_SAFE_INT = 1 << 53
# A finish reason, a tag list, usage details: all far below. Larger JSON is not opened.
MAX_JSON_CHARS = 262_144
MAX_JSON_DEPTH = 32
# What stands where there is no name to be told.
_NO_NAMES = frozenset({"none", "null", "unknown", "undefined", "n/a"})
# Finish reasons of n choices, tags of a request.
MAX_ITEMS = 128

_JSON_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
# Half of a pair that UTF-16 writes one character with: alone it is no character, and no encoder
# takes it. Escaped backslashes and whole pairs are matched first, so that they are passed over.
_SURROGATES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
# What repr() writes of plain values, one token: no name, no call, no operator, and of the escapes
# only its own, since others make Python's parser warn.
_ESCAPE = (
    r"\\(?:[\\'\"nrt]|x[0-9a-f]{2}|u(?![dD][89a-fA-F])[0-9a-f]{4}"
    r"|U00(?:0[1-9a-f]|10)[0-9a-f]{4})"
)
_LITERAL_TOKEN = re.compile(
    rf"""\s*(?:
        (?P<open>[\[{{(]) | (?P<close>[\]}})]) | [,:] | None | True | False
        | -?[0-9]{{1,40}}(?:\.[0-9]{{0,40}})?(?:e[-+]?[0-9]{{1,3}})?
        | '[^'\\\n\r\0]*(?:{_ESCAPE}[^'\\\n\r\0]*)*'
        | "[^"\\\n\r\0]*(?:{_ESCAPE}[^"\\\n\r\0]*)*"
    )""",
    re.VERBOSE,
)
# A list as .NET and Java print one: "[Stop, Length]".
_PLAIN_LIST = re.compile(r"\[([\w ,./-]{1,1000})\]")
# Each value of a literal costs the parser some hundred bytes while it reads.
_MAX_LITERAL_TOKENS = 50_000
_FLAGS = {
    "true": True,
    "1": True,
    "yes": True,
    "false": False,
    "0": False,
    "no": False,
    # What LangChain puts a stream together as; an answer that is none of these may be of one too.
    "chatgenerationchunk": True,
    "aimessagechunk": True,
}


def number(value: Value) -> float | None:
    """Return a finite number of at least 0, from a number or from text holding one."""
    # Most are whole numbers, and of no subclass: a bool is one.
    if type(value) is int and 0 <= value < _SAFE_INT:
        return float(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        # float() would also read "1_000", "nan" and digits of other scripts.
        if len(text) > 64 or not text.isascii() or "_" in text:
            return None
        try:
            value = float(text)
        except ValueError:
            return None
    if isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return float(value)
    return None


def text(value: Value) -> str | None:
    """Return non-empty text; whole numbers as digits, JSON-quoted text without its quotes.

    The text is not cut here: see `cut`.
    """
    if isinstance(value, str):
        stripped = value.strip()
        if stripped and stripped[0] != '"':
            return stripped
        if stripped[:1] == '"' == stripped[-1:] and len(stripped) > 1:
            inner = parsed_json(stripped)
            stripped = inner.strip() if isinstance(inner, str) else stripped
        return stripped or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else None
    return None


def is_name(text: str) -> bool:
    """Return whether text names something: a placeholder, such as Micrometer's "none", does not."""
    return text.lower() not in _NO_NAMES


def cut(value: str) -> str:
    """Return at most `MAX_TEXT` characters of ``value``."""
    return value if len(value) <= MAX_TEXT else value[:MAX_TEXT]


def flag(value: Value) -> bool | None:
    """Return a bool, also from 0 or 1 and from true, false, yes, no in any case."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return bool(value) if value in (0, 1) else None
    return _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None


def text_list(value: Value) -> list[str] | None:
    """Return a list of texts: from a list, a JSON list, a comma-joined text or one text.

    At most `MAX_ITEMS`, each cut to `MAX_TEXT` characters.
    """
    if isinstance(value, str):
        stripped = value.strip()
        if stripped.startswith("["):
            parsed = parsed_json(stripped)
            plain = _PLAIN_LIST.fullmatch(stripped) if parsed is None else None
            if not (isinstance(parsed, list) or plain):
                return None
            value = plain[1].split(",") if plain else parsed
        else:
            value = stripped[: MAX_ITEMS * MAX_TEXT].split(",")
    elif not isinstance(value, list):
        single = text(value)
        value = [] if single is None else [single]
    items = [text(item) for item in value[:MAX_ITEMS]]
    return [cut(item) for item in items if item is not None] or None


def parsed_json(value: Value) -> Any:
    """Return a list, a dict or a JSON scalar from a value or from JSON text; None when it is none.

    Text above `MAX_JSON_CHARS` or nested deeper than `MAX_JSON_DEPTH` is not opened.
    """
    if isinstance(value, list | dict):
        return value
    if not isinstance(value, str) or len(value) > MAX_JSON_CHARS:
        return None
    if _is_too_deep(value):
        return None
    if "\\ud" in value or "\\uD" in value:
        value = _SURROGATES.sub(lambda match: "\\ufffd" if match["half"] else match[0], value)
    try:
        return json.loads(value, parse_constant=_no_constant)
    except ValueError:
        return None


def member(value: Value, name: str) -> Value:
    """Return the member ``name`` of a JSON object (structured or as text), or None."""
    parsed = parsed_json(value)
    found: Value = parsed.get(name) if isinstance(parsed, dict) else None
    return found


def _no_constant(name: str) -> None:
    """JSON has no NaN and no infinity; Python's reader would let them in."""


def _is_too_deep(source: str) -> bool:
    if source.count("[") + source.count("{") <= MAX_JSON_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_JSON_TEXT.sub("", source)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_JSON_DEPTH:
            return True
    return False


def opened(value: Value) -> Any:
    """Return what a value holds: structured, JSON text, or a Python literal as text."""
    parsed = parsed_json(value)
    if isinstance(parsed, str) and parsed[:1] in ("{", "["):
        # Encoded twice.
        parsed = parsed_json(parsed)
    if parsed is not None or not isinstance(value, str):
        return parsed
    return parsed_literal(value)


def parsed_literal(value: str) -> Any:
    """Return the list or dict that ``value`` writes as a Python literal; None when it is none.

    Tuples come as lists. Only what repr() writes of plain values is read, in one pass that bounds
    size, depth and number of values before Python's own parser sees it; nothing is evaluated.
    """
    stripped = value.strip()
    if stripped[:1] not in ("{", "[", "(") or not _is_plain_literal(stripped):
        return None
    try:
        return _as_json(ast.literal_eval(stripped))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _is_plain_literal(source: str) -> bool:
    if len(source) > MAX_JSON_CHARS:
        return False
    at = depth = tokens = 0
    while at < len(source):
        token = _LITERAL_TOKEN.match(source, at)
        if token is None:
            return False
        at = token.end()
        tokens += 1
        depth += (token["open"] is not None) - (token["close"] is not None)
        if depth > MAX_JSON_DEPTH or depth < 0 or tokens > _MAX_LITERAL_TOKENS:
            return False
    return depth == 0


def _as_json(value: Any) -> Any:
    """Return a literal with its tuples as lists; raises ValueError for what JSON has no word for.

    Nothing here is deeper than `MAX_JSON_DEPTH`.
    """
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a name that is no text")
        return {key: _as_json(item) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError("no plain value")


def at_path(value: Any, path: str) -> Value:
    """Return what stands at ``path`` (names and numbers joined by dots) inside ``value``."""
    if isinstance(value, dict) and path in value:
        found: Value = value[path]
        return found
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    result: Value = value
    return result
