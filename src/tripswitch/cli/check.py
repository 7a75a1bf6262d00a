"""``tripswitch check``: is a configuration file right, without starting or calling anything."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from tripswitch.cli.status import printable

if TYPE_CHECKING:
    from tripswitch.actions.rehearsal import Probed
    from tripswitch.config.loading import Loaded
    from tripswitch.config.model import Config
    from tripswitch.config.problems import Problem

DEFAULT_FILE = Path("config/tripswitch.yaml")


class Memory(TypedDict):
    """The most memory that waiting requests can take, in bytes."""

    max_concurrent_rpcs: int
    max_recv_msg_size_bytes: int
    receiver_bytes: int
    http_bytes: int
    tap_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of checking one file, or several as one configuration."""

    name: str
    loaded: Loaded | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def warnings(self) -> list[Problem]:
        """Warnings; none are known where the configuration could not be loaded."""
        return [] if self.loaded is None else self.loaded.warnings

    @property
    def memory(self) -> Memory | None:
        """The memory bound, where the configuration could be loaded."""
        return None if self.loaded is None else worst_case_memory(self.loaded.config)


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help=f"Files to check; {DEFAULT_FILE} when none."),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Check the files as one, as `run` merges several --config, not each."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Also ask each rollback target whether it can be used; it is read, never moved.",
        ),
    ] = False,
) -> None:
    """Check configuration files offline: every problem at once, warnings, the memory bound.

    ${env:NAME} and TRIPSWITCH_... variables count as they do for `run`. Exit 0 when all is well
    (warnings included), 1 when a target that was probed cannot be used, 2 on any error.

    Examples:

      tripswitch check

      tripswitch check config/tripswitch.yaml --probe

      tripswitch check base.yaml production.yaml --merge --json
    """
    paths = files or [DEFAULT_FILE]
    groups = [paths] if merge else [[path] for path in paths]
    findings = [_find(group) for group in groups]
    probed = [_probed(finding) if probe else [] for finding in findings]
    if as_json:
        typer.echo(_json_text(findings, probed))
    else:
        for finding, targets in zip(findings, probed, strict=True):
            typer.echo("\n".join([_words(finding), *_probe_words(targets)]))
    if any(finding.problems for finding in findings):
        raise typer.Exit(2)
    if any(found.probe.usable is False for targets in probed for found in targets):
        raise typer.Exit(1)


def worst_case_memory(config: Config) -> Memory:
    """Return the most memory that requests in flight and on the tap can take.

    gRPC knows the size of a request only once it holds it; over HTTP the shared bytes bound it.
    """
    otlp = config.receivers.otlp
    grpc = otlp.protocols.grpc
    receiver_bytes = grpc.max_concurrent_rpcs * grpc.max_recv_msg_size
    http_bytes = otlp.max_in_flight_bytes if otlp.protocols.http.endpoint else 0
    return {
        "max_concurrent_rpcs": grpc.max_concurrent_rpcs,
        "max_recv_msg_size_bytes": grpc.max_recv_msg_size,
        "receiver_bytes": receiver_bytes,
        "http_bytes": http_bytes,
        "tap_bytes": config.tap.max_bytes,
        "total_bytes": receiver_bytes + http_bytes + config.tap.max_bytes,
    }


def _probed(finding: Finding) -> list[Probed]:
    if finding.loaded is None:
        return []
    import asyncio

    from tripswitch.actions.rehearsal import probe_all

    return asyncio.run(probe_all(finding.loaded.config.rollback.targets))


def _probe_words(targets: list[Probed]) -> list[str]:
    said = {True: "can be used", False: "CANNOT be used", None: "unknown"}
    return [
        f"  target {found.name} ({found.type}): {said[found.probe.usable]}, "
        f"{printable(found.probe.detail)}" + ("" if found.is_verified else "; never acts by itself")
        for found in targets
    ]


def _find(paths: list[Path]) -> Finding:
    from tripswitch.config.loading import load
    from tripswitch.config.problems import InvalidConfig

    name = " + ".join(map(str, paths))
    try:
        return Finding(name, load(paths, os.environ))
    except InvalidConfig as error:
        return Finding(name, problems=error.problems)


def _words(finding: Finding) -> str:
    count = len(finding.problems)
    verdict = f"{count} problem{'s' if count > 1 else ''}" if count else "ok"
    lines = [f"{finding.name}: {verdict}"]
    lines += [f"  error: {problem}" for problem in finding.problems]
    lines += [f"  warning: {warning}" for warning in finding.warnings]
    memory = finding.memory
    if memory is not None:
        lines.append(
            f"  memory, worst case: {_size(memory['total_bytes'])} = "
            f"{memory['max_concurrent_rpcs']} gRPC requests in flight x "
            f"{_size(memory['max_recv_msg_size_bytes'])} each + "
            f"{_size(memory['http_bytes'])} over HTTP + "
            f"{_size(memory['tap_bytes'])} waiting to be read"
        )
    return "\n".join(lines)


def _size(size_bytes: int) -> str:
    from tripswitch.config.quantities import size_text

    exact = size_text(size_bytes)
    if len(exact) <= len("1023MiB"):
        return exact
    unit, bytes_per_unit = ("GiB", 1 << 30) if size_bytes >= 1 << 30 else ("MiB", 1 << 20)
    return f"{size_bytes / bytes_per_unit:.2f}{unit}"


def _json_text(findings: list[Finding], probed: list[list[Probed]]) -> str:
    memories = [finding.memory for finding in findings if finding.memory is not None]
    return json.dumps(
        {
            "ok": not any(finding.problems for finding in findings),
            "problems": [each.as_json() for finding in findings for each in finding.problems],
            "warnings": [each.as_json() for finding in findings for each in finding.warnings],
            "memory": max(memories, key=lambda each: each["total_bytes"], default=None),
            "files": [
                {
                    "file": finding.name,
                    "ok": not finding.problems,
                    "memory": finding.memory,
                    "targets": [asdict(found) for found in targets],
                }
                for finding, targets in zip(findings, probed, strict=True)
            ],
        },
        indent=2,
    )
