"""Leaves: the narrowest scopes, each with the up to four scopes that its values count in.

A value of a leaf goes to the leaf itself, to its arm, and to the two references without a version
(with and without the model) that other arms are compared with and recovery is judged on. Which
ring rows those are is looked up once a leaf and measure, so that a batch can be added by columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.families import Family, without_version
from tripswitch.detect.signals import FIXED, TOOL_ERROR, TOOL_SLOW
from tripswitch.model.calls import IntColumn
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.scope import Scope
from tripswitch.windows.scopes import OVERFLOW, Measure, ScopeRecord, Scopes

WIDTHS: Final = 4
"""Scopes that a leaf counts in, at most."""

NOWHERE: Final = -1
"""In place of a row or an id where a leaf has fewer scopes, or where one refuses the measure."""

UNMADE: Final = -2
"""In place of a row that is made when the first value comes."""

_MOST: Final = {"eval_score": 32, TOOL_ERROR: 16, TOOL_SLOW: 16}
"""Rubrics and tools that a scope may have: their names are the sender's to choose."""

# Long enough for every arm that runs already to have shown itself, short enough that a rollout
# seconds after the start is still seen as one.
_FOUND_RUNNING_NS: Final = 60 * NS_PER_S


@dataclass(slots=True, eq=False)
class Leaf:
    """A leaf with its family and its records, the arm's first, none of them twice.

    ``folded`` counts those of its scopes that had no room of their own. ``ids`` (WIDTHS,) are the
    records' ids, ``fixed`` (len(FIXED), WIDTHS) and ``named`` (rubrics, tools, harms) their rows.
    """

    scope: Scope
    arm: Scope
    family: Family
    records: tuple[ScopeRecord, ...]
    folded: int
    ids: IntColumn = field(init=False)
    fixed: IntColumn = field(init=False)
    named: dict[Measure, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ids = np.array(_padded([record.id for record in self.records]))
        self.fixed = np.full((len(FIXED), WIDTHS), UNMADE)


NO_IDS: Final[IntColumn] = np.full(WIDTHS, NOWHERE)
NO_ROWS: Final[IntColumn] = np.full((len(FIXED), WIDTHS), NOWHERE)


class Leaves:
    """The leaves that have room, and the series of each."""

    def __init__(self, scopes: Scopes, comparisons: Comparisons) -> None:
        self.scopes = scopes
        self.comparisons = comparisons
        self.known: dict[Scope, Leaf] = {}
        self._known_of_family: dict[Scope, list[Scope]] = {}

    def see(self, scope: Scope, now_ns: int) -> Leaf:
        """Return the leaf of ``scope``, making it when new.

        One with a scope that had to be folded is not kept: it is tried again the next time.
        """
        known = self.known.get(scope)
        if known is not None:
            return known
        arm = scope.arm()
        known_family = self.comparisons.families.get(scope.family())
        first_seen_ns = now_ns if known_family is None else known_family.first_seen_ns
        since_ns = max(first_seen_ns, self.comparisons.watching_since_ns)
        is_young = now_ns - since_ns < _FOUND_RUNNING_NS
        wanted = [scope, arm, without_version(scope), scope.population()]
        folded_before = self.scopes.folded_values
        records = [self.scopes.see(item, now_ns, found_running=is_young) for item in wanted]
        folded = self.scopes.folded_values - folded_before
        # What is folded in whole makes no family of its own: families are bounded by scopes.
        is_folded = all(record.scope == OVERFLOW for record in records)
        family = self.comparisons.family_of(OVERFLOW if is_folded else scope, now_ns)
        if is_folded:
            return Leaf(scope, arm, family, (records[0],), folded)
        if records[1].scope == arm:
            self._join(family.arms, records[1])
        if records[0].scope == scope and scope != arm:
            self._join(family.leaves.setdefault(arm, {}), records[0])
        for reference in records[2:]:
            if reference.scope.family() == family.scope:
                self._join(family.references, reference)
        # A dict keeps order and drops the repeats; the arm comes first.
        unique = {id(record): record for record in (records[1], *records)}
        leaf = Leaf(scope, arm, family, tuple(unique.values()), folded)
        if all(record.scope != OVERFLOW for record in leaf.records):
            self.known[scope] = leaf
            self._known_of_family.setdefault(family.scope, []).append(scope)
        return leaf

    def _join(self, members: dict[Scope, ScopeRecord], record: ScopeRecord) -> None:
        """Have a scope be one of a family's, also one that was known as something else."""
        if record.scope not in members:
            members[record.scope] = record
            self.scopes.revision += 1

    def forget(self, scope: Scope) -> None:
        """Drop the leaves that count in ``scope``, which made way."""
        for known in self._known_of_family.pop(scope.family(), ()):
            del self.known[known]

    def make(self, leaf: Leaf, place: int, detect: Detect) -> None:
        """Make the series of a fixed measure, by its place, in every scope of a leaf."""
        rows = [self._row(record, FIXED[place], detect) for record in leaf.records]
        leaf.fixed[place] = _padded(rows)

    def of_named(self, leaf: Leaf, measure: Measure, detect: Detect) -> tuple[int, ...]:
        """Return the ring rows of a measure by name in a leaf's scopes, making them when new.

        `NOWHERE` in a scope that has all that it may have of this sort.
        """
        rows = leaf.named.get(measure)
        if rows is not None:
            return rows
        found = [self._row(record, measure, detect) for record in leaf.records]
        rows = _padded(found)
        if NOWHERE not in found:
            leaf.named[measure] = rows
        return rows

    def _row(self, record: ScopeRecord, measure: Measure, detect: Detect) -> int:
        row = record.series.get(measure)
        if row is None:
            most = _MOST.get(measure.name)
            if most is not None and _named_alike(record, measure.name) >= most:
                return NOWHERE
            row = self.scopes.row(record, measure)
            if self._is_judged(record):
                self.comparisons.judge_series(record, measure, detect)
        return row

    def _is_judged(self, record: ScopeRecord) -> bool:
        family = self.comparisons.families.get(record.scope.family())
        if family is None:
            return False
        leaves = family.leaves.get(record.scope.arm(), {})
        return record.scope in family.arms or record.scope in leaves


def _named_alike(record: ScopeRecord, name: str) -> int:
    return sum(1 for measure in record.series if measure.name == name)


def _padded(numbers: list[int]) -> tuple[int, ...]:
    return (*numbers, *[NOWHERE] * (WIDTHS - len(numbers)))
