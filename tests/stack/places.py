"""Where the parts of ``.ci/stack/build`` are."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.stack.names import ROOT

BUILD = ROOT / ".ci/stack/build"


def part(name: str) -> Path:
    """Return where a part is; `FileNotFoundError` says how to make it when it is not there."""
    printed = subprocess.run(
        [BUILD, "--where", name], check=True, capture_output=True, text=True
    ).stdout
    path = Path(printed.strip())
    if not path.exists():
        raise FileNotFoundError(f"{name} is not there; run .ci/stack/build {name}")
    return path


def said(command: list[str | Path], folder: Path = ROOT) -> str:
    """Run a checker to its end and return all it printed; fail where it failed."""
    done = subprocess.run(
        [str(each) for each in command],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr
