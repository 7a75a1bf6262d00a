"""Families: which arms serve one prompt on one route, and which of them is the control.

The control of an arm is the cohort that the configuration names first, where it serves beside it
with a tenth of its calls at least; else the arm that was there before it, longest and with the most
traffic, as long as both serve side by side. An arm that nothing older serves beside has no control.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tripswitch.detect.signals import CALLS
from tripswitch.detect.yardsticks import Yardstick
from tripswitch.model.scope import Scope
from tripswitch.windows.rings import Floats, Rows
from tripswitch.windows.scopes import Measure, ScopeRecord, Scopes

_SERVING_SHARE = 0.2
# A control that hardly serves any more says little about now, and would keep the past from being
# looked at.
_NAMED_SHARE = 0.1
_CONTROL_SHARE = 0.5


@dataclass(slots=True)
class Family:
    """Everything one prompt does on a route. Keys of the maps are scopes of that width.

    ``leaves`` are an arm's scopes by model and provider, ``references`` every scope without a
    version (a population, or one narrowed to a model) that a scope can be compared with, and
    ``rollups`` those that its arms are added up in.
    ``moved_minutes`` is for how long a yardstick has seemed another one;
    ``tells_refusals_apart`` says that evaluations call some refusals legitimate or not.
    """

    scope: Scope
    first_seen_ns: int
    arms: dict[Scope, ScopeRecord] = field(default_factory=dict)
    leaves: dict[Scope, dict[Scope, ScopeRecord]] = field(default_factory=dict)
    references: dict[Scope, ScopeRecord] = field(default_factory=dict)
    rollups: dict[Scope, ScopeRecord] = field(default_factory=dict)
    yardsticks: dict[Measure, Yardstick] = field(default_factory=dict)
    moved_minutes: dict[Measure, int] = field(default_factory=dict)
    tells_refusals_apart: bool = False

    def forget(self, scope: Scope) -> None:
        """Drop a scope that made way."""
        self.arms.pop(scope, None)
        self.leaves.pop(scope, None)
        self.references.pop(scope, None)
        self.rollups.pop(scope, None)
        for leaves in self.leaves.values():
            leaves.pop(scope, None)


def without_version(scope: Scope) -> Scope:
    """Return the scope that the same slice has whatever the prompt version."""
    route, prompt_name, _, cohort, request_model, provider = scope
    return Scope(route, prompt_name, None, cohort, request_model, provider)


def calls_in(scopes: Scopes, record: ScopeRecord, window: str) -> float:
    """Return how many calls a scope had in a window of the rings."""
    row = record.series.get(CALLS)
    if row is None:
        return 0.0
    if window == "5m":
        return float(scopes.rings.last_minutes(row, 5)[:, 0].sum())
    return float(scopes.rings.window(np.array([row]), window)[0, 0])


class Traffic:
    """How many calls every scope had, read from the rings once for all of them."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._revision = -1
        self._ids: Rows = np.zeros(0, dtype=np.int64)
        self._rows: Rows = np.zeros(0, dtype=np.int64)
        self._calls: dict[str, list[float]] = {}
        self.columns: dict[str, Floats] = {}
        """By window the calls of each scope by its id."""
        self.read()

    def read(self) -> None:
        """Take what the rings hold now; they are read as one is made, too."""
        scopes = self._scopes
        if scopes.revision != self._revision:
            self._revision = scopes.revision
            known = [
                (record.id, row)
                for record in scopes.records.values()
                if (row := record.series.get(CALLS)) is not None
            ]
            self._ids, self._rows = np.array(known, dtype=np.int64).reshape(-1, 2).T.copy()
        size = scopes.ids
        for window in ("5m", "1h", "6h"):
            calls = np.zeros(size)
            calls[self._ids] = scopes.rings.counts(self._rows, window)
            self.columns[window] = calls
            # It is read one by one, which is quicker in a list.
            self._calls[window] = calls.tolist()

    def calls(self, record: ScopeRecord, window: str) -> float:
        """Return the calls of one scope in the last ``5m``, ``1h`` or ``6h``."""
        column = self._calls[window]
        return column[record.id] if record.id < len(column) else 0.0


