"""What it costs to stand in the path: tripswitch and a real Collector, in one paired run.

The same client sends the same requests to a sink (a Collector that throws them away): directly,
through tripswitch, and through a Collector that receives and forwards OTLP/gRPC. All are up at
the same time and are measured in turns, so that a busy machine slows all of them; what counts is
the ratio. Neither compresses. The Collector has no queue, so that it acknowledges, as tripswitch
does, what the sink has accepted; --disk adds both with every request on disk first, where
tripswitch acknowledges after a sync and the Collector's file_storage does not sync by default.

CPU is user and system time of all processes of a system, the judge included, until it is idle
again. The p99 of a hundred requests or fewer is their slowest. Memory is the sum of the peaks of
the resident sets. Every span is a GenAI call, the dearest kind to read.

Needs Linux and `.ci/collector/build collector`. Run from the repository's folder:

    python -m bench.forward [--quick] [--disk] [--json] [--rounds N] [--seconds S]
"""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.forward.load import Setting
from bench.forward.measure import measure
from bench.forward.report import as_json, as_lines, goals
from bench.forward.systems import start_all

if TYPE_CHECKING:
    from bench.forward.report import Results

CONTENT_CHARS = (0, 8192)
SPANS_A_REQUEST = (1, 10, 100, 512)
IDS_A_SETTING = 1 << 32


def main() -> None:
    """Measure every setting; print a block each, or one JSON object a setting."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.forward", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a setting")
    parser.add_argument("--disk", action="store_true", help="also with every request on disk first")
    parser.add_argument("--quick", action="store_true", help="half a minute: one short round")
    parser.add_argument("--rounds", type=int, default=2, help="turns of every system")
    parser.add_argument("--seconds", type=float, default=2.5, help="of a turn")
    asked = parser.parse_args()
    rounds, seconds = (1, 0.4) if asked.quick else (asked.rounds, asked.seconds)
    results: Results = []
    # Ended from outside, it still has to end the processes it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        systems = start_all(stack, folder, disk=asked.disk)
        first_id = time.time_ns()
        for content_chars, spans in itertools.product(CONTENT_CHARS, SPANS_A_REQUEST):
            setting = Setting(spans, content_chars)
            costs = measure(systems, setting, rounds, seconds, first_id)
            first_id += IDS_A_SETTING
            results.append((setting, costs))
            print(as_json(setting, costs) if asked.json else as_lines(setting, costs) + "\n")
            sys.stdout.flush()
    if not asked.json:
        print(goals(results))


if __name__ == "__main__":
    main()
