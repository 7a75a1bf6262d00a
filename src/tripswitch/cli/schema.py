"""``tripswitch schema``: the configuration's JSON Schema, commented sample or reference."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tripswitch.config.reference import json_schema, reference_text
from tripswitch.config.sample import sample_text


def schema(
    sample: Annotated[
        bool, typer.Option("--sample", help="Print the commented file with every default.")
    ] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Print the reference as Markdown.")
    ] = False,
) -> None:
    """Print the JSON Schema of the configuration file."""
    if sample and reference:
        raise typer.BadParameter("give --sample or --reference, not both")
    if sample:
        text = sample_text()
    elif reference:
        text = reference_text()
    else:
        text = json.dumps(json_schema(), indent=2) + "\n"
    typer.echo(text, nl=False)
