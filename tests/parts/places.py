"""Where the real servers are, and processes of theirs that end with the test."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".ci" / "parts" / "build"
_QUIET = {"NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def part(name: str) -> Path:
    """Return where a part is; `FileNotFoundError` says how to make it when it is not there."""
    printed = subprocess.run(
        [BUILD, "--where", name], check=True, capture_output=True, text=True
    ).stdout
    path = Path(printed.strip() or "/nowhere")
    if not path.exists():
        raise FileNotFoundError(f"{name} is not there; run .ci/parts/build {name}")
    return path


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def own_words(command: Sequence[object], *, env: Mapping[str, str] | None = None) -> str:
    """Return the last line that a server's own client prints."""
    done = subprocess.run(
        [str(each) for each in command],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **_QUIET, **(env or {})},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


@contextmanager
def serving(
    command: Sequence[object],
    health_url: str,
    folder: Path,
    env: Mapping[str, str] | None = None,
    within_s: float = 110.0,
) -> Iterator[None]:
    """Run a server until the block ends; it starts when ``health_url`` answers 200."""
    log = folder / "server.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [str(each) for each in command],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_QUIET, **(env or {})},
            start_new_session=True,
        ) as process,
    ):
        try:
            _await_health(process, health_url, log, within_s)
            yield
        finally:
            _end(process)


def _await_health(process: subprocess.Popen[bytes], url: str, log: Path, within_s: float) -> None:
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    text = log.read_text(encoding="utf-8", errors="replace")
    raise AssertionError(f"the server did not come up: {text[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    # The group is the server's own: workers go with it.
    for number, patience_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
            return
