"""Fuzz for longer, each target in a process of its own.

    python -m tests.fuzz [SECONDS] [TARGET...]

SECONDS is for each target, 60 without. What a target raises, takes too long over or takes too much
memory for ends its run; the input is kept as a new seed's file in the temporary folder, to be
mended for and then committed among the seeds.
"""

from __future__ import annotations

import faulthandler
import hashlib
import logging
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import structlog

from tests.fuzz.mutation import mutant, seeds_of
from tests.fuzz.spool_targets import FILES
from tests.fuzz.targets import PURE
from tests.fuzz.wire_targets import SOCKETS, WireTargets

# An input is at most 64 KiB; the slowest of them take a few tenths of a second.
LONGEST_S = 30
MOST_GROWTH_MIB = 300

Target = Callable[[bytes], None]


class TooSlowError(Exception):
    """An input took longer than `LONGEST_S`."""


def fuzz(name: str, seconds: float, seed: int) -> str:
    """Return what came of it, in a line; raises SystemExit, having said so, at the first fault."""
    logging.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    choice = random.Random(f"{name} {seed}")
    seeds = list(seeds_of(name).values())
    with ExitStack() as stack:
        target = _target(name, stack)
        for data in seeds:
            _try(name, target, data)
        before_mib, runs, end_s = _peak_mib(), 0, time.monotonic() + seconds
        while time.monotonic() < end_s:
            _try(name, target, mutant(seeds, choice))
            runs += 1
        growth_mib = _peak_mib() - before_mib
    if growth_mib > MOST_GROWTH_MIB:
        raise SystemExit(f"{name}: memory grew by {growth_mib} MiB over {runs} inputs, seed {seed}")
    return f"{name:<16} {runs:>8} inputs, memory grew by {growth_mib} MiB"


def _target(name: str, stack: ExitStack) -> Target:
    if name not in SOCKETS:
        return {**PURE, **FILES}[name]
    wire = stack.enter_context(WireTargets())
    return lambda data: SOCKETS[name](wire, data)


def _try(name: str, target: Target, data: bytes) -> None:
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    # Where no signal handler gets its turn: inside a library.
    faulthandler.dump_traceback_later(2 * LONGEST_S, exit=True)
    try:
        target(data)
    except Exception:  # noqa: BLE001 - whatever it is, it ends the run
        kept = Path(tempfile.gettempdir()) / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
        kept.write_bytes(data)
        traceback.print_exc()
        raise SystemExit(f"{name}: {len(data)} bytes that it does not take: {kept}") from None
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)


def _ring(_number: int, _frame: Any) -> None:
    raise TooSlowError


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> None:
    """Be the child, or fuzz the targets that were asked for, one after the other."""
    if sys.argv[1:2] == ["child"]:
        signal.signal(signal.SIGALRM, _ring)
        print(fuzz(sys.argv[2], float(sys.argv[3]), int(sys.argv[4])), flush=True)
        return
    numbers = [word for word in sys.argv[1:] if word.replace(".", "").isdigit()]
    seconds = float(numbers[0]) if numbers else 60.0
    names = [word for word in sys.argv[1:] if word not in numbers] or [*PURE, *FILES, *SOCKETS]
    seed = random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}, {seconds:g} s each", flush=True)
    failed = []
    for name in names:
        command = [sys.executable, "-m", "tests.fuzz", "child", name, str(seconds), str(seed)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
