"""``tripswitch spool``: what waits on disk for the upstream, how old it is, and what is dead.

It only looks: it takes no lock and changes nothing, also while tripswitch runs.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tripswitch.cli.run import DEFAULT_CONFIG
from tripswitch.cli.status import printable
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections import Counter

    from tripswitch.otlp.delivery import Signal
    from tripswitch.otlp.spool.survey import Shelved, Survey


def spool(
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            help="Configuration that says where the spool is; may be given more than once. "
            f"Without it {DEFAULT_CONFIG} if there is one, else the defaults.",
        ),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--directory", help="The spool's folder, whatever --config says.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read every record; exit 1 when something is damaged."),
    ] = False,
) -> None:
    """Show what waits on disk for the upstream, how old it is, and the dead letters.

    It only looks, and takes no lock, also while tripswitch runs.

    Examples:

      tripswitch spool

      tripswitch spool --config config/tripswitch.yaml --json

      tripswitch spool --directory /var/lib/tripswitch/spool --verify
    """
    from tripswitch.otlp.spool.disk import LocalDisk
    from tripswitch.otlp.spool.survey import survey

    place = directory or _configured(config)
    if directory is not None and not directory.is_dir():
        raise ConfigError(
            f'--directory: there is no folder "{directory}"',
            hint="leave it out to look where the configuration says",
        )
    try:
        found = survey(LocalDisk(), place, verify=verify)
    except OSError as error:
        raise ConfigError(
            f'the spool in "{place}" cannot be read: {error.strerror}',
            hint="only the user that tripswitch runs as may read it: run this as that user",
        ) from error
    now_ns = time.time_ns()
    typer.echo(
        json.dumps(_as_json(place, found, now_ns), indent=2)
        if as_json
        else "\n".join(_words(place, found, now_ns))
    )
    if verify and found.damage:
        raise typer.Exit(1)


def _configured(paths: list[Path] | None) -> Path:
    from tripswitch.config.loading import load_config
    from tripswitch.config.model import Config
    from tripswitch.otlp.spool.spool import spool_directory

    files = paths or ([DEFAULT_CONFIG] if DEFAULT_CONFIG.is_file() else [])
    return spool_directory(load_config(files, os.environ) if files else Config())


def _as_json(place: Path, found: Survey, now_ns: int) -> dict[str, Any]:
    return {
        "directory": str(place),
        "verified": found.is_verified,
        "damaged": found.damage,
        "waiting": _shelf_json(found.waiting, now_ns),
        "dead_letters": _shelf_json(found.dead_letters, now_ns)
        | {"by_reason": dict(found.dead_letters.by_reason)},
    }


def _shelf_json(shelved: Shelved, now_ns: int) -> dict[str, Any]:
    return {
        "records": shelved.records,
        "record_bytes": shelved.record_bytes,
        "oldest_age_s": _age_s(shelved, now_ns),
        "by_signal": {signal.value: count for signal, count in shelved.by_signal.items()},
        "segments": shelved.segments,
        "file_bytes": shelved.file_bytes,
        "damaged_records": shelved.damaged,
        "damaged_segment_headers": shelved.damaged_starts,
        "unfinished_bytes": shelved.unfinished_bytes,
        "segments_of_another_version": shelved.foreign,
    }


def _words(place: Path, found: Survey, now_ns: int) -> list[str]:
    lines = [f"{place}:"]
    for name, shelved in (("waiting", found.waiting), ("dead letters", found.dead_letters)):
        lines.append(
            f"  {name}: {_count(shelved.records, 'request')}, {shelved.record_bytes} bytes"
        )
        if shelved.records:
            lines[-1] += f", the oldest for {_age_text(_age_s(shelved, now_ns) or 0.0)}"
            lines.append(f"    signals: {_counts(shelved.by_signal)}")
        if shelved.by_reason:
            lines.append(f"    why: {_counts(shelved.by_reason)}")
        lines.append(
            f"    on disk: {shelved.file_bytes} bytes in {_count(shelved.segments, 'segment')}"
        )
        if shelved.unfinished_bytes:
            lines.append(
                f"    unfinished: {shelved.unfinished_bytes} bytes at an end, being written or cut "
                "off by a crash; never acknowledged"
            )
        if shelved.foreign:
            lines.append(f"    of another version: {_count(shelved.foreign, 'segment')}")
        if shelved.damaged:
            lines.append(f"    DAMAGED: {_count(shelved.damaged, 'request')}")
        if shelved.damaged_starts:
            lines.append(f"    DAMAGED: the headers of {_count(shelved.damaged_starts, 'segment')}")
    if found.is_verified:
        lines.append("  verified: nothing is damaged" if not found.damage else "  verified")
    return lines


def _age_s(shelved: Shelved, now_ns: int) -> float | None:
    return None if shelved.oldest_ns is None else max(0.0, (now_ns - shelved.oldest_ns) / 1e9)


def _age_text(age_s: float) -> str:
    for unit, seconds in (("d", 86_400), ("h", 3600), ("m", 60)):
        if age_s >= 2 * seconds:
            return f"{age_s / seconds:.0f}{unit}"
    return f"{age_s:.0f}s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _counts(counts: Counter[str] | Counter[Signal]) -> str:
    return ", ".join(f"{printable(name)} {count}" for name, count in sorted(counts.items()))
