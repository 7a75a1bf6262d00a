"""``tripswitch gate``: may this prompt version be promoted? Exit 0 yes, 1 no."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tripswitch.cli.asking import DEFAULT_API, ask
from tripswitch.cli.choices import Api, seconds_of
from tripswitch.cli.completion import cohorts_known, routes_known, signals_known, versions_known
from tripswitch.errors import ConfigError, TripswitchError

if TYPE_CHECKING:
    from tripswitch.drive.gate import Answer
    from tripswitch.drive.gate_proofs import Question

_MOST_SCOPES = 1000


def gate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            help="Recorded OTLP to judge, as for replay; without, a running tripswitch is asked.",
        ),
    ] = None,
    route: Annotated[
        str,
        typer.Option("--route", metavar="ROUTE", help="The route.", autocompletion=routes_known),
    ] = "",
    prompt_version: Annotated[
        str,
        typer.Option(
            "--prompt-version",
            metavar="VERSION",
            help="The version that is to be promoted.",
            autocompletion=versions_known,
        ),
    ] = "",
    cohort: Annotated[
        str,
        typer.Option(
            "--cohort",
            metavar="COHORT",
            help="The cohort it is tried on; every cohort that serves it without.",
            autocompletion=cohorts_known,
        ),
    ] = "",
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="BASELINE",
            help="The version, or the cohort, that it must have been compared with.",
            autocompletion=versions_known,
        ),
    ] = "",
    min_samples: Annotated[
        int | None,
        typer.Option(
            "--min-samples",
            metavar="N",
            min=1,
            help="Fewest samples of each signal; by default as many as it takes to notice a "
            "change at its page line.",
        ),
    ] = None,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            "--signal",
            metavar="NAME",
            help="A signal that must be proven well, such as error_rate; repeatable. By default "
            "all that are seen, and a score. A regressed one stops it, named or not.",
            autocompletion=signals_known,
        ),
    ] = None,
    wait: Annotated[
        str,
        typer.Option(
            "--wait",
            metavar="DURATION",
            help="Ask again until it is decided, so long at most.",
        ),
    ] = "0s",
    every: Annotated[
        str, typer.Option("--every", metavar="DURATION", help="How often, with --wait.")
    ] = "10s",
    summary: Annotated[
        Path | None,
        typer.Option(
            "--summary",
            metavar="FILE",
            help="Add a summary in Markdown to this file, such as $GITHUB_STEP_SUMMARY.",
        ),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="FILE", help="Configuration for FILE...; repeatable."),
    ] = None,
    api: Api = DEFAULT_API,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let a prompt version through only if it is healthy, with enough evidence.

    For a pipeline or a rollout. It passes when each signal was seen often enough that a change at
    its page line would have been noticed by now, against a control or the version before, and
    none was. It fails when something regressed, and as well when nothing can be said: a version
    that is not seen, too few samples, no scores, lost telemetry, an open incident, a rollback that
    was made, a tripswitch that cannot be reached. Printed is one sentence a signal.

    Exit 0 when it may be promoted, 1 when not, 2 for bad usage.

    Examples:

      tripswitch gate --route /chat/refund --prompt-version v18 --cohort canary

      tripswitch gate --route /chat/refund --prompt-version v18 --against v17 --wait 30m

      tripswitch gate --route /chat/refund --prompt-version v18 --summary summary.md --json

      tripswitch gate traces.jsonl.zst --route /chat --prompt-version v2 --config mine.yaml
    """
    from tripswitch.drive.gate_proofs import Question

    if not route or not prompt_version:
        lacking = "--route" if not route else "--prompt-version"
        raise typer.BadParameter(
            "say which version is to be promoted, and where", param_hint=lacking
        )
    if config and not files:
        raise ConfigError("--config is for FILE...", hint="a running tripswitch has its own")
    wait_s, every_s = seconds_of(wait, "--wait"), max(0.05, seconds_of(every, "--every"))
    if files and wait_s:
        raise typer.BadParameter("a recording does not go on", param_hint="--wait")
    question = Question(route, prompt_version, cohort, against, min_samples, _signals(signal or []))
    if files:
        answer = _of_recording(question, files, config or [])
    else:
        answer = _waited(question, api, wait_s, every_s)
    _write_summary(summary, answer)
    if as_json:
        sys.stdout.write(json.dumps(answer.as_json(), indent=2, ensure_ascii=True) + "\n")
    else:
        from tripswitch.cli.gate_text import show

        show(answer)
    raise typer.Exit(0 if answer.passed else 1)


