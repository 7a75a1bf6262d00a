"""What one tick of the judge costs, by number of scopes.

Arms of many routes, every second one beside a control, each with every signal: scores, refusals
both ways, wrong and right, errors, slow requests and first tokens, tokens, cost, two tools, leaks
and injections. Every tick finds 20 fresh, seeded values in every series. Nothing changes for the
worse and nothing leaks, unless ``--leaking`` is given: then every arm leaks, and pages, at every
tick. A tick that crosses a minute also chooses controls and baselines anew, so both kinds are
timed. What counts is the growth: 2.0 for twice the scopes is linear.

    python -m bench.tick [--json] [--repeats N] [--most N] [--one-family] [--leaking]
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import sys
import time

import numpy as np

from tripswitch.config.model import Config, Windows
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.intake import Intake
from tripswitch.detect.judge import Judge
from tripswitch.detect.roster import Roster
from tripswitch.model.calls import Calls, Score, ToolExecution
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores
from tripswitch.windows.scopes import Scopes

START_NS = 1_795_536_000 * NS_PER_S
TICK_NS = 10 * NS_PER_S
FEWEST_SCOPES = 250
_RARE = ("pii_leak", "leak_trace", "prompt_injection")
_TOOLS = (ToolExecution("search", error=False, latency=0.2), ToolExecution("refund", False, 0.4))


class Filled:
    """A judge over about so many scopes, all with fresh values."""

    def __init__(self, scopes: int, *, one_family: bool, leaking: bool = False) -> None:
        self.leaking = leaking
        self.config = Config(windows=Windows(max_scopes=4 * scopes))
        self.scopes = Scopes(4 * scopes)
        self.roster = Roster()
        comparisons = Comparisons(self.scopes, self.roster)
        self.intake = Intake(self.scopes, comparisons)
        self.judge = Judge(self.scopes, self.roster, comparisons)
        self.now_ns = START_NS
        self.scopes.rings.advance(self.now_ns)
        self.rng = np.random.default_rng(7)
        if one_family:
            self.arms = [Scope("/one", "bot", f"v{number}") for number in range(scopes)]
        else:
            # Each arm has a population beside it, which is a scope too.
            self.arms = [
                Scope(f"/route/{number // 2}", "bot", "v1", ("control", "canary")[number % 2])
                for number in range(scopes // 2)
            ]
        self.arrive(1)
        # Slow requests and tokens are judged once a yardstick says what is much; from then on it
        # is measured again at every minute.
        for record in self.scopes.records.values():
            ids = np.full(1000, record.id)
            self.scopes.latencies.add(ids, self.rng.lognormal(0, 0.5, 1000))
            self.scopes.tokens.add(ids, self.rng.lognormal(6, 0.4, 1000))
            self.scopes.first_tokens.add(ids, self.rng.lognormal(-1, 0.4, 1000))
            self.scopes.costs.add(ids, self.rng.lognormal(-6, 0.4, 1000))
            for tool in _TOOLS:
                rows = np.full(1000, self.scopes.tool_row(record, tool.name))
                self.scopes.tool_latencies.add(rows, self.rng.lognormal(-1, 0.4, 1000))
        comparisons.refresh(self.now_ns, self.config.detect)
        self.arrive(1)
        if one_family:
            for number, arm in enumerate(self.arms):
                self.scopes.records[arm].first_seen_ns -= (len(self.arms) - number) * NS_PER_S
        self.values = {
            row: leaking or measure.name not in _RARE
            for record in self.scopes.records.values()
            for measure, row in record.series.items()
        }

    def nbytes(self) -> int:
        """Return the bytes of everything that grows with the scopes: rings, rows, histograms."""
        rings, scopes = self.scopes.rings, self.scopes
        row_bytes = sum(column[:1].nbytes for column in self.roster.columns().values())
        by_id = (scopes.latencies, scopes.first_tokens, scopes.tokens, scopes.costs)
        tools = sum(len(record.tools) for record in scopes.records.values())
        return int(
            rings.bytes_per_series * len(self.values)
            + rings.bytes_by_hour
            + row_bytes * len(self.roster)
            + sum(histogram.counts[0].nbytes for histogram in by_id) * len(scopes.records)
            + scopes.tool_latencies.counts[0].nbytes * tools
        )

    def arrive(self, count: int) -> None:
        """Let ``count`` calls of every arm end now."""
        arms = self.arms * count
        size = len(arms)
        ends = np.full(size, self.now_ns, dtype=np.int64)
        none: list[str | None] = [None] * size
        calls = Calls(
            trace_id=[""] * size,
            span_id=[""] * size,
            end=ends,
            route=[arm.route for arm in arms],
            prompt_name=[arm.prompt_name for arm in arms],
            prompt_version=[arm.prompt_version for arm in arms],
            cohort=[arm.cohort for arm in arms],
            provider=none,
            request_model=none,
            refusal=[True] * size,
            refusal_kind=["illegitimate"] * size,
            ttft=self.rng.lognormal(-1, 0.4, size),
            tools=[list(_TOOLS)] * size,
            error_class=[None] * size,
            is_chat=[True] * size,
            request_index=np.zeros(size, dtype=np.int64),
        )
        scores = [
            Score("", "", arm, None, "faithfulness", float(score), self.now_ns, 0)
            for arm, score in zip(arms, self.rng.beta(8, 1, size), strict=True)
        ]
        scores += [
            Score("", "", arm, None, "", float(self.leaking), self.now_ns, 0, signal)
            for signal in ("pii_leak", "prompt_injection")
            for arm in arms
        ]
        self.intake.add(
            self.config,
            np.array([self.now_ns]),
            calls=calls,
            scores=Scores.of(scores),
            requests=Requests(
                trace_id=[""] * size,
                scope=arms,
                tenant=none,
                end=ends,
                latency=self.rng.lognormal(0, 0.5, size),
                tokens=self.rng.lognormal(6, 0.4, size),
                cost_usd=self.rng.lognormal(-6, 0.4, size),
                calls=np.ones(size, dtype=np.int64),
                error=[False] * size,
                error_class=none,
                refusal=[False] * size,
                success=[True] * size,
                request_index=np.zeros(size, dtype=np.int64),
            ),
        )

    def refill(self) -> None:
        """Put 20 values into every series at once, without going through the intake."""
        rows = np.repeat(np.fromiter(self.values, dtype=np.int64), 20)
        minutes = np.full(len(rows), self.now_ns // NS_PER_MINUTE)
        is_any = np.repeat(np.fromiter(self.values.values(), dtype=np.float64), 20)
        self.scopes.rings.add(rows, minutes, is_any * self.rng.beta(1, 8, len(rows)))
        for record in self.scopes.records.values():
            record.last_seen_ns = self.now_ns

    def tick_ms(self) -> tuple[float, bool]:
        """Return the processor time of a tick in ms, and whether it crossed a minute."""
        self.refill()
        self.now_ns += TICK_NS
        crossed = self.scopes.rings.advance(self.now_ns)
        begun = time.process_time()
        self.judge.tick(self.now_ns, self.config.detect, minute_crossed=crossed, is_lossy=False)
        return 1000 * (time.process_time() - begun), crossed


def measured(scopes: int, repeats: int, *, one_family: bool, leaking: bool) -> dict[str, float]:
    """Return the medians of one size."""
    filled = Filled(scopes, one_family=one_family, leaking=leaking)
    plain: list[float] = []
    crossing: list[float] = []
    gc.collect()
    for number in range(6 * repeats):
        took_ms, crossed = filled.tick_ms()
        # The first minutes warm caches and grow arrays.
        if number >= 6:
            (crossing if crossed else plain).append(took_ms)
    return {
        "scopes": len(filled.scopes.records),
        "rows": len(filled.roster),
        "tick_ms": statistics.median(plain),
        "minute_tick_ms": statistics.median(crossing),
        "kilobytes_per_scope": filled.nbytes() / len(filled.scopes.records) / 1024,
    }


def main() -> int:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--most", type=int, default=4_000, help="scopes of the largest size")
    parser.add_argument(
        "--one-family",
        action="store_true",
        help="every arm is a version of one prompt, and none is named the control",
    )
    parser.add_argument("--leaking", action="store_true", help="every arm leaks at every tick")
    options = parser.parse_args()
    sizes = [FEWEST_SCOPES]
    while 2 * sizes[-1] <= options.most:
        sizes.append(2 * sizes[-1])
    results = [
        measured(size, options.repeats, one_family=options.one_family, leaking=options.leaking)
        for size in sizes
    ]
    for before, after in itertools.pairwise(results):
        for name in ("tick_ms", "minute_tick_ms"):
            after[f"{name}_growth"] = after[name] / before[name]
    if options.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
        return 0
    sys.stdout.write("scopes    rows   tick ms  growth   at a minute  growth   KB a scope\n")
    for result in results:
        sys.stdout.write(
            f"{result['scopes']:6.0f}  {result['rows']:6.0f}  {result['tick_ms']:8.2f}"
            f"  {result.get('tick_ms_growth', float('nan')):6.2f}"
            f"  {result['minute_tick_ms']:12.1f}"
            f"  {result.get('minute_tick_ms_growth', float('nan')):6.2f}"
            f"  {result['kilobytes_per_scope']:11.1f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
