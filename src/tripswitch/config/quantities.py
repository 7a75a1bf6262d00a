"""Quantities as people write them: durations ``15m``, sizes ``64MiB``, shares ``5%``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

if TYPE_CHECKING:
    from collections.abc import Callable

# Digits are bounded so that no text, however long, becomes an infinite or a very costly number.
_NUMBER = r"\d{1,15}(?:\.\d{1,30})?"
_DURATION_PART = re.compile(rf"({_NUMBER})(ns|us|ms|s|m|h|d)", re.ASCII)
_SECONDS_PER_UNIT = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_SIZE = re.compile(rf"({_NUMBER})\s*(B|KiB|MiB|GiB|KB|MB|GB)?", re.ASCII)
_BYTES_PER_UNIT = {
    None: 1,
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
}
_SHARE = re.compile(rf"({_NUMBER})\s*(%)?", re.ASCII)


def parse_duration_s(value: Any) -> float:
    """Return a duration in seconds from text such as ``15m`` or ``1h30m``.

    A bare number is refused, since its unit would be a guess. Raises ValueError.
    """
    if isinstance(value, str):
        text = value.strip()
        parts = _DURATION_PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return float(sum(float(number) * _SECONDS_PER_UNIT[unit] for number, unit in parts))
    raise ValueError('expected a duration such as "30s", "15m" or "1h30m"')


def duration_text(seconds: float) -> str:
    """Return ``seconds`` (1e-9 to 1e15, or 0) as short text that `parse_duration_s` reads back."""
    for unit in ("d", "h", "m", "s", "ms"):
        count = round(seconds / _SECONDS_PER_UNIT[unit])
        if count >= 1 and count * _SECONDS_PER_UNIT[unit] == seconds:
            return f"{count}{unit}"
    return f"{_decimal_text(Decimal(repr(float(seconds))))}s"


def parse_size_bytes(value: Any) -> int:
    """Return a size in bytes from text such as ``64MiB``, or from a whole number of bytes.

    Raises ValueError.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match:
            return round(Decimal(match[1]) * _BYTES_PER_UNIT[match[2]])
    raise ValueError('expected a size such as "64MiB" or a whole number of bytes')


def size_text(size_bytes: int) -> str:
    """Return ``size_bytes`` as the shortest text that `parse_size_bytes` reads back."""
    for unit in ("GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _BYTES_PER_UNIT[unit] == 0:
            return f"{size_bytes // _BYTES_PER_UNIT[unit]}{unit}"
    return str(size_bytes)


def parse_share(value: Any) -> float:
    """Return a share 0..1 from ``5%`` or ``0.05``. Raises ValueError."""
    if isinstance(value, str):
        match = _SHARE.fullmatch(value.strip())
        if match:
            return float(Decimal(match[1]) / 100 if match[2] else Decimal(match[1]))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError('expected a share such as "5%" or 0.05')


def share_text(share: float) -> str:
    """Return ``share`` as a percentage that `parse_share` reads back."""
    return f"{_decimal_text(Decimal(repr(float(share))) * 100)}%"


def _decimal_text(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _keep_seconds(value: Any) -> Any:
    return value if isinstance(value, float) else parse_duration_s(value)


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a kind of quantity is spoken of: what it is called and how a value of it is written."""

    noun: str
    text: Callable[[Any], str]


DurationS = Annotated[
    float,
    BeforeValidator(_keep_seconds),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": rf"^({_NUMBER}(ns|us|ms|s|m|h|d))+$"}),
    Quantity("a duration", duration_text),
]
SizeBytes = Annotated[
    int,
    BeforeValidator(parse_size_bytes),
    PlainSerializer(size_text, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": rf"^{_NUMBER}\s*(B|KiB|MiB|GiB|KB|MB|GB)?$"},
            ]
        }
    ),
    Quantity("a size", size_text),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(share_text, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": rf"^{_NUMBER}\s*%?$"},
            ]
        }
    ),
    Quantity("a share", share_text),
]
