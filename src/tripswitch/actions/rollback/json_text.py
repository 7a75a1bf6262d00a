"""Changes one value in the text of a JSON document and leaves every other byte as it is.

Flag files are kept under version control: a rollback should show there as the lines it changed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder()


def with_member(text: str, path: Sequence[str], name: str, value: Any) -> str:
    """Return ``text`` with the member ``name`` of the object at ``path`` set to ``value``.

    ``text`` must be a JSON document that has the object; a new member becomes its first. Raises
    `ValueError` when it is not, or when a key on the way stands there twice.
    """
    start = _skip(text, 0)
    for key in path:
        start, _ = _only(text, start, key) or _fail(f'no member "{key}"')
    found = _only(text, start, name)
    new = json.dumps(value, ensure_ascii=False)
    if found is not None:
        return text[: found[0]] + new + text[found[1] :]
    inside = _skip(text, start + 1)
    comma = "" if text[inside] == "}" else ", "
    space = text[start + 1 : inside] if comma else ""
    member = f"{json.dumps(name)}: {new}{',' if comma else ''}"
    return text[: start + 1] + space + member + (space or comma[1:]) + text[inside:]


def _only(text: str, start: int, key: str) -> tuple[int, int] | None:
    """Return where the value of ``key`` begins and ends in the object at ``start``."""
    found = [(begin, end) for name, begin, end in _members(text, start) if name == key]
    if len(found) > 1:
        _fail(f'the key "{key}" stands there twice')
    return found[0] if found else None


def _members(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    if text[start : start + 1] != "{":
        _fail("an object was expected")
    at = _skip(text, start + 1)
    while text[at : at + 1] not in ("}", ""):
        name, at = _DECODER.raw_decode(text, at)
        begin = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, begin)
        yield name, begin, end
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _fail(words: str) -> Any:
    raise ValueError(words)
