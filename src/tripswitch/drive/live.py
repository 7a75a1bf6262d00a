"""Live: the wire in this process, the judge in one beside it, until a signal ends both."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tripswitch.config.loading import load
from tripswitch.drive.logs import configure_logs
from tripswitch.drive.process import settle_memory
from tripswitch.drive.wire import Wire, judge_command
from tripswitch.errors import TripswitchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.model import Config

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = structlog.get_logger(__name__)


def run_live(config_paths: Sequence[Path], judge: Sequence[str] | None = None) -> int:
    """Receive, forward and judge until SIGTERM or SIGINT; return the exit code, 0.

    ``judge`` is the command that starts a judge, where it is not the usual one. Raises ConfigError
    when the files or the addresses in them cannot be used.
    """
    loaded = load(config_paths, os.environ)
    configure_logs(loaded.config.telemetry.log_level, "wire")
    for warning in loaded.warnings:
        _log.warning("config_warning", problem=str(warning))
    _open_as_many_files_as_allowed()
    asyncio.run(_live(loaded.config, judge or judge_command(config_paths)))
    return 0


def _open_as_many_files_as_allowed() -> None:
    """Raise the soft limit, 1024 by habit, to the hard one: every connection is a file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _live(config: Config, judge: Sequence[str]) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, asked_to_stop.set)
    wire = Wire(config, judge)
    await wire.start()
    settle_memory()
    try:
        await asked_to_stop.wait()
    finally:
        # A second signal ends the process at once; the judge goes with it.
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        _log.info("stopping")
        await wire.stop()
        _log.info("stopped")


def main(arguments: Sequence[str]) -> int:
    """Run the wire on the files that ``arguments`` name; return the exit code.

    0 after a signal, 2 where the configuration or an address cannot be used.
    """
    parser = argparse.ArgumentParser(prog="tripswitch run", description="Started by it.")
    parser.add_argument("--config", type=Path, action="append", default=[])
    try:
        return run_live(parser.parse_args(arguments).config)
    except TripswitchError as error:
        sys.stderr.write(f"tripswitch: {error}\n")
        return 2
