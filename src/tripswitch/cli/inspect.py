"""``tripswitch inspect``: what tripswitch sees in recorded telemetry, and what is missing.

With ``--json`` one JSON object a call under the fixed names; otherwise a summary. What could not be
read goes to standard error with its place.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tripswitch.cli.inspect_summary import Summary
from tripswitch.config.loading import load_config
from tripswitch.config.model import FACTS, Config, Read
from tripswitch.errors import ConfigError
from tripswitch.genai.understand import DEFAULT_COHORTS, Understanding
from tripswitch.otlp.files import FileProblem, read_requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tripswitch.model.calls import Observed

_BATCH_BYTES = 4 << 20


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
    read = _with_own_keys(_configured(config or ()), key or ())
    understanding = Understanding(read, (*DEFAULT_COHORTS, *(cohort or ())))
    summary = Summary()
    problems: list[FileProblem] = []
    try:
        for observed in _observe(paths, understanding, problems, summary.other_signals):
            summary.add(observed)
            if as_json:
                for row in range(len(observed.calls)):
                    sys.stdout.write(json.dumps(observed.calls.as_json(row)) + "\n")
            _report(problems)
        _report(problems)
        if not as_json:
            sys.stdout.write(summary.text())
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has seen enough; without this the interpreter complains on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    for sentence in summary.remarks():
        sys.stderr.write(sentence + "\n")


def _observe(
    paths: Sequence[Path],
    understanding: Understanding,
    problems: list[FileProblem],
    other_signals: Counter[str],
) -> Iterator[Observed]:
    batch: list[bytes] = []
    batch_bytes = 0
    for request in read_requests(paths, problems.append):
        if request.signal != "traces":
            other_signals[request.signal] += 1
            # A request of unknown kind may be a trace request that is damaged: let it be counted.
            if request.signal != "unknown":
                continue
        batch.append(request.body)
        batch_bytes += len(request.body)
        if batch_bytes >= _BATCH_BYTES:
            yield understanding.observe(batch)
            batch, batch_bytes = [], 0
    yield understanding.observe(batch)


def _report(problems: list[FileProblem]) -> None:
    for problem in problems:
        sys.stderr.write(f"{problem.source}: {problem.message}\n")
    problems.clear()


def _configured(paths: Sequence[Path]) -> Read:
    if not paths:
        return Config().read
    return load_config(paths, os.environ).read


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
