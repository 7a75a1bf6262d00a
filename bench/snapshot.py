"""What a snapshot costs: its size, what judging waits for, what is done beside it, the way back.

The scopes are those of `bench.tick`, each with every signal. *young* ones have a few minutes of
traffic, *full* ones have values in every slot of every window, as after a day without a pause, and
evidence in every bet. Processor time; *copy* is all that judging waits for.

    python -m bench.snapshot [--json] [--scopes N ...]
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

from bench.tick import Filled

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.judge import Judge
from tripswitch.detect.roster import Roster
from tripswitch.detect.snapshot import restore_detection, save_detection
from tripswitch.model.snapshot import Snapshot
from tripswitch.store.snapshot_file import read_snapshot, write_snapshot
from tripswitch.windows.scopes import Scopes


def fill(filled: Filled) -> None:
    """Put something into every slot of every window, and into every bet."""
    rings = filled.scopes.rings
    for name in ("minute", "quarter", "hour", "moments", "by_hour"):
        column = getattr(rings, name)
        column[:] = filled.rng.random(column.shape)
    rings.by_hour[0] = 0.0
    for detector in filled.roster.detectors.values():
        for column in detector.columns().values():
            column[:] = 1 + filled.rng.integers(0, 1000, column.shape)


def taken(filled: Filled) -> Snapshot:
    """Return the snapshot of what grows with the scopes."""
    snapshot = Snapshot(filled.now_ns)
    filled.scopes.save(snapshot)
    save_detection(snapshot, filled.judge)
    return snapshot


def measured(scopes: int, *, is_full: bool, folder: Path) -> dict[str, float | str]:
    """Return the figures of one size."""
    filled = Filled(scopes, one_family=False)
    for _ in range(12):
        filled.tick_ms()
    if is_full:
        fill(filled)
    gc.collect()
    times = [time.process_time()]
    snapshot = taken(filled)
    times.append(time.process_time())
    size = write_snapshot(folder / "snapshot", snapshot)
    times.append(time.process_time())
    read = read_snapshot(folder / "snapshot")
    again = Scopes(filled.scopes.max_scopes)
    roster = Roster()
    judge = Judge(again, roster, Comparisons(again, roster))
    again.restore(read)
    restore_detection(read, judge, Detect())
    times.append(time.process_time())
    copy_s, write_s, back_s = (after - before for before, after in itertools.pairwise(times))
    return {
        "state": "full" if is_full else "young",
        "scopes": len(filled.scopes.records),
        "rows": len(filled.roster),
        "megabytes": size / 1e6,
        "copy_ms": 1000 * copy_s,
        "write_ms": 1000 * write_s,
        "back_ms": 1000 * back_s,
    }


def main() -> int:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scopes", type=int, nargs="*", default=[1000, 10_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = [
            measured(scopes, is_full=is_full, folder=Path(folder))
            for scopes in options.scopes
            for is_full in (False, True)
        ]
    if options.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
        return 0
    sys.stdout.write("state   scopes    rows      MB   copy ms  write ms   back ms\n")
    for result in results:
        sys.stdout.write(
            f"{result['state']:6}  {result['scopes']:6}  {result['rows']:6}"
            f"  {result['megabytes']:6.1f}  {result['copy_ms']:8.0f}  {result['write_ms']:8.0f}"
            f"  {result['back_ms']:8.0f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
