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
    suggest: Annotated[
        bool,
        typer.Option("--suggest", help="Suggest thresholds for these files, as YAML to paste."),
    ] = False,
    false_pages_a_month: Annotated[
        float,
        typer.Option(
            "--false-pages-a-month",
            metavar="N",
            min=0.001,
            max=1000,
            help="How many false pages a month you would bear, for --suggest.",
        ),
    ] = 1.0,
    all_healthy: Annotated[
        bool,
        typer.Option(
            "--all-healthy",
            help="Nothing was wrong in these files: --suggest counts its incidents as false.",
        ),
    ] = False,
) -> None:
    """Run recorded telemetry through the engine and print what it would have said.

    The time is the time in the data, nothing is called, and the same files give the same output.

    Examples:

      tripswitch replay --config config/tripswitch.yaml traces.jsonl.zst

      tripswitch replay --json --fail traces/

      tripswitch replay --suggest --false-pages-a-month 2 traces/
    """
    if suggest:
        _suggest(files, config or [], false_pages_a_month, all_healthy=all_healthy, as_json=as_json)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from tripswitch.config.loading import load_config
    from tripswitch.drive.process import keep_freed_memory, seek_cycles_seldom
    from tripswitch.drive.replay import replay as run
    from tripswitch.drive.replay import replay_session
    from tripswitch.model.messages import EventName

    loaded = load_config(config or [], os.environ)
    seek_cycles_seldom()
    keep_freed_memory(os.environ)
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


def _suggest(
    files: list[Path],
    config: list[Path],
    false_pages_a_month: float,
    *,
    all_healthy: bool,
    as_json: bool,
) -> None:
    from rich.console import Console

    from tripswitch.cli.progress import progress_of
    from tripswitch.cli.suggestion_text import show_suggestion, suggestion_json
    from tripswitch.config.loading import load_config
    from tripswitch.drive.suggestion import suggest

    loaded = load_config(config, os.environ)
    with progress_of("trying lines"):
        found = suggest(loaded, files, false_pages_a_month, all_healthy=all_healthy)
    if as_json:
        sys.stdout.write(json.dumps(suggestion_json(found), indent=2, ensure_ascii=True) + "\n")
        return
    sys.stdout.write(show_suggestion(found, Console(stderr=True)))


def _plain(text: str) -> str:
    """Return text from telemetry without control characters, so that it cannot drive a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
