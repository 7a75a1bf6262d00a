"""The recorded payloads of real instrumentation libraries, and their ground truth.

They are not part of this repository: they are looked for in ``../shared/captures`` next to the
checkout. Where they are missing, tests that need them are skipped and say so; with the environment
variable CI set, they fail instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.missing import not_tested

ROOT = Path(__file__).resolve().parents[2] / "shared" / "captures"


def capture(library: str) -> Path:
    """Return the folder of a library's capture; skips, or fails under CI, when it is missing."""
    folder = ROOT / library
    if not (folder / "expected.json").is_file():
        not_tested(f"against real telemetry; there is no capture of {library} at {folder}")
    return folder


def expected_calls(folder: Path) -> list[dict[str, Any]]:
    """Return the ground truth of the calls that have a span."""
    document = json.loads((folder / "expected.json").read_text("utf-8"))
    return [call for call in document["calls"] if call["span_id"]]
