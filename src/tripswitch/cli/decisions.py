"""``tripswitch incidents decisions``: how often each rollback target was decided on rightly."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tripswitch.cli.asking import DEFAULT_API, ask
from tripswitch.cli.status import printable


def decisions(
    api: Annotated[str, typer.Option("--api", help="Address of the API.")] = DEFAULT_API,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what became of each rollback that was decided on, also where it was only proposed.

    Look at it before a target goes from observe to propose, or from propose to auto.

    Example: tripswitch incidents decisions
    """
    found = ask(api, "/v1/decisions")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for target in found["targets"]:
        typer.echo(printable(target["sentence"]))
    if not found["targets"]:
        typer.echo("no rollback was decided on yet")
