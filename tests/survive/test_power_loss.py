"""The power goes while real exporters send, with a disk that forgets what was not synced."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from tests.otlp.relay import Relay, relay, until
from tests.otlp.spool.forgetful_disk import ForgetfulDisk
from tests.otlp.spool.stand import DIRECTORY
from tests.survive.load import Load
from tests.survive.sink import Mood, Sink
from tripswitch.otlp.spool.spool import Spool


@contextlib.asynccontextmanager
async def spooling(upstream: str, disk: ForgetfulDisk) -> AsyncIterator[tuple[Relay, Spool]]:
    """Run receivers that spool to ``disk`` and drain from it."""
    spool = Spool(DIRECTORY, max_bytes=1 << 28, max_age_s=3600, segment_bytes=1 << 16, disk=disk)
    await spool.open()
    async with relay(upstream, mode="upstream-or-disk", spool=spool) as between:
        draining = asyncio.create_task(spool.drain(between.pipeline.acceptance.resend))
        try:
            yield between, spool
        finally:
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
    await spool.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_what_exporters_were_told_is_taken_is_on_the_disk_when_the_power_goes(seed: int) -> None:
    async def check() -> None:
        choice = random.Random(seed)
        disk = ForgetfulDisk()
        async with Sink("grpc", choice) as sink:
            async with spooling(sink.endpoint, disk) as (between, _):
                load = Load(between.endpoint, between.url.removeprefix("http://"), deadline_s=1)
                load.start()
                await until(lambda: load.requests > 20)
                await sink.feel(Mood.AWAY)
                on_disk = disk.syncs
                await until(lambda: disk.syncs > on_disk + 20)
                disk.crash_in = choice.randrange(40)
                await until(lambda: disk.crash_in == 0)
                await asyncio.to_thread(load.stop)
            # Whether an exporter gives up in what is left of its time is the machine's to say.
            acknowledged, _ = load.tally()
            assert acknowledged - sink.arrivals.keys()
            await sink.feel(Mood.WELL)
            async with spooling(sink.endpoint, disk.after_crash(choice)) as (_, spool):
                assert spool.figures().records > 10
                await until(lambda: spool.figures().records == 0)
                assert spool.figures().corrupt_records_total == 0
            assert acknowledged <= sink.arrivals.keys()

    asyncio.run(check())
