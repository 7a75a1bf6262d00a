"""``tripswitch demo``: the whole story on loopback, in under a minute."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console

    from tripswitch.drive.demo.cast import Cast
    from tripswitch.drive.demo.play import Director

_TERMINATED = 128 + signal.SIGTERM

# tripswitch.drive.demo.play.DEFAULT_SPEED; importing it here would make every command slower.
_SPEED = 100.0


class StoryChoice(StrEnum):
    """The stories there are."""

    REGRESSION = "regression"
    HEALTHY = "healthy"


def demo(
    story: Annotated[
        StoryChoice,
        typer.Option(help="regression: v18 is worse and is rolled back. healthy: it is not."),
    ] = StoryChoice.REGRESSION,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated traffic.")] = 1,
    speed: Annotated[
        float,
        typer.Option(
            min=1,
            max=1000,
            help="Story seconds a second while nothing happens, if this machine keeps up.",
        ),
    ] = _SPEED,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running afterwards, until Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Play an incident from rollout to recovery: real processes, real sockets, no account.

    A simulated LLM gateway sends spans through tripswitch to a stand-in collector. Its canary gets
    a prompt version that is less faithful and refuses more; tripswitch notices, has the gateway
    roll back, and proves the recovery. Time is compressed, nothing else is: spans carry story
    time. Exit 0 only if everything the story claims was observed, 1 if not.

    Examples:

      tripswitch demo

      tripswitch demo --story healthy --json

      tripswitch demo --keep
    """
    from rich.console import Console

    from tripswitch.drive.demo.cast import Cast
    from tripswitch.drive.demo.children import DemoError
    from tripswitch.drive.demo.observed import claims, report
    from tripswitch.drive.demo.play import Director
    from tripswitch.drive.demo.story import STORIES
    from tripswitch.drive.demo.summary import print_summary
    from tripswitch.drive.demo.view import LiveView, PlainView

    signal.signal(signal.SIGTERM, _end)
    told = STORIES[story.value]
    people = Console(stderr=True)
    view = LiveView(people, told) if people.is_terminal else PlainView(people, told)
    try:
        with contextlib.ExitStack() as running:
            cast = Cast(told, seed)
            with people.status("starting the collector, the gateway and tripswitch"):
                running.enter_context(cast)
            director = Director(cast, told, seed, view, speed=speed)
            with view:
                seen = director.play()
            held = all(claim.held for claim in claims(seen))
            if as_json:
                sys.stdout.write(json.dumps(report(seen), indent=2) + "\n")
                sys.stdout.flush()
            else:
                print_summary(seen, Console())
            if keep:
                _keep(director, cast, people)
    except DemoError as error:
        if as_json:
            failure = {"story": told.name, "seed": seed, "ok": False, "error": str(error)}
            sys.stdout.write(json.dumps(failure, indent=2) + "\n")
        people.print(f"tripswitch demo: {error}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if held else 1)


def _keep(director: Director, cast: Cast, people: Console) -> None:
    for name, endpoint in sorted(cast.endpoints.items()):
        people.print(f"{name}: {endpoint}", markup=False, highlight=False)
    people.print("everything keeps running, now at the pace of the clock; Ctrl-C ends it")
    try:
        director.keep_playing()
    except KeyboardInterrupt:
        people.print("ending")


def _end(_number: int, _frame: FrameType | None) -> None:
    """Leave through the same door as Ctrl-C, so that every process is ended."""
    raise SystemExit(_TERMINATED)
