"""Exemplars: the traces that show what is wrong, and whom it affects.

By arm and signal the eight worst of each five minutes are kept for twenty minutes. From after the
onset the worst are shown, by how much they added to the evidence, no two from one session and one
tenant first, so that three traces tell three stories.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import Scope

_BUCKET_NS: Final = 5 * NS_PER_MINUTE
_BUCKETS: Final = 4
_WORST: Final = 8
_MOST_TENANTS: Final = 50
_MOST_ARMS: Final = 2_000


class Exemplar(NamedTuple):
    """One bad call: its badness 0..1 and where to find it."""

    badness: float
    trace_id: str
    tenant: str | None
    session: str | None
    end_ns: int


@dataclass(slots=True)
class _Bucket:
    worst: list[Exemplar] = field(default_factory=list)
    tenants: Counter[str] = field(default_factory=Counter)


class Exemplars:
    """The worst calls lately, by arm, signal and five minutes. Bounded in every direction."""

    def __init__(self) -> None:
        self._arms: OrderedDict[Scope, dict[tuple[str, int], _Bucket]] = OrderedDict()

    def add(self, arm: Scope, signal: str, exemplar: Exemplar) -> None:
        """Offer one bad call of ``arm``."""
        buckets = self._arms.get(arm)
        if buckets is None:
            buckets = self._arms[arm] = {}
            if len(self._arms) > _MOST_ARMS:
                self._arms.popitem(last=False)
        number = exemplar.end_ns // _BUCKET_NS
        bucket = buckets.get((signal, number))
        if bucket is None:
            bucket = buckets[signal, number] = _Bucket()
            for old in [key for key in buckets if key[1] <= number - _BUCKETS]:
                del buckets[old]
        if exemplar.tenant is not None and (
            exemplar.tenant in bucket.tenants or len(bucket.tenants) < _MOST_TENANTS
        ):
            bucket.tenants[exemplar.tenant] += 1
        worst = bucket.worst
        if len(worst) >= _WORST and exemplar.badness <= worst[-1].badness:
            return
        worst.append(exemplar)
        # Ties go to the smaller trace id, so that the choice does not depend on arrival order.
        worst.sort(key=lambda item: (-item.badness, item.trace_id))
        del worst[_WORST:]

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
        found.sort(key=lambda item: (-item.badness, item.trace_id))
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
                    counts.update(bucket.tenants)
        return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])

    def forget(self, arm: Scope) -> None:
        """Drop an arm that made way."""
        self._arms.pop(arm, None)


def _covers(scope: Scope, arm: Scope) -> bool:
    """Return whether ``scope``, taken as far as an arm reaches, includes ``arm``."""
    return all(
        wanted is None or wanted == there
        for wanted, there in zip(scope.arm()[:4], arm[:4], strict=True)
    )
