"""The upkeep of every family's yardsticks: fixed once, moved only when the reference has moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect, Signals
from tripswitch.detect.families import Family, Traffic
from tripswitch.detect.roster import SUSPICIOUS, Roster
from tripswitch.detect.signals import COST, RATIOS, SLOW, TOKENS, TTFT, kinds_of, tool_measures
from tripswitch.detect.yardsticks import (
    Bounds,
    Measured,
    Wanted,
    bounds_of,
    has_moved,
    measure,
    place_of,
    unsettled,
)
from tripswitch.model.scope import Scope
from tripswitch.windows.scopes import Measure, ScopeRecord, Scopes

_SETTLED_VALUES: Final = 1000.0
# A spike moves the p99 within a minute; a new normal is believed only after an hour in which
# nothing was suspect.
_MOVED_MINUTES: Final = 60


@dataclass(slots=True, eq=False)
class _Asked:
    """The yardsticks that a family wants, and what they hang on."""

    family: Family
    reference: ScopeRecord
    lines: Signals
    tools: int
    wanted: list[Wanted]

    def holds(self, family: Family, reference: ScopeRecord, lines: Signals) -> bool:
        """Return whether nothing that it hangs on is another now."""
        return (
            self.family is family
            and self.reference is reference
            and self.lines is lines
            and self.tools == len(reference.tools)
        )


class _Table:
    """All yardsticks that are wanted, as columns.

    What is fixed or seems to move is to be noted.
    """

    def __init__(self, asked: list[_Asked]) -> None:
        self._asked = asked
        self.owners = [one.family for one in asked for _ in one.wanted]
        self.wanted = [item for one in asked for item in one.wanted]
        self._limits = np.full(len(self.wanted), np.nan)
        self._bounds: Bounds | None = None
        self._spans: dict[int, tuple[int, int]] = {}
        first = 0
        for one in asked:
            self._spans[id(one.family)] = first, first + len(one.wanted)
            first += len(one.wanted)
            self.note(one.family)
        multiples = [1.0 if item.measure in RATIOS else item.multiple for item in self.wanted]
        self._multiples = np.array(multiples)
        places: dict[str, list[tuple[int, int]]] = {}
        for position, item in enumerate(self.wanted):
            name, row = place_of(item)
            if row >= 0:
                places.setdefault(name, []).append((position, row))
        self._places = {name: tuple(np.array(pairs).T) for name, pairs in places.items()}

    def note(self, family: Family) -> None:
        """Take the limits of a family as they are now."""
        self._bounds = None
        first, end = self._spans[id(family)]
        for position in range(first, end):
            known = family.yardsticks.get(self.wanted[position].measure)
            # One that seemed to move is looked at again, for its minutes are counted.
            is_known = known is not None and not family.moved_minutes
            self._limits[position] = known.limit if known is not None and is_known else np.nan

    def is_of(self, asked: list[_Asked]) -> bool:
        """Return whether these, and no others, are wanted."""
        return self._asked == asked

    def unsettled(self, scopes: Scopes) -> list[int]:
        """Return the positions of those that are not known, or may have moved."""
        if self._bounds is None:
            self._bounds = bounds_of(scopes, self._places, self._multiples, self._limits)
        found: list[int] = unsettled(self._bounds).tolist()
        return found


class FamilyYardsticks:
    """Fixes and moves yardsticks; families with an incident keep theirs as they are."""

    def __init__(self, scopes: Scopes, roster: Roster) -> None:
        self.scopes = scopes
        self.roster = roster
        self.incident_families: set[Scope] = set()
        self._asked: dict[int, _Asked] = {}
        self._table = _Table([])
        self._laid_of: tuple[int, Detect, frozenset[Scope], list[_Asked]] | None = None
        self._named: dict[int, tuple[Family, int, Detect, ScopeRecord | None]] = {}

    def refresh(
        self, families: Iterable[Family], traffic: Traffic, now_ns: int, detect: Detect
    ) -> None:
        """Fix or move the yardsticks of every family that has no incident; once a minute."""
        if not self._holds(traffic, detect):
            self._table = self._lay(families, traffic, detect)
        table = self._table
        at = table.unsettled(self.scopes)
        wanted = [table.wanted[position] for position in at]
        measured = measure(self.scopes, wanted, detect.min_baseline)
        for position, item, found in zip(at, wanted, measured, strict=True):
            if found is not None:
                family = table.owners[position]
                was_moving = bool(family.moved_minutes)
                is_fixed = self._move(family, item.measure, found, now_ns)
                if is_fixed or bool(family.moved_minutes) != was_moving:
                    table.note(family)

    def _holds(self, traffic: Traffic, detect: Detect) -> bool:
        """Return whether the families would ask for the same again, without asking them.

        So they do while no scope and no tool is new, the configuration and the families with an
        incident are the same, and each reference without a name is still the busiest.
        """
        if self._laid_of is None:
            return False
        revision, by_detect, troubled, by_traffic = self._laid_of
        return (
            revision == self.scopes.revision
            and by_detect is detect
            and troubled == self.incident_families
            and all(_busiest(one.family, traffic) is one.reference for one in by_traffic)
        )

    def _lay(self, families: Iterable[Family], traffic: Traffic, detect: Detect) -> _Table:
        """Ask every family what it wants."""
        asked: list[_Asked] = []
        for family in families:
            if family.scope in self.incident_families:
                continue
            reference = self._reference_of(family, traffic, detect)
            if reference is not None:
                asked.append(self._ask(family, reference, detect.for_route(family.scope.route)))
        self._asked = {id(one.family): one for one in asked}
        self._named = {key: self._named[key] for key in self._asked}
        by_traffic = [one for one in asked if self._named[id(one.family)][3] is None]
        troubled = frozenset(self.incident_families)
        self._laid_of = self.scopes.revision, detect, troubled, by_traffic
        return self._table if self._table.is_of(asked) else _Table(asked)

    def _reference_of(self, family: Family, traffic: Traffic, detect: Detect) -> ScopeRecord | None:
        """Return the control population, else the arm with the most traffic of the last hours."""
        revision, known = self.scopes.revision, self._named.get(id(family))
        # Without a new scope the populations are the same.
        if not (
            known is not None and known[0] is family and known[1] == revision and known[2] is detect
        ):
            named = _named_control(family, detect)
            known = self._named[id(family)] = (family, revision, detect, named)
        return known[3] or _busiest(family, traffic)

    def _ask(self, family: Family, reference: ScopeRecord, lines: Signals) -> _Asked:
        """Return what a family wants now, the same as the last time where that still holds."""
        before = self._asked.get(id(family))
        if before is not None and before.holds(family, reference, lines):
            return before
        wanted = list(_wanted(reference, lines))
        return _Asked(family, reference, lines, len(reference.tools), wanted)

    def _move(self, family: Family, measure_: Measure, found: Measured, now_ns: int) -> bool:
        """Take what was found where it is new, or lasts; return whether it is what counts now."""
        known = family.yardsticks.get(measure_)
        if known is not None:
            if not has_moved(known, found.yardstick) or self._is_suspect(family, measure_):
                family.moved_minutes.pop(measure_, None)
                return False
            moved_minutes = family.moved_minutes.get(measure_, 0) + 1
            family.moved_minutes[measure_] = moved_minutes
            if found.values >= _SETTLED_VALUES and moved_minutes < _MOVED_MINUTES:
                return False
        family.moved_minutes.pop(measure_, None)
        family.yardsticks[measure_] = found.yardstick
        self._drop_counted(family, measure_, now_ns)
        return True

    def _is_suspect(self, family: Family, measure_: Measure) -> bool:
        """Return whether any evidence of the family in this measure is building up."""
        scopes = [*family.arms, *family.rollups]
        scopes += [leaf for leaves in family.leaves.values() for leaf in leaves]
        rows = [
            row
            for scope in scopes
            for kind in kinds_of(measure_)
            if (row := self.roster.by_key.get((scope, measure_, kind))) is not None
        ]
        index = np.array(rows, dtype=np.int64)
        return any(
            bool((self.roster.detectors[name].evidence(index) >= SUSPICIOUS).any())
            for name in ("page_own", "page_control")
        )

    def _drop_counted(self, family: Family, measure_: Measure, now_ns: int) -> None:
        records = [*family.arms.values(), *family.references.values()]
        records += [one for one in family.rollups.values() if one.scope not in family.references]
        for leaves in family.leaves.values():
            records.extend(leaves.values())
        for record in records:
            series = record.series.get(measure_)
            if series is not None:
                self.scopes.rings.clear(series)
            for kind in kinds_of(measure_):
                row = self.roster.by_key.get((record.scope, measure_, kind))
                if row is not None:
                    self.roster.restart(row, now_ns)


def _wanted(reference: ScopeRecord, lines: Signals) -> Iterable[Wanted]:
    yield Wanted(reference, SLOW, lines.p99_latency.page_multiple)
    yield Wanted(reference, TTFT, lines.ttft_p99.page_multiple)
    yield Wanted(reference, TOKENS, 1.0)
    yield Wanted(reference, COST, 1.0)
    for tool in reference.tools:
        yield Wanted(reference, tool_measures(tool)[1], lines.tool_latency.page_multiple)


def _busiest(family: Family, traffic: Traffic) -> ScopeRecord | None:
    """Return the arm with the most calls of the last hours."""
    return max(
        family.arms.values(),
        key=lambda arm: (traffic.calls(arm, "6h"), -arm.first_seen_ns, -arm.id),
        default=None,
    )


def _named_control(family: Family, detect: Detect) -> ScopeRecord | None:
    """Return the population of the first cohort that is named the control and was seen."""
    populations: dict[str, ScopeRecord] = {}
    for scope, record in family.references.items():
        if scope.request_model is None and scope.provider is None:
            populations.setdefault((scope.cohort or "").lower(), record)
    for name in detect.control_cohorts:
        if name.lower() in populations:
            return populations[name.lower()]
    return None
