"""``tripswitch inspect``: what tripswitch sees in telemetry, and what is missing.

Of recordings: with ``--json`` one JSON object a call under the fixed names, otherwise a summary;
what could not be read goes to standard error with its place. Of a running tripswitch, with
``--live``: the same summary since its start, or its JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tripswitch.cli.asking import DEFAULT_API, ask
from tripswitch.cli.choices import Api
from tripswitch.cli.progress import progress_of
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.read_section import Read
    from tripswitch.otlp.files import FileProblem


def inspect(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            help="OTLP JSON lines (.jsonl), raw requests (.binpb), or folders of these.",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object a call; with --live one in all."),
    ] = False,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="FACT=ATTRIBUTE",
            help="Read FACT from ATTRIBUTE before the known keys; repeatable.",
        ),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", help="Take `read` from this configuration; repeatable."),
    ] = None,
    cohort: Annotated[
        list[str] | None,
        typer.Option(
            "--cohort",
            metavar="NAME",
            help="A cohort name to look for in tags, besides control and canary; repeatable.",
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask a running tripswitch instead of reading files.")
    ] = False,
    api: Api = DEFAULT_API,
) -> None:
    """Show what tripswitch sees in telemetry, and what is missing.

    Recordings are read, or a running tripswitch is asked with --live. It is how you find out
    whether your routes, prompt versions, cohorts and scores are understood, before anything
    depends on them.

    Examples:

      tripswitch inspect traces.jsonl.zst

      tripswitch inspect --key route=app.endpoint --cohort beta traces/

      tripswitch inspect --live

      tripswitch inspect --json traces.binpb
    """
    if live == bool(paths):
        raise typer.BadParameter("name files, or --live, and not both", param_hint="FILE...")
    if live:
        found = ask(api, "/v1/telemetry")
        if as_json:
            sys.stdout.write(json.dumps(found, indent=2) + "\n")
        else:
            _show(found)
        return
    from tripswitch.config.loading import load_config
    from tripswitch.drive.inspection import Inspection

    configuration = load_config(config or (), os.environ)
    read = _with_own_keys(configuration.read, key or ())
    problems: list[FileProblem] = []
    inspection = Inspection(configuration.model_copy(update={"read": read}), cohort or ())
    try:
        # Calls that scroll by on the same terminal are progress enough.
        is_quiet = not (as_json and sys.stdout.isatty())
        with progress_of("reading") if is_quiet else contextlib.nullcontext():
            for calls in inspection.calls(paths or (), problems.append):
                if as_json:
                    for row in range(len(calls)):
                        sys.stdout.write(json.dumps(calls.as_json(row)) + "\n")
                _report(problems)
        _show(inspection.telemetry(), only_remarks=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has seen enough; without this the interpreter complains on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(telemetry: dict[str, Any], *, only_remarks: bool = False) -> None:
    from tripswitch.cli.inspect_summary import remarks, summary
    from tripswitch.genai.census import Census

    census = Census.from_json(telemetry["census"])
    if not only_remarks:
        sys.stdout.write(summary(census, telemetry["score_ranges"]))
    for sentence in remarks(census, telemetry["counts"]):
        sys.stderr.write(sentence + "\n")


def _report(problems: list[FileProblem]) -> None:
    for problem in problems:
        sys.stderr.write(f"{problem.source}: {problem.message}\n")
    problems.clear()


def _with_own_keys(read: Read, assignments: Sequence[str]) -> Read:
    from tripswitch.config.read_section import FACTS

    keys: dict[str, list[str]] = {}
    for assignment in assignments:
        fact, equals, attribute = assignment.partition("=")
        if not (equals and fact and attribute):
            raise ConfigError(
                f'--key: expected FACT=ATTRIBUTE, found "{assignment}"',
                hint="for instance --key prompt_version=app.prompt.version",
            )
        if fact not in FACTS:
            raise ConfigError(f'--key: "{fact}" is not a fact', hint=f"one of: {', '.join(FACTS)}")
        keys.setdefault(fact, []).append(attribute)
    for fact, attributes in read.keys.items():
        keys.setdefault(fact, []).extend(attributes)
    return read.model_copy(update={"keys": keys})
