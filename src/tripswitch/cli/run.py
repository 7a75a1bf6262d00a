"""``tripswitch run``: receive, forward and judge, until a signal."""

from __future__ import annotations

import os
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
    """Receive OTLP, forward it byte for byte, judge what passes, and act."""
    # gRPC's core writes a line for every stranger that fails a handshake or sends a bad header, and
    # decides on that when it is loaded.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from tripswitch.drive.live import run_live

    paths = config or ([DEFAULT_CONFIG] if DEFAULT_CONFIG.is_file() else [])
    raise typer.Exit(run_live(paths))
