"""What the engine costs a call, after understanding: taken in at once, and judged at every tick.

Traffic of a thousand calls a second, in requests of several sizes, is read and understood first;
then only the engine is timed, on batches as the judge gets them, of 50 ms. Processor time, so that
a busy machine does not count.

    python bench/engine.py [--json] [--repeats N] [--against SRC]

With ``--against`` the package of another tree (its ``src`` folder) is measured in turns with this
one, each time in a process of its own, and the ratio of the least is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import tripswitch
from replay_day import START_NS, Day
from tripswitch.config.model import Config
from tripswitch.config.read_section import Read
from tripswitch.engine import Engine
from tripswitch.genai.understand import Understanding

CALLS_A_REQUEST = (1, 16, 64, 512)
CALLS_A_SECOND = 1000.0
SECONDS = 60.0
BATCH_S = 0.05


def measured(calls_a_request: int) -> dict[str, float]:
    """Return the processor microseconds a call and a tick, over a minute of traffic."""
    export_s = calls_a_request / CALLS_A_SECOND
    bodies = list(Day(SECONDS / 3600, CALLS_A_SECOND, 1, export_s).requests())
    together = max(1, round(BATCH_S / export_s))
    understanding = Understanding(Read())
    batches = []
    for first in range(0, len(bodies), together):
        read = bodies[first : first + together]
        now_ns = START_NS + int((first + len(read)) * export_s * 1e9)
        batches.append((understanding.observe(read), now_ns, len(read)))
    engine = Engine(Config())
    calls = 0
    taking_s = judging_s = 0.0
    for observed, now_ns, size in batches:
        begun_s = time.process_time()
        engine.advance(now_ns)
        advanced_s = time.process_time()
        engine.observe(observed, [now_ns] * size)
        taking_s += time.process_time() - advanced_s
        judging_s += advanced_s - begun_s
        calls += len(observed.calls)
    return {
        "us_a_call": taking_s / calls * 1e6,
        "us_a_tick": judging_s / engine.counters()["judge_ticks_total"] * 1e6,
    }


def in_a_process(source: Path, calls_a_request: int) -> dict[str, float]:
    """Return what `measured` does with the package of ``source``."""
    command = [sys.executable, __file__, "--one", str(calls_a_request)]
    environment = {**os.environ, "PYTHONPATH": str(source), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    """Measure every size, and print a line each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object a size")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--against", type=Path, help="the src folder of another tree")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        sys.stdout.write(json.dumps(measured(options.one)))
        return 0
    here = Path(tripswitch.__file__).parents[1]
    sources = {"here": here} | ({"against": options.against} if options.against else {})
    if not options.json:
        sys.stdout.write(
            "calls a request   us a call   us a tick   against: a call, a tick, ratio\n"
        )
    for size in CALLS_A_REQUEST:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in sources}
        for _ in range(options.repeats):
            for name, source in sources.items():
                runs[name].append(in_a_process(source, size))
        least = {
            name: {key: min(run[key] for run in found) for key in found[0]}
            for name, found in runs.items()
        }
        result = {"calls_a_request": size, **least}
        if "against" in least:
            result["ratio"] = least["against"]["us_a_call"] / least["here"]["us_a_call"]
        if options.json:
            sys.stdout.write(json.dumps(result) + "\n")
        else:
            line = f"{size:>15}   {least['here']['us_a_call']:>9.1f}   "
            line += f"{least['here']['us_a_tick']:>9.0f}"
            if "against" in least:
                line += f"   {least['against']['us_a_call']:>15.1f}, "
                line += f"{least['against']['us_a_tick']:.0f}, {result['ratio']:.2f}"
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
