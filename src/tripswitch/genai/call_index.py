"""Past calls, findable for scores that come minutes later.

A call is filed under 64-bit keys: of its span, of its request's outer span, of its trace, of the
provider's answer. Recent calls are in a dict; when there are `_FRESH` of them they become sorted
arrays, and small arrays are merged into larger ones, so that a call costs about 60 bytes. Calls
older than the keep time, and the oldest beyond the bound, are forgotten, a segment at a time.

Two different keys that agree in all 64 bits would be mistaken for each other: with two million
calls the chance of one such pair is below one in a million.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tripswitch.model.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.family import Place
    from tripswitch.model.snapshot import Snapshot

_FRESH: Final = 8192
_MERGED: Final = 16
MAX_SAVED: Final = 100_000
"""Calls that a snapshot holds, 6 MB: for so many a late score finds its call after a restart."""
_COLUMNS: Final = ("keys", "rows", "owners", "ends", "places")
# Of a call's keys: its span's, its trace's, its request's outer span's, its answer's.
_KINDS: Final = 4
_MASK: Final = (1 << 64) - 1
_ODD: Final = 0x9E3779B97F4A7C15

Keys = npt.NDArray[np.uint64]


class CallRef(NamedTuple):
    """What a late score needs to know of its call; ``key`` names the call, ``end`` is in ns."""

    key: int
    scope: Scope
    tenant: str | None
    end: int


def span_key(trace_id: str, span_id: str) -> int:
    """Return the key of a span; both ids are hex."""
    trace = int(trace_id, 16)
    return (((trace & _MASK) * _ODD) ^ int(span_id, 16) ^ (trace >> 64)) & _MASK


def mixed(key: int) -> int:
    """Return another key for ``key``, a different one for each."""
    return (key * _ODD) & _MASK


def all_mixed(keys: Sequence[int]) -> list[int]:
    """Return `mixed` of each of ``keys``."""
    mixed_keys: list[int] = (np.array(keys, np.uint64) * np.uint64(_ODD)).tolist()
    return mixed_keys


def trace_key(trace_id: str) -> int:
    """Return the key of a trace's last call."""
    return mixed(span_key(trace_id, "0"))


def keys_of(trace_ids: Sequence[str], span_ids: Sequence[str]) -> tuple[Keys, Keys]:
    """Return the `span_key` and the `trace_key` of many spans at once."""
    high, low = _numbers(trace_ids).reshape(-1, 2).T
    of_trace = (low * np.uint64(_ODD)) ^ high
    return of_trace ^ _numbers(span_ids), of_trace * np.uint64(_ODD)


def _numbers(ids: Sequence[str]) -> Keys:
    """Return ids in hex, of 16 digits or a multiple of that, as numbers of 64 bits."""
    return np.frombuffer(bytes.fromhex("".join(ids)), ">u8").astype(np.uint64)


def response_key(response_id: str) -> int:
    """Return the key of a provider's answer, or of any other text."""
    return int.from_bytes(hashlib.blake2b(response_id.encode(), digest_size=8).digest(), "big")


class _Segment:
    """Calls that are filed away: sorted keys, each with its call's row."""

    __slots__ = ("calls", "ends", "keys", "latest_ns", "owners", "places", "rows", "unique")

    def __init__(
        self,
        keys: Keys,
        rows: npt.NDArray[np.int32],
        owners: Keys,
        ends: npt.NDArray[np.int64],
        places: npt.NDArray[np.int32],
        unique: list[tuple[Scope, str | None]],
        latest_ns: int,
    ) -> None:
        # A stable sort: of equal keys, a trace's, the last one filed comes last.
        order = np.argsort(keys, kind="stable")
        self.keys = keys[order]
        self.rows = rows[order]
        self.owners = owners
        self.ends = ends
        self.places = places
        self.unique = unique
        self.latest_ns = latest_ns
        self.calls = len(owners)

    def find(self, key: int) -> CallRef | None:
        at = int(np.searchsorted(self.keys, np.uint64(key), side="right")) - 1
        if at < 0 or int(self.keys[at]) != key:
            return None
        row = int(self.rows[at])
        scope, tenant = self.unique[int(self.places[row])]
        return CallRef(int(self.owners[row]), scope, tenant, int(self.ends[row]))

    @property
    def nbytes(self) -> int:
        arrays = (self.keys, self.rows, self.owners, self.ends, self.places)
        return sum(array.nbytes for array in arrays)


