"""``tripswitch replay``: recorded telemetry through the engine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def replay(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="OTLP JSON lines (.jsonl, .gz, .zst), a protobuf request (.binpb), or a folder.",
        ),
    ],
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="FILE", help="Configuration; may be given repeatedly."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for every event.")
    ] = False,
    fail: Annotated[
        bool, typer.Option("--fail", help="Exit with 1 when an incident was found.")
    ] = False,
) -> None:
    """Run recorded telemetry through the engine and print what it would have said.

    The time is the time in the data, nothing is called, and the same files give the same output.

    Example: tripswitch replay --config config/tripswitch.yaml traces.jsonl.zst
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from tripswitch.config.loading import load_config
    from tripswitch.drive.process import seek_cycles_seldom
    from tripswitch.drive.replay import replay as run
    from tripswitch.drive.replay import replay_session
    from tripswitch.model.messages import EventName

    loaded = load_config(config or [], os.environ)
    seek_cycles_seldom()
    session = replay_session(loaded)
    people = Console(stderr=True)
    incidents = 0
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), console=people, transient=True
    ) as progress:
        task = progress.add_task("reading")
        for event in run(loaded, files, session):
            incidents += event.name is EventName.INCIDENT_OPENED
            if as_json:
                sys.stdout.write(json.dumps(event.as_json(), ensure_ascii=True) + "\n")
            else:
                row = event.as_json()
                sys.stdout.write(f"{row['time']}  {row['event']:<22} {_plain(event.detail)}\n")
            progress.update(task, description=escape(f"{event.name.value}: {incidents} incidents"))
    counts = session.counters()
    spans, calls = counts["reader_spans_total"], counts["reader_calls_total"]
    skewed = counts["reader_skewed_spans_total"]
    unreadable = counts["reader_unreadable_requests_total"]
    people.print(
        f"{spans:.0f} spans, {calls:.0f} calls, {incidents} incidents"
        + (f", {skewed:.0f} spans too far from the clock of the data" if skewed else "")
        + (f", {unreadable:.0f} unreadable requests" if unreadable else ""),
        highlight=False,
    )
    if fail and incidents:
        raise typer.Exit(1)


def _plain(text: str) -> str:
    """Return text from telemetry without control characters, so that it cannot drive a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
