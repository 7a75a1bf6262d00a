"""``tripswitch postmortem``: what happened, why, and what to do, from the ledger alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def postmortem(
    incident: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the incident, its beginning, or latest.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where to put the incident's folder.")
    ] = Path("postmortems"),
    final: Annotated[
        bool,
        typer.Option("--final", help="Refuse an item without an owner, a date or a loop; exit 1."),
    ] = False,
    html: Annotated[
        bool, typer.Option("--html/--no-html", help="Write HTML beside the Markdown.")
    ] = True,
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="FILE", help="Configuration; may be given repeatedly."),
    ] = None,
    prompt_before: Annotated[
        Path | None,
        typer.Option("--prompt-before", metavar="FILE", help="The good version's prompt text."),
    ] = None,
    prompt_after: Annotated[
        Path | None,
        typer.Option("--prompt-after", metavar="FILE", help="The bad version's prompt text."),
    ] = None,
    fetch_prompts: Annotated[
        bool | None,
        typer.Option(
            "--fetch-prompts/--no-fetch-prompts",
            help="Ask the prompt registry among the rollback targets for both texts; by default "
            "only where evidence.enabled is on.",
        ),
    ] = None,
) -> None:
    """Write the postmortem of an incident: Markdown, HTML, the drift charts.

    What only people know goes into filled-in.yaml beside it, which later runs read and keep.

    Example: tripswitch postmortem latest --out postmortems
    """
    if (prompt_before is None) != (prompt_after is None):
        raise typer.BadParameter("give both --prompt-before and --prompt-after, or neither")
    from tripswitch.cli.status import printable
    from tripswitch.config.loading import load_config
    from tripswitch.drive.papers import find_case, ledger_of, write_postmortem

    loaded = load_config(config or [], os.environ)
    with ledger_of(loaded) as ledger:
        case = find_case(ledger, incident)
    prompts = None
    if prompt_before is not None and prompt_after is not None:
        prompts = (prompt_before, prompt_after)
    written = write_postmortem(
        case,
        out / case.id,
        loaded,
        is_final=final,
        with_html=html,
        prompts=prompts,
        prompts_from_registry=loaded.evidence.enabled if fetch_prompts is None else fetch_prompts,
    )
    if written.prompts:
        sys.stderr.write(f"without the prompts' difference: {printable(written.prompts)}\n")
    for file in written.files:
        sys.stdout.write(f"{file}\n")
    if written.problems:
        sys.stderr.write("not final, because of what is missing in filled-in.yaml:\n")
        for problem in written.problems:
            sys.stderr.write(f"  - {problem}\n")
        raise typer.Exit(1)
