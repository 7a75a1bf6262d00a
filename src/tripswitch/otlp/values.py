"""Opening single values: raw ``AnyValue`` bytes, alone or in a ``KeyValue``, to plain Python ones.

What encoders in use write is read by index, without a message object; every other legal encoding
goes through a full parse.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from google.protobuf.message import DecodeError

from tripswitch.otlp.lean_schema import LeanAnyValue

Value = str | bool | int | float | bytes | list[Any] | dict[str, Any] | None

# A structured value of more parts than this is no GenAI fact.
_MAX_PARTS = 10_000

_KEY_TAG, _VALUE_TAG = 0x0A, 0x12
_STRING_TAG, _BOOL_TAG, _INT_TAG, _DOUBLE_TAG = 0x0A, 0x10, 0x18, 0x21
_DOUBLE = struct.Struct("<d")

NUMBER_TAGS: Final = frozenset({_BOOL_TAG, _INT_TAG, _DOUBLE_TAG})
"""What a value that is no text, list or object begins with."""


class UnreadableError(Exception):
    """This entry is not a KeyValue message, or larger than any fact."""


def value_start(raw: bytes) -> int:
    """Return where the value starts if ``raw`` is exactly a key, then a value; otherwise 0."""
    size = len(raw)
    if size < 4 or raw[0] != _KEY_TAG:
        return 0
    tag_at = 2 + raw[1]
    if raw[1] >= 0x80 or tag_at + 1 >= size or raw[tag_at] != _VALUE_TAG:
        return 0
    length = raw[tag_at + 1]
    if length < 0x80:
        return tag_at + 2 if tag_at + 2 + length == size else 0
    length, start = _varint(raw, tag_at + 1)
    return start if start and start + length == size else 0


def value_at(raw: bytes, start: int) -> Value:
    """Return what `open_value` does of the bytes from ``start`` on, which are not copied if few."""
    size = len(raw) - start
    if 1 < size < 0x82:
        tag, first = raw[start], raw[start + 1]
        if tag == _STRING_TAG:
            if first == size - 2:
                return raw[start + 2 :].decode("utf-8", "replace")
        elif tag == _INT_TAG:
            if size == 3 and raw[start + 2] < 0x80 <= first:
                return first & 0x7F | raw[start + 2] << 7
        elif tag == _DOUBLE_TAG and size == 9:
            value: float = _DOUBLE.unpack_from(raw, start + 1)[0]
            return value
    return open_value(raw[start:])


def open_value(raw: bytes) -> Value:
    """Return the plain value of raw ``AnyValue`` bytes; raises `UnreadableError`."""
    if not raw:
        return None
    tag, size = raw[0], len(raw)
    if tag == _STRING_TAG:
        if size > 1 and raw[1] == size - 2 < 0x80:
            return raw[2:].decode("utf-8", "replace")
        length, start = _varint(raw, 1)
        if start and start + length == size:
            return raw[start:].decode("utf-8", "replace")
    elif tag == _INT_TAG:
        if size == 2 and raw[1] < 0x80:
            return raw[1]
        number, start = _varint(raw, 1)
        # Longer varints may carry a sign or bits to cut off: the full parse knows the rules.
        if start == size and number < 1 << 62:
            return number
    elif tag == _BOOL_TAG:
        if size == 2 and raw[1] < 2:
            return raw[1] == 1
    elif tag == _DOUBLE_TAG and size == 9:
        value: float = _DOUBLE.unpack_from(raw, 1)[0]
        return value
    try:
        message = LeanAnyValue.FromString(raw)
    except DecodeError:
        raise UnreadableError from None
    return plain(message)


def plain(message: Any) -> Value:
    """Return the plain value of a parsed ``AnyValue``; raises `UnreadableError`."""
    return _plain(message, [_MAX_PARTS])


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at`` and where it ends; (0, 0) when it ends outside ``raw``."""
    number = shift = 0
    for position in range(at, min(at + 10, len(raw))):
        byte = raw[position]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position + 1
        shift += 7
    return 0, 0


def _plain(message: Any, budget: list[int]) -> Value:
    budget[0] -= 1
    if budget[0] < 0:
        raise UnreadableError
    kind = message.WhichOneof("value")
    if kind is None or kind == "string_value_strindex":
        return None
    value = getattr(message, kind)
    if kind == "string_value":
        text: str = value.decode("utf-8", "replace")
        return text
    if kind == "array_value":
        return [_plain(item, budget) for item in value.values]
    if kind == "kvlist_value":
        return {
            pair.key.decode("utf-8", "replace"): _plain(pair.value, budget) for pair in value.values
        }
    scalar: Value = value
    return scalar
