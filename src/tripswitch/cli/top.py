"""``tripswitch top``: everything at a glance, live on a terminal."""

from __future__ import annotations

import contextlib
import json
import select
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

import typer

from tripswitch.cli.asking import DEFAULT_API, ask
from tripswitch.cli.choices import Api, seconds_of
from tripswitch.errors import TripswitchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

_SHORTEST_S: Final = 0.2
_MOST_ROUTES: Final = 6
_ENDS: Final = ("q", "Q", "\x1b", "\x03", "\x04")


def top(
    every: Annotated[
        str, typer.Option("--every", metavar="DURATION", help="How often it is drawn anew.")
    ] = "2s",
    once: Annotated[
        bool, typer.Option("--once", help="Print one frame and end; so without a terminal too.")
    ] = False,
    words: Annotated[
        str,
        typer.Option("--find", metavar="WORDS", help="Only routes with these words in a name."),
    ] = "",
    most: Annotated[
        int, typer.Option("--most", min=1, max=50, help="Routes shown at most, worst first.")
    ] = _MOST_ROUTES,
    api: Api = DEFAULT_API,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one frame as JSON and end.")
    ] = False,
) -> None:
    """Watch a running tripswitch: what is open, then the routes, their versions side by side.

    The head line says whether all is well and how the forwarding is. Below stand the open
    incidents, the most urgent first, then the routes, the worst first: a column for each version
    and cohort, a row for each signal with its value, its page line and its verdict. q or Ctrl-C
    ends it. Without a terminal one frame is printed.

    Exit 0, or 2 when nothing answers at the start; later it waits until something does.

    Examples:

      tripswitch top

      tripswitch top --every 5s --find refund

      tripswitch top --once

      tripswitch top --json
    """
    every_s = max(_SHORTEST_S, seconds_of(every, "--every"))
    frame = frame_of(api, most, words)
    if as_json:
        sys.stdout.write(json.dumps(frame, indent=2, ensure_ascii=True) + "\n")
        return
    from rich.console import Console

    from tripswitch.cli.top_frame import render

    console = Console()
    if once or not console.is_terminal:
        console.print(render(frame, console.width))
        return
    _live(console, frame, every_s, lambda: frame_of(api, most, words))


def frame_of(api: str, most: int, words: str) -> dict[str, Any]:
    """Return one frame from the API as JSON. Raises TripswitchError where nothing answers."""
    try:
        return _frame(api, most, words)
    except (KeyError, TypeError, AttributeError) as error:
        raise TripswitchError(
            f"what {api} answers is not the API of this version: {error!r}",
            hint="is --api the telemetry.api.endpoint of a tripswitch of this version?",
        ) from error


def _frame(api: str, most: int, words: str) -> dict[str, Any]:
    overview = ask(api, "/v1/overview")
    routes = ask(api, "/v1/routes?" + urlencode({"limit": most, "q": words}))
    telemetry = ask(api, "/v1/telemetry")
    return {
        "now": overview["now"],
        "status": overview["status"],
        "sentence": overview["sentence"],
        "is_lossy": overview["is_lossy"],
        "kill_switch": overview["kill_switch"],
        "findings": overview["findings"],
        "incidents": overview["incidents"],
        "total_routes": routes["total"],
        "routes": routes["routes"],
        "forwarding": {
            "known": telemetry["wire"],
            "problem": telemetry["wire_problem"],
            "tiles": telemetry["tiles"],
        },
    }


def _live(console: Console, frame: dict[str, Any], every_s: float, ask_again: Any) -> None:
    from rich.live import Live

    from tripswitch.cli.top_frame import render

    trouble = ""
    with (
        _keys() as wait,
        contextlib.suppress(KeyboardInterrupt),
        Live(
            render(frame, console.width), console=console, screen=True, auto_refresh=False
        ) as live,
    ):
        while wait(every_s) not in _ENDS:
            try:
                frame, trouble = ask_again(), ""
            except TripswitchError as error:
                trouble = error.message
            live.update(render(frame, console.width, trouble=trouble), refresh=True)


@contextlib.contextmanager
def _keys() -> Iterator[Any]:
    """Give what waits some seconds for a key and returns it, empty where none was pressed."""
    import os

    descriptor = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else -1
    if descriptor < 0:
        yield _sleep
        return
    import termios
    import tty

    before = termios.tcgetattr(descriptor)

    def wait(seconds: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        if not ready:
            return ""
        # The end of input ends it as well: whoever typed is gone.
        return os.read(descriptor, 1).decode("ascii", "replace") or "\x04"

    tty.setcbreak(descriptor)
    try:
        yield wait
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""
