"""The worst calls of some minutes, and how many bad ones each tenant had."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from tripswitch.incidents.offers import Exemplar, Offers
from tripswitch.model.calls import FloatColumn, IntColumn, Text

_WORST: Final = 8
_MOST_TENANTS: Final = 50
_MOST_WAITING: Final = 64
_NO_BAR: Final = float("-inf")


class _Candidate(NamedTuple):
    """An exemplar, or the index of an offer as bad as this."""

    badness: float
    trace_id: str
    exemplar: Exemplar | None
    offer: int


@dataclass(slots=True)
class Bucket:
    """The ``worst`` calls of one arm by one signal in some minutes, and whom bad ones affected.

    ``worst`` are at most eight, the worst first. Tenants are counted up to fifty of them.
    """

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
        insort(self.worst, exemplar, key=worst_first)
        del self.worst[_WORST:]

    def keep_of(self, offers: Offers, indices: IntColumn, badness: FloatColumn) -> None:
        """Keep those offers that `keep` would, were each an exemplar, in order.

        What most of them would say takes long to put together, and is displaced by the next.
        """
        if len(indices) <= _WORST:
            for index, how_bad in zip(indices.tolist(), badness.tolist(), strict=True):
                if how_bad > self.least():
                    self.keep(offers.exemplar(index))
            return
        least = self.least()
        some = (badness > least).nonzero()[0]
        if len(some) > _WORST:
            # None below these can stay.
            bar = np.partition(badness[some], -_WORST)[-_WORST]
            some = some[badness[some] >= bar]
        worst = [_Candidate(one.badness, one.trace_id, one, -1) for one in self.worst]
        for index, how_bad in zip(indices[some].tolist(), badness[some].tolist(), strict=True):
            # The bar rises with each that can.
            if how_bad > least:
                trace_id = offers.trace_id[int(offers.rows[index])]
                insort(worst, _Candidate(how_bad, trace_id, None, index), key=worst_first)
                del worst[_WORST:]
                least = worst[-1].badness if len(worst) >= _WORST else _NO_BAR
        self.worst = [one.exemplar or offers.exemplar(one.offer) for one in worst]


def worst_first(exemplar: Exemplar | _Candidate) -> tuple[float, str]:
    """Return what sorts calls with the worst first."""
    return -exemplar.badness, exemplar.trace_id
