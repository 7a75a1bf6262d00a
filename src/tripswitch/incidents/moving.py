"""Moving: what the spans show of a lever that was pulled.

The traffic has moved when what was to leave has nearly no calls any more, in whole minutes after
the call, and what was to come has some. What is counted depends on the rung: the versions of a
population, the providers of the routes that went through the failing one, the runs of a tool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tripswitch.config.target_sections import PROVIDER_FAILOVER, TOOL_BREAKER
from tripswitch.detect.signals import CALLS, tool_measures
from tripswitch.incidents.facts import names_of
from tripswitch.incidents.ladder import VERSIONS
from tripswitch.windows.scopes import Measure, ScopeRecord, Scopes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tripswitch.detect.comparison import Comparisons
    from tripswitch.model.incident import RollbackPlan

FEWEST_CALLS: Final = 5
_GONE_SHARE: Final = 0.05
_GONE_OF_BEFORE: Final = 0.2
_BACK_SHARE: Final = 0.2
_BACK_OF_BEFORE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Moved:
    """Calls in the complete minutes looked at: of what leaves, of what comes, and in all."""

    leaving: float
    coming: float
    total: float

    @property
    def share(self) -> float:
        """Return what is left of what should leave, 0..1."""
        return self.leaving / self.total if self.total > 0 else 0.0

    def is_gone(self, share_before: float) -> bool:
        """Return whether it has left; ``share_before`` is its share before the call."""
        if self.total < FEWEST_CALLS or self.coming <= 0:
            return False
        return self.share <= min(_GONE_SHARE, _GONE_OF_BEFORE * share_before)

    def is_back(self, share_before: float) -> bool:
        """Return whether what had left serves again."""
        back = min(_BACK_SHARE, _BACK_OF_BEFORE * share_before)
        return self.total >= FEWEST_CALLS and self.share > max(back, _GONE_SHARE)


class Mover:
    """Counts the calls on either side of a plan."""

    def __init__(self, scopes: Scopes, comparisons: Comparisons) -> None:
        self.scopes = scopes
        self.comparisons = comparisons

    def moved(self, plan: RollbackPlan, since_minute: int) -> Moved:
        """Return the calls in the complete minutes from ``since_minute`` on, at most two."""
        if plan.path in VERSIONS:
            bad = plan.pointer._replace(prompt_version=plan.from_version)
            good = plan.pointer._replace(prompt_version=plan.to_version)
            return Moved(
                self._calls(self.scopes.records.get(bad), since_minute),
                self._calls(self.scopes.records.get(good), since_minute),
                self._calls(self.scopes.records.get(plan.pointer), since_minute),
            )
        if plan.path == PROVIDER_FAILOVER:
            return self._by_upstream(plan, since_minute)
        if plan.path == TOOL_BREAKER:
            return self._by_tool(plan, since_minute)
        return Moved(0.0, 0.0, 0.0)

    def _by_upstream(self, plan: RollbackPlan, since_minute: int) -> Moved:
        leaving = coming = total = 0.0
        bad, good = names_of(plan.from_version), names_of(plan.to_version)
        for family in self.comparisons.families.values():
            leaves = [
                (leaf, record) for arm in family.leaves.values() for leaf, record in arm.items()
            ]
            named = {name for leaf, _ in leaves for name in (leaf.provider, leaf.request_model)}
            if not named.intersection(bad):
                continue
            for leaf, record in leaves:
                calls = self._calls(record, since_minute)
                total += calls
                if leaf.provider in bad or leaf.request_model in bad:
                    leaving += calls
                elif leaf.provider in good or leaf.request_model in good:
                    coming += calls
        return Moved(leaving, coming, total)

    def _by_tool(self, plan: RollbackPlan, since_minute: int) -> Moved:
        errors, _ = tool_measures(plan.from_version)
        arms = [
            record
            for family in self.comparisons.families.values()
            if plan.pointer.route in (None, family.scope.route)
            for record in family.arms.values()
        ]
        total = self._sum(arms, CALLS, since_minute)
        return Moved(self._sum(arms, errors, since_minute), total, total)

    def _sum(self, records: Iterable[ScopeRecord], measure: Measure, since_minute: int) -> float:
        return sum(self._calls(record, since_minute, measure) for record in records)

    def _calls(
        self, record: ScopeRecord | None, since_minute: int, measure: Measure = CALLS
    ) -> float:
        row = None if record is None else record.series.get(measure)
        if row is None:
            return 0.0
        rings = self.scopes.rings
        complete = min(rings.now_minute - since_minute, 2)
        if complete <= 0:
            return 0.0
        return float(rings.last_minutes(row, complete + 1)[:-1, 0].sum())
