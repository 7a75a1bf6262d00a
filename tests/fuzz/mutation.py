"""Making new inputs out of known ones: bytes set, cut, inserted, repeated, and inputs joined."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

SEEDS: Final = Path(__file__).parent / "seeds"

# What parsers of these formats compare with, and lengths and numbers at their edges.
TOKENS: Final = (
    *(b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00" * 4, b"\xff" * 4, b"\xff" * 9 + b"\x01"),
    *(b"\x80" * 9 + b"\x01", b"\xff\xff\xff\xff\x0f", b"\x1f\x8b\x08", b"\x78\x9c"),
    *(b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\x0a\x00", b"\x12\x00", b"\x4a\x00", b"\x5a\x00"),
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"true", b"NaN", b"-Infinity", b"1e999"),
    *(b"9" * 40, b"-1", b"0.5", b"\\ud800", b"\\u0000", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
    *(b'{"stringValue":"x"}', b'"resourceSpans"', b'{"arrayValue":{"values":[', b'"traceId":"'),
    *(b"\r\n", b"\n", b"\r\n\r\n", b" ", b"\t", b"0\r\n\r\n", b"ffffffffffffffff\r\n"),
    *(b"transfer-encoding: chunked\r\n", b"content-length: 99999999999999999999\r\n"),
    *(b"content-length: -1\r\n", b"expect: 100-continue\r\n", b"upgrade: h2c\r\n"),
    *(b"content-encoding: gzip\r\n", b"content-type: application/json\r\n", b"-bin", b"grpc-"),
    *(b"Bearer ", b"bearer", b"Wed, 21 Oct 2026 07:28:00 GMT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
)


class Kind(StrEnum):
    """What is done to an input."""

    SET = "set"
    CUT = "cut"
    INSERT = "insert"
    REPEAT = "repeat"
    FLIP = "flip"


class Change(NamedTuple):
    """One change: ``place`` is taken modulo the length, ``size`` is bytes or repetitions."""

    kind: Kind
    place: int
    size: int
    data: bytes


def changed(data: bytes, changes: Sequence[Change], longest_bytes: int = 1 << 16) -> bytes:
    """Return ``data`` with all the changes made in turn, cut at ``longest_bytes``."""
    out = bytearray(data)
    for kind, place, size, new in changes:
        at = place % (len(out) + 1)
        if kind is Kind.SET:
            out[at : at + len(new)] = new
        elif kind is Kind.CUT:
            del out[at : at + size]
        elif kind is Kind.INSERT:
            out[at:at] = new
        elif kind is Kind.REPEAT:
            out[at:at] = out[at : at + len(new) + 1] * (size % 32)
        elif at < len(out):
            out[at] ^= 1 << size % 8
        del out[longest_bytes:]
    return bytes(out)


def mutant(seeds: Sequence[bytes], choice: random.Random) -> bytes:
    """Return a new input: a seed, or the parts of two, with some changes."""
    data = choice.choice(seeds)
    if choice.random() < 0.2:
        other = choice.choice(seeds)
        data = data[: choice.randint(0, len(data))] + other[choice.randint(0, len(other)) :]
    return changed(data, [_change(choice) for _ in range(choice.randint(1, 6))])


def seeds_of(target: str) -> dict[str, bytes]:
    """Return the committed inputs of a target by name; without any of its own, an empty one."""
    files = sorted((SEEDS / target).glob("*"))
    return {file.name: file.read_bytes() for file in files} or {"empty": b""}


def _change(choice: random.Random) -> Change:
    if choice.random() < 0.6:
        data = choice.choice(TOKENS)
    else:
        data = choice.randbytes(choice.randint(1, 4))
    size = choice.choice((1, 1, 2, 4, 8, 64))
    return Change(choice.choice(list(Kind)), choice.randrange(1 << 20), size, data)
