"""Exemplars: the traces that show what is wrong, and whom it affects.

By arm and signal the eight worst of each five minutes are kept for twenty minutes. From after the
onset the worst are shown, by how much they added to the evidence, no two from one session and one
tenant first, so that three traces tell three stories.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Container, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from tripswitch.incidents.offers import Exemplar, Judged, Offers, offers_of
from tripswitch.incidents.worst import Bucket, worst_first
from tripswitch.model.calls import IntColumn
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.model.waiting import Waiting

MAX_SAVED: Final = 10_000
"""Calls that a snapshot holds, about 2 MB."""

_BUCKET_NS: Final = 5 * NS_PER_MINUTE
_BUCKETS: Final = 4
_MOST_ARMS: Final = 2_000
# Below so many offers columns cost more than they save.
_FEW: Final = 16
# Of calls, scores and requests together.
_MOST_ROWS_WAITING: Final = 3_000


class _Group(NamedTuple):
    """Offers to one bucket, at ``order[first:last]``; the first of them is ``earliest``."""

    arm: Scope
    key: tuple[str, int]
    first: int
    last: int
    earliest: int
    worst: float


class Exemplars:
    """The worst calls lately, by arm, signal and five minutes. Bounded in every direction."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Scope, dict[tuple[str, int], Bucket]] = OrderedDict()
        # Most offers come to nothing, and many are looked through as fast as a few.
        self._waiting: Waiting[Judged] = Waiting(_MOST_ROWS_WAITING, self._count)
        self._waiting_number = -1

    @property
    def _arms(self) -> OrderedDict[Scope, dict[tuple[str, int], Bucket]]:
        self._waiting.count()
        return self._kept

    def add(self, arm: Scope, signal: str, exemplar: Exemplar) -> None:
        """Offer one bad call of ``arm``."""
        self._waiting.count()
        bucket = self._bucket(arm, signal, exemplar.end_ns // _BUCKET_NS)
        bucket.count((exemplar.tenant,))
        bucket.keep(exemplar)

    def take(self, batch: Judged) -> None:
        """Take what is bad of a batch."""
        counted = batch.counted
        if not len(counted.rows):
            return
        number, last_number = (now_ns // _BUCKET_NS for now_ns in counted.between_ns)
        # Of what waits nothing is older than what a bucket that it opens drives out.
        if number != self._waiting_number:
            self._waiting.count()
            self._waiting_number = number
        # Which arms are dropped for new ones depends on the order of all that came.
        if last_number != number or any(
            leaf is not None and leaf.arm not in self._kept for leaf in counted.leaves
        ):
            self._waiting.count()
            self.take_offers(offers_of([batch]))
        else:
            self._waiting.put(batch, len(batch.calls) + len(batch.scores) + len(batch.requests))

    def take_offers(self, offers: Sequence[Offers]) -> None:
        """Take bad calls of several kinds, as if each had been added when it came.

        Of one OTLP request those of the first kind came first.
        """
        is_new = any(arm not in self._arms for each in offers for arm in each.arms)
        if is_new or sum(len(each) for each in offers) <= _FEW:
            for each, index in _in_order(offers):
                arm, signal = each.arms[each.arm[index]], each.signals[each.signal[index]]
                bucket = self._bucket(arm, signal, int(each.moment_ns[index]) // _BUCKET_NS)
                bucket.count((each.tenant[int(each.rows[index])],))
                # Most are not among the worst, and what they would say takes long to put together.
                if each.badness[index] > bucket.least():
                    bucket.keep(each.exemplar(index))
        else:
            for each in offers:
                self._fill(each, *_grouped(each))

    def _count(self, batches: list[Judged]) -> None:
        """Take what waits, all of it of arms that are known."""
        offers = offers_of(batches)
        grouped = [_grouped(each) for each in offers]
        self._open(offers, [groups for _, groups in grouped])
        for each, (order, groups) in zip(offers, grouped, strict=True):
            self._fill(each, order, groups)

    def _open(self, offers: Sequence[Offers], groups: Sequence[list[_Group]]) -> None:
        """Open the buckets that are not there, as if each batch had been taken when it came."""
        new = [
            (kind, group)
            for kind, of_kind in enumerate(groups)
            for group in of_kind
            if group.key not in self._kept[group.arm]
        ]
        if not new:
            return
        sizes = np.bincount(np.concatenate([each.batch for each in offers]))

        def came(opened: tuple[int, _Group]) -> tuple[int, ...]:
            kind, group = opened
            each, index = offers[kind], group.earliest
            batch = int(each.batch[index])
            if sizes[batch] > _FEW:
                return batch, kind, index
            # As `_in_order`; signals are numbered as they come in their batch.
            alike = (each.batch == batch) & (each.signal == each.signal[index])
            arrival, row = int(each.arrival[index]), int(each.rows[index])
            return batch, arrival, kind, row, int(alike.argmax()), index

        for _, group in sorted(new, key=came):
            self._bucket(group.arm, *group.key)

    def _fill(self, offers: Offers, order: IntColumn, groups: list[_Group]) -> None:
        tenants = [offers.tenant[row] for row in offers.rows[order].tolist()]
        badness = offers.badness[order]
        for group in groups:
            bucket = self._bucket(group.arm, *group.key)
            some = slice(group.first, group.last)
            bucket.count(tenants[some])
            # Most groups have none that can displace what is there.
            if not group.worst > bucket.least():
                continue
            bucket.keep_of(offers, order[some], badness[some])

    def _bucket(self, arm: Scope, signal: str, number: int) -> Bucket:
        buckets = self._kept.get(arm)
        if buckets is None:
            buckets = self._kept[arm] = {}
            if len(self._kept) > _MOST_ARMS:
                self._kept.popitem(last=False)
        bucket = buckets.get((signal, number))
        if bucket is None:
            bucket = buckets[signal, number] = Bucket()
            for old in [key for key in buckets if key[1] <= number - _BUCKETS]:
                del buckets[old]
        return bucket

    def pick(
        self, scope: Scope, signals: tuple[str, ...], onset_ns: int, most: int
    ) -> tuple[str, ...]:
        """Return up to ``most`` trace ids of calls that ended after the onset's minute."""
        found = [
            exemplar
            for arm, buckets in self._arms.items()
            if _covers(scope, arm)
            for (signal, _), bucket in buckets.items()
            if signal in signals
            for exemplar in bucket.worst
            if exemplar.end_ns >= onset_ns - NS_PER_MINUTE
        ]
        found.sort(key=worst_first)
        chosen: list[Exemplar] = []
        for strict in (True, False):
            for exemplar in found:
                if len(chosen) == most:
                    break
                if any(exemplar.trace_id == other.trace_id for other in chosen):
                    continue
                if strict and any(
                    exemplar.tenant == other.tenant
                    or (exemplar.session is not None and exemplar.session == other.session)
                    for other in chosen
                ):
                    continue
                chosen.append(exemplar)
        return tuple(exemplar.trace_id for exemplar in chosen)

    def facts(self, scope: Scope, trace_id: str) -> tuple[tuple[str, str], ...]:
        """Return all that is known of one exemplar's call, each fact once, in a fixed order."""
        found: dict[tuple[str, str], None] = {}
        for arm, buckets in self._arms.items():
            if _covers(scope, arm):
                for key in sorted(buckets):
                    for exemplar in buckets[key].worst:
                        if exemplar.trace_id == trace_id:
                            found |= dict.fromkeys(exemplar.facts)
        return tuple(found)

    def tenants(
        self, scope: Scope, signals: tuple[str, ...], onset_ns: int, most: int = 20
    ) -> tuple[tuple[str, int], ...]:
        """Return the affected tenants with how many bad calls each had, most affected first."""
        counts: Counter[str] = Counter()
        for arm, buckets in self._arms.items():
            if not _covers(scope, arm):
                continue
            for (signal, number), bucket in buckets.items():
                if signal in signals and (number + 1) * _BUCKET_NS > onset_ns:
                    counts.update(bucket.tenants())
        return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])

    def save(self, snapshot: Snapshot, wanted: Container[Scope]) -> None:
        """Put the worst calls into ``snapshot``, at most `MAX_SAVED`.

        Arms that ``wanted`` holds come first, the others after them, the newest first.
        """
        room = MAX_SAVED
        kept: dict[Scope, list[object]] = {}
        in_turn = list(reversed(self._arms))
        in_turn.sort(key=lambda arm: arm not in wanted)
        for arm in in_turn:
            buckets = self._arms[arm]
            room -= sum(len(bucket.worst) for bucket in buckets.values())
            if room < 0:
                break
            kept[arm] = [
                [
                    signal,
                    number,
                    [list(one) for one in bucket.worst],
                    list(bucket.tenants().items()),
                ]
                for (signal, number), bucket in buckets.items()
            ]
        snapshot.left_out["exemplars"] = sum(
            len(bucket.worst)
            for arm, buckets in self._arms.items()
            if arm not in kept
            for bucket in buckets.values()
        )
        snapshot.facts["exemplars"] = [
            [snapshot.number(arm), kept[arm]] for arm in self._arms if arm in kept
        ]

    def restore(self, snapshot: Snapshot) -> None:
        """Know again the calls that `save` put there."""
        for number, buckets in snapshot.facts["exemplars"]:
            arm = snapshot.scope(number)
            if arm is not None:
                self._arms[arm] = {
                    (signal, minutes): Bucket(
                        [_exemplar_of(one) for one in worst], Counter(dict(tenants))
                    )
                    for signal, minutes, worst, tenants in buckets
                }

    def forget(self, arm: Scope) -> None:
        """Drop an arm that made way."""
        self._arms.pop(arm, None)


def _exemplar_of(kept: list[Any]) -> Exemplar:
    exemplar = Exemplar(*kept)
    return exemplar._replace(facts=tuple((name, value) for name, value in exemplar.facts))


def _grouped(offers: Offers) -> tuple[IntColumn, list[_Group]]:
    """Return the order of offers by bucket, each bucket's as they came, and where which begin.

    That whose first offer came first goes first.
    """
    if not len(offers):
        return offers.rows, []
    arms, signals = len(offers.arms), len(offers.signals)
    number = offers.moment_ns // _BUCKET_NS
    group = (number * arms + offers.arm) * signals + offers.signal
    order = np.argsort(group, kind="stable")
    grouped = group[order]
    firsts = np.concatenate([[True], grouped[1:] != grouped[:-1]]).nonzero()[0]
    worst = np.fmax.reduceat(offers.badness[order], firsts).tolist()
    lasts = [*firsts[1:].tolist(), len(order)]
    found = []
    indices = order[firsts]
    for place in np.argsort(indices).tolist():
        rest, signal = divmod(int(grouped[firsts[place]]), signals)
        bucket_number, arm = divmod(rest, arms)
        key = offers.signals[signal], bucket_number
        first, earliest = int(firsts[place]), int(indices[place])
        found.append(_Group(offers.arms[arm], key, first, lasts[place], earliest, worst[place]))
    return order, found


def _in_order(offers: Sequence[Offers]) -> list[tuple[Offers, int]]:
    """Return every offer in order of arrival: by OTLP request, then kind, row and signal."""
    keyed = [
        (arrival, kind, row, signal, index)
        for kind, each in enumerate(offers)
        for index, (arrival, row, signal) in enumerate(
            zip(each.arrival.tolist(), each.rows.tolist(), each.signal.tolist(), strict=True)
        )
    ]
    return [(offers[kind], index) for _, kind, _, _, index in sorted(keyed)]


def _covers(scope: Scope, arm: Scope) -> bool:
    """Return whether ``scope``, taken as far as an arm reaches, includes ``arm``."""
    return all(
        wanted is None or wanted == there
        for wanted, there in zip(scope.arm()[:4], arm[:4], strict=True)
    )
