"""News: what is told of though nothing is wrong with it: changes, and the first leak of an arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.incidents.changes import ChangeLog
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.messages import Command, Event, EventName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tripswitch.detect.comparison import Comparisons
    from tripswitch.detect.leaks import FirstHit
    from tripswitch.model.incident import Change
    from tripswitch.windows.scopes import ScopeRecord


MOST_CHANGES_A_MINUTE: Final = 60


class News:
    """Makes events of what was seen, and keeps changes for triage.

    Names come from whoever sends telemetry, and every event is a row on disk: of more changes in a
    minute than people or their tools make only so many are told, and the rest is counted.
    """

    def __init__(self, changes: ChangeLog, comparisons: Comparisons) -> None:
        self.changes = changes
        self.comparisons = comparisons
        self.untold_changes = 0
        self._minute = -1
        self._told = 0

    def _may_tell(self, now_ns: int) -> bool:
        minute = now_ns // NS_PER_MINUTE
        if minute > self._minute:
            self._minute, self._told = minute, 0
        self._told += 1
        self.untold_changes += self._told > MOST_CHANGES_A_MINUTE
        return self._told <= MOST_CHANGES_A_MINUTE

    def of_changes(self, changes: Sequence[Change], now_ns: int) -> list[Command]:
        """Keep changes for triage and tell of them."""
        commands: list[Command] = []
        for change in changes:
            self.changes.note(change)
            if not self._may_tell(now_ns):
                continue
            detail = f"{change.kind.replace('_', ' ')} {change.after}"
            detail += f" on {change.scope.label()}" if change.scope.route else ""
            detail += f", after {change.before}" if change.before else ""
            seen_ns = max(change.time_ns, now_ns)
            commands.append(Event(EventName.CHANGE_SEEN, seen_ns, None, change, detail=detail))
        return commands

    def of_leaks(self, hits: Iterable[FirstHit], now_ns: int) -> list[Command]:
        """Tell of the first leak of an arm: a fact for the timeline that wakes nobody."""
        commands: list[Command] = []
        for hit in hits:
            detail = f"first pii_leak hit on {hit.arm.label()}, trace {hit.trace_id or 'unknown'}"
            seen_ns = max(hit.time_ns, now_ns)
            commands.append(Event(EventName.LEAK_NOTED, seen_ns, None, detail=detail))
        return commands

    def of_arms(self, newcomers: Iterable[ScopeRecord], now_ns: int) -> list[Command]:
        """Tell of versions that are new in a population, at the time they were first seen."""
        commands: list[Command] = []
        for record in newcomers:
            family = self.comparisons.families.get(record.scope.family())
            if family is None or record.scope not in family.arms:
                continue
            change = self.changes.see_arm(
                record.scope, record.first_seen_ns, found_running=record.found_running
            )
            if change is not None and self._may_tell(now_ns):
                detail = f"{change.after} seen on {record.scope.label()}" + (
                    f", where {change.before} served" if change.before else ""
                )
                seen_ns = record.first_seen_ns
                commands.append(Event(EventName.CHANGE_SEEN, seen_ns, None, change, detail=detail))
        return commands
