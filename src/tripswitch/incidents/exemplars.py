"""Exemplars: the traces that show what is wrong, and whom it affects.

By arm and signal the eight worst of each five minutes are kept for twenty minutes. From after the
onset the worst are shown, by how much they added to the evidence, no two from one session and one
tenant first, so that three traces tell three stories.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from tripswitch.model.calls import FloatColumn, IntColumn, Text
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot

MAX_SAVED: Final = 10_000
"""Calls that a snapshot holds, about 2 MB."""

_BUCKET_NS: Final = 5 * NS_PER_MINUTE
_BUCKETS: Final = 4
_WORST: Final = 8
_MOST_TENANTS: Final = 50
_MOST_WAITING: Final = 64
_MOST_ARMS: Final = 2_000
# Below so many offers columns cost more than they save.
_FEW: Final = 16
_NO_BAR: Final = float("-inf")


class Exemplar(NamedTuple):
    """One bad call: its badness, where to find it, and the facts that tell its story."""

    badness: float
    trace_id: str
    tenant: str | None
    session: str | None
    end_ns: int
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Offers:
    """Bad calls as columns of equal length. ``rows`` are positions in the lists that come last.

    ``arm`` and ``signal`` are positions in ``arms``, of which each has an offer, and ``signals``;
    ``moment_ns`` is when it counts, ``arrival`` the index of the OTLP request it came with.
    """

    arms: list[Scope]
    signals: list[str]
    arm: IntColumn
    signal: IntColumn
    arrival: IntColumn
    moment_ns: IntColumn
    end_ns: IntColumn
    badness: FloatColumn
    rows: IntColumn
    trace_id: Sequence[str]
    tenant: Sequence[Text]
    session: Sequence[Text] | None = None
    facts: Callable[[int], tuple[tuple[str, str], ...]] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def exemplar(self, index: int) -> Exemplar:
        """Return one offer as an object."""
        row = int(self.rows[index])
        return Exemplar(
            float(self.badness[index]),
            self.trace_id[row],
            self.tenant[row],
            None if self.session is None else self.session[row],
            int(self.end_ns[index]),
            () if self.facts is None else self.facts(row),
        )


@dataclass(slots=True)
class _Bucket:
    worst: list[Exemplar] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    waiting: list[Text] = field(default_factory=list)

    def count(self, tenants: Iterable[Text]) -> None:
        """Count one bad call for each of ``tenants``, the first fifty of them."""
        # Many together cost little more than a few.
        self.waiting += tenants
        if len(self.waiting) >= _MOST_WAITING:
            self.tenants()

    def tenants(self) -> Counter[str]:
        """Return how many bad calls each tenant had."""
        counted = self.counted
        for tenant, calls in Counter(self.waiting).items():
            if tenant is not None and (tenant in counted or len(counted) < _MOST_TENANTS):
                counted[tenant] += calls
        self.waiting.clear()
        return counted

    def least(self) -> float:
        """Return the badness that a call must exceed to be among the worst."""
        return self.worst[-1].badness if len(self.worst) >= _WORST else _NO_BAR

    def keep(self, exemplar: Exemplar) -> None:
        """Keep ``exemplar`` if it is among the worst."""
        if exemplar.badness <= self.least():
            return
        # Ties go to the smaller trace id, so that the choice does not depend on arrival order.
        insort(self.worst, exemplar, key=_worst_first)
        del self.worst[_WORST:]


class Exemplars:
    """The worst calls lately, by arm, signal and five minutes. Bounded in every direction."""

    def __init__(self) -> None:
        self._arms: OrderedDict[Scope, dict[tuple[str, int], _Bucket]] = OrderedDict()

    def add(self, arm: Scope, signal: str, exemplar: Exemplar) -> None:
        """Offer one bad call of ``arm``."""
        bucket = self._bucket(arm, signal, exemplar.end_ns // _BUCKET_NS)
        bucket.count((exemplar.tenant,))
        bucket.keep(exemplar)

    def take(self, offers: Sequence[Offers]) -> None:
        """Take bad calls of several kinds, as if each had been added when it came.

        Of one OTLP request those of the first kind came first.
        """
        is_new = any(arm not in self._arms for each in offers for arm in each.arms)
        # Which arms are dropped for new ones depends on the order of all that came.
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
                self._take_columns(each)

    def _take_columns(self, offers: Offers) -> None:
        if not len(offers):
            return
        arms, signals = len(offers.arms), len(offers.signals)
        number = offers.moment_ns // _BUCKET_NS
        group = (number * arms + offers.arm) * signals + offers.signal
        # Group by group, each in the order of its offers.
        order = np.argsort(group, kind="stable")
        grouped, badness = group[order], offers.badness[order]
        firsts = np.concatenate([[True], grouped[1:] != grouped[:-1]]).nonzero()[0]
        worst = np.fmax.reduceat(badness, firsts).tolist()
        groups, starts = grouped[firsts].tolist(), [*firsts.tolist(), len(order)]
        tenants = [offers.tenant[row] for row in offers.rows[order].tolist()]
        # That whose first offer came first goes first.
        for place in np.argsort(order[firsts]).tolist():
            rest, signal = divmod(groups[place], signals)
            bucket_number, arm = divmod(rest, arms)
            bucket = self._bucket(offers.arms[arm], offers.signals[signal], bucket_number)
            first, last = starts[place], starts[place + 1]
            bucket.count(tenants[first:last])
            least = bucket.least()
            if not worst[place] > least:
                # Most groups have none that can displace what is there.
                continue
            for at, how_bad in enumerate(badness[first:last].tolist(), first):
                # The bar rises with each that can.
                if how_bad > least:
                    bucket.keep(offers.exemplar(int(order[at])))
                    least = bucket.least()

    def _bucket(self, arm: Scope, signal: str, number: int) -> _Bucket:
        buckets = self._arms.get(arm)
        if buckets is None:
            buckets = self._arms[arm] = {}
            if len(self._arms) > _MOST_ARMS:
                self._arms.popitem(last=False)
        bucket = buckets.get((signal, number))
        if bucket is None:
            bucket = buckets[signal, number] = _Bucket()
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
        found.sort(key=_worst_first)
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
                    (signal, minutes): _Bucket(
                        [_exemplar_of(one) for one in worst], Counter(dict(tenants))
                    )
                    for signal, minutes, worst, tenants in buckets
                }

    def forget(self, arm: Scope) -> None:
        """Drop an arm that made way."""
        self._arms.pop(arm, None)


def _worst_first(exemplar: Exemplar) -> tuple[float, str]:
    return -exemplar.badness, exemplar.trace_id


def _exemplar_of(kept: list[Any]) -> Exemplar:
    exemplar = Exemplar(*kept)
    return exemplar._replace(facts=tuple((name, value) for name, value in exemplar.facts))


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
