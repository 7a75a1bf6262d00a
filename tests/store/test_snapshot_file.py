"""The snapshot's file: what is read is what was written, or nothing."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tripswitch.errors import SnapshotError
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.store.snapshot_file import FORMAT_VERSION, read_snapshot, write_snapshot


def sample() -> Snapshot:
    snapshot = Snapshot(1_795_485_401_000_000_001)
    snapshot.number(Scope("/chat", "bot", "v18", "canary\x1b[2J"))
    snapshot.number(Scope("\ud800 half a pair", None, "é"))
    snapshot.facts = {"nothing": None, "deep": {"list": [1, 0.1, float("inf")]}, "text": "\x00"}
    rings = np.zeros((300, 15, 3))
    rings[5, 3] = [1.0, -0.0, 5e-324]
    rings[299, 14] = [np.nan, np.inf, 1e300]
    rings[7, 0] = -0.0
    snapshot.arrays = {
        "rings": rings,
        "flags": np.array([True, False]),
        "keys": np.array([2**64 - 1, 0], dtype=np.uint64),
        "rows": np.array([-1, 7], dtype=np.int32),
        "empty": np.zeros((0, 24, 6)),
        "none": np.zeros(0),
        "scalar": np.array(1.5),
    }
    return snapshot


def test_everything_comes_back_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    written = write_snapshot(path, sample())
    assert written == path.stat().st_size
    found, wanted = read_snapshot(path), sample()
    assert (found.taken_ns, found.facts, found.scopes) == (
        wanted.taken_ns,
        wanted.facts,
        wanted.scopes,
    )
    assert list(found.arrays) == list(wanted.arrays)
    for name, array in wanted.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].tobytes() == array.tobytes()
        # It becomes an engine's own.
        assert found.arrays[name].flags.writeable


def test_only_its_owner_may_read_it_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    write_snapshot(path, sample())
    write_snapshot(path, sample())
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_empty_takes_no_room(tmp_path: Path) -> None:
    full, empty = Snapshot(0), Snapshot(0)
    full.arrays["rings"] = np.ones((1000, 24, 6))
    empty.arrays["rings"] = np.zeros((1000, 24, 6))
    sizes = [write_snapshot(tmp_path / name, one) for name, one in (("f", full), ("e", empty))]
    assert sizes[0] > 1000 * 24 * 6 * 8
    assert sizes[1] < 1000 * 24 / 8 + 500


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_file_is_refused_and_never_believed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "snapshot"
    write_snapshot(path, sample())
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(SnapshotError):
        read_snapshot(path)


def test_more_than_it_says_is_damage_too(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    write_snapshot(path, sample())
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(SnapshotError, match="not as long"):
        read_snapshot(path)


def test_a_newer_format_says_so(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    write_snapshot(path, sample())
    content = path.read_bytes()
    path.write_bytes(content[:20] + (FORMAT_VERSION + 1).to_bytes(4, "big") + content[24:])
    with pytest.raises(SnapshotError, match="is of format 2, newer than 1"):
        read_snapshot(path)


def test_another_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    path.write_bytes(b"SQLite format 3\x00" + bytes(4000))
    with pytest.raises(SnapshotError, match="something else"):
        read_snapshot(path)


@pytest.mark.parametrize(
    "arrays",
    [
        [["a", "|O", [1], 8, False]],
        [["a", "<f8", [1 << 40], 0, False]],
        [["a", "<f8", [1 << 40, 3], 8, True]],
        [["a", "<f8", [1] * 40, 8, False]],
        [["a", "<f8", [-1, 3], 8, True]],
        [["a", "<f8", [1], 800, False]],
        [["a", "<f8"]],
        7,
        [],
    ],
)
def test_a_head_that_lies_is_refused_although_its_checksum_holds(
    tmp_path: Path, arrays: Any
) -> None:
    _refused(tmp_path, {"taken_ns": 0, "facts": {}, "scopes": [], "arrays": arrays})


@pytest.mark.parametrize("taken_ns", [math.inf, math.nan, "today", [1]])
def test_a_time_that_is_none_is_refused_too(tmp_path: Path, taken_ns: Any) -> None:
    _refused(tmp_path, {"taken_ns": taken_ns, "facts": {}, "scopes": [], "arrays": []})


def _refused(tmp_path: Path, claims: Any) -> None:
    head = json.dumps(claims).encode()
    body = len(head).to_bytes(4, "big") + head + bytes(8)
    start = b"tripswitch snapshot\n" + (1).to_bytes(4, "big") + len(body).to_bytes(8, "big")
    path = tmp_path / "snapshot"
    path.write_bytes(start + hashlib.blake2b(body, digest_size=32).digest() + body)
    with pytest.raises(SnapshotError, match="is no snapshot"):
        read_snapshot(path)


def test_a_write_that_fails_leaves_the_file_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "snapshot"
    write_snapshot(path, sample())
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_snapshot(path, Snapshot(1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
