"""What the engine costs a call, after reading: the join of traces, taking in, judging.

Traffic of a thousand calls a second, in requests of several sizes, is read first; then only the
engine is timed, on batches as the judge gets them, of 50 ms, over a minute. The parts are *join*
(traces put together), *take* (calls, scores and requests into the windows) and *judge* (a tick's
verdicts). Processor time, so that waiting does not count; a busy machine still makes everything
slower, so that only what was measured in turns can be compared.

    python -m bench.engine [--json] [--repeats N] [--against SRC]

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.replay_day import START_NS, Day

import tripswitch
from tripswitch.config.model import Config
from tripswitch.engine import Engine
from tripswitch.genai.understand import Understanding

CALLS_A_REQUEST = (1, 16, 64, 512)
CALLS_A_SECOND = 1000.0
SECONDS = 60.0
BATCH_S = 0.05
PARTS = ("join", "take", "judge")


class Timed:
    """Processor time by part, taken around methods of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.spent_s = dict.fromkeys(PARTS, 0.0)
        for part, owner, name in (
            ("join", engine.traces, "add"),
            ("join", engine.traces, "settle"),
            ("take", engine.intake, "add"),
            ("take", engine.exemplars, "take"),
            ("judge", engine.judge, "tick"),
        ):
            setattr(owner, name, self._around(part, getattr(owner, name)))

    def _around(self, part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            begun_s = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                self.spent_s[part] += time.process_time() - begun_s

        return timed


def measured(calls_a_request: int) -> dict[str, float]:
    """Return the processor microseconds a call: of each part and of everything."""
    export_s = calls_a_request / CALLS_A_SECOND
    bodies = list(Day(SECONDS / 3600, CALLS_A_SECOND, 1, export_s).requests())
    together = max(1, round(BATCH_S / export_s))
    config = Config()
    understanding = Understanding(config.read)
    batches = []
    for first in range(0, len(bodies), together):
        read = bodies[first : first + together]
        now_ns = START_NS + int((first + len(read)) * export_s * 1e9)
        batches.append((understanding.traces(read), now_ns, len(read)))
    engine = Engine(config)
    timed = Timed(engine)
    begun_s = time.process_time()
    for sighted, now_ns, size in batches:
        engine.observe(sighted, [now_ns] * size)
    engine.advance(now_ns + int(2 * config.detect.tick * 1e9))
    spent_s = time.process_time() - begun_s
    calls = engine.counters()["reader_calls_total"]
    parts = {part: seconds / calls * 1e6 for part, seconds in timed.spent_s.items()}
    return {**parts, "all": spent_s / calls * 1e6}


def in_a_process(source: Path, calls_a_request: int) -> dict[str, float]:
    """Return what `measured` does with the package of ``source``."""
    command = [sys.executable, "-m", "bench.engine", "--one", str(calls_a_request)]
    environment = {**os.environ, "PYTHONPATH": str(source), "OPENBLAS_NUM_THREADS": "1"}
    folder = Path(__file__).parents[1]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=folder
    )
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
    sources = {"here": Path(tripswitch.__file__).parents[1]}
    if options.against is not None:
        sources["against"] = options.against.resolve()
    if not options.json:
        sys.stdout.write("us a call, by calls a request\n      ")
        sys.stdout.write("".join(f"{part:>8}" for part in (*PARTS, "all")) + "\n")
    for size in CALLS_A_REQUEST:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in sources}
        for _ in range(options.repeats):
            for name, source in sources.items():
                runs[name].append(in_a_process(source, size))
        least = {
            name: {part: min(run[part] for run in found) for part in found[0]}
            for name, found in runs.items()
        }
        result: dict[str, Any] = {"calls_a_request": size, **least}
        if "against" in least:
            result["ratio"] = least["against"]["all"] / least["here"]["all"]
        if options.json:
            sys.stdout.write(json.dumps(result) + "\n")
            continue
        for name, parts in least.items():
            sys.stdout.write(f"{size if name == 'here' else '':>6}")
            sys.stdout.write("".join(f"{value:8.1f}" for value in parts.values()))
            ratio = f"   against: {result['ratio']:.2f} times" if name == "against" else ""
            sys.stdout.write(ratio + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
