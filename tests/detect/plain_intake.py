"""What the intake does, said plainly: one row after the other, one value at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tripswitch.config.model import Config
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.leaves import Leaf, Leaves
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import (
    CALLS,
    COST,
    ERROR,
    RATIOS,
    REFUSAL,
    SLOW,
    TOKENS,
    eval_measure,
)
from tripswitch.model.calls import Calls, Score
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.windows.histogram import Histogram
from tripswitch.windows.scopes import Measure, Scopes


@dataclass
class PlainIntake:
    """Adds one OTLP request's calls, scores and closed requests after the other."""

    config: Config
    scopes: Scopes = field(init=False)
    comparisons: Comparisons = field(init=False)
    leaves: Leaves = field(init=False)
    skewed: int = 0
    refused_rubrics: int = 0
    refused_tokens: int = 0
    unpriced_requests: int = 0

    def __post_init__(self) -> None:
        self.scopes = Scopes(self.config.windows.max_scopes)
        self.comparisons = Comparisons(self.scopes, Roster())
        self.leaves = Leaves(self.scopes, self.comparisons)

    def add(self, calls: Calls, scores: list[Score], requests: Requests, now_ns: list[int]) -> None:
        """Add what came with ``len(now_ns)`` OTLP requests."""
        for index, now in enumerate(now_ns):
            for row in np.flatnonzero(calls.request_index == index).tolist():
                self._call(calls, row, now)
            for score in scores:
                if score.request_index == index:
                    self._score(score, now)
            for row in np.flatnonzero(requests.request_index == index).tolist():
                self._request(requests, row, now)

    def _call(self, calls: Calls, row: int, now_ns: int) -> None:
        if not calls.is_chat[row]:
            return
        minute = self._minute(int(calls.end[row]), now_ns)
        if minute is None:
            self.skewed += 1
            return
        leaf = self._leaf(calls.scope(row), now_ns)
        self._put(leaf, CALLS, minute, 1.0)
        if calls.error_class[row] is None:
            self._put(leaf, REFUSAL, minute, float(bool(calls.refusal[row])))

    def _score(self, score: Score, now_ns: int) -> None:
        minute = self._minute(score.end, now_ns)
        if minute is not None:
            leaf = self._leaf(score.scope, now_ns)
            self._put(leaf, eval_measure(score.rubric), minute, 1.0 - score.score)

    def _request(self, requests: Requests, row: int, now_ns: int) -> None:
        minute = self._minute(int(requests.end[row]), now_ns)
        if minute is None:
            return
        leaf = self._leaf(requests.scope[row], now_ns)
        slow = leaf.family.yardsticks.get(SLOW)
        failed, latency = requests.error[row], float(requests.latency[row])
        self._put(leaf, ERROR, minute, float(failed))
        if not failed:
            for record in leaf.records:
                self.scopes.latencies.add(np.array([record.id]), np.array([latency]))
            if slow is not None:
                self._put(leaf, SLOW, minute, float(latency > slow.limit))
        tokens = float(requests.tokens[row])
        if tokens > 1e8:
            self.refused_tokens += len(leaf.records)
            tokens = float("nan")
        success = bool(requests.success[row])
        self._spend(leaf, TOKENS, self.scopes.tokens, minute, tokens, failed, success)
        cost = float(requests.cost_usd[row])
        is_unpriced = bool(np.isnan(cost) and not np.isnan(tokens))
        self.unpriced_requests += is_unpriced
        is_free = failed and not is_unpriced
        self._spend(leaf, COST, self.scopes.costs, minute, cost, is_free, success)

    def _spend(
        self,
        leaf: Leaf,
        measure: Measure,
        histogram: Histogram,
        minute: int,
        spent: float,
        is_free: bool,
        success: bool,
    ) -> None:
        if np.isnan(spent):
            if not is_free:
                return
            spent = 0.0
        for record in leaf.records if spent > 0 else ():
            histogram.add(np.array([record.id]), np.array([spent]))
        raw, of_success = RATIOS[measure]
        self._put(leaf, raw, minute, spent)
        if success:
            self._put(leaf, of_success, minute, spent)
        yardstick = leaf.family.yardsticks.get(measure)
        if yardstick is not None:
            self._put(leaf, measure, minute, yardstick.badness(spent, success=success))

    def _minute(self, end_ns: int, now_ns: int) -> int | None:
        reach_ns = int(self.config.windows.max_skew * NS_PER_S)
        if not now_ns - reach_ns <= end_ns <= now_ns + reach_ns:
            return None
        minute = now_ns // NS_PER_MINUTE
        return max(min(end_ns // NS_PER_MINUTE, minute), minute - 14)

    def _leaf(self, scope: Scope, now_ns: int) -> Leaf:
        leaf = self.leaves.see(scope, now_ns)
        for record in leaf.records:
            record.last_seen_ns = now_ns
        return leaf

    def _put(self, leaf: Leaf, measure: Measure, minute: int, value: float) -> None:
        for record in leaf.records:
            row = self.leaves._row(record, measure, self.config.detect)
            if row < 0:
                self.refused_rubrics += 1
                continue
            self.scopes.rings.add(np.array([row]), np.array([minute]), np.array([value]))


def held(scopes: Scopes, comparisons: Comparisons) -> dict[Any, Any]:
    """Return everything that is held, by names that do not depend on rows."""
    rings = scopes.rings
    found: dict[Any, Any] = {
        scope: (
            record.first_seen_ns,
            record.last_seen_ns,
            record.found_running,
            scopes.latencies.counts[record.id].tobytes(),
            scopes.tokens.counts[record.id].tobytes(),
            scopes.costs.counts[record.id].tobytes(),
            {
                measure: [
                    getattr(rings, name)[row].tobytes()
                    for name in ("minute", "quarter", "hour", "fresh")
                ]
                for measure, row in record.series.items()
            },
        )
        for scope, record in scopes.records.items()
    }
    found["order"] = list(scopes.records)
    found["newcomers"] = [record.scope for record in scopes.take_newcomers()]
    found["families"] = {
        scope: (family.first_seen_ns, set(family.arms), set(family.references))
        for scope, family in comparisons.families.items()
    }
    found["judged"] = set(comparisons.roster.by_key)
    found["folded"] = scopes.folded_values
    return found
