"""How what was measured is told: a block of lines a setting, and how it stands to the goals."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict
from typing import TYPE_CHECKING

from bench.forward.systems import (
    COLLECTOR,
    COLLECTOR_DISK,
    COLLECTOR_METRICS,
    TRIPSWITCH,
    TRIPSWITCH_DISK,
    TRIPSWITCH_NO_CONTENT,
    WIRE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.forward.load import Setting
    from bench.forward.measure import Cost

PAIRS = (
    (TRIPSWITCH, COLLECTOR),
    (TRIPSWITCH_DISK, COLLECTOR_DISK),
    (TRIPSWITCH, COLLECTOR_METRICS),
    (TRIPSWITCH_NO_CONTENT, COLLECTOR_METRICS),
)

_HEADING = (
    f"  {'':<30}{'CPU us a span':>14}{'p50':>9}{'p99':>9}"
    f"{'added p50':>11}{'added p99 ms':>14}{'MiB':>6}{'requests':>10}"
)

Results = list[tuple["Setting", "Mapping[str, Cost]"]]


def ratios(ours: Cost, theirs: Cost) -> dict[str, float | None]:
    """Return tripswitch's figures over the Collector's; None where the Collector adds nothing.

    ``wire_cpu`` is tripswitch's without its judge, which reads beside the path.
    """
    pairs = {
        "cpu": (ours.total_cpu_us_a_span, theirs.total_cpu_us_a_span),
        "wire_cpu": (ours.cpu_us_a_span[WIRE], theirs.total_cpu_us_a_span),
        "added_p50": (ours.added_p50_ms, theirs.added_p50_ms),
        "added_p99": (ours.added_p99_ms, theirs.added_p99_ms),
        "rss": (ours.total_rss_mib, theirs.total_rss_mib),
    }
    return {name: our / their if their > 0 else None for name, (our, their) in pairs.items()}


def as_lines(setting: Setting, costs: Mapping[str, Cost]) -> str:
    """Return a line for each system, then one for each pair of tripswitch and Collector."""
    lines = [
        f"{setting.spans} spans a request, {setting.content_chars} characters of content a span",
        _HEADING,
    ]
    for name, cost in costs.items():
        lines.append(
            f"  {name:<30}{cost.total_cpu_us_a_span:>14.1f}{cost.p50_ms:>9.2f}{cost.p99_ms:>9.2f}"
            f"{cost.added_p50_ms:>+11.2f}{cost.added_p99_ms:>+14.2f}"
            f"{cost.total_rss_mib:>6.0f}{cost.requests:>10}{_by_process(cost)}"
        )
        if cost.tap_dropped:
            lines.append(f"    forwarded and not read: {cost.tap_dropped} requests")
    for ours, theirs in PAIRS:
        if ours in costs and theirs in costs:
            found = ratios(costs[ours], costs[theirs])
            told = ", ".join(f"{name} {_number(ratio)}" for name, ratio in found.items())
            lines.append(f"  {ours} / {theirs}: {told}")
    return "\n".join(lines)


def as_json(setting: Setting, costs: Mapping[str, Cost]) -> str:
    """Return one JSON object with everything that was measured and the ratios."""
    return json.dumps(
        {
            **setting._asdict(),
            "systems": {name: asdict(cost) for name, cost in costs.items()},
            "ratios": {
                ours: ratios(costs[ours], costs[theirs])
                for ours, theirs in PAIRS
                if ours in costs and theirs in costs
            },
        }
    )


def goals(results: Results) -> str:
    """Return a line for each goal: what was asked for, what was found."""
    plain = [costs for setting, costs in results if setting == (512, 0)]
    heavy = [costs for setting, costs in results if setting == (512, 8192)]
    every = [costs for _, costs in results]
    rows = (
        ("CPU a span over the Collector's, 512 spans", 1.0, _found(plain, "cpu")),
        ("- of the wire alone", 1.0, _found(plain, "wire_cpu")),
        ("CPU a span over the Collector's, 512 spans with content", 1.0, _found(heavy, "cpu")),
        ("- of the wire alone", 1.0, _found(heavy, "wire_cpu")),
        ("added p99 over the Collector's", 2.0, _found(every, "added_p99")),
        ("peak MiB", 150.0, [costs[TRIPSWITCH].total_rss_mib for costs in every]),
    )
    return "\n".join(
        f"{name:<56} median {statistics.median(found):.2f}, worst {max(found):.2f}, "
        f"goal {limit:g}: {'met' if max(found) <= limit else 'not met'}"
        for name, limit, found in rows
        if found
    )


def _found(listed: list[Mapping[str, Cost]], name: str) -> list[float]:
    ratios_found = (ratios(costs[TRIPSWITCH], costs[COLLECTOR])[name] for costs in listed)
    return [ratio for ratio in ratios_found if ratio is not None]


def _by_process(cost: Cost) -> str:
    if len(cost.cpu_us_a_span) < 2:
        return ""
    parts = (
        f"{name} {used_us:.1f} us {cost.peak_rss_mib[name]:.0f} MiB"
        for name, used_us in cost.cpu_us_a_span.items()
    )
    return f"  ({', '.join(parts)})"


def _number(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"