def _signals(named: list[str]) -> tuple[str, ...]:
    from tripswitch.detect.signals import SIGNALS

    known = sorted({signal.name for signal in SIGNALS.values()})
    for name in named:
        if name not in known:
            raise ConfigError(
                f'--signal: "{name}" is no signal', hint="there are " + ", ".join(known)
            )
    return tuple(dict.fromkeys(named))


def _waited(question: Question, api: str, wait_s: float, every_s: float) -> Answer:
    """Return the answer as soon as it is final, or the last one when the time is over."""
    from tripswitch.cli.progress import progress_of

    end_s = time.monotonic() + wait_s
    with progress_of(f"waiting for {question.version}", total=wait_s or None) as advance:
        while True:
            answer = _asked(question, api)
            left_s = end_s - time.monotonic()
            if answer.is_final or left_s <= 0:
                return answer
            advance(wait_s - left_s)
            time.sleep(min(every_s, left_s))


def _asked(question: Question, api: str) -> Answer:
    """Return what a running tripswitch says; not to be reached is an answer too, and never yes."""
    from urllib.parse import urlencode

    from tripswitch.drive.gate import answer_of, unreachable

    scope = urlencode({"scope": f"route={question.route}", "limit": _MOST_SCOPES})
    name = urlencode({"name": question.route})
    try:
        explained = ask(api, f"/v1/explain?{scope}")
        incidents: Any = ask(api, f"/v1/incidents?limit={_MOST_SCOPES}")
        of_route = any(
            one["scope"]["route"] == question.route for one in explained.get("scopes", [])
        )
        seen = ask(api, f"/v1/route?{name}") if of_route else None
        return answer_of(question, explained, seen, incidents)
    except TripswitchError as error:
        return unreachable(
            question, f"{error.message} ({error.hint})" if error.hint else error.message
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return unreachable(question, f"what {api} answers is not tripswitch's API: {error!r}")


def _of_recording(question: Question, files: list[Path], config: list[Path]) -> Answer:
    from tripswitch.cli.progress import progress_of
    from tripswitch.config.loading import load_config
    from tripswitch.drive.explaining import explain_of
    from tripswitch.drive.gate import answer_of
    from tripswitch.drive.process import keep_freed_memory, seek_cycles_seldom
    from tripswitch.drive.replay import replay, replay_session

    loaded = load_config(config, os.environ)
    seek_cycles_seldom()
    keep_freed_memory(os.environ)
    session = replay_session(loaded)
    incidents: dict[str, dict[str, Any]] = {}
    with progress_of("reading") as advance:
        for number, event in enumerate(replay(loaded, files, session)):
            if event.incident is not None:
                incidents[event.incident.id] = event.incident.as_json()
            advance(number)
    explained = explain_of(
        session.engine, most=_MOST_SCOPES, scope_is=lambda one: one.route == question.route
    )
    seen = session.overview.route(question.route, "15m")
    return answer_of(question, explained, seen, list(incidents.values()))


def _write_summary(path: Path | None, answer: Answer) -> None:
    if path is None:
        return
    from tripswitch.cli.gate_text import markdown

    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(markdown(answer))
    except OSError as error:
        raise TripswitchError(
            f"cannot write {path}: {error.strerror}",
            hint="give --summary a file that can be written",
        ) from error
