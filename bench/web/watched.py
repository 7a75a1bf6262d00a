"""The forward path with browsers on the pages and without, in turns on one real tripswitch."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
from bench.forward.load import Requests, Setting
from bench.forward.systems import WIRE, System
from tests.interop.sidecar import forwarding, running_sidecar

from tripswitch.drive.demo.children import Child, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTING = Setting(10, 0)
_FIRST_ID = 1 << 40
_WARM_UP = 50


def watched_costs(place: str, browsers: int, rounds: int, seconds: float) -> dict[str, float]:
    """Return the wire's processor time a span and the latencies, watched against unwatched."""
    folder = Path(place)
    collector = Child(
        "collector",
        [sys.executable, "-P", "-m", "tripswitch.drive.demo.collector"],
        clean_environment(os.environ),
        folder / "collector.log",
    )
    with contextlib.ExitStack() as stack:
        stack.callback(collector.stop)
        upstream = str(collector.announced()["otlp_grpc"])
        room = folder / "tripswitch"
        room.mkdir()
        sidecar = stack.enter_context(running_sidecar(room, forwarding("grpc", upstream)))
        live = sidecar.live
        system = System("tripswitch", sidecar.endpoint("grpc"), live.process.pid, sidecar)
        base = f"http://{live.run_file['endpoints']['api']}"
        return _paired(system, base, browsers, rounds, seconds)


def _paired(
    system: System, base: str, browsers: int, rounds: int, seconds: float
) -> dict[str, float]:
    made = Requests(_SETTING, _FIRST_ID)
    count = round(made.rate_s * seconds)
    cpu_us: dict[bool, list[float]] = {False: [], True: []}
    latencies_s: dict[bool, list[float]] = {False: [], True: []}
    fetched = [0]
    system.exporter.send(made.take(_WARM_UP), made.rate_s)
    for turn in range(rounds):
        for is_watched in (turn % 2 == 0, turn % 2 == 1):
            bodies = made.take(count)
            system.settle()
            with _watching(base, browsers if is_watched else 0, fetched):
                before_s = system.usage()[WIRE]
                latencies_s[is_watched] += system.exporter.send(bodies, made.rate_s)
                used_s = system.usage()[WIRE] - before_s
            cpu_us[is_watched].append(used_s / (count * _SETTING.spans) * 1e6)
    p50, p99 = (
        {key: float(np.percentile(taken, share)) for key, taken in latencies_s.items()}
        for share in (50, 99)
    )
    alone_us, seen_us = (statistics.median(cpu_us[key]) for key in (False, True))
    return {
        "browsers": browsers,
        "pages they fetched": fetched[0],
        "wire, us of processor a span, unwatched": alone_us,
        "wire, watched / unwatched": seen_us / alone_us,
        "p50 latency, watched / unwatched": p50[True] / p50[False],
        "p99 latency, watched / unwatched": p99[True] / p99[False],
    }


@contextlib.contextmanager
def _watching(base: str, browsers: int, fetched: list[int]) -> Iterator[None]:
    """Have browsers listen to the stream, each fetching its page anew when told to."""
    is_over = threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=base, trust_env=False, timeout=10) as client:
            tag = ""
            while not is_over.is_set():
                with client.stream("GET", "/v1/stream") as stream:
                    for line in stream.iter_lines():
                        if is_over.is_set():
                            return
                        if not line.startswith("data:"):
                            continue
                        answer = client.get("/?fragment=1", headers={"if-none-match": tag})
                        tag = answer.headers.get("etag", "")
                        fetched[0] += 1

    threads = [threading.Thread(target=watch, daemon=True) for _ in range(browsers)]
    for thread in threads:
        thread.start()
    time.sleep(0.2 if browsers else 0.0)
    try:
        yield
    finally:
        is_over.set()
