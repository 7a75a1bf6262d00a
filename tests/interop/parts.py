"""Where the parts are that nobody here wrote: the Collector, telemetrygen, the JavaScript SDK."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Literal

Part = Literal["collector", "telemetrygen", "js"]

BUILD = Path(__file__).resolve().parents[2] / ".ci" / "collector" / "build"


def path_of(part: Part) -> Path:
    """Return the path of ``part`` as ``.ci/collector/build`` made it.

    Raises FileNotFoundError when it has not been made: a test that was asked for must not pass
    over what is missing.
    """
    printed = subprocess.run(
        [BUILD, "--where", part], check=True, capture_output=True, text=True
    ).stdout
    path = Path(printed.strip())
    if not path.exists():
        raise FileNotFoundError(
            f"{part} has not been built: {path} is missing; run .ci/collector/build {part}"
        )
    return path
