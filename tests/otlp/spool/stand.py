"""What the tests of the spool stand on: requests, a clock that never waits, a drain with an end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

from tripswitch.otlp.delivery import Delivery, Metadata, Signal
from tripswitch.otlp.spool.disk import Disk
from tripswitch.otlp.spool.drain import Drained, Refusal
from tripswitch.otlp.spool.spool import Spool

START_NS = 1_800_000_000_000_000_000
DIRECTORY = Path("spool")
DAY_S = 86_400.0

Answer = Callable[[Delivery], Drained | Refusal]


def request(number: int, body_bytes: int = 40, metadata: Metadata = ()) -> Delivery:
    """Return a request that its ``received_ns`` tells apart from every other."""
    body = f"{number:08d}".encode().ljust(body_bytes, b"\x0a")
    return Delivery(
        "grpc",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal.TRACES,
        metadata,
        body,
        number,
    )


def numbers(deliveries: Iterable[Delivery]) -> list[int]:
    """Return the numbers of `request`."""
    return [delivery.received_ns for delivery in deliveries]


class FakeClock:
    """Time that passes only when someone waits for it, and then at once."""

    def __init__(self) -> None:
        self.wall_ns = START_NS
        self.passed_s = 0.0

    def now_ns(self) -> int:
        return self.wall_ns

    def monotonic_s(self) -> float:
        return self.passed_s

    def jitter(self) -> float:
        return 1.0

    def advance(self, seconds: float) -> None:
        self.passed_s += seconds
        self.wall_ns += round(seconds * 1e9)

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> None:
        if timeout_s is None:
            await event.wait()
            return
        await asyncio.sleep(0)
        if not event.is_set():
            self.advance(timeout_s)


def make_spool(
    disk: Disk,
    clock: FakeClock | None = None,
    *,
    directory: Path = DIRECTORY,
    max_bytes: int = 1 << 20,
    max_age_s: float = DAY_S,
    segment_bytes: int = 1 << 16,
    dead_letter_bytes: int = 1 << 16,
    drain_bytes_per_s: float = math.inf,
    drain_in_flight: int = 1,
) -> Spool:
    """Return a small spool, not opened."""
    return Spool(
        directory,
        max_bytes=max_bytes,
        max_age_s=max_age_s,
        segment_bytes=segment_bytes,
        dead_letter_bytes=dead_letter_bytes,
        drain_bytes_per_s=drain_bytes_per_s,
        drain_in_flight=drain_in_flight,
        disk=disk,
        clock=FakeClock() if clock is None else clock,
    )


async def append_all(spool: Spool, wanted: Iterable[Delivery], now_ns: int = START_NS) -> list[int]:
    """Append together; return the numbers of those that were acknowledged."""
    wanted = list(wanted)
    answers = await asyncio.gather(
        *(spool.append(each, now_ns) for each in wanted), return_exceptions=True
    )
    return [
        each.received_ns
        for each, answer in zip(wanted, answers, strict=True)
        if not isinstance(answer, BaseException)
    ]


async def drain_until(
    spool: Spool,
    is_enough: Callable[[], bool],
    deliver: Callable[[Delivery], Awaitable[Drained | Refusal]],
    timeout_s: float = 30.0,
) -> None:
    """Drain until ``is_enough`` holds."""
    draining = asyncio.create_task(spool.drain(deliver))
    try:
        async with asyncio.timeout(timeout_s):
            while not is_enough() and not draining.done():  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.0002)
    finally:
        draining.cancel()
        with suppress(asyncio.CancelledError):
            await draining


async def drain_all(
    spool: Spool, answer: Answer = lambda _delivery: Drained.DELIVERED
) -> list[Delivery]:
    """Drain until nothing waits; return the requests in the order they were sent."""
    sent: list[Delivery] = []

    async def deliver(delivery: Delivery) -> Drained | Refusal:
        sent.append(delivery)
        return answer(delivery)

    await drain_until(spool, lambda: spool.figures().records == 0, deliver)
    return sent
