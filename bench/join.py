"""What it takes to remember calls for scores that come late: memory and time, at a steady rate.

Feeds lone chat spans, RATE a second for MINUTES of their own time, then scores calls of every age
through the same door as live, by span and by response id. Memory is the process's, beyond what it
was after the first minute, when everything that does not grow is there.

    python -m bench.join [--json] [--rate N] [--minutes N]
"""

from __future__ import annotations

import argparse
import json
import time
from copy import copy

import psutil
from bench.read import request

from tripswitch.config.model import Config
from tripswitch.genai.sightings import Evaluation, Sighting
from tripswitch.genai.traces import TraceBook
from tripswitch.genai.understand import Understanding

START_NS = 1_795_485_500_000_000_000
SECOND_NS = 1_000_000_000
SCORES = 2_000


def call(template: Sighting, number: int, at_ns: int) -> Sighting:
    """Return a root chat span like ``template``, with ids of its own, that ended at ``at_ns``."""
    span = copy(template)
    span.trace_id, span.span_id = f"{number + 1:032x}", f"{number + 1:016x}"
    span.parent_span_id = None
    span.start, span.end = at_ns - SECOND_NS, at_ns
    span.call = copy(template.call)
    assert span.call is not None
    span.call.response_id = f"chatcmpl-{number:012d}"
    return span


def late_score(number: int, name: str, at_ns: int) -> Evaluation:
    """Return a score of call ``number``: by its span, or every second time by its answer."""
    by_answer = number % 2 == 1
    return Evaluation(
        name,
        0.5,
        None,
        "human",
        None,
        None if by_answer else f"{number + 1:032x}",
        None if by_answer else f"{number + 1:016x}",
        f"chatcmpl-{number:012d}" if by_answer else None,
        at_ns,
    )


def measure(rate: int, minutes: int) -> dict[str, float | int]:
    """Return what ``minutes`` of ``rate`` calls a second take, and how scores of them fare."""
    config = Config()
    template = Understanding(config.read).traces([request(1, 0, 0)]).items[0]
    assert isinstance(template, Sighting)
    book = TraceBook(config)
    process = psutil.Process()
    base_bytes = 0
    began_s = time.process_time()
    for second in range(60 * minutes):
        now_ns = START_NS + second * SECOND_NS
        first = second * rate
        book.add([call(template, number, now_ns) for number in range(first, first + rate)], now_ns)
        book.settle(now_ns)
        if second == 60:
            base_bytes = process.memory_info().rss
    calls = 60 * minutes * rate
    spent_s = time.process_time() - began_s
    grown_bytes = process.memory_info().rss - base_bytes
    now_ns = START_NS + 60 * minutes * SECOND_NS
    # The last ten seconds are not settled yet; the oldest of just the keep time may be gone.
    oldest = max(0, calls - round(config.read.late_scores - 5) * rate)
    youngest = calls - 10 * rate
    numbers = range(oldest, youngest, max(1, (youngest - oldest) // SCORES) | 1)
    began_s = time.process_time()
    for number in numbers:
        book.add_evaluation(late_score(number, "tone", now_ns), now_ns)
    scoring_s = time.process_time() - began_s
    # Scores of traces that are still held join when these are looked at again.
    joined = len(book.settle(now_ns + 60 * SECOND_NS).scores)
    return {
        "calls_a_second": rate,
        "minutes": minutes,
        "remembered_calls": len(book.index),
        "forgotten_early": book.index.forgotten_early,
        "grown_mib": round(grown_bytes / (1 << 20), 1),
        "index_mib": round(book.index.nbytes / (1 << 20), 1),
        "index_bytes_a_call": round(book.index.nbytes / max(1, len(book.index)), 1),
        "us_a_call": round(spent_s / calls * 1e6, 1),
        "us_a_late_score": round(scoring_s / len(numbers) * 1e6, 1),
        "late_scores": len(numbers),
        "late_scores_joined": joined,
    }


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rate", type=int, default=1000, help="calls a second")
    parser.add_argument("--minutes", type=int, default=30)
    arguments = parser.parse_args()
    result = measure(arguments.rate, arguments.minutes)
    if arguments.json:
        print(json.dumps(result))
    else:
        print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
