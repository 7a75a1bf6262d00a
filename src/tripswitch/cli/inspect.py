"""``tripswitch inspect``: what tripswitch sees in recorded telemetry, and what is missing.

With ``--json`` one JSON object a call under the fixed names; otherwise a summary. What could not be
read goes to standard error with its place.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tripswitch.cli.inspect_summary import remarks, summary
from tripswitch.config.loading import load_config
from tripswitch.config.model import FACTS, Read
from tripswitch.drive import inspection
from tripswitch.errors import ConfigError
from tripswitch.genai.census import Census

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.otlp.files import FileProblem


def inspect(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="OTLP JSON lines (.jsonl), raw requests (.binpb), or folders of these.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a call.")] = False,
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
) -> None:
    """Show what tripswitch sees in recorded telemetry, and what is missing."""
    configuration = load_config(config or (), os.environ)
    read = _with_own_keys(configuration.read, key or ())
    census = Census()
    counts: dict[str, int] = {}
    problems: list[FileProblem] = []
    steps = inspection.inspect(
        configuration.model_copy(update={"read": read}), paths, cohort or (), problems.append
    )
    try:
        for sighted, settled, counts in steps:  # noqa: B007 - the last counts are the whole's
            census.add_read(sighted)
            census.add_calls(settled.calls)
            if as_json:
                for row in range(len(settled.calls)):
                    sys.stdout.write(json.dumps(settled.calls.as_json(row)) + "\n")
            _report(problems)
        if not as_json:
            sys.stdout.write(summary(census))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has seen enough; without this the interpreter complains on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    for sentence in remarks(census, counts):
        sys.stderr.write(sentence + "\n")


def _report(problems: list[FileProblem]) -> None:
    for problem in problems:
        sys.stderr.write(f"{problem.source}: {problem.message}\n")
    problems.clear()


def _with_own_keys(read: Read, assignments: Sequence[str]) -> Read:
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
