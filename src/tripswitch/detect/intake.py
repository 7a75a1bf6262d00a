"""Intake: calls, scores and requests into the rings of every scope they belong to.

Each value goes to four scopes: the leaf, its arm, and the two references without a version (with
and without the model) that other arms are compared with and recovery is judged on. A call goes to
the slot of its end, moved to now when its clock runs ahead; one that ended longer ago than the
rings reach, or lies further in the future, is counted as skewed, once as a call, and not judged.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tripswitch.config.model import Config
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.families import Family, without_version
from tripswitch.detect.signals import (
    CALLS,
    ERROR,
    REFUSAL,
    SLOW,
    TOKENS,
    TOKENS_OF_SUCCESS,
    TOKENS_RAW,
    eval_measure,
)
from tripswitch.model.calls import Calls, Score
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.windows.rings import MINUTES
from tripswitch.windows.scopes import OVERFLOW, Measure, ScopeRecord, Scopes

_MOST_RUBRICS: Final = 32
# Long enough for every arm that runs already to have shown itself, short enough that a rollout
# seconds after the start is still seen as one.
_FOUND_RUNNING_NS: Final = 60 * NS_PER_S
# Beyond any agent's longest run, and its square far from what a float can hold.
_MOST_TOKENS: Final = 1e8


class Intake:
    """Adds batches to the rings; one instance an engine."""

    def __init__(self, scopes: Scopes, comparisons: Comparisons) -> None:
        self.scopes = scopes
        self.comparisons = comparisons
        self.skewed = 0
        self.refused_rubrics = 0
        self.refused_tokens = 0
        self._belongs: dict[Scope, tuple[Family, list[ScopeRecord]]] = {}
        self._known_of_family: dict[Scope, list[Scope]] = {}
        self._latencies: list[tuple[int, float]] = []
        self._tokens: list[tuple[int, float]] = []
        self._rows: list[int] = []
        self._minutes: list[int] = []
        self._values: list[float] = []

    def add_calls(self, calls: Calls, now_ns: int, config: Config) -> None:
        """Count chat calls and, of those that were answered, the refusals."""
        for row in range(len(calls)):
            if not calls.is_chat[row]:
                continue
            minute = self._minute(int(calls.end[row]), now_ns, config)
            if minute is None:
                self.skewed += 1
                continue
            for record in self._records(calls.scope(row), now_ns)[1]:
                self._put(record, CALLS, minute, 1.0, config)
                if calls.error_class[row] is None:
                    self._put(record, REFUSAL, minute, float(bool(calls.refusal[row])), config)
        self._flush()

    def forget(self, scope: Scope) -> None:
        """Drop what is remembered of scopes that ``scope``, which made way, belongs to."""
        for known in self._known_of_family.pop(scope.family(), ()):
            del self._belongs[known]

    def add_scores(self, scores: list[Score], now_ns: int, config: Config) -> None:
        """Count scores as badness in the scope of their call."""
        for score in scores:
            minute = self._minute(score.end, now_ns, config)
            if minute is None:
                continue
            measure = eval_measure(score.rubric)
            for record in self._records(score.scope, now_ns)[1]:
                if measure not in record.series and self._rubrics(record) >= _MOST_RUBRICS:
                    self.refused_rubrics += 1
                    continue
                self._put(record, measure, minute, 1.0 - score.score, config)
        self._flush()

    def add_requests(self, requests: Requests, now_ns: int, config: Config) -> None:
        """Count closed requests: errors, latency, tokens by success."""
        for row in range(len(requests)):
            minute = self._minute(int(requests.end[row]), now_ns, config)
            if minute is None:
                continue
            scope = requests.scope[row]
            family, records = self._records(scope, now_ns)
            for record in records:
                self._put(record, ERROR, minute, float(requests.error[row]), config)
                if not requests.error[row]:
                    self._add_latency(record, family, float(requests.latency[row]), minute, config)
                self._add_tokens(
                    record,
                    family,
                    float(requests.tokens[row]),
                    minute,
                    config,
                    is_error=requests.error[row],
                    is_success=requests.success[row],
                )
        self._flush()

    def _add_latency(
        self, record: ScopeRecord, family: Family, latency_s: float, minute: int, config: Config
    ) -> None:
        self._latencies.append((record.id, latency_s))
        if family.yardstick is not None:
            self._put(record, SLOW, minute, float(latency_s > family.yardstick.slow_s), config)

    def _add_tokens(
        self,
        record: ScopeRecord,
        family: Family,
        tokens: float,
        minute: int,
        config: Config,
        *,
        is_error: bool,
        is_success: bool,
    ) -> None:
        if tokens > _MOST_TOKENS:
            self.refused_tokens += 1
            tokens = float("nan")
        if np.isnan(tokens):
            if not is_error:
                return
            tokens = 0.0
        if tokens > 0:
            self._tokens.append((record.id, tokens))
        self._put(record, TOKENS_RAW, minute, tokens, config)
        if is_success:
            self._put(record, TOKENS_OF_SUCCESS, minute, tokens, config)
        if family.yardstick is not None:
            badness = family.yardstick.token_badness(tokens, success=is_success)
            if badness is not None:
                self._put(record, TOKENS, minute, badness, config)

    def _minute(self, end_ns: int, now_ns: int, config: Config) -> int | None:
        reach_ns = int(config.windows.max_skew * NS_PER_S)
        if not now_ns - reach_ns <= end_ns <= now_ns + reach_ns:
            return None
        now_minute = now_ns // NS_PER_MINUTE
        return int(max(min(end_ns // NS_PER_MINUTE, now_minute), now_minute - MINUTES + 1))

    def _records(self, scope: Scope, now_ns: int) -> tuple[Family, list[ScopeRecord]]:
        """Return the family, and the records of arm, leaf and both references; the arm first."""
        known = self._belongs.get(scope)
        if known is not None:
            for record in known[1]:
                record.last_seen_ns = now_ns
            return known
        arm = scope.arm()
        known_family = self.comparisons.families.get(scope.family())
        first_seen_ns = now_ns if known_family is None else known_family.first_seen_ns
        is_young = now_ns - first_seen_ns < _FOUND_RUNNING_NS
        wanted = [scope, arm, without_version(scope), scope.population()]
        records = [self.scopes.see(item, now_ns, found_running=is_young) for item in wanted]
        # What is folded in whole makes no family of its own: families are bounded by scopes.
        is_folded = all(record.scope == OVERFLOW for record in records)
        family = self.comparisons.family_of(OVERFLOW if is_folded else scope, now_ns)
        if is_folded:
            return family, records[:1]
        if records[1].scope == arm:
            family.arms.setdefault(arm, records[1])
        if records[0].scope == scope and scope != arm:
            family.leaves.setdefault(arm, {}).setdefault(scope, records[0])
        for reference in records[2:]:
            if reference.scope.family() == family.scope:
                family.references.setdefault(reference.scope, reference)
        # A dict keeps order and drops the repeats; the arm comes first.
        unique = list({id(record): record for record in (records[1], *records)}.values())
        if all(record.scope != OVERFLOW for record in unique):
            self._belongs[scope] = (family, unique)
            self._known_of_family.setdefault(family.scope, []).append(scope)
        return family, unique

    def _put(
        self, record: ScopeRecord, measure: Measure, minute: int, value: float, config: Config
    ) -> None:
        if measure not in record.series:
            self.scopes.row(record, measure)
            if self._is_judged(record):
                self.comparisons.judge_series(record, measure, config.detect)
        self._rows.append(record.series[measure])
        self._minutes.append(minute)
        self._values.append(value)

    def _is_judged(self, record: ScopeRecord) -> bool:
        family = self.comparisons.families.get(record.scope.family())
        if family is None:
            return False
        return record.scope in family.arms or record.scope in family.leaves.get(
            record.scope.arm(), {}
        )

    def _rubrics(self, record: ScopeRecord) -> int:
        return sum(1 for measure in record.series if measure.rubric is not None)

    def _flush(self) -> None:
        for histogram, pairs in (
            (self.scopes.latencies, self._latencies),
            (self.scopes.tokens, self._tokens),
        ):
            if pairs:
                columns = np.array(pairs)
                histogram.add(columns[:, 0].astype(np.int64), columns[:, 1])
                pairs.clear()
        if self._rows:
            self.scopes.rings.add(
                np.array(self._rows, dtype=np.int64),
                np.array(self._minutes, dtype=np.int64),
                np.array(self._values, dtype=np.float64),
            )
            self._rows.clear()
            self._minutes.clear()
            self._values.clear()
