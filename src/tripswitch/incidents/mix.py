"""The mix of questions by population: whether the traffic changed when the version did.

A version is not to blame for another mix of models, tenants or lengths of input. What one
population was asked in the hour before a version came is compared with what it is asked since;
a cohort that is new has no before, and there its control at the same time has to do.

The distance is the total variation between two distributions, less what samples of that size show
by chance (about half the sum of the standard errors over the bins).
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import ScopeColumn
from tripswitch.model.waiting import Waiting
from tripswitch.windows.rings import Floats

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tripswitch.model.calls import Calls, IntColumn, Text
    from tripswitch.model.scope import Scope
    from tripswitch.model.snapshot import Snapshot

_SPAN_NS: Final = 10 * NS_PER_MINUTE
_SPANS: Final = 12
_BEFORE_SPANS: Final = 6
_MOST_POPULATIONS: Final = 2_000
_BINS: Final = 32
_DIMENSIONS: Final = ("models", "tenants", "input lengths")
_FEWEST_CALLS: Final = 100
_SHIFT: Final = 0.25


# Columns of so many calls take some 40 kB.
_MOST_WAITING: Final = 1_000


class _Asked(NamedTuple):
    """What of a batch of calls is counted, as columns of equal length."""

    scopes: ScopeColumn
    models: Sequence[Text]
    tenants: Sequence[Text]
    input_tokens: Floats
    ends_ns: IntColumn


class MixLog:
    """Counts by population, ten minutes, and dimension, in 32 bins each; two hours of them."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Scope, dict[int, Floats]] = OrderedDict()
        self._bins: dict[str, int] = {}
        self._waiting: Waiting[_Asked] = Waiting(_MOST_WAITING, self._count)

    def take(self, calls: Calls) -> None:
        """Count a batch of settled calls."""
        if len(calls):
            self._waiting.put(_asked(calls), len(calls))

    def _count(self, waiting: list[_Asked]) -> None:
        scopes, models, tenants, tokens, ends_ns = zip(*waiting, strict=True)
        column = ScopeColumn.joined(scopes)
        spans = np.concatenate(ends_ns) // _SPAN_NS
        bins = np.stack(
            [
                self._named(chain.from_iterable(models)),
                self._named(chain.from_iterable(tenants)),
                _lengths(np.concatenate(tokens)),
            ]
        )
        keys = column.codes * np.int64(1 << 32) + (spans - spans.min())
        unique, group = np.unique(keys, return_inverse=True)
        # One count of everything: by group, dimension and bin.
        dimensions = len(_DIMENSIONS)
        place = (group * dimensions + np.arange(dimensions)[:, None]) * _BINS + bins
        counted = np.bincount(place.ravel(), minlength=len(unique) * dimensions * _BINS)
        added = counted.reshape(len(unique), dimensions, _BINS)
        for number, key in enumerate(unique.tolist()):
            code, span = key >> 32, int((key & 0xFFFFFFFF) + spans.min())
            counts = self._of(column.distinct[code].population(), span)
            counts += added[number]

    def shift(self, population: Scope, since_ns: int) -> str:
        """Say which dimension changed at ``since_ns`` and how much; empty where none did."""
        self._waiting.count()
        spans = self._counts.get(population)
        if not spans:
            return ""
        first = since_ns // _SPAN_NS
        before = [spans[each] for each in spans if first - _BEFORE_SPANS <= each < first]
        # The span in which the version came has calls of both.
        since = [spans[each] for each in spans if each > first] or [
            spans[each] for each in spans if each == first
        ]
        if not before or not since:
            return ""
        was, now = np.sum(before, axis=0), np.sum(since, axis=0)
        for name, one, other in zip(_DIMENSIONS, was, now, strict=True):
            distance = _distance(one, other)
            if distance > _SHIFT:
                return (
                    f"{name} differ by {100 * distance:.0f} % of the calls "
                    f"({int(one.sum())} before, {int(other.sum())} since)"
                )
        return ""

    def save(self, snapshot: Snapshot) -> None:
        """Put the counts into ``snapshot``."""
        self._waiting.count()
        kept: list[list[Any]] = []
        for population, spans in self._counts.items():
            counts = [[span, values.tolist()] for span, values in spans.items()]
            kept.append([snapshot.number(population), counts])
        snapshot.facts["mix"] = kept

    def restore(self, snapshot: Snapshot) -> None:
        """Know again what `save` put there; a snapshot of before had none."""
        for number, counts in snapshot.facts.get("mix", ()):
            population = snapshot.scope(number)
            if population is not None:
                self._counts[population] = {
                    span: np.array(values, dtype=np.float64) for span, values in counts
                }

    def _of(self, population: Scope, span: int) -> Floats:
        spans = self._counts.get(population)
        if spans is None:
            spans = self._counts[population] = {}
            if len(self._counts) > _MOST_POPULATIONS:
                self._counts.popitem(last=False)
        counts = spans.get(span)
        if counts is None:
            counts = spans[span] = np.zeros((len(_DIMENSIONS), _BINS))
            for old in [each for each in spans if each <= max(spans) - _SPANS]:
                del spans[old]
            if span not in spans:
                return np.zeros((len(_DIMENSIONS), _BINS))
        return counts

    def _named(self, texts: Iterable[Text]) -> Any:
        """Return the bin of each text, by a hash that is the same in every process."""
        rows = list(texts)
        bins = {text: self._bin(text) for text in set(rows)}
        return np.fromiter(map(bins.__getitem__, rows), np.int64, len(rows))

    def _bin(self, text: Text) -> int:
        if text is None:
            return 0
        known = self._bins
        number = known.get(text)
        if number is None:
            if len(known) >= _MOST_POPULATIONS:
                known.clear()
            number = zlib.crc32(text.encode("utf-8", "surrogatepass")) % (_BINS - 1) + 1
            known[text] = number
        return number


def _asked(calls: Calls) -> _Asked:
    """Return what is counted of calls; nothing said where a column was left out."""
    count = len(calls)
    return _Asked(
        calls.by_scope(),
        calls.request_model if len(calls.request_model) == count else [None] * count,
        calls.tenant if len(calls.tenant) == count else [None] * count,
        calls.input_tokens if len(calls.input_tokens) == count else np.full(count, np.nan),
        calls.end,
    )


def _lengths(tokens: Floats) -> Any:
    """Return a bin for each doubling of the input's length; the first for one not said."""
    told = np.nan_to_num(np.log2(np.maximum(tokens, 1)) + 1, nan=0.0)
    return np.clip(told, 0, _BINS - 1).astype(np.int64)


def _distance(one: Floats, other: Floats) -> float:
    """Return the total variation distance less the one that chance explains, 0..1."""
    n, m = float(one.sum()), float(other.sum())
    if n < _FEWEST_CALLS or m < _FEWEST_CALLS:
        return 0.0
    p, q = one / n, other / m
    pooled = (one + other) / (n + m)
    chance = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m)).sum()
    return float(max(0.0, 0.5 * (np.abs(p - q).sum() - chance)))
