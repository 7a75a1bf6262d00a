"""What it costs to understand: tripswitch against a real Collector that makes metrics of spans.

As `bench.forward`, with the nearest that a Collector can do: it receives, forwards and counts by
the same dimensions in its spanmetrics connector. tripswitch receives, forwards, understands every
span, joins its trace, and keeps the windows; with and without the facts that stand in content.

    python -m bench.forward.understanding [--json] [--rounds N] [--seconds S]
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

from bench.forward.load import Setting
from bench.forward.measure import measure
from bench.forward.report import as_json, as_lines
from bench.forward.systems import start_understanding

CONTENT_CHARS = (0, 8192)
SPANS_A_REQUEST = (16, 64, 512)
IDS_A_SETTING = 1 << 32


def main() -> None:
    """Measure every setting; print a block each, or one JSON object a setting."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.forward.understanding",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a setting")
    parser.add_argument("--rounds", type=int, default=2, help="turns of every system")
    parser.add_argument("--seconds", type=float, default=2.5, help="of a turn")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as stack:
        systems = start_understanding(stack, Path(stack.enter_context(TemporaryDirectory())))
        first_id = time.time_ns()
        for content_chars, spans in itertools.product(CONTENT_CHARS, SPANS_A_REQUEST):
            setting = Setting(spans, content_chars)
            costs = measure(systems, setting, asked.rounds, asked.seconds, first_id)
            first_id += IDS_A_SETTING
            print(as_json(setting, costs) if asked.json else as_lines(setting, costs) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
