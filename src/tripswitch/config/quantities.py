"""Quantities as people write them in the file: durations ``15m``, sizes ``64MiB``, shares ``5%``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)")
_SECONDS_PER_UNIT = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|KB|MB|GB)?")
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
    """Return ``seconds`` as the shortest text that `parse_duration_s` reads back."""
    for unit in ("d", "h", "m", "s", "ms"):
        count = seconds / _SECONDS_PER_UNIT[unit]
        if count >= 1 and abs(count - round(count)) < 1e-9:
            return f"{round(count)}{unit}"
    return f"{seconds:g}s"


def parse_size_bytes(value: Any) -> int:
    """Return a size in bytes from text such as ``64MiB``, or from a whole number of bytes.

    Raises ValueError.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match:
            return round(float(match[1]) * _BYTES_PER_UNIT[match[2]])
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
        text = value.strip()
        if text.endswith("%"):
            return float(text[:-1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError('expected a share such as "5%" or 0.05')


def share_text(share: float) -> str:
    """Return ``share`` as a percentage that `parse_share` reads back."""
    return f"{share * 100:g}%"


def _keep_seconds(value: Any) -> Any:
    return value if isinstance(value, float) else parse_duration_s(value)


DurationS = Annotated[
    float,
    BeforeValidator(_keep_seconds),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ns|us|ms|s|m|h|d))+$"}),
]
SizeBytes = Annotated[
    int,
    BeforeValidator(parse_size_bytes),
    PlainSerializer(size_text, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(B|KiB|MiB|GiB|KB|MB|GB)?$"},
            ]
        }
    ),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(share_text, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"},
            ]
        }
    ),
]
