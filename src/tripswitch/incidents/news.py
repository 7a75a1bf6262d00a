"""News: what is told of though nothing is wrong with it: changes, and the first leak of an arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.incidents.changes import ChangeLog
from tripswitch.model.messages import Command, Event, EventName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tripswitch.detect.comparison import Comparisons
    from tripswitch.detect.leaks import FirstHit
    from tripswitch.model.incident import Change
    from tripswitch.windows.scopes import ScopeRecord


class News:
    """Makes events of what was seen, and keeps changes for triage."""

    def __init__(self, changes: ChangeLog, comparisons: Comparisons) -> None:
        self.changes = changes
        self.comparisons = comparisons

    def of_changes(self, changes: Sequence[Change], now_ns: int) -> list[Command]:
        """Keep changes for triage and tell of them."""
        commands: list[Command] = []
        for change in changes:
            self.changes.note(change)
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

    def of_arms(self, newcomers: Iterable[ScopeRecord]) -> list[Command]:
        """Tell of versions that are new in a population, at the time they were first seen."""
        commands: list[Command] = []
        for record in newcomers:
            family = self.comparisons.families.get(record.scope.family())
            if family is None or record.scope not in family.arms:
                continue
            change = self.changes.see_arm(
                record.scope, record.first_seen_ns, found_running=record.found_running
            )
            if change is not None:
                detail = f"{change.after} seen on {record.scope.label()}" + (
                    f", where {change.before} served" if change.before else ""
                )
                seen_ns = record.first_seen_ns
                commands.append(Event(EventName.CHANGE_SEEN, seen_ns, None, change, detail=detail))
        return commands
