"""The demo's processes: how a child says where it listens, and how its parent ends it.

A child prints one line of JSON when it is ready and ends when its standard input does, so that
none outlives a parent that was killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from tripswitch.errors import TripswitchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

START_WITHIN_S = 20.0
_STOP_WITHIN_S = 15.0

# Settings of the shell that would change what the demo shows, or send loopback through a proxy.
_FOREIGN_PREFIXES = ("TRIPSWITCH_", "OTEL_", "GRPC_")
_FOREIGN_SUFFIX = "_PROXY"


class DemoError(TripswitchError):
    """A part of the demo could not be played."""


def announce(facts: Mapping[str, str]) -> None:
    """Tell the parent, from a child, that it is ready and where it listens."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def stdin_closed() -> None:
    """Wait, in a child, until the parent closes standard input or is gone."""
    closed = asyncio.Event()
    descriptor = sys.stdin.fileno()
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            closed.set()

    loop.add_reader(descriptor, read)
    await closed.wait()


def clean_environment(environ: Mapping[str, str], **added: str) -> dict[str, str]:
    """Return ``environ`` without what would change the demo, and with ``added``."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith(_FOREIGN_PREFIXES)
        and not name.upper().endswith(_FOREIGN_SUFFIX)
    }
    return kept | added


class Child:
    """A process that the director started. What it writes to standard error goes to ``log``."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as errors:
            # A session of its own: Ctrl-C reaches the director alone, who ends things in order.
            self._process = subprocess.Popen(  # noqa: S603 - our own modules
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(environ),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def check(self) -> None:
        """Raise `DemoError` with its last words when the process has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(
                f"the {self.name} process ended with exit code {code}: {self.last_words()}"
            )

    def last_words(self) -> str:
        """Return the end of what it wrote to standard error."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()

    def announced(self) -> dict[str, Any]:
        """Wait for the child's line and return what it says. Raises `DemoError` when none comes."""
        assert self._process.stdout is not None
        deadline_s = time.monotonic() + START_WITHIN_S
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([self._process.stdout], [], [], 0.2)
            part = os.read(self._process.stdout.fileno(), 4096) if readable else b""
            line += part
            if not part:
                self.check()
            if time.monotonic() > deadline_s:
                raise DemoError(f"the {self.name} process was not ready in {START_WITHIN_S:g} s")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def stop(self) -> None:
        """End the process: ask it to, and kill it when it has not. Safe to call twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
