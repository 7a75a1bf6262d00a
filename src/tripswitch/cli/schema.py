"""``tripswitch schema``: the configuration's JSON Schema and what else is made from the code."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Final

import typer

from tripswitch.errors import TripswitchError

PAGES: Final = {
    "config.md": "tripswitch.config.reference",
    "metrics.md": "tripswitch.drive.metrics_reference",
    "commands.md": "tripswitch.cli.commands_reference",
    "api.md": "tripswitch.cli.api_reference",
    "errors.md": "tripswitch.cli.errors_reference",
}
"""The generated reference pages, and the modules whose ``reference_text`` makes them."""


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
    pages: Annotated[
        Path | None,
        typer.Option(
            "--pages", metavar="FOLDER", help="Write every generated reference page into FOLDER."
        ),
    ] = None,
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

      tripswitch schema --pages docs/reference
    """
    if sample + reference + metrics + as_json + (pages is not None) > 1:
        raise typer.BadParameter("give one of --sample, --reference, --metrics, --pages and --json")
    if pages is not None:
        _write(pages)
        return
    if metrics:
        from tripswitch.drive.metrics_reference import reference_text as metrics_text

        text = metrics_text()
    elif sample:
        from tripswitch.config.sample import sample_text

        text = sample_text()
    elif reference:
        from tripswitch.config.reference import reference_text

        text = reference_text()
    else:
        from tripswitch.config.reference import schema_text

        text = schema_text()
    typer.echo(text, nl=False)


def _write(folder: Path) -> None:
    # All of them first: one that cannot be made must leave no page half new.
    texts = {
        name: importlib.import_module(module).reference_text() for name, module in PAGES.items()
    }
    try:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            typer.echo(folder / name)
    except OSError as error:
        raise TripswitchError(
            f"cannot write into {folder}: {error.strerror}", hint="is it there, and a folder?"
        ) from error
