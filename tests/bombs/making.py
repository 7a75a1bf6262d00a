"""Bodies that are small on the wire and enormous once read, made without being enormous first."""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Final

import zstandard

GIB: Final = 1 << 30
DEEP: Final = 100_000

_CHUNK_BYTES: Final = 16 << 20
_WORD: Final = 32
_POLYNOMIAL: Final = 0xEDB88320


def gzip_stream(size_bytes: int) -> bytes:
    """Return a gzip body that is one stream of so many zeros, with the right checksum."""
    head = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    tail = struct.pack("<II", crc_of_zeros(size_bytes), size_bytes & 0xFFFFFFFF)
    return head + _deflated(size_bytes) + tail


def gzip_members(size_bytes: int) -> bytes:
    """Return a gzip body of many streams one after the other."""
    return gzip.compress(bytes(_CHUNK_BYTES), mtime=0) * (size_bytes // _CHUNK_BYTES)


def zlib_stream(size_bytes: int) -> bytes:
    """Return a deflate body, which is zlib's format (RFC 1950)."""
    adler = size_bytes % 65_521 << 16 | 1
    return b"\x78\x9c" + _deflated(size_bytes) + struct.pack(">I", adler)


def zstd_frames(size_bytes: int) -> bytes:
    """Return a zstd body of many frames one after the other."""
    return zstandard.ZstdCompressor().compress(bytes(_CHUNK_BYTES)) * (size_bytes // _CHUNK_BYTES)


def deep_lists(depth: int = DEEP) -> bytes:
    """Return a request in JSON whose lists nest so deep."""
    return b'{"resourceSpans":' + b"[" * depth + b"]" * depth + b"}"


def deep_objects(depth: int = DEEP) -> bytes:
    """Return a request in JSON whose objects nest so deep."""
    return b'{"resourceSpans":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


def deep_values(depth: int = DEEP) -> bytes:
    """Return a request in JSON with one attribute whose lists nest so deep, as OTLP writes them."""
    value = b'{"arrayValue":{"values":[' * depth + b"{}" + b"]}}" * depth
    span = b'{"attributes":[{"key":"k","value":' + value + b"}]}"
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + span + b"]}]}]}"


def deep_message(depth: int) -> bytes:
    """Return a request in protobuf with one attribute whose lists nest so deep."""
    value = b""
    for _ in range(depth):
        value = _field(5, _field(1, value))
    span = _field(1, bytes([1] * 16)) + _field(2, bytes([2] * 8))
    span += _field(9, _field(1, b"gen_ai.request.model") + _field(2, value))
    return _field(1, _field(2, _field(2, span)))


def dense_objects(size_bytes: int) -> bytes:
    """Return a request in JSON that is nothing but empty objects."""
    return b'{"resourceSpans":[' + b"{}," * (size_bytes // 3 - 10) + b"{}]}"


def dense_messages(size_bytes: int) -> bytes:
    """Return a request in protobuf that is nothing but empty messages."""
    return b"\x0a\x00" * (size_bytes // 2)


def crc_of_zeros(size_bytes: int) -> int:
    """Return the CRC-32 of so many zeros.

    What a zero byte does to the register is linear over its bits; so many of them are a power of
    that matrix.
    """
    step = [_after_a_zero(1 << bit) for bit in range(_WORD)]
    register = 0xFFFFFFFF
    while size_bytes:
        if size_bytes & 1:
            register = _times(step, register)
        step = [_times(step, column) for column in step]
        size_bytes >>= 1
    return register ^ 0xFFFFFFFF


def _after_a_zero(register: int) -> int:
    for _ in range(8):
        register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return register


def _times(matrix: list[int], vector: int) -> int:
    product = 0
    for bit in range(_WORD):
        if vector >> bit & 1:
            product ^= matrix[bit]
    return product


def _deflated(size_bytes: int) -> bytes:
    """Return raw deflate of so many zeros: the same block again and again, each by itself."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(_CHUNK_BYTES)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    blocks, rest_bytes = divmod(size_bytes, _CHUNK_BYTES)
    return block * blocks + last.compress(bytes(rest_bytes)) + last.flush()


def _field(number: int, content: bytes) -> bytes:
    length = len(content)
    encoded = bytearray()
    while length >= 0x80:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *encoded, length]) + content
