"""``tripswitch explain``: what is seen of each scope and signal, and what a quiet one waits for.

Asks a running tripswitch, or reads recordings with ``--replay``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tripswitch.cli.asking import DEFAULT_API, ask
from tripswitch.cli.choices import Api
from tripswitch.cli.completion import scopes_known
from tripswitch.errors import ConfigError

MOST_SCOPES = 50


def explain(
    scope: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SCOPE",
            help=(
                "Which scopes: route=/chat cohort=canary, a route, or any part of a name; also "
                "signal= and rubric=. * stands for anything. All of them without any."
            ),
            autocompletion=scopes_known,
        ),
    ] = None,
    replay: Annotated[
        list[Path] | None,
        typer.Option(
            "--replay",
            metavar="FILE",
            help="Explain the end of a recording (a file or a folder); repeatable.",
        ),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="FILE", help="Configuration for --replay; repeatable."),
    ] = None,
    api: Api = DEFAULT_API,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON of /v1/explain.")] = False,
    most: Annotated[
        int, typer.Option("--most", min=1, max=1000, help="Scopes shown at most, worst first.")
    ] = MOST_SCOPES,
) -> None:
    """Explain every verdict: what is seen, against what, and what a quiet signal waits for.

    Examples:

      tripswitch explain route=/chat/refund cohort=canary

      tripswitch explain signal=eval_score --most 5

      tripswitch explain --replay traces/ --json
    """
    if config and not replay:
        raise ConfigError("--config is for --replay", hint="a running tripswitch has its own")
    files = [text for text in scope or [] if replay and Path(text).is_file()]
    if files:
        # What a shell makes of --replay *.binpb: one option, and many words after it.
        raise ConfigError(
            f'"{files[0]}" is a file and stands where a scope should',
            hint="repeat --replay for each file, or give the folder that they are in",
        )
    found = _of_recording(replay, config or [], scope or [], most) if replay else None
    if found is None:
        from urllib.parse import urlencode

        query = urlencode([*(("scope", text) for text in scope or []), ("limit", str(most))])
        found = ask(
            api,
            f"/v1/explain?{query}",
            or_else="a recording is explained with --replay FILE",
        )
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=True) + "\n")
        return
    from rich.console import Console

    from tripswitch.cli.explain_table import show

    show(found, Console())


def _of_recording(
    files: list[Path], config: list[Path], scope: list[str], most: int
) -> dict[str, Any]:
    from tripswitch.cli.progress import progress_of
    from tripswitch.config.loading import load_config
    from tripswitch.drive.explaining import explain_of, wanted_of
    from tripswitch.drive.replay import replay as run
    from tripswitch.drive.replay import replay_session

    try:
        wanted_of(scope)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    loaded = load_config(config, os.environ)
    session = replay_session(loaded)
    with progress_of("reading"):
        for _ in run(loaded, files, session):
            pass
    return explain_of(session.engine, scope, most)
