"""Killing a process that appends and drains, over and over, and looking for what was lost.

    python -m tests.otlp.spool.killing [KILLS]

The child appends without end, prints the number of each request once it is acknowledged, and drains
at the same time to a file that stands for the upstream, which is away now and then. The parent
kills it with SIGKILL at a random moment and starts the next one in the same folder. In the end
every request that was acknowledged must have been delivered at least once.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from tests.otlp.spool.stand import drain_until, request
from tripswitch.otlp.delivery import Delivery
from tripswitch.otlp.spool.drain import Drained
from tripswitch.otlp.spool.spool import Spool
from tripswitch.otlp.spool.writer import SpoolFullError

AT_ONCE = 8
MOST_ACKNOWLEDGED = 400


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. ``repeated`` counts deliveries beyond the first of a request."""

    kills: int
    acknowledged: int
    lost: list[int]
    repeated: int
    corrupt: int


def open_spool(folder: Path) -> Spool:
    """Return the spool of ``folder`` with small segments, not opened."""
    return Spool(folder / "spool", max_bytes=64 << 20, max_age_s=86_400, segment_bytes=200_000)


async def child(folder: Path, first: int, seed: int) -> None:
    """Append from ``first`` on and drain, until killed."""
    choice = random.Random(seed)
    upstream = os.open(folder / "upstream", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    spool = open_spool(folder)
    await spool.open()
    following = itertools.count(first)

    async def deliver(delivery: Delivery) -> Drained:
        if choice.random() < 0.02:
            return Drained.RETRY_LATER
        os.write(upstream, b"%d\n" % delivery.received_ns)
        return Drained.DELIVERED

    async def append() -> None:
        for number in following:
            wanted = request(number, choice.randint(8, 20_000))
            try:
                await spool.append(wanted, time.time_ns())
            except SpoolFullError:
                await asyncio.sleep(0.01)
            else:
                os.write(1, b"%d\n" % number)

    await asyncio.gather(spool.drain(deliver), *(append() for _ in range(AT_ONCE)))


def acknowledged_until_killed(folder: Path, first: int, choice: random.Random) -> list[int]:
    """Run a child until it has acknowledged a random number of requests; return all of those."""
    enough = choice.randint(1, MOST_ACKNOWLEDGED)
    words = ["child", str(folder), str(first), str(choice.randrange(1 << 30))]
    command = [sys.executable, "-m", __spec__.name, *words]
    numbers: list[int] = []
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            # The last line may be cut in the middle by the kill.
            if line.endswith("\n"):
                numbers.append(int(line))
            if len(numbers) == enough:
                process.kill()
    if len(numbers) < enough:
        raise AssertionError(f"the child ended by itself: {(folder / 'log').read_text()[-4000:]}")
    return numbers


async def drain_the_rest(folder: Path) -> int:
    """Deliver what is left; return how many records were damaged."""
    with (folder / "upstream").open("a") as upstream:
        spool = open_spool(folder)
        await spool.open()

        async def deliver(delivery: Delivery) -> Drained:
            upstream.write(f"{delivery.received_ns}\n")
            return Drained.DELIVERED

        await drain_until(spool, lambda: spool.figures().records == 0, deliver, timeout_s=120)
        corrupt = spool.figures().corrupt_records_total
        await spool.close()
    return corrupt


def kill_over_and_over(folder: Path, kills: int, seed: int) -> Outcome:
    """Kill a child ``kills`` times and see what is left."""
    choice = random.Random(seed)
    acknowledged: list[int] = []
    for number in range(kills):
        # Numbers of one child never meet those of another, acknowledged or not.
        acknowledged += acknowledged_until_killed(folder, number * 10**6, choice)
    corrupt = asyncio.run(drain_the_rest(folder))
    delivered = [int(line) for line in (folder / "upstream").read_text("ascii").splitlines()]
    return Outcome(
        kills,
        len(acknowledged),
        sorted(set(acknowledged) - set(delivered)),
        len(delivered) - len(set(delivered)),
        corrupt,
    )


def main() -> None:
    """Be the child, or kill children and print what came of it."""
    if sys.argv[1:2] == ["child"]:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        asyncio.run(child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
        return
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = random.SystemRandom().randrange(1 << 30)
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_over_and_over(Path(folder), kills, seed)
    print(
        f"seed {seed}: {outcome.kills} kills, {outcome.acknowledged} requests acknowledged, "
        f"{len(outcome.lost)} lost, {outcome.repeated} delivered again, "
        f"{outcome.corrupt} damaged"
    )
    if outcome.lost:
        sys.exit(f"lost: {outcome.lost}")


if __name__ == "__main__":
    main()
