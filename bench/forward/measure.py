"""One setting at a time: every system in turn on the same requests, several times over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from bench.forward.load import Requests
from bench.forward.systems import DIRECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.forward.load import Setting
    from bench.forward.systems import System

_WARM_UP_REQUESTS = 5


@dataclass
class Cost:
    """What a system cost on one setting, processor and memory by process.

    Latencies are the client's, over all ``requests``; what is added is against direct. Requests
    that tripswitch forwarded and did not read are ``tap_dropped``.
    """

    requests: int
    cpu_us_a_span: dict[str, float]
    peak_rss_mib: dict[str, float]
    p50_ms: float
    p99_ms: float
    tap_dropped: int
    added_p50_ms: float = 0.0
    added_p99_ms: float = 0.0

    @property
    def total_cpu_us_a_span(self) -> float:
        """Return the processor microseconds of all processes of the system."""
        return sum(self.cpu_us_a_span.values())

    @property
    def total_rss_mib(self) -> float:
        """Return the sum of each process's own peak, which the peak of the sum cannot exceed.

        Pages that processes share, such as the interpreter's, are counted in each.
        """
        return sum(self.peak_rss_mib.values())


@dataclass
class _Tally:
    latencies_s: list[float] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    peak_rss_bytes: dict[str, int] = field(default_factory=dict)
    tap_dropped: int = 0


def measure(
    systems: Sequence[System], setting: Setting, rounds: int, seconds: float, first_id: int
) -> dict[str, Cost]:
    """Return what each system cost, by name.

    Each of ``rounds`` sends new requests for ``seconds`` to every system, the same to each, in an
    order that turns from round to round. Spans get ids from ``first_id`` on.
    """
    made = Requests(setting, first_id)
    count = max(10, round(made.rate_s * seconds))
    tallies = {system.name: _Tally() for system in systems}
    for turn in range(rounds):
        bodies = made.take(count + _WARM_UP_REQUESTS)
        for place in range(len(systems)):
            system = systems[(place + turn) % len(systems)]
            _block(system, bodies, made.rate_s, tallies[system.name])
    costs = {name: _cost(tally, setting) for name, tally in tallies.items()}
    direct = costs[DIRECT]
    for cost in costs.values():
        cost.added_p50_ms = cost.p50_ms - direct.p50_ms
        cost.added_p99_ms = cost.p99_ms - direct.p99_ms
    return costs


def _block(system: System, bodies: Sequence[bytes], rate_s: float, tally: _Tally) -> None:
    system.settle()
    system.forget_peak()
    dropped = system.tap_dropped()
    before = system.usage()
    system.exporter.send(bodies[:_WARM_UP_REQUESTS], rate_s)
    tally.latencies_s += system.exporter.send(bodies[_WARM_UP_REQUESTS:], rate_s)
    # Reading and queues come after the answer and are part of the cost.
    system.settle()
    after = system.usage()
    for name, used_s in after.items():
        tally.cpu_s[name] = tally.cpu_s.get(name, 0.0) + used_s - before.get(name, 0.0)
    tally.requests += len(bodies)
    for name, peak_bytes in system.peak_rss_bytes().items():
        tally.peak_rss_bytes[name] = max(peak_bytes, tally.peak_rss_bytes.get(name, 0))
    tally.tap_dropped += system.tap_dropped() - dropped


def _cost(tally: _Tally, setting: Setting) -> Cost:
    spans = tally.requests * setting.spans
    p50_s, p99_s = np.percentile(tally.latencies_s, (50, 99))
    return Cost(
        requests=len(tally.latencies_s),
        cpu_us_a_span={name: used_s / spans * 1e6 for name, used_s in tally.cpu_s.items()},
        peak_rss_mib={name: peak / (1 << 20) for name, peak in tally.peak_rss_bytes.items()},
        p50_ms=float(p50_s) * 1e3,
        p99_ms=float(p99_s) * 1e3,
        tap_dropped=tally.tap_dropped,
    )
