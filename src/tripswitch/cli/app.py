"""The ``tripswitch`` command: ties the commands together and sets the exit codes.

Exit codes: 0 fine, 1 the answer is no, 2 usage or configuration error. Data goes to standard
output, words for people to standard error.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tripswitch.cli.help_text import Told
from tripswitch.errors import TripswitchError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = (
    "check",
    "comms",
    "demo",
    "drill",
    "explain",
    "gate",
    "incidents",
    "inspect",
    "postmortem",
    "replay",
    "run",
    "schema",
    "spool",
    "status",
    "token",
    "top",
)
"""Each is a function, or a group of commands, of that name in a module of that name."""


_ABOUT: Final = (
    "An OpenTelemetry sidecar for LLM incident response.\n\n"
    "It forwards every byte of telemetry, notices when a prompt version, cohort, model or provider "
    "goes bad, tells people, puts the version before back and proves recovery from the spans.\n\n"
    "Exit codes: 0 fine; 1 the answer is no (a gate failed, a drill was not noticed, something is "
    "damaged); 2 usage or configuration. Data goes to standard output, words to standard error."
)


def app_of(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """Return the command line with the commands ``names``."""
    app = typer.Typer(
        name="tripswitch",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    # With a callback a command has a name of its own even where it is the only one.
    app.callback(help=_ABOUT)(_options)
    for name in names:
        module = importlib.import_module(f"tripswitch.cli.{name}")
        command = getattr(module, name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
            for each in command.registered_commands:
                each.cls = Told
        else:
            app.command(name, cls=Told)(command)
    return app


def __getattr__(name: str) -> typer.Typer:
    """Return the whole command line as ``app``, made when it is asked for."""
    if name != "app":
        raise AttributeError(name)
    return app_of()


def main() -> None:
    """Run the command line; name every expected error in words and exit with 2."""
    wanted = [name for name in COMMANDS if _words()[1:2] == [name]]
    try:
        app_of(wanted or COMMANDS)()
    except TripswitchError as error:
        sys.stderr.write(f"tripswitch: {error}\n")
        raise SystemExit(2) from None


def _words() -> list[str]:
    """Return the words of the command line; those that a shell completes, where it does."""
    completed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    is_completing = "_TRIPSWITCH_COMPLETE" in os.environ
    return completed.split() if is_completing else sys.argv


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"tripswitch {version('tripswitch')}")
        raise typer.Exit


def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take what stands before the command's name."""


if __name__ == "__main__":
    main()
