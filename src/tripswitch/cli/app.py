"""The ``tripswitch`` command: ties the commands together and sets the exit codes.

Exit codes: 0 fine, 1 the answer is no, 2 usage or configuration error. Data goes to standard
output, words for people to standard error.
"""

from __future__ import annotations

import sys

import typer

from tripswitch.cli import check, demo, inspect, replay, run, schema, spool, status
from tripswitch.errors import TripswitchError

app = typer.Typer(
    name="tripswitch",
    help="An OpenTelemetry sidecar for LLM incident response.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("check")(check.check)
app.command("demo")(demo.demo)
app.command("inspect")(inspect.inspect)
app.command("replay")(replay.replay)
app.command("run")(run.run)
app.command("schema")(schema.schema)
app.command("spool")(spool.spool)
app.command("status")(status.status)


def main() -> None:
    """Run the command line; name every expected error in words and exit with 2."""
    try:
        app()
    except TripswitchError as error:
        sys.stderr.write(f"tripswitch: {error}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
