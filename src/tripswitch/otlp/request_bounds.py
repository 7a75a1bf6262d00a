"""How many parts a trace request has, told before it is parsed.

An empty message takes two bytes on the wire and about seventy once parsed, so that a request of
64 MiB may become gigabytes. Small requests cannot, and are not looked at; of large ones the parts
are counted without making anything of them.

Source: protobuf encoding; field numbers of opentelemetry-proto 1.11, ``trace/v1/trace.proto``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_MESSAGES: Final = 250_000
"""Most resources, scopes and spans of one request that is read: 64 MiB of small spans are half."""

MOST_PARTS: Final = 4_000_000
"""Most attributes and events of one request that is read."""

# Below these sizes what is to be counted cannot be too many to parse.
_FEW_MESSAGES_BYTES: Final = 1 << 20
_FEW_PARTS_BYTES: Final = 6 << 20

# From the request to its resources, their scopes, and the spans in these.
_WAY_TO_SPANS: Final = (1, 2, 2)

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5


def is_too_much(request: bytes) -> bool:
    """Return whether an ``ExportTraceServiceRequest`` has too many parts to be read.

    A large request that is not made as OTLP is counts as too much.
    """
    if len(request) <= _FEW_MESSAGES_BYTES:
        return False
    try:
        _Counting(request).count(0, 0, len(request))
    except _TooMuchError:
        return True
    return False


class _TooMuchError(Exception):
    """Too many parts, or what no OTLP encoder writes: groups, or lengths beyond the end."""


class _Counting:
    """What is left of both numbers while ``request`` is walked."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._is_opening_spans = len(request) > _FEW_PARTS_BYTES
        self._left_messages = MOST_MESSAGES
        self._left_parts = MOST_PARTS

    def count(self, depth: int, at: int, end: int) -> None:
        """Count what stands between ``at`` and ``end``; raises `_TooMuchError`.

        ``depth`` is how far along `_WAY_TO_SPANS` that is; at its end it is inside a span.
        """
        if depth == len(_WAY_TO_SPANS):
            for _ in _delimited(self._request, at, end):
                self._left_parts -= 1
                if self._left_parts < 0:
                    raise _TooMuchError
            return
        is_opened = depth + 1 < len(_WAY_TO_SPANS) or self._is_opening_spans
        for number, start, last in _delimited(self._request, at, end):
            self._left_messages -= 1
            if self._left_messages < 0:
                raise _TooMuchError
            if is_opened and number == _WAY_TO_SPANS[depth]:
                self.count(depth + 1, start, last)


def _delimited(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of every field with a length. Raises _TooMuchError."""
    while at < end:
        tag, at = _varint(data, at, end)
        kind = tag & 7
        if kind == _DELIMITED:
            length, at = _varint(data, at, end)
            after = at + length
            if after > end:
                raise _TooMuchError
            yield tag >> 3, at, after
            at = after
        elif kind == _VARINT:
            _, at = _varint(data, at, end)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        else:
            raise _TooMuchError
    if at > end:
        raise _TooMuchError


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at ``at`` and where it ends. Raises _TooMuchError."""
    if at < end and data[at] < 0x80:
        return data[at], at + 1
    number = shift = 0
    for position in range(at, min(at + 10, end)):
        byte = data[position]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position + 1
        shift += 7
    raise _TooMuchError