class CallIndex:
    """Finds settled calls for ``keep_ns`` after they were filed, at most ``max_calls`` of them."""

    def __init__(self, keep_ns: int, max_calls: int) -> None:
        self._keep_ns = keep_ns
        self._max_calls = max_calls
        # Fresh calls as columns, as many as there are places; their keys a row a kind, of as many
        # kinds as any of them has; and the rows of the first so many by key.
        self._keys = np.empty((_KINDS, _FRESH), np.uint64)
        self._kinds = 0
        self._owners = np.empty(_FRESH, np.uint64)
        self._ends = np.empty(_FRESH, np.int64)
        self._places: list[Place] = []
        self._fresh: dict[int, int] = {}
        self._listed = 0
        self._fresh_since_ns = 0
        self._latest_ns = 0
        self._segments: list[_Segment] = []
        self.forgotten_early = 0

    def __len__(self) -> int:
        return len(self._places) + sum(segment.calls for segment in self._segments)

    @property
    def nbytes(self) -> int:
        """How many bytes the filed calls take, without those that are fresh."""
        return sum(segment.nbytes for segment in self._segments)

    def add(
        self,
        keys: Sequence[Keys],
        owners: Keys,
        ends: Sequence[int],
        places: Sequence[Place],
        now_ns: int,
    ) -> None:
        """File calls, each under its key in every one of at most four columns ``keys``.

        ``owners`` name the calls, ``ends`` are in ns. Of equal keys, known ones too, the call filed
        last is meant.
        """
        first = 0
        while first < len(places):
            here = len(self._places)
            if not here:
                self._fresh_since_ns = now_ns
            self._latest_ns = now_ns
            last = min(len(places), first + _FRESH - here)
            there = here + last - first
            for kind in range(_KINDS):
                # Where there is no such key the first is put there once more.
                of_kind = keys[kind] if kind < len(keys) else keys[0]
                self._keys[kind, here:there] = of_kind[first:last]
            self._kinds = max(self._kinds, len(keys))
            self._owners[here:there] = owners[first:last]
            self._ends[here:there] = ends[first:last]
            self._places += places[first:last]
            if there >= _FRESH:
                self._file()
            first = last

    def find(self, key: int) -> CallRef | None:
        """Return the call last filed under ``key``; None when there is none."""
        row = self._rows_of_fresh().get(key)
        if row is not None:
            place = self._places[row]
            return CallRef(int(self._owners[row]), place.scope, place.tenant, int(self._ends[row]))
        for segment in reversed(self._segments):
            found = segment.find(key)
            if found is not None:
                return found
        return None

    def expire(self, now_ns: int) -> None:
        """Forget what was filed longer ago than the keep time, and the oldest of too many."""
        while self._segments and self._segments[0].latest_ns + self._keep_ns < now_ns:
            del self._segments[0]
        while len(self._segments) > 1 and len(self) > self._max_calls:
            self.forgotten_early += self._segments[0].calls
            del self._segments[0]
        if self._places and self._latest_ns + self._keep_ns < now_ns:
            self._clear_fresh()
        elif self._places and self._fresh_since_ns + self._keep_ns < now_ns:
            # Thin traffic: the oldest of these are due, the newest are not.
            self._file()

    def save(self, snapshot: Snapshot) -> None:
        """Put the calls filed last into ``snapshot``, at most `MAX_SAVED` of them."""
        segments = [*self._segments, *([self._fresh_segment()] if self._places else [])]
        calls = 0
        kept: list[_Segment] = []
        for segment in reversed(segments):
            calls += segment.calls
            if calls > MAX_SAVED:
                break
            kept.append(segment)
        snapshot.left_out["calls"] = len(self) - sum(segment.calls for segment in kept)
        facts = []
        for number, segment in enumerate(reversed(kept)):
            for name in _COLUMNS:
                snapshot.arrays[f"call_index.{number}.{name}"] = getattr(segment, name)
            unique = [[snapshot.number(scope), tenant] for scope, tenant in segment.unique]
            facts.append({"latest_ns": segment.latest_ns, "unique": unique})
        snapshot.facts["call_index"] = facts

    def restore(self, snapshot: Snapshot) -> None:
        """Find again the calls that were put into ``snapshot``."""
        for number, kept in enumerate(snapshot.facts["call_index"]):
            keys, rows, owners, ends, places = (
                snapshot.arrays[f"call_index.{number}.{name}"] for name in _COLUMNS
            )
            unique = [
                (snapshot.scope(scope) or Scope(), tenant) for scope, tenant in kept["unique"]
            ]
            self._segments.append(
                _Segment(keys, rows, owners, ends, places, unique, kept["latest_ns"])
            )

    def _file(self) -> None:
        segment = self._fresh_segment()
        self._clear_fresh()
        self._segments.append(segment)
        small = [segment for segment in self._segments if segment.calls <= _FRESH]
        if len(small) >= _MERGED:
            kept = [segment for segment in self._segments if segment.calls > _FRESH]
            self._segments = [*kept, _merged(small)]

    def _rows_of_fresh(self) -> dict[int, int]:
        """Return the rows of the fresh calls by key, of equal keys the last.

        Where nothing is looked for among them, they are only listed.
        """
        here = len(self._places)
        if self._listed < here:
            rows = np.arange(self._listed, here).repeat(self._kinds)
            # Call by call, as of equal keys the last call is meant.
            keys = self._keys[: self._kinds, self._listed : here].T.ravel()
            self._fresh.update(zip(keys.tolist(), rows.tolist(), strict=True))
            self._listed = here
        return self._fresh

    def _clear_fresh(self) -> None:
        self._places, self._kinds = [], 0
        self._fresh, self._listed = {}, 0

    def _fresh_segment(self) -> _Segment:
        unique: dict[tuple[Scope, str | None], int] = {}
        # Many calls share a place, and scopes are long to hash.
        number_of = {
            place: unique.setdefault((place.scope, place.tenant), len(unique))
            for place in dict.fromkeys(self._places)
        }
        here = len(self._places)
        keys = self._keys[: self._kinds, :here].ravel()
        order = np.argsort(keys)
        keys = keys[order]
        rows = (order % here).astype(np.int32)
        firsts = np.concatenate([[True], keys[1:] != keys[:-1]]).nonzero()[0]
        return _Segment(
            keys[firsts],
            # Of equal keys the call filed last is meant.
            np.maximum.reduceat(rows, firsts),
            self._owners[:here].copy(),
            self._ends[:here].copy(),
            np.fromiter(map(number_of.__getitem__, self._places), np.int32, here),
            list(unique),
            self._latest_ns,
        )


def _merged(segments: Sequence[_Segment]) -> _Segment:
    """Return one segment of several, older ones first."""
    places: dict[tuple[Scope, str | None], int] = {}
    columns = []
    first_row = 0
    for segment in segments:
        renumbered = np.array(
            [places.setdefault(place, len(places)) for place in segment.unique], np.int32
        )
        columns.append((segment.rows + first_row, renumbered[segment.places]))
        first_row += segment.calls
    return _Segment(
        np.concatenate([segment.keys for segment in segments]),
        np.concatenate([rows for rows, _ in columns]).astype(np.int32),
        np.concatenate([segment.owners for segment in segments]),
        np.concatenate([segment.ends for segment in segments]),
        np.concatenate([placed for _, placed in columns]),
        list(places),
        segments[-1].latest_ns,
    )
