"""``tripswitch token``: a link that signs a browser in once, without the token being typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tripswitch.cli.asking import DEFAULT_API, tell, token_for
from tripswitch.cli.choices import Api
from tripswitch.errors import TripswitchError


def token(
    api: Api = DEFAULT_API,
    state: Annotated[
        Path, typer.Option("--state", help="The state folder (storage.directory), for its token.")
    ] = Path("state"),
    given: Annotated[
        str,
        typer.Option(
            "--token",
            envvar="TRIPSWITCH_API_TOKEN",
            help="Bearer token; by default the one in the state folder.",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print a link to the dashboard that signs one browser in, once, within ten minutes.

    Examples:

      tripswitch token --state /var/lib/tripswitch

      tripswitch token --state /var/lib/tripswitch --json
    """
    known = token_for(given, state)
    if not known:
        raise TripswitchError(
            f"there is no token in {state}",
            hint="give --state with the sidecar's storage.directory, or --token",
        )
    code = tell(api, "/v1/signin-codes", {}, known)["code"]
    link = f"{api.rstrip('/')}/signin?code={code}"
    typer.echo(json.dumps({"link": link}) if as_json else link)
