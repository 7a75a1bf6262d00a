"""``tripswitch schema``: the configuration's JSON Schema and what else is made from the code."""

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
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Print the table of metrics as Markdown.")
    ] = False,
) -> None:
    """Print the JSON Schema of the configuration file."""
    if sample + reference + metrics > 1:
        raise typer.BadParameter("give one of --sample, --reference and --metrics")
    if metrics:
        from tripswitch.drive.metrics_reference import reference_text as metrics_text

        text = metrics_text()
    elif sample:
        text = sample_text()
    elif reference:
        text = reference_text()
    else:
        text = json.dumps(json_schema(), indent=2) + "\n"
    typer.echo(text, nl=False)
