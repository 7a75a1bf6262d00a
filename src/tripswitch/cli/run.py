"""``tripswitch run``: receive, forward and judge, until a signal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_CONFIG = Path("config/tripswitch.yaml")


def run(
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            help="Configuration file; may be given more than once, later ones win. "
            f"Without it {DEFAULT_CONFIG} if there is one, else the defaults.",
        ),
    ] = None,
) -> None:
    """Receive OTLP, forward it byte for byte, judge what passes, and act.

    It runs until a signal ends it; what was not forwarded by then is on disk. An edit of a file is
    taken up within seconds, as far as a field reloads.

    Examples:

      tripswitch run

      tripswitch run --config config/tripswitch.yaml

      tripswitch run --config base.yaml --config production.yaml
    """
    from tripswitch.drive.process import WIRE, command_of, environment_of

    paths = config or ([DEFAULT_CONFIG] if DEFAULT_CONFIG.is_file() else [])
    command = command_of(WIRE, *(word for path in paths for word in ("--config", str(path))))
    sys.stdout.flush()
    # The process goes on under its number, without what only the command line needs.
    os.execve(sys.executable, command, environment_of(os.environ))  # noqa: S606 - ourselves
