"""``tripswitch run`` on ports that stay its own from one life to the next, and killing it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import yaml

from tests.drive.live_process import Live
from tests.otlp.relay import until
from tests.survive.line import steady_port

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.survive.sink import Protocol

START_S = 60.0
STOP_S = 60.0

WIRE, JUDGE = "wire", "judge"


def settings_for(protocol: Protocol, upstream: str, choice: random.Random) -> dict[str, Any]:
    """Return settings that forward to ``upstream`` (``host:port``), from steady ports."""

    def listen() -> dict[str, str]:
        return {"endpoint": f"127.0.0.1:{steady_port(choice)}"}

    endpoint = upstream if protocol == "grpc" else f"http://{upstream}"
    return {
        "receivers": {"otlp": {"protocols": {name: listen() for name in ("grpc", "http")}}},
        "exporters": {f"otlp_{protocol}": {"endpoint": endpoint}},
        "forward": {"acknowledge": "upstream-or-disk", "grace": "2s"},
        "telemetry": {name: listen() for name in ("metrics", "health", "api")},
    }


class _Known(Live):
    """One whose addresses are known, whether or not it could write them down."""

    def __init__(self, process: subprocess.Popen[bytes], endpoints: dict[str, str]) -> None:
        super().__init__(process, Path(), "")
        self._endpoints = endpoints

    @property
    def run_file(self) -> dict[str, Any]:
        """Return the addresses."""
        return {"endpoints": self._endpoints}

    def is_up(self) -> bool:
        """Return whether wire and judge are both ready."""
        try:
            return self.metric("judge_up") == 1
        except httpx.TransportError:
            return False


class Program:
    """One tripswitch after the other in ``folder``, with its state where ``state`` says.

    ``prefix`` is what its command begins with; ``seen_state`` is the folder of the state as this
    process sees it. ``peak_bytes`` is the most memory that wire and judge were seen to take, by
    the kernel's own mark.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        *,
        state: Path | None = None,
        seen_state: Path | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        state = state or folder / "state"
        self.folder = folder
        self.state = seen_state or state
        self.peak_bytes = {WIRE: 0, JUDGE: 0}
        self.process: subprocess.Popen[bytes] | None = None
        self._prefix = prefix
        self._endpoints = {
            name: str(protocol["endpoint"])
            for name, protocol in (
                *settings["receivers"]["otlp"]["protocols"].items(),
                *settings["telemetry"].items(),
            )
        }
        settings = settings | {"storage": {"directory": str(state)}}
        (folder / "tripswitch.yaml").write_text(yaml.safe_dump(settings))

    @property
    def spool(self) -> Path:
        """Return the folder of the spool."""
        return self.state / "spool"

    @property
    def live(self) -> Live:
        """Return the running one, to ask for metrics."""
        assert self.process is not None
        return _Known(self.process, self._endpoints)

    def endpoint(self, protocol: Protocol) -> str:
        """Return ``host:port`` of a receiver."""
        return self._endpoints[protocol]

    def start(self) -> None:
        """Begin a life; returns before it listens."""
        command = [sys.executable, "-m", "tripswitch.cli.app", "run", "--config"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._prefix, *command, str(self.folder / "tripswitch.yaml")],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_listening(self) -> bool:
        """Return whether both receivers take connections."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"tripswitch has ended by itself: {self.log()[-4000:]}")
        return all(_listens(self._endpoints[name]) for name in ("grpc", "http"))

    async def until_listening(self) -> float:
        """Wait until both receivers take connections; return for how long, s."""
        began_s = time.monotonic()
        await until(self.is_listening, START_S)
        return time.monotonic() - began_s

    async def until_up(self) -> None:
        """Wait until wire and judge are both ready."""
        await until(lambda: self.is_listening() and self.live.is_up(), START_S)

    def processes(self) -> dict[str, psutil.Process]:
        """Return what runs of it, by role."""
        assert self.process is not None
        found: dict[str, psutil.Process] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            found[WIRE] = psutil.Process(self.process.pid)
            for child in found[WIRE].children():
                found[JUDGE] = child
        return found

    def note_peaks(self) -> None:
        """Take in how much memory both have taken at most in this life."""
        for role, process in self.processes().items():
            self.peak_bytes[role] = max(self.peak_bytes[role], peak_bytes(process.pid))

    async def kill(self, roles: Sequence[str] = (WIRE, JUDGE)) -> None:
        """Kill with -9 and wait until they are gone; without the wire the judge goes too."""
        assert self.process is not None
        self.note_peaks()
        processes = self.processes()
        for role in roles:
            with contextlib.suppress(KeyError, psutil.NoSuchProcess):
                processes[role].kill()
        gone = list(processes) if WIRE in roles else roles
        if WIRE in roles:
            await asyncio.to_thread(self.process.wait, STOP_S)
        await until(lambda: all(_is_gone(processes.get(role)) for role in gone), STOP_S)

    async def stop(self) -> int:
        """End it as one does; return the exit code."""
        assert self.process is not None
        self.note_peaks()
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_S)

    def log(self) -> str:
        """Return what all of them have logged."""
        return (self.folder / "log").read_text()


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process was resident with, 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    marks = [line for line in lines if line.startswith("VmHWM:")]
    return int(marks[0].split()[1]) << 10 if marks else 0


def forget_peak(pid: int) -> None:
    """Have the kernel start anew with the peak of a process."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:  # noqa: PTH123 - not a file to be kept
        file.write("5")


def _listens(endpoint: str) -> bool:
    host, _, port = endpoint.partition(":")
    with socket.socket() as tried:
        return tried.connect_ex((host, int(port))) == 0


def _is_gone(process: psutil.Process | None) -> bool:
    try:
        return process is None or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
