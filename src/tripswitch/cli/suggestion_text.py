"""What ``tripswitch replay --suggest`` prints: a table, and YAML for the configuration."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import yaml
from rich.table import Table
from rich.text import Text

from tripswitch.cli.status import printable
from tripswitch.detect.explanation import minutes_phrase

if TYPE_CHECKING:
    from rich.console import Console

    from tripswitch.drive.suggestion import SignalSuggestion, Suggestion


def suggestion_json(suggestion: Suggestion) -> dict[str, Any]:
    """Return everything that is suggested, and the settings, as plain values."""
    return asdict(suggestion) | {"settings": suggestion.settings()}


def show_suggestion(suggestion: Suggestion, people: Console) -> str:
    """Print the table and the remarks for people; return the YAML."""
    table = Table(title=Text(_title(suggestion)), title_justify="left")
    for name in (
        "signal",
        "page line",
        "lowest",
        "reached a month",
        "takes, most traffic",
        "takes, middle",
        "decided by",
    ):
        table.add_column(name, overflow="fold")
    for one in suggestion.signals:
        table.add_row(*(Text(printable(cell)) for cell in _cells(one)))
    people.print(table)
    people.print(
        Text(
            f"alpha_page {suggestion.alpha_page:g} for {suggestion.rows:g} rows, alpha_start "
            f"{suggestion.alpha_start:g} for {suggestion.starts_a_month:.3g} starts a month"
        )
    )
    for remark in suggestion.remarks:
        people.print(Text(remark))
    return yaml.safe_dump(suggestion.settings(), sort_keys=False)


def _title(suggestion: Suggestion) -> str:
    return (
        f"for {suggestion.false_pages_a_month:g} false pages a month, from "
        f"{minutes_phrase(suggestion.recorded_minutes)} recorded"
    )


def _cells(one: SignalSuggestion) -> tuple[str, ...]:
    return (
        one.signal,
        f"{one.page:g} -> {one.suggested_page:g}",
        f"{one.lowest_page:g}",
        f"{one.a_month:.2g} -> {one.suggested_a_month:.2g}",
        _change(one.busiest_minutes, one.suggested_busiest_minutes),
        _change(one.middle_minutes, one.suggested_middle_minutes),
        one.decided_by,
    )


def _change(before: float | None, after: float | None) -> str:
    return f"{minutes_phrase(before)} -> {minutes_phrase(after)}"
