"""Content encodings of HTTP bodies, undone within bounds.

Only done where a body must be understood (the tap, the crossing to gRPC); what goes from HTTP to
HTTP keeps its encoding. Output is bounded by bytes and by its ratio to the input, and is made in
pieces, so that a bomb costs what the bound allows and no more.

Source: RFC 9110 section 8.4.1 (gzip, deflate, which is zlib), RFC 8878 (zstd).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import zstandard

from tripswitch.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

READABLE: Final = ("identity", "gzip", "deflate", "zstd")
"""The encodings that can be undone; others only pass from HTTP to HTTP, as they came."""

MAX_RATIO: Final = 500
"""Most output bytes for one input byte, past the first `_FREE_BYTES`. Telemetry packs 5 to 50
times, gzip ends at 1032, zstd has no end."""

_FREE_BYTES: Final = 4 << 20
_PIECE_BYTES: Final = 1 << 20

# What a piece leaves unread is copied, so a body is fed in small parts.
_ZLIB_INPUT_BYTES: Final = 64 << 10

# Four bytes of zstd can stand for 128 KiB, and all that an input stands for comes at once.
_ZSTD_INPUT_BYTES: Final = 1 << 10

# Parts may be empty, so that only their number bounds the work.
_MAX_PARTS: Final = 1_000

# zstd asks for a window of memory before the first byte; RFC 8878 recommends to accept 8 MiB.
_MAX_WINDOW_BYTES: Final = 8 << 20

_WBITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class TooLargeError(WireError):
    """The body is within the limit as it came and beyond it once unpacked."""


def normal(content_encoding: str) -> str:
    """Return the encoding in lower case, ``identity`` where there is none."""
    return content_encoding.strip().lower().removeprefix("x-") or "identity"


def decode(body: bytes, content_encoding: str, max_bytes: int) -> bytes:
    """Return ``body`` without its encoding.

    Raises `TooLargeError` beyond ``max_bytes`` or `MAX_RATIO`, `WireError` for an encoding that
    is not `READABLE` and for a body that is damaged or cut short.
    """
    encoding = normal(content_encoding)
    if encoding == "identity":
        if len(body) > max_bytes:
            raise TooLargeError(f"a body of {len(body)} bytes; the limit is {max_bytes}")
        return body
    if encoding not in READABLE:
        raise WireError(
            f'content-encoding "{encoding[:20]}" cannot be read; send {", ".join(READABLE)}'
        )
    limit = min(max_bytes, max(_FREE_BYTES, len(body) * MAX_RATIO))
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in _unpacked(body, encoding):
            size += len(piece)
            if size > limit:
                raise TooLargeError(
                    f"a {encoding} body that unpacks beyond {limit} bytes, the limit"
                )
            pieces.append(piece)
    except (zlib.error, zstandard.ZstdError) as error:
        raise WireError(f"a damaged {encoding} body") from error
    return b"".join(pieces)


def encode(body: bytes, content_encoding: str) -> bytes:
    """Return ``body`` in an encoding of `READABLE`."""
    if content_encoding == "zstd":
        return zstandard.ZstdCompressor().compress(body)
    if content_encoding == "identity":
        return body
    packer = zlib.compressobj(wbits=_WBITS[content_encoding])
    return packer.compress(body) + packer.flush()


def _unpacked(body: bytes, encoding: str) -> Iterator[bytes]:
    """Yield pieces; a gzip or zstd body may be several parts one after the other."""
    rest = body
    for _ in range(_MAX_PARTS):
        pieces = _zstd_frame(rest) if encoding == "zstd" else _zlib_stream(rest, encoding)
        rest = yield from pieces
        if not rest:
            return
        if encoding == "deflate":
            break
    raise WireError(f"a {encoding} body with something after its end")


def _zlib_stream(body: bytes, encoding: str) -> Generator[bytes, None, bytes]:
    """Yield the pieces of one stream; return what follows it."""
    unpacker = zlib.decompressobj(wbits=_WBITS[encoding])
    taken = 0
    rest = b""
    while not unpacker.eof:
        if not rest:
            rest = body[taken : taken + _ZLIB_INPUT_BYTES]
            taken += len(rest)
        piece = unpacker.decompress(rest, _PIECE_BYTES)
        rest = unpacker.unconsumed_tail
        if not (piece or rest or unpacker.eof) and taken >= len(body):
            raise WireError(f"a {encoding} body that is cut short")
        yield piece
    return unpacker.unused_data + body[taken:]


def _zstd_frame(body: bytes) -> Generator[bytes, None, bytes]:
    """Yield the pieces of one frame; return what follows it."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj()
    for start in range(0, len(body), _ZSTD_INPUT_BYTES):
        end = start + _ZSTD_INPUT_BYTES
        yield unpacker.decompress(body[start:end])
        if unpacker.eof:
            return unpacker.unused_data + body[end:]
    raise WireError("a zstd body that is cut short")
