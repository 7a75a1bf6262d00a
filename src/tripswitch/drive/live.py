"""Live: the wire in this process, the judge in one beside it, until a signal ends both."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from typing import TYPE_CHECKING, Any

import structlog

from tripswitch.config.loading import load
from tripswitch.drive.logs import configure_logs, place_of
from tripswitch.drive.wire import Wire, judge_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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


def _name_the_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log a fault that nobody waited for, without its message: that may quote what was received."""
    error = context.get("exception")
    place = "" if error is None else place_of(error)
    _log.error("task_failed", error=type(error).__name__, place=place)


async def _live(config: Config, judge: Sequence[str]) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_name_the_fault)
    for number in _SIGNALS:
        loop.add_signal_handler(number, asked_to_stop.set)
    wire = Wire(config, judge)
    await wire.start()
    try:
        await asked_to_stop.wait()
    finally:
        # A second signal ends the process at once; the judge goes with it.
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        _log.info("stopping")
        await wire.stop()
        _log.info("stopped")