class Candidates:
    """Who may be a control in one family at one moment, found once for all its arms.

    ``cohorts`` are the cohorts seen by their lower-case name; those that are `serving` had calls in
    the last five minutes, and the longest there are first.
    """

    def __init__(self, family: Family, traffic: Traffic) -> None:
        self.traffic = traffic
        self.family = family
        self.references = family.references
        self.cohorts = {
            (reference.scope.cohort or "").lower(): reference.scope.cohort
            for reference in family.references.values()
        }
        self.asked: list[tuple[int, int, bool]] = []
        self._serving: dict[tuple[str | None, str | None], list[ScopeRecord]] | None = None

    @property
    def is_by_name(self) -> bool:
        """Return whether named cohorts alone decided, and `asked` is all that was asked."""
        return self._serving is None

    def serves_beside(self, control: ScopeRecord, record: ScopeRecord) -> bool:
        """Return whether a named ``control`` serves, with calls enough beside ``record``."""
        calls = self.traffic.calls
        enough = _NAMED_SHARE * calls(record, "1h")
        serves = calls(control, "5m") > 0 and calls(control, "1h") >= enough
        self.asked.append((control.id, record.id, serves))
        return serves

    def serving(self, width: tuple[str | None, str | None]) -> Sequence[ScopeRecord]:
        """Return the arms and leaves of one model and provider that serve."""
        if self._serving is None:
            # Where a cohort is named the control, nobody asks.
            self._serving = {}
            calls = self.traffic.calls
            for record in _all_of(self.family):
                if calls(record, "5m") > 0:
                    self._serving.setdefault(_width(record.scope), []).append(record)
            for records in self._serving.values():
                records.sort(key=lambda one: (one.first_seen_ns, -calls(one, "1h"), -one.id))
        return self._serving.get(width, ())


def control_of(
    candidates: Candidates, record: ScopeRecord, control_cohorts: Sequence[str]
) -> ScopeRecord | None:
    """Return the record that ``record`` is compared with at the same time, or None."""
    scope = record.scope
    for name in control_cohorts:
        cohort = candidates.cohorts.get(name.lower())
        if cohort is None:
            continue
        if scope.cohort == cohort:
            return None
        beside = Scope(
            scope.route, scope.prompt_name, None, cohort, scope.request_model, scope.provider
        )
        control = candidates.references.get(beside)
        if control is not None and candidates.serves_beside(control, record):
            return control
    return _older_arm_beside(candidates, record)


def serve_beside(traffic: Traffic, control: Rows, record: Rows) -> npt.NDArray[np.bool_]:
    """Return what `Candidates.serves_beside` does of many pairs, by the ids of their records."""
    lately, hour = traffic.columns["5m"], traffic.columns["1h"]
    return np.asarray(
        (lately[control] > 0) & (hour[control] >= _NAMED_SHARE * hour[record]), dtype=np.bool_
    )


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


def _older_arm_beside(candidates: Candidates, record: ScopeRecord) -> ScopeRecord | None:
    scope, traffic = record.scope, candidates.traffic
    own_recent, own_hour = traffic.calls(record, "5m"), traffic.calls(record, "1h")
    for other in candidates.serving(_width(scope)):
        if other.first_seen_ns >= record.first_seen_ns:
            break
        if (other.scope.prompt_version, other.scope.cohort) == (scope.prompt_version, scope.cohort):
            continue
        if traffic.calls(other, "5m") <= _SERVING_SHARE * own_recent:
            continue
        if traffic.calls(other, "1h") >= _CONTROL_SHARE * own_hour:
            return other
    return None


def _width(scope: Scope) -> tuple[str | None, str | None]:
    return scope.request_model, scope.provider


def _all_of(family: Family) -> Iterable[ScopeRecord]:
    yield from family.arms.values()
    for leaves in family.leaves.values():
        yield from leaves.values()


def _same_width(family: Family, scope: Scope) -> Iterable[ScopeRecord]:
    return (other for other in _all_of(family) if _width(other.scope) == _width(scope))
