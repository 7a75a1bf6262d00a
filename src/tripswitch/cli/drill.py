"""``tripswitch drill``: a game-day on simulated time, under the operator's own configuration."""

from __future__ import annotations

import json
import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tripswitch.cli.choices import Minutes, minutes_of
from tripswitch.cli.completion import routes_known
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from tripswitch.config.model import Config
    from tripswitch.drive.drill.play import Played
    from tripswitch.drive.drill.scenario import Scenario


class ShapeChoice(StrEnum):
    """The five shapes of an incident."""

    EVAL_DRIFT = "eval_drift"
    COST_SPIKE = "cost_spike"
    LATENCY_SPIKE = "latency_spike"
    GUARDRAIL_REGRESSION = "guardrail_regression"
    OUTAGE = "outage"


class CauseChoice(StrEnum):
    """Whose doing it is."""

    RELEASE = "release"
    PROVIDER = "provider"


class ExpectChoice(StrEnum):
    """What has to come of it."""

    NOTICED = "noticed"
    PAGE = "page"
    PROPOSE = "propose"
    AUTO = "auto"


def drill(
    shape: Annotated[
        ShapeChoice, typer.Option("--shape", help="What goes wrong.")
    ] = ShapeChoice.EVAL_DRIFT,
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config", metavar="FILE", help="Your configuration; may be given repeatedly."
        ),
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option(
            "--route",
            metavar="ROUTE",
            help="The route it is about, by default the first that the configuration names; "
            "further ones go through the same provider.",
            autocompletion=routes_known,
        ),
    ] = None,
    size: Annotated[
        float | None,
        typer.Option(
            "--size",
            metavar="N",
            help="How bad: points that the score falls (9), times the tokens (2) or the latency "
            "(3), points of refusals (15) or of failed requests (20) more.",
        ),
    ] = None,
    cause: Annotated[
        CauseChoice | None,
        typer.Option(
            "--cause",
            help="release: a version in one cohort. provider: all that goes through it; usual for "
            "latency_spike and outage.",
        ),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            "--rate", metavar="N", min=0.1, max=100_000, help="Requests a minute a route."
        ),
    ] = 300.0,
    share: Annotated[
        float,
        typer.Option(
            "--share", metavar="SHARE", min=0.001, max=0.999, help="Share of the bad cohort, 0..1."
        ),
    ] = 0.3,
    scored: Annotated[
        float,
        typer.Option(
            "--scored", metavar="SHARE", min=0, max=1, help="Share of calls with a score."
        ),
    ] = 1.0,
    rubric: Annotated[
        str, typer.Option("--rubric", metavar="NAME", help="The evaluation that scores.")
    ] = "faithfulness",
    prompt: Annotated[
        str, typer.Option("--prompt", metavar="NAME", help="Name of the prompt.")
    ] = "drill-prompt",
    from_version: Annotated[
        str, typer.Option("--from-version", metavar="VERSION", help="The good version.")
    ] = "v1",
    to_version: Annotated[
        str, typer.Option("--to-version", metavar="VERSION", help="The bad version.")
    ] = "v2",
    control: Annotated[
        str,
        typer.Option(
            "--control",
            metavar="COHORT",
            help="The cohort that stays well; by default the first of detect.control_cohorts.",
        ),
    ] = "",
    cohort: Annotated[
        str, typer.Option("--cohort", metavar="COHORT", help="The cohort that goes bad.")
    ] = "canary",
    provider: Annotated[
        str, typer.Option("--provider", metavar="NAME", help="The provider behind the calls.")
    ] = "openai",
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="The model behind the calls.")
    ] = "gpt-4o-mini",
    calm: Annotated[
        Minutes | None,
        typer.Option(
            "--calm",
            metavar="DURATION",
            help="How long all is well first; 20m, with --cause provider 45m.",
        ),
    ] = None,
    bad: Annotated[
        Minutes,
        typer.Option("--for", metavar="DURATION", help="How long it stays bad at most."),
    ] = "60m",
    approve_after: Annotated[
        Minutes | None,
        typer.Option(
            "--approve-after",
            metavar="DURATION",
            help="A person approves a proposed rollback so long after it was proposed.",
        ),
    ] = None,
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="TIME",
            help="When it goes bad, such as 2026-12-24T16:30:00Z; now by default. A freeze of "
            "that time counts.",
        ),
    ] = "",
    expect: Annotated[
        ExpectChoice | None,
        typer.Option(
            "--expect",
            help="What has to come of it for exit 0; by default what the configuration asks for.",
        ),
    ] = None,
    notify: Annotated[
        bool,
        typer.Option(
            "--notify",
            help="Send one real test message, marked as a DRILL, to everybody who would have "
            "heard of the page, and close it at once.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the traffic.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Play a game-day: would this have been noticed, who would be told, what would roll back?

    Simulated traffic of your route goes bad on simulated time, and the real engine judges it with
    your thresholds, your routing of messages and your rollback targets. Printed is what would have
    happened: who hears what, which rollback in which mode with which literal request, how many
    minutes each step takes, what held it back, or why nothing was noticed. Targets are stand-ins
    that do as they are asked; nothing is called out, unless --notify asks for a test message.

    Exit 0 when it would have been noticed, paged and rolled back as the configuration asks, 1 when
    not, 2 for what cannot be played.

    Examples:

      tripswitch drill --config config/tripswitch.yaml --shape eval_drift --route /chat/refund

      tripswitch drill --shape outage --route /chat --route /search --approve-after 5m

      tripswitch drill --shape guardrail_regression --size 8 --rate 20 --share 0.05 --json

      tripswitch drill --config config/tripswitch.yaml --at 2026-12-24T16:30:00Z --expect auto
    """
    from tripswitch.config.loading import load_config
    from tripswitch.drive.drill.finding import Expected, report
    from tripswitch.drive.drill.message import send_test
    from tripswitch.drive.drill.scenario import (
        CALM,
        SIZES,
        USUAL_CAUSE,
        Cause,
        Scenario,
        fallback_of,
        route_of,
    )
    from tripswitch.model.clocktext import NS_PER_MINUTE
    from tripswitch.model.incident import Shape

    loaded = load_config(config or [], os.environ)
    kind = Shape(shape.value)
    why = USUAL_CAUSE[kind] if cause is None else Cause(cause.value)
    calm_minutes = CALM[why.value] if calm is None else minutes_of(calm, "--calm")
    bad_ns = _time_of(at) if at else time.time_ns() // NS_PER_MINUTE * NS_PER_MINUTE
    scenario = Scenario(
        shape=kind,
        cause=why,
        size=SIZES[kind].usual if size is None else size,
        routes=tuple(dict.fromkeys(route or [route_of(loaded)])),
        start_ns=bad_ns - int(calm_minutes * NS_PER_MINUTE),
        rate=rate,
        share=share,
        scored=scored,
        calm=calm_minutes,
        bad=minutes_of(bad, "--for"),
        prompt=prompt,
        old_version=from_version,
        new_version=to_version,
        control=control or next(iter(loaded.detect.control_cohorts), "control"),
        cohort=cohort,
        rubric=rubric,
        provider=provider,
        model=model,
        fallback=fallback_of(loaded, provider) if why is Cause.PROVIDER else "",
        approve_after=None
        if approve_after is None
        else minutes_of(approve_after, "--approve-after"),
        seed=seed,
    )
    scenario.check()
    played = _played(loaded, scenario)
    found = report(loaded, played, expected=None if expect is None else Expected(expect.value))
    found["sent"] = []
    if notify and played.paged is not None:
        found["sent"] = send_test(loaded, played.paged)
        found["ok"] = found["ok"] and all(
            one["state"] in ("done", "left out") for one in found["sent"]
        )
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=True) + "\n")
    else:
        from tripswitch.cli.drill_text import show

        show(found)
    raise typer.Exit(0 if found["ok"] else 1)


def _played(config: Config, scenario: Scenario) -> Played:
    from tripswitch.cli.progress import progress_of
    from tripswitch.drive.drill.play import play
    from tripswitch.drive.process import keep_freed_memory, seek_cycles_seldom

    seek_cycles_seldom()
    keep_freed_memory(os.environ)
    with progress_of("playing", total=scenario.calm + scenario.bad) as advance:
        return play(config, scenario, advance)


def _time_of(text: str) -> int:
    from tripswitch.model.clocktext import ns_of

    try:
        return ns_of(text)
    except ValueError:
        raise ConfigError(
            f'--at: "{text}" is no time', hint="write it such as 2026-12-24T16:30:00Z"
        ) from None
