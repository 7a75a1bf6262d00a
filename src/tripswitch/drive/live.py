"""Live: the wire in this process, the judge in one beside it, until a signal ends both."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from tripswitch.config.loading import load, load_config
from tripswitch.drive.config_edits import ConfigEdits
from tripswitch.drive.logs import configure_logs, place_of
from tripswitch.drive.process import settle_memory
from tripswitch.drive.wire import Wire, judge_command
from tripswitch.errors import TripswitchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.model import Config

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# How often the configuration files are looked at for an edit.
_LOOK_EVERY_S = 1.0

_log = structlog.get_logger(__name__)


def run_live(config_paths: Sequence[Path], judge: Sequence[str] | None = None) -> int:
    """Receive, forward and judge until SIGTERM or SIGINT; return the exit code, 0.

    ``judge`` is the command that starts a judge, where it is not the usual one. Raises ConfigError
    when the files or the addresses in them cannot be used.
    """
    edits = ConfigEdits(config_paths, look_every_s=_LOOK_EVERY_S)
    loaded = load(config_paths, os.environ)
    configure_logs(loaded.config.telemetry.log_level, "wire")
    for warning in loaded.warnings:
        _log.warning("config_warning", problem=str(warning))
    _open_as_many_files_as_allowed()
    asyncio.run(_live(loaded.config, judge or judge_command(config_paths), edits, config_paths))
    return 0


def _open_as_many_files_as_allowed() -> None:
    """Raise the soft limit, 1024 by habit, to the hard one: every connection is a file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _name_the_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log a fault that nobody waited for, without its message: that may quote what was received."""
    error = context.get("exception")
    place = "" if error is None else place_of(error)
    _log.error("task_failed", error=type(error).__name__, place=place)


async def _live(
    config: Config, judge: Sequence[str], edits: ConfigEdits, paths: Sequence[Path]
) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_name_the_fault)
    for number in _SIGNALS:
        loop.add_signal_handler(number, asked_to_stop.set)
    wire = Wire(config, judge)
    await wire.start()
    settle_memory()
    following = loop.create_task(follow(wire, edits, paths))
    try:
        await asked_to_stop.wait()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        # A second signal ends the process at once; the judge goes with it.
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        _log.info("stopping")
        await wire.stop()
        _log.info("stopped")


async def follow(wire: Wire, edits: ConfigEdits, paths: Sequence[Path]) -> None:
    """Take good edits of the files, refuse bad ones in words; the old ones stay in force."""
    async for _ in edits:
        try:
            needed = await wire.reload(load_config(paths, os.environ))
        except TripswitchError as error:
            wire.reloads.refused += 1
            wire.reloads.is_last_ok = False
            _log.error("config_refused", problems=str(error), kept="the configuration before it")
            continue
        wire.reloads.taken += 1
        wire.reloads.is_last_ok = True
        wire.reloads.for_restart = tuple(needed)
        configure_logs(wire.config.telemetry.log_level, "wire")
        for field in needed:
            _log.warning("config_needs_restart", field=field, kept="its value before the edit")
        _log.info("config_reloaded", upstream=wire.upstream.endpoint)


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
