"""Kinds of options that several commands have."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

from tripswitch.errors import ConfigError

API_VARIABLE: Final = "TRIPSWITCH_API"
"""The variable that stands in for --api where that is not given."""

Api = Annotated[
    str,
    typer.Option(
        "--api", "--url", metavar="ADDRESS", envvar=API_VARIABLE, help="Address of the API."
    ),
]
"""Where a running tripswitch is asked."""

Minutes: TypeAlias = str
"""A duration as people write it (``90s``, ``15m``); `minutes_of` reads it."""


def minutes_of(text: str, option: str) -> float:
    """Return a duration in minutes. Raises ConfigError that names the option."""
    return seconds_of(text, option) / 60


def seconds_of(text: str, option: str) -> float:
    """Return a duration in seconds, 0 to a week. Raises ConfigError that names the option."""
    from tripswitch.config.quantities import parse_duration_s

    try:
        seconds = parse_duration_s(text)
    except ValueError as error:
        raise ConfigError(f'{option}: found "{text}"', hint=str(error)) from None
    if seconds > 7 * 86_400:
        raise ConfigError(f"{option}: found {text}", hint="a week at most")
    return seconds
