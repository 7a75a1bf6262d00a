"""Simulate, and print the tables of false and true alarms beside those of the reference.

    python -m bench.detect [--cells PATTERN...] [--scale S] [--state FOLDER] [--list] [--tables]

Every chunk that ran is kept in the state folder and not run again until the code that it depends
on changes, so that a run can be stopped at any time and taken up. A scale below 1 runs a fraction
of the routes (and of the months), which tells that all of it works, not what the figures are.
Ends with 1 where a figure misses what is asked of it, or with 0 and says so where cells are
missing.
"""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
import sys
import time
from pathlib import Path

from bench.detect import bad_minutes, delays, nulls, rolled_up
from bench.detect.cells import Cell, Combo, joined
from bench.detect.state import Done, State
from bench.detect.tables import Tables

CELLS: list[Cell] = [*nulls.CELLS, *delays.CELLS, *rolled_up.CELLS, *bad_minutes.CELLS]


def simulated(state: State, cell: Cell, chunk: int, scale: float, commit: str) -> Done:
    """Return what a chunk gives, simulating it if that was not done yet."""
    known = state.known(cell, chunk)
    if known is not None:
        return known
    begun_s = time.process_time()
    combos = cell.run(chunk, scale)
    done = Done(combos, time.process_time() - begun_s)
    state.keep(cell, chunk, done, commit)
    sys.stderr.write(f"{cell.name} {chunk + 1}/{cell.chunks}: {done.cpu_s:.0f} s\n")
    return done


def commit_now() -> str:
    """Return the commit of the working copy, marked where it was edited."""
    words = ["git", "describe", "--always", "--dirty=-edited", "--abbrev=12", "--exclude=*"]
    found = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return found.stdout.strip() or "unknown"


def main() -> int:
    """Run what is missing of the cells asked for, then print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="*", default=["*"], help="names, * for any part")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--state", type=Path, default=Path(".detect-state"))
    parser.add_argument("--list", action="store_true", help="name the cells and end")
    parser.add_argument("--tables", action="store_true", help="print what is known, run nothing")
    options = parser.parse_args()
    chosen = [
        cell
        for cell in CELLS
        if any(fnmatch.fnmatch(cell.name, pattern) for pattern in options.cells)
    ]
    state = State(options.state, options.scale)
    if options.list:
        for cell in chosen:
            known = sum(state.known(cell, chunk) is not None for chunk in range(cell.chunks))
            sys.stdout.write(f"{cell.name}: {known} of {cell.chunks}\n")
        return 0
    if not options.tables:
        commit = commit_now()
        for cell in chosen:
            for chunk in range(cell.chunks):
                simulated(state, cell, chunk, options.scale, commit)
    results: dict[str, dict[str, Combo]] = {}
    cpu_s, lacking = 0.0, []
    for cell in CELLS:
        parts = [state.known(cell, chunk) for chunk in range(cell.chunks)]
        done = [part for part in parts if part is not None]
        if done:
            results[cell.name] = joined(part.combos for part in done)
            cpu_s += sum(part.cpu_s for part in done)
        if len(done) < cell.chunks:
            lacking.append(cell.name)
    tables = Tables(results)
    sys.stdout.write(tables.text())
    sys.stdout.write(f"\nProcessor time of all this: {cpu_s / 60:.1f} min\n")
    if lacking:
        sys.stdout.write(f"Not complete: {', '.join(lacking)}\n")
    for miss in tables.misses:
        sys.stdout.write(f"MISSED: {miss}\n")
    return 1 if tables.misses else 0


if __name__ == "__main__":
    sys.exit(main())
