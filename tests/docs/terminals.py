"""Shells that are typed into as a reader types, in a folder that is a clone of this repository."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_LOOKS_EVERY_S = 0.2
_ENDS_WITHIN_S = 60.0


class Terminal:
    """One bash that goes on from command to command. What it prints is in ``log``."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.log = log
        # Nothing of this test run: the reader has neither its environment nor its CI.
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TRIPSWITCH_", "PYTEST_", "OTEL_", "VIRTUAL_ENV", "PYTHONPATH"))
        } | {"PYTHONUNBUFFERED": "1"}
        environ.pop("CI", None)
        with log.open("wb") as out:
            self._shell = subprocess.Popen(
                # What runs in the background ignores Ctrl-C and hands that on, but to no terminal.
                ["/usr/bin/env", f"--chdir={folder}", "--default-signal=INT", "bash"],
                # By a path and without closing files it is spawned, not forked: gRPC, where other
                # tests have used it, writes into a fork.
                close_fds=False,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
            )
        self._typed = 0

    def text(self) -> str:
        """Return all that was printed so far."""
        return self.log.read_text("utf-8", errors="replace")

    def type(self, lines: str) -> None:
        """Type lines and wait for nothing."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(lines.encode())
        self._shell.stdin.flush()

    def run(self, lines: str, within_s: float) -> None:
        """Type lines one by one, each when the one before has ended, and ended well."""
        for line in lines.replace("\\\n", " ").splitlines():
            self._typed += 1
            mark = f"-- {self._typed} ended with"
            self.type(f'{line}\necho "{mark} $?"\n')
            self.wait_for(mark, within_s, line)
            code = re.findall(rf"^{mark} (\d+)$", self.text(), re.MULTILINE)
            assert code == ["0"], f"`{line}` ended with {code}:\n{self.text()[-4000:]}"

    def wait_for(self, words: str, within_s: float, why: str = "") -> None:
        """Wait until ``words`` were printed. Fails after ``within_s``, with what was."""
        give_up_s = time.monotonic() + within_s
        while words not in self.text():
            assert time.monotonic() < give_up_s, f"no `{words}` {why}:\n{self.text()[-4000:]}"
            assert self._shell.poll() is None, f"ended: {self.text()[-4000:]}"
            time.sleep(_LOOKS_EVERY_S)

    def interrupt(self) -> int:
        """Press Ctrl-C: end what runs in the foreground; return the exit code it leaves."""
        for process in psutil.Process(self._shell.pid).children():
            process.send_signal(signal.SIGINT)
        self.type('echo "-- interrupted, ended with $?"\n')
        mark = "-- interrupted, ended with "
        self.wait_for(mark, _ENDS_WITHIN_S)
        return int(self.text().rpartition(mark)[2])

    def close(self) -> None:
        """End the shell and all that it started."""
        # Leaving the shell's context closes its input and waits for it.
        with self._shell:
            started: list[psutil.Process] = []
            with contextlib.suppress(psutil.NoSuchProcess):
                started = psutil.Process(self._shell.pid).children(recursive=True)
            self._shell.kill()
            for process in started:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


class Terminals:
    """Terminals by name, each opened in ``folder`` when it is first named."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder, self._logs = folder, logs
        self._open: dict[str, Terminal] = {}
        self._closing = contextlib.ExitStack()

    def __getitem__(self, name: str) -> Terminal:
        if name not in self._open:
            log = self._logs / f"{name.replace(' ', '-')}.log"
            self._open[name] = Terminal(self._folder, log)
            self._closing.callback(self._open[name].close)
        return self._open[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()
