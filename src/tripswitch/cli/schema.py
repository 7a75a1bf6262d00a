"""``tripswitch schema``: the configuration's JSON Schema and what else is made from the code."""

from __future__ import annotations

from typing import Annotated

import typer

from tripswitch.config.reference import reference_text, schema_text
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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the JSON Schema, as without any option.")
    ] = False,
) -> None:
    """Print the JSON Schema of the configuration file.

    An editor completes and checks tripswitch.yaml with it, see docs/editor.md. The other options
    print what else is made from the same model.

    Examples:

      tripswitch schema > tripswitch.schema.json

      tripswitch schema --sample > tripswitch.yaml

      tripswitch schema --metrics
    """
    if sample + reference + metrics + as_json > 1:
        raise typer.BadParameter("give one of --sample, --reference, --metrics and --json")
    if metrics:
        from tripswitch.drive.metrics_reference import reference_text as metrics_text

        text = metrics_text()
    elif sample:
        text = sample_text()
    elif reference:
        text = reference_text()
    else:
        text = schema_text()
    typer.echo(text, nl=False)
