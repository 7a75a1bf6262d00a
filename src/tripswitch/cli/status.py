"""``tripswitch status``: what a running tripswitch sees and how it judges it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tripswitch.cli.asking import DEFAULT_API, ask
from tripswitch.cli.choices import Api

if TYPE_CHECKING:
    from rich.table import Table


def status(
    api: Api = DEFAULT_API,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON of /v1/status.")] = False,
) -> None:
    """Show each scope and signal with its verdict, and the open incidents.

    For the same live and side by side see top; for what a quiet signal waits for see explain.

    Examples:

      tripswitch status

      tripswitch status --json
    """
    now = ask(api, "/v1/status")
    if as_json:
        typer.echo(json.dumps(now, indent=2))
        return
    from rich.console import Console

    console = Console()
    console.print(_verdicts(now))
    for incident in now["incidents"]:
        line = f"{incident['state']} {incident['severity']} {incident['shape']} {incident['id']}"
        console.print(printable(f"{line}: {incident['why']}"), markup=False, highlight=False)
    for due in now.get("due", []):
        line = f"due by {due['due']}: {due['what']} of {due['incident']}"
        console.print(printable(line), markup=False, highlight=False)
    if not now["incidents"]:
        console.print("no open incident", markup=False)


def _verdicts(now: dict[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("scope", "signal", "verdict", "now", "usual", "samples", "why")
    for scope in now["scopes"]:
        for signal in scope["signals"]:
            name = f"{signal['signal']} {signal['rubric'] or ''}"
            verdict = f"{signal['finding']} {signal['severity'] or ''}"
            cells = (
                scope["label"],
                name.strip(),
                verdict.strip(),
                _number(signal["value"]),
                _number(signal["usual"]),
                str(signal["samples"]),
                signal["why"],
            )
            table.add_row(*(Text(printable(cell)) for cell in cells))
    if not now["scopes"]:
        table.caption = "nothing seen yet"
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def printable(text: str) -> str:
    """Return ``text`` with ``?`` for what would steer a terminal: names come from telemetry."""
    return "".join(character if character.isprintable() else "?" for character in text)
