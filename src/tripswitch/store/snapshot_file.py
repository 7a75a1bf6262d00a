"""The snapshot's file: written whole or not at all, read back only when it is what was written.

    20 bytes   "tripswitch snapshot\\n"
     4 bytes   format version, big-endian
     8 bytes   length of what follows the digest
    32 bytes   BLAKE2b of what follows
               4 bytes: length of the head; the head, JSON: facts, scopes, arrays with type, shape,
               length and whether packed; then the arrays' bytes, one after the other

Arrays are of booleans and numbers and are read by type and shape; nothing in the file is ever run.
Most windows are empty most of the time: of a large array only the rows of its last axis that are
not all zero are written, with a bit each for where they belong.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tripswitch.errors import SnapshotError
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tripswitch.model.snapshot import Array

FORMAT_VERSION: Final = 1
MAX_BYTES: Final = 2 << 30
"""More than ten thousand scopes with all their windows full."""

_MAGIC: Final = b"tripswitch snapshot\n"
_HEAD_BYTES: Final = len(_MAGIC) + 4 + 8 + 32
_TYPES: Final = frozenset({"|b1", "|u1", "<i4", "<i8", "<u8", "<f4", "<f8"})
_PACKED_FROM_BYTES: Final = 4096
_MAX_AXES: Final = 5


class _Entry(NamedTuple):
    """One array in the head: what it is, how many bytes it takes, and whether it is packed."""

    name: str
    dtype: str
    shape: list[int]
    length: int
    is_packed: bool


def write_snapshot(path: Path, snapshot: Snapshot) -> int:
    """Write ``snapshot`` to ``path`` and to the disk below; return its bytes. Raises OSError.

    A temporary file beside it is renamed only when all of it is on disk. Its mode is 0600.
    """
    entries: list[_Entry] = []
    pieces: list[bytes | memoryview] = []
    for name, array in snapshot.arrays.items():
        own = list(_pieces_of(array))
        is_packed = len(own) == 2
        dtype = array.dtype.newbyteorder("<").str
        entries.append(_Entry(name, dtype, list(array.shape), sum(map(_length, own)), is_packed))
        pieces += own
    head = json.dumps(
        {
            "taken_ns": snapshot.taken_ns,
            "facts": snapshot.facts,
            "scopes": [list(scope) for scope in snapshot.scopes],
            "arrays": entries,
        },
        separators=(",", ":"),
    ).encode("ascii")
    pieces = [len(head).to_bytes(4, "big"), head, *pieces]
    length = sum(map(_length, pieces))
    if length > MAX_BYTES:
        raise OSError(f"a snapshot of {length} bytes, more than the {MAX_BYTES} there may be")
    digest = hashlib.blake2b(digest_size=32)
    for piece in pieces:
        digest.update(piece)
    start = _MAGIC + FORMAT_VERSION.to_bytes(4, "big") + length.to_bytes(8, "big")
    _write_whole(path, [start, digest.digest(), *pieces])
    return _HEAD_BYTES + length


def read_snapshot(path: Path) -> Snapshot:
    """Return the snapshot at ``path``. Raises FileNotFoundError, and SnapshotError for any other.

    A file that is damaged, of something else or of a newer tripswitch is refused as a whole.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD_BYTES)
            length = _checked_length(start)
            body = file.read(length + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SnapshotError(f"cannot be read: {error.strerror or error}") from error
    if len(body) != length:
        raise SnapshotError("is damaged: it is not as long as it says")
    if hashlib.blake2b(body, digest_size=32).digest() != start[-32:]:
        raise SnapshotError("is damaged: its checksum is another")
    try:
        return _parsed(body)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise SnapshotError(f"is no snapshot: {type(error).__name__}") from error


def _pieces_of(array: Array) -> Iterator[memoryview]:
    """Yield the bytes of an array: all of them, or where something is and what is there."""
    whole = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    if whole.ndim > 1 and whole.nbytes >= _PACKED_FROM_BYTES and whole.dtype.itemsize == 8:
        rows = whole.reshape(-1, whole.shape[-1])
        # By their bits, so that a negative zero stays one.
        some = rows.view(np.uint64).any(axis=1)
        yield np.packbits(some).data
        yield np.ascontiguousarray(rows[some]).reshape(-1).view(np.uint8).data
    else:
        yield whole.reshape(-1).view(np.uint8).data


def _length(piece: bytes | memoryview) -> int:
    return piece.nbytes if isinstance(piece, memoryview) else len(piece)


def _write_whole(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    beside = path.with_name(path.name + ".tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - of a descriptor
            for piece in pieces:
                left = memoryview(piece)
                while len(left):
                    left = left[file.write(left) :]
            os.fsync(file.fileno())
        beside.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _checked_length(start: bytes) -> int:
    if not start.startswith(_MAGIC):
        raise SnapshotError("is something else, or damaged from its first bytes on")
    if len(start) < _HEAD_BYTES:
        raise SnapshotError("is damaged: it ends in its first bytes")
    version = int.from_bytes(start[len(_MAGIC) :][:4], "big")
    if version > FORMAT_VERSION:
        raise SnapshotError(f"is of format {version}, newer than {FORMAT_VERSION}")
    if version < 1:
        raise SnapshotError("is damaged: there is no format 0")
    length = int.from_bytes(start[len(_MAGIC) + 4 :][:8], "big")
    if length > MAX_BYTES:
        raise SnapshotError("is damaged: it says it is longer than one may be")
    return length


def _parsed(body: bytes) -> Snapshot:
    size = int.from_bytes(body[:4], "big")
    head: dict[str, Any] = json.loads(body[4 : 4 + size])
    snapshot = Snapshot(int(head["taken_ns"]), head["facts"])
    for fields in head["scopes"]:
        snapshot.number(Scope(*fields))
    at = 4 + size
    for entry in head["arrays"]:
        name, dtype, shape, length, is_packed = entry
        if dtype not in _TYPES or len(shape) > _MAX_AXES or length > len(body) - at:
            raise ValueError("an array of a kind that is not written")
        snapshot.arrays[name] = _array(body[at : at + length], dtype, tuple(shape), is_packed)
        at += length
    if at != len(body):
        raise ValueError("more than the arrays that it names")
    return snapshot


def _array(content: bytes, dtype: str, shape: tuple[int, ...], is_packed: bool) -> Array:
    if not is_packed:
        return np.frombuffer(content, dtype).reshape(shape).copy()
    count = 1
    for axis in shape[:-1]:
        count *= axis
    marks = (count + 7) // 8
    if count * shape[-1] * 8 > MAX_BYTES:
        raise ValueError("an array larger than one may be")
    some = np.unpackbits(np.frombuffer(content[:marks], np.uint8), count=count).astype(np.bool_)
    rows = np.zeros((count, shape[-1]), dtype)
    rows[some] = np.frombuffer(content[marks:], dtype).reshape(-1, shape[-1])
    return rows.reshape(shape)
