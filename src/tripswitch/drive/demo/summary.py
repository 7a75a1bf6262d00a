"""The demo's result for people: when, what, why, which traces, what was called, how long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tripswitch.drive.demo.observed import claims
from tripswitch.drive.demo.timeline import ROLLBACK_CALLED
from tripswitch.drive.demo.view import safe, timeline
from tripswitch.model.clocktext import NS_PER_S, minutes_text

if TYPE_CHECKING:
    from rich.console import Console

    from tripswitch.drive.demo.timeline import Moment, Observed


def print_summary(seen: Observed, console: Console) -> None:
    """Print what was seen and whether it is what the story claims."""
    console.print("What happened, in story time", style="bold")
    console.print(timeline(seen.timeline, one_line=False))
    opened = seen.first("incident.opened")
    if opened is not None:
        console.print("\nThe incident", style="bold")
        console.print(_incident(opened, seen.first(ROLLBACK_CALLED)))
        console.print("\nHow long it took", style="bold")
        console.print(_stages(seen))
    console.print("\nWhat the story claims", style="bold")
    judged = claims(seen)
    console.print(_claims(seen))
    failed = sum(not claim.held for claim in judged)
    verdict = (
        f"{failed} of {len(judged)} claims were not observed"
        if failed
        else f"all {len(judged)} claims were observed"
    )
    story_time = minutes_text(int(seen.gateway["story_s"] * NS_PER_S))
    console.print(
        f"\n{verdict}: {seen.told.name} story, seed {seen.seed}, "
        f"{story_time} of story in {seen.wall_s:.0f} s",
        style="bold red" if failed else "bold green",
    )


def _incident(opened: Moment, called: Moment | None) -> Table:
    incident = opened["incident"]
    rows: list[tuple[str, Any]] = [
        ("when", f"began {incident['onset'][11:19]}, noticed {incident['detected_at'][11:19]}"),
        ("what", f"{incident['severity']}, {incident['shape']} on {_scope(incident['scope'])}"),
        ("why", incident["why"]),
        ("which traces", "\n".join(incident["exemplars"])),
    ]
    if called is not None:
        call = called["call"]
        rollback = (call["data"] or {}).get("rollback", {})
        rows += [
            ("what was called", f"POST /rollback: {rollback.get('from')} to {rollback.get('to')}"),
            ("under which id", call["id"]),
            ("what came back", f"{call['status']} {json.dumps(call['answer'])}"),
        ]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        lines = [safe(line) for line in str(text).split("\n")]
        cell = lines[0]
        for line in lines[1:]:
            cell.append("\n").append_text(line)
        table.add_row(name, cell)
    return table


def _stages(seen: Observed) -> Table:
    table = Table("stage", box=None, pad_edge=False)
    table.add_column("story time", justify="right")
    table.add_column("wall time", justify="right")
    for stage in seen.stages():
        table.add_row(
            stage.name, minutes_text(int(stage.story_s * NS_PER_S)), f"{stage.wall_s:.1f} s"
        )
    return table


def _claims(seen: Observed) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for claim in claims(seen):
        mark = safe("yes", "green") if claim.held else safe("NO", "bold red")
        table.add_row(mark, safe(f"{claim.claim}: {claim.detail}"))
    return table


def _scope(scope: dict[str, str | None]) -> str:
    return " ".join(part for part in scope.values() if part)
