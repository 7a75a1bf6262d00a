"""Logs: one line an event, on standard error. JSON for machines, columns for a terminal."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Literal

import structlog

_FRAMES_SHOWN = 5


def configure_logs(
    level: Literal["debug", "info", "warning", "error"], process: Literal["wire", "judge"]
) -> None:
    """Set up logging for this process; every line says which of the two it is from."""
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )

    def name_process(
        _logger: object, _method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        event["process"] = process
        return event

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            name_process,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def place_of(error: BaseException) -> str:
    """Return where ``error`` arose, innermost frame last, without its message.

    Messages of errors raised while reading telemetry quote what was read, and prompt text is never
    logged.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_SHOWN:]
    return " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames)
