"""Families: which arms serve one prompt on one route, and which of them is the control.

The control of an arm is the cohort that the configuration names first, where it serves now; else
the arm that was there before it, longest and with the most traffic, as long as both serve side by
side. An arm that nothing older serves beside has no control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tripswitch.detect.signals import CALLS
from tripswitch.detect.yardsticks import Yardstick
from tripswitch.model.scope import Scope
from tripswitch.windows.scopes import ScopeRecord, Scopes

_SERVING_SHARE = 0.2
_CONTROL_SHARE = 0.5


@dataclass(slots=True)
class Family:
    """Everything one prompt does on a route. Keys of the maps are scopes of that width.

    ``leaves`` are an arm's scopes by model and provider, ``references`` every scope without a
    version (a population, or one narrowed to a model) that a scope can be compared with.
    """

    scope: Scope
    first_seen_ns: int
    arms: dict[Scope, ScopeRecord] = field(default_factory=dict)
    leaves: dict[Scope, dict[Scope, ScopeRecord]] = field(default_factory=dict)
    references: dict[Scope, ScopeRecord] = field(default_factory=dict)
    yardstick: Yardstick | None = None
    moved_minutes: int = 0

    def forget(self, scope: Scope) -> None:
        """Drop a scope that made way."""
        self.arms.pop(scope, None)
        self.leaves.pop(scope, None)
        self.references.pop(scope, None)
        for leaves in self.leaves.values():
            leaves.pop(scope, None)


def without_version(scope: Scope) -> Scope:
    """Return the scope that the same slice has whatever the prompt version."""
    return scope._replace(prompt_version=None)


def calls_in(scopes: Scopes, record: ScopeRecord, window: str) -> float:
    """Return how many calls a scope had in a window of the rings."""
    row = record.series.get(CALLS)
    if row is None:
        return 0.0
    if window == "5m":
        return float(scopes.rings.last_minutes(row, 5)[:, 0].sum())
    return float(scopes.rings.window(np.array([row]), window)[0, 0])


def control_of(
    family: Family, record: ScopeRecord, scopes: Scopes, control_cohorts: Sequence[str]
) -> ScopeRecord | None:
    """Return the record that ``record`` is compared with at the same time, or None."""
    scope = record.scope
    cohorts = {
        (reference.scope.cohort or "").lower(): reference.scope.cohort
        for reference in family.references.values()
    }
    for name in control_cohorts:
        cohort = cohorts.get(name.lower())
        if cohort is None:
            continue
        if scope.cohort == cohort:
            return None
        control = family.references.get(without_version(scope)._replace(cohort=cohort))
        if control is not None and calls_in(scopes, control, "5m") > 0:
            return control
    return _older_arm_beside(family, record, scopes)


def version_before(family: Family, record: ScopeRecord) -> ScopeRecord | None:
    """Return the same slice as served by the version before this one, or None."""
    scope = record.scope
    if scope.prompt_version is None or record.found_running:
        return None
    rivals = [
        other
        for other in _same_width(family, scope)
        if without_version(other.scope) == without_version(scope)
        and other.scope != scope
        and other.first_seen_ns < record.first_seen_ns
    ]
    return max(rivals, key=lambda other: (other.last_seen_ns, other.id), default=None)


def serving_version(family: Family, scopes: Scopes, population: Scope) -> str | None:
    """Return the prompt version with the most calls of the last 15 min in ``population``."""
    arms = [
        (calls_in(scopes, arm, "15m"), arm.scope.prompt_version or "")
        for arm in family.arms.values()
        if arm.scope.population() == population and arm.scope.prompt_version is not None
    ]
    calls, version = max(arms, default=(0.0, ""))
    return version if calls > 0 else None


def _older_arm_beside(family: Family, record: ScopeRecord, scopes: Scopes) -> ScopeRecord | None:
    scope = record.scope
    own_recent = calls_in(scopes, record, "5m")
    own_hour = calls_in(scopes, record, "1h")
    rivals = []
    for other in _same_width(family, scope):
        if (other.scope.prompt_version, other.scope.cohort) == (scope.prompt_version, scope.cohort):
            continue
        if other.scope.request_model != scope.request_model:
            continue
        if other.first_seen_ns >= record.first_seen_ns:
            continue
        hour = calls_in(scopes, other, "1h")
        if calls_in(scopes, other, "5m") <= _SERVING_SHARE * own_recent:
            continue
        if hour >= _CONTROL_SHARE * own_hour:
            rivals.append((-other.first_seen_ns, hour, other.id, other))
    return max(rivals, key=lambda rival: rival[:3])[3] if rivals else None


def _same_width(family: Family, scope: Scope) -> list[ScopeRecord]:
    if scope == scope.arm():
        return list(family.arms.values())
    return [leaf for leaves in family.leaves.values() for leaf in leaves.values()]
