"""What the disk costs: appends that share a sync, against a sync for each.

One run measures both in turns on the same disk, so that a busy machine slows both; what counts is
the ratio of the medians. Both go through the same spool: one with many appends waiting at a time,
as they do under load, the other with one after the other. A third line is the drain.

    python bench/spool.py [--json] [--repeats N] [--directory D]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from tripswitch.otlp.delivery import GRPC_METHODS, Delivery, Signal
from tripswitch.otlp.spool.drain import Drained
from tripswitch.otlp.spool.spool import Spool

# 43 KB is a compressed request of 512 spans, 311 KB the same one as it is, 1 KB a single span.
BODY_BYTES = (1_000, 43_000, 311_000)
WAITING = 64
APPENDS_TOGETHER = 512
APPENDS_ONE_BY_ONE = 64


def request(body_bytes: int) -> Delivery:
    """Return a request whose body does not compress."""
    return Delivery(
        "grpc",
        GRPC_METHODS[Signal.TRACES],
        Signal.TRACES,
        (("authorization", "Bearer secret"), ("user-agent", "bench")),
        os.urandom(body_bytes),
        time.time_ns(),
    )


async def append(spool: Spool, delivery: Delivery, appends: int, waiting: int) -> float:
    """Return the appends a second with ``waiting`` of them waiting at a time."""

    async def one_by_one() -> None:
        for _ in range(appends // waiting):
            await spool.append(delivery, time.time_ns())

    start_s = time.perf_counter()
    await asyncio.gather(*(one_by_one() for _ in range(waiting)))
    return appends / (time.perf_counter() - start_s)


async def drain(spool: Spool) -> float:
    """Drain to an upstream that accepts at once; return the records a second."""
    done = asyncio.Event()
    records = spool.figures().records
    sent = 0

    async def deliver(_delivery: Delivery) -> Drained:
        nonlocal sent
        sent += 1
        if sent == records:
            done.set()
        return Drained.DELIVERED

    start_s = time.perf_counter()
    draining = asyncio.create_task(spool.drain(deliver))
    await done.wait()
    elapsed_s = time.perf_counter() - start_s
    draining.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await draining
    return records / elapsed_s


async def measure(directory: Path, body_bytes: int, repeats: int) -> dict[str, float | int]:
    """Return the medians for one size of body."""
    delivery = request(body_bytes)
    together: list[float] = []
    one_by_one: list[float] = []
    drained: list[float] = []
    syncs = 0
    for repeat in range(repeats):
        spool = Spool(
            directory / f"{body_bytes}-{repeat}",
            max_bytes=4 << 30,
            max_age_s=86_400,
            drain_bytes_per_s=float("inf"),
        )
        await spool.open()
        one_by_one.append(await append(spool, delivery, APPENDS_ONE_BY_ONE, 1))
        before = spool.figures().fsyncs_total
        together.append(await append(spool, delivery, APPENDS_TOGETHER, WAITING))
        syncs += spool.figures().fsyncs_total - before
        drained.append(await drain(spool))
        await spool.close()
    return {
        "body_bytes": body_bytes,
        "waiting": WAITING,
        "together_per_s": round(statistics.median(together), 1),
        "one_by_one_per_s": round(statistics.median(one_by_one), 1),
        "together_over_one_by_one": round(
            statistics.median(together) / statistics.median(one_by_one), 2
        ),
        "appends_a_sync": round(repeats * APPENDS_TOGETHER / syncs, 1),
        "drained_per_s": round(statistics.median(drained), 1),
    }


def main() -> None:
    """Measure every size and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object a size")
    parser.add_argument("--repeats", type=int, default=7, help="repeats of each side, in turns")
    parser.add_argument("--directory", type=Path, help="where to write; the temporary folder")
    arguments = parser.parse_args()
    for body_bytes in BODY_BYTES:
        with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
            result = asyncio.run(measure(Path(directory), body_bytes, arguments.repeats))
        if arguments.json:
            print(json.dumps(result), flush=True)
        else:
            print(
                f"{body_bytes:>7} B: {result['together_per_s']:>8} /s with {WAITING} waiting, "
                f"{result['one_by_one_per_s']:>7} /s one by one, "
                f"ratio {result['together_over_one_by_one']} "
                f"({result['appends_a_sync']} a sync); drained {result['drained_per_s']} /s",
                flush=True,
            )


if __name__ == "__main__":
    main()
