"""Options and arguments of the commands about incidents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from tripswitch.cli.completion import incidents_or_latest

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The incident's id, its beginning, or latest.",
        autocompletion=incidents_or_latest,
    ),
]
By = Annotated[
    str, typer.Option("--by", envvar="TRIPSWITCH_BY", help="Who decides; your login by default.")
]
Note = Annotated[str, typer.Option("--note", help="Why, for the record.")]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="TRIPSWITCH_API_TOKEN",
        help="Bearer token; by default the one in the state folder.",
    ),
]
State = Annotated[
    Path, typer.Option("--state", help="The state folder (storage.directory), for its token.")
]
DEFAULT_STATE: Final = Path("state")
