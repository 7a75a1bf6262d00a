"""Nothing acknowledged is lost: a spool against a list, with crashes between any two operations."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.otlp.spool.forgetful_disk import ForgetfulDisk
from tests.otlp.spool.stand import (
    FakeClock,
    append_all,
    drain_all,
    drain_until,
    make_spool,
    numbers,
    request,
)
from tripswitch.otlp.delivery import Delivery
from tripswitch.otlp.spool.drain import Drained, Refusal
from tripswitch.otlp.spool.spool import Spool


class SpoolMachine(RuleBasedStateMachine):
    """The model: ``owed`` are acknowledged and not delivered, ``sent`` is what was delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.disk = ForgetfulDisk()
        self.clock = FakeClock()
        self.next_number = 0
        self.owed: set[int] = set()
        self.delivered: Counter[int] = Counter()
        self.crashes = 0
        self.spool = self.runner.run(self._opened())

    async def _opened(self) -> Spool:
        spool = make_spool(self.disk, self.clock, segment_bytes=2_000, drain_in_flight=3)
        await spool.open()
        return spool

    @rule(count=st.integers(1, 12), body_bytes=st.integers(8, 3_000))
    def append(self, count: int, body_bytes: int) -> None:
        first, self.next_number = self.next_number, self.next_number + count
        wanted = [request(number, body_bytes) for number in range(first, first + count)]
        self.owed.update(self.runner.run(append_all(self.spool, wanted)))

    @rule(answers=st.lists(st.sampled_from(Drained), min_size=1, max_size=8))
    def drain(self, answers: list[Drained]) -> None:
        waiting = iter(answers)
        asked = 0

        async def deliver(delivery: Delivery) -> Drained | Refusal:
            nonlocal asked
            asked += 1
            answer = next(waiting, Drained.RETRY_LATER)
            if answer in (Drained.DELIVERED, Drained.REFUSED):
                # The upstream has it, or has refused it, whether or not we live to note it.
                self.delivered[delivery.received_ns] += 1
                self.owed.discard(delivery.received_ns)
            return answer

        def is_enough() -> bool:
            is_gone = self.disk.crash_in == 0
            return is_gone or asked >= len(answers) or self.spool.figures().records == 0

        self.runner.run(drain_until(self.spool, is_enough, deliver))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.spool.close())
        assert self.disk.open_files == 0
        self.spool = self.runner.run(self._opened())

    @rule(
        count=st.integers(0, 12),
        after=st.integers(0, 25),
        keeps=st.sampled_from([0.0, 0.0, 0.5, 1.0]),
        seed=st.integers(0, 1 << 30),
        is_draining=st.booleans(),
    )
    def crash(self, count: int, after: int, keeps: float, seed: int, is_draining: bool) -> None:
        """Lose the power ``after`` so many operations of appending and draining."""
        self.disk.crash_in = after
        self.append_and_perhaps_drain(count, is_draining)
        self.runner.run(self.spool.close())
        self.disk = self.disk.after_crash(random.Random(seed), keeps=keeps)
        self.spool = self.runner.run(self._opened())
        self.crashes += 1

    def append_and_perhaps_drain(self, count: int, is_draining: bool) -> None:
        if count:
            self.append(count, 300)
        if is_draining:
            self.drain([Drained.DELIVERED] * 3)

    @invariant()
    def as_many_wait_as_are_owed_or_more(self) -> None:
        assert self.spool.figures().records >= len(self.owed)

    def teardown(self) -> None:
        try:
            sent = self.runner.run(drain_all(self.spool))
            figures = self.spool.figures()
            self.runner.run(self.spool.close())
        finally:
            self.runner.close()
        assert self.owed <= set(numbers(sent))
        assert figures.records == 0
        assert self.disk.open_files == 0
        if not self.crashes:
            assert sorted(numbers(sent)) == sorted(self.owed)
            assert all(count == 1 for count in self.delivered.values())
            assert figures.corrupt_records_total == 0


SpoolMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestSpoolMachine = SpoolMachine.TestCase


async def appended_until_the_crash(
    disk: ForgetfulDisk, batches: Iterable[int], crash_in: int | None = None
) -> set[int]:
    """Append batch after batch while the machine lives; return what was acknowledged."""
    spool = make_spool(disk, segment_bytes=4_000)
    await spool.open()
    disk.crash_in = crash_in
    acknowledged: set[int] = set()
    number = 0
    for size in batches:
        wanted = [request(each, 200) for each in range(number, number + size)]
        number += size
        acknowledged.update(await append_all(spool, wanted))
    await spool.close()
    return acknowledged


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=10),
    st.integers(0, 40),
    st.integers(0, 1 << 30),
)
def test_a_disk_that_forgets_all_that_was_not_synced_loses_nothing_acknowledged(
    batches: list[int], crash_in: int, seed: int
) -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        acknowledged = await appended_until_the_crash(disk, batches, crash_in)
        spool = make_spool(disk.after_crash(random.Random(seed), keeps=0.0))
        await spool.open()
        assert numbers(await drain_all(spool)) == sorted(acknowledged)
        assert spool.figures().corrupt_records_total == 0
        await spool.close()

    asyncio.run(story())


def test_the_forgetful_disk_forgets() -> None:
    """Without the syncs the test above would fail: a disk whose sync does nothing loses records."""

    class LyingDisk(ForgetfulDisk):
        def sync_directory(self, directory: object) -> None:
            del directory

    async def story() -> None:
        disk = LyingDisk()
        acknowledged = await appended_until_the_crash(disk, [3, 3])
        assert len(acknowledged) == 6
        spool = make_spool(disk.after_crash(random.Random(0)))
        await spool.open()
        assert await drain_all(spool) == []
        await spool.close()

    asyncio.run(story())
