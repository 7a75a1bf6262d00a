"""What was simulated already: one JSON file a chunk, kept under the code that it was simulated by.

A chunk counts for a commit as long as nothing that it depends on has changed: the rooms of the
engine that judge, the configuration's defaults, and the simulation itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.detect.cells import Cell, Combo

_ROOT: Final = Path(__file__).resolve().parents[2]
_JUDGING: Final = (
    "src/tripswitch/detect/*.py",
    "src/tripswitch/windows/*.py",
    "src/tripswitch/config/detect_sections.py",
    "bench/detect/*.py",
)
_NOT_JUDGING: Final = (
    # What prints and keeps, and what the simulation goes round: it feeds buckets, explains nothing.
    "__main__.py",
    "bounds.py",
    "reference.py",
    "state.py",
    "tables.py",
    "recordings.py",
    "intake.py",
    "counted.py",
    "leaks.py",
    "named.py",
    "tools.py",
    "explain.py",
    "explain_coming.py",
    "explanation.py",
    "outlook.py",
    "snapshot.py",
    "validity.py",
)


def code_digest() -> str:
    """Return what names the code that the results depend on."""
    digest = hashlib.sha256()
    paths = sorted({path for pattern in _JUDGING for path in _ROOT.glob(pattern)})
    for path in paths:
        if path.name not in _NOT_JUDGING:
            digest.update(f"{path.relative_to(_ROOT)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Done:
    """What one chunk gave, and the processor time it took in seconds."""

    combos: list[Combo]
    cpu_s: float


class State:
    """A folder of chunks, at one scale and of one code."""

    def __init__(self, folder: Path, scale: float) -> None:
        self.folder = folder / code_digest() / f"scale-{scale:g}"

    def known(self, cell: Cell, chunk: int) -> Done | None:
        """Return what a chunk gave, None where it was not run."""
        try:
            kept = json.loads(self._path(cell, chunk).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Done([Combo(**combo) for combo in kept["combos"]], kept["cpu_s"])

    def keep(self, cell: Cell, chunk: int, done: Done, commit: str) -> None:
        """Keep what a chunk gave, and the commit it was run at; a file is whole or not there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(cell, chunk)
        written = path.with_suffix(".part")
        text = json.dumps({"commit": commit, **asdict(done)})
        written.write_text(text, encoding="utf-8")
        written.replace(path)

    def _path(self, cell: Cell, chunk: int) -> Path:
        return self.folder / f"{cell.name}-{chunk}.json"
