"""Of all scopes that show one thing, the smallest whose siblings are quiet.

A model of an arm when the arm's other models are well, else the arm; a scope before what it is
rolled up in, unless it is one of several; and of two roll-ups the narrower one, unless what the
wider has besides shows it too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.decision import LOOK, NOTHING, Decision
from tripswitch.detect.point_rule import WINDOWS
from tripswitch.detect.rollups import Rollup
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import Kind
from tripswitch.model.scope import Scope
from tripswitch.windows.rings import Rows
from tripswitch.windows.scopes import Measure

Key = tuple[Scope, Measure, Kind]


class Narrowest:
    """Leaves out what is told by a scope that is closer to the cause."""

    def __init__(self, roster: Roster, comparisons: Comparisons) -> None:
        self.roster = roster
        self.comparisons = comparisons

    def of(self, hot: list[int], rows: Rows, decision: Decision) -> list[int]:
        """Return those of ``hot``, indices of ``rows``, that are to be told of, in their order."""
        by_key = {self.roster.key(int(rows[index])): index for index in hot}
        dropped = self._among_models(by_key, rows, decision)
        dropped |= self._among_rollups(by_key, rows, decision)
        return [index for index in hot if index not in dropped]

    def shows_it(self, row: int, decision: Decision, index: int) -> bool:
        """Return whether a row without a control is bad, too, be it proven or not."""
        if self.roster.is_absolute[row]:
            return bool(decision.level[index] > NOTHING)
        return bool(decision.reading.estimate[index] >= self.roster.line_page[row] / 2)

    def _among_models(self, by_key: Mapping[Key, int], rows: Rows, decision: Decision) -> set[int]:
        dropped = set()
        for (scope, measure, kind), index in by_key.items():
            arm = by_key.get((scope.arm(), measure, kind))
            if scope == scope.arm() or arm is None:
                continue
            family = self.comparisons.families.get(scope.family())
            others = {} if family is None else family.leaves.get(scope.arm(), {})
            is_shared = any(
                self._is_loud((other, measure, kind), rows, decision)
                for other in others
                if other != scope
            )
            dropped.add(index if is_shared else arm)
        return dropped

    def _is_loud(self, key: Key, rows: Rows, decision: Decision) -> bool:
        row = self.roster.by_key.get(key)
        if row is None or not self.roster.judged[row]:
            return False
        index = int(np.searchsorted(rows, row))
        is_known = decision.is_comparable[index] and decision.window[index] >= 0
        return bool(is_known) and self.shows_it(row, decision, index)

    def _among_rollups(self, by_key: Mapping[Key, int], rows: Rows, decision: Decision) -> set[int]:
        rollups = self.comparisons.rollups
        hot = [
            (rollup, key, index)
            for key, index in by_key.items()
            if (rollup := rollups.of(key[0])) is not None
        ]
        dropped: set[int] = set()
        # The widest first, so that the narrowest has the last word on its members.
        for rollup, key, index in sorted(hot, key=lambda one: len(one[0].members), reverse=True):
            dropped |= self._beside_members(rollup, key, index, by_key, rows, decision)
            for narrower, other_key, other in hot:
                is_inside = narrower is not rollup and other_key[1:] == key[1:]
                inside = rollup.inside(narrower) if is_inside else []
                if not inside or other in dropped or index in dropped:
                    continue
                row = int(rows[index])
                of_look = decision.level[index] == LOOK
                line = self.roster.line_look if of_look else self.roster.line_page
                window = WINDOWS[int(decision.window[index])]
                rest_shows = rollups.is_shown(rollup, row, window, float(line[row]), inside)
                dropped.add(other if rest_shows else index)
        return dropped

    def _beside_members(
        self,
        rollup: Rollup,
        key: Key,
        index: int,
        by_key: Mapping[Key, int],
        rows: Rows,
        decision: Decision,
    ) -> set[int]:
        """Return what is not told of, a roll-up or those of its members that are as bad."""
        _, measure, kind = key
        told = {
            found
            for member in rollup.members
            for scope in (member.scope, member.scope.arm())
            if (found := by_key.get((scope, measure, kind))) is not None
        }
        if not told or decision.level[index] > max(decision.level[found] for found in told):
            return set()
        if not rollup.is_version or any(decision.is_control[found] for found in told):
            return {index}
        others = [
            member
            for member in rollup.members
            if by_key.get((member.scope, measure, kind)) not in told
        ]
        is_shared = len(told) > 1 or any(
            self._is_loud((member.scope, measure, kind), rows, decision) for member in others
        )
        return told if is_shared else {index}
