"""Draining: oldest first, bounded, and what becomes of each answer."""

from __future__ import annotations

import asyncio
import errno
from itertools import pairwise
from pathlib import Path

from structlog.testing import capture_logs

from tests.otlp.spool.forgetful_disk import ForgetfulDisk
from tests.otlp.spool.stand import (
    DAY_S,
    START_NS,
    FakeClock,
    append_all,
    drain_all,
    drain_until,
    make_spool,
    numbers,
    request,
)
from tripswitch.otlp.delivery import Delivery
from tripswitch.otlp.spool.credentials import FIRST_PAUSE_S
from tripswitch.otlp.spool.drain import (
    FIRST_BACK_OFF_S,
    IDLE_S,
    LONGEST_BACK_OFF_S,
    Drained,
    Refusal,
)
from tripswitch.otlp.spool.survey import survey

ALICE = (("authorization", "Bearer alice"),)
BOB = (("authorization", "Bearer bob"),)


def test_oldest_first_over_many_segments_and_all_deleted() -> None:
    async def story() -> None:
        disk, clock = ForgetfulDisk(), FakeClock()
        spool = make_spool(disk, clock, segment_bytes=1_000)
        await spool.open()
        for first in range(0, 60, 5):
            await append_all(spool, map(request, range(first, first + 5)))
        assert spool.figures().segments > 10
        assert numbers(await drain_all(spool)) == list(range(60))
        await drain_until(spool, lambda: not spool.figures().segments, _never)
        assert clock.passed_s <= 10 * IDLE_S
        figures = spool.figures()
        assert (figures.records, figures.bytes, figures.delivered_total) == (0, 0, 60)
        await spool.close()
        assert [path.name for path in disk.names_now] == []

    asyncio.run(story())


async def _never(delivery: Delivery) -> Drained:
    raise AssertionError(f"nothing was left to send, yet {delivery.received_ns} was")


def test_appends_while_draining_are_drained_too() -> None:
    async def story() -> None:
        spool = make_spool(ForgetfulDisk(), segment_bytes=1_000, drain_in_flight=3)
        await spool.open()
        sent: list[Delivery] = []

        async def deliver(delivery: Delivery) -> Drained:
            sent.append(delivery)
            if delivery.received_ns < 40:
                await spool.append(request(delivery.received_ns + 10), START_NS)
            return Drained.DELIVERED

        await append_all(spool, map(request, range(10)))
        await drain_until(spool, lambda: spool.figures().delivered_total == 50, deliver)
        assert sorted(numbers(sent)) == list(range(50))
        await spool.close()

    asyncio.run(story())


def test_no_more_in_flight_than_allowed_and_one_while_the_upstream_is_away() -> None:
    async def story() -> None:
        spool = make_spool(ForgetfulDisk(), drain_in_flight=3)
        await spool.open()
        await append_all(spool, map(request, range(30)))
        under_way = most = 0
        most_while_away = 0
        calls = 0

        async def deliver(delivery: Delivery) -> Drained:
            nonlocal under_way, most, most_while_away, calls
            calls += 1
            is_away = 10 <= calls < 20
            under_way += 1
            most = max(most, under_way)
            if 13 <= calls <= 20:
                most_while_away = max(most_while_away, under_way)
            for _ in range(20):
                await asyncio.sleep(0)
            under_way -= 1
            return Drained.RETRY_LATER if is_away else Drained.DELIVERED

        await drain_until(spool, lambda: spool.figures().records == 0, deliver)
        assert most == 3
        assert most_while_away == 1
        await spool.close()

    asyncio.run(story())


def test_the_rate_is_bounded() -> None:
    async def story() -> None:
        clock = FakeClock()
        spool = make_spool(ForgetfulDisk(), clock, drain_bytes_per_s=1_000, drain_in_flight=4)
        await spool.open()
        await append_all(spool, [request(n, body_bytes=500) for n in range(20)])
        total_bytes = spool.figures().appended_bytes_total
        await drain_all(spool)
        # The first goes out at once, each other waits for the bytes before it.
        assert clock.passed_s >= (total_bytes * 19 / 20) / 1_000 - 0.001
        assert clock.passed_s <= total_bytes / 1_000 + 5
        await spool.close()

    asyncio.run(story())


def test_an_upstream_that_is_away_is_tried_at_growing_intervals() -> None:
    async def story() -> None:
        clock = FakeClock()
        spool = make_spool(ForgetfulDisk(), clock)
        await spool.open()
        await append_all(spool, map(request, range(3)))
        tries: list[tuple[float, int]] = []

        async def deliver(delivery: Delivery) -> Drained:
            tries.append((clock.passed_s, delivery.received_ns))
            return Drained.RETRY_LATER if len(tries) < 9 else Drained.DELIVERED

        await drain_until(spool, lambda: spool.figures().records == 0, deliver)
        assert [number for _, number in tries] == [0] * 9 + [1, 2]
        waits_s = [round(b - a, 6) for (a, _), (b, _) in pairwise(tries[:9])]
        assert waits_s == [
            min(FIRST_BACK_OFF_S * 2**doublings, LONGEST_BACK_OFF_S) for doublings in range(8)
        ]
        await spool.close()

    asyncio.run(story())


def test_what_a_delivery_raises_is_a_retry() -> None:
    async def story() -> None:
        spool = make_spool(ForgetfulDisk())
        await spool.open()
        await append_all(spool, map(request, range(2)))
        calls = 0

        async def deliver(delivery: Delivery) -> Drained:
            nonlocal calls
            calls += 1
            if calls < 4:
                raise RuntimeError("a bug")
            return Drained.DELIVERED

        await drain_until(spool, lambda: spool.figures().records == 0, deliver)
        assert (calls, spool.figures().delivered_total) == (5, 2)
        await spool.close()

    asyncio.run(story())


def test_waking_ends_the_back_off() -> None:
    async def story() -> None:
        class Standing(FakeClock):
            """A clock on which no wait ends by itself."""

            async def wait(self, event: asyncio.Event, timeout_s: float | None) -> None:
                del timeout_s
                await event.wait()

        spool = make_spool(ForgetfulDisk(), Standing())
        await spool.open()
        await append_all(spool, [request(1)])
        answers = iter([Drained.RETRY_LATER, Drained.DELIVERED])
        asked = 0

        async def deliver(delivery: Delivery) -> Drained:
            nonlocal asked
            asked += 1
            return next(answers)

        def is_enough() -> bool:
            if asked == 1:
                spool.wake()
            return spool.figures().records == 0

        await drain_until(spool, is_enough, deliver)
        assert asked == 2
        await spool.close()

    asyncio.run(story())


def test_a_refused_credential_waits_and_others_go_on() -> None:
    async def story() -> None:
        clock = FakeClock()
        spool = make_spool(ForgetfulDisk(), clock, segment_bytes=1_000)
        await spool.open()
        wanted = [request(n, metadata=ALICE if n % 2 else BOB) for n in range(20)]
        await append_all(spool, wanted)
        accepts_alice_at_s = 2.5 * FIRST_PAUSE_S
        tries: list[tuple[float, int]] = []

        def answer(delivery: Delivery) -> Drained:
            tries.append((clock.passed_s, delivery.received_ns))
            is_alice = delivery.metadata == ALICE
            if is_alice and clock.passed_s < accepts_alice_at_s:
                return Drained.PAUSED_CREDENTIAL
            return Drained.DELIVERED

        await drain_all(spool, answer)
        sent = [number for _, number in tries]
        # Bob's all went before Alice's second try; hers are tried one at a time, then in order.
        assert sent[:11] == [0, 1, 2, 4, 6, 8, 10, 12, 14, 16, 18]
        alices = [number for number in sent if number % 2]
        assert alices == [1, 1, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
        times_s = [at for at, number in tries if number == 1]
        assert times_s[1] - times_s[0] >= FIRST_PAUSE_S
        assert times_s[2] - times_s[1] >= 2 * FIRST_PAUSE_S
        assert spool.figures().paused_credentials == 0
        await spool.close()

    asyncio.run(story())


def test_records_of_a_paused_credential_survive_a_restart_and_others_are_not_repeated() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk, segment_bytes=1_000)
        await spool.open()
        await append_all(spool, [request(n, metadata=ALICE if n % 3 else BOB) for n in range(30)])

        async def deliver(delivery: Delivery) -> Drained:
            is_alice = delivery.metadata == ALICE
            return Drained.PAUSED_CREDENTIAL if is_alice else Drained.DELIVERED

        await drain_until(spool, lambda: spool.figures().delivered_total == 10, deliver)
        await spool.close()
        again = make_spool(disk, segment_bytes=1_000)
        await again.open()
        assert again.figures().records == 20
        assert numbers(await drain_all(again)) == [n for n in range(30) if n % 3]
        await again.close()

    asyncio.run(story())


def test_what_waits_too_long_becomes_a_dead_letter() -> None:
    async def story() -> None:
        disk, clock = ForgetfulDisk(), FakeClock()
        spool = make_spool(disk, clock)
        await spool.open()
        await append_all(spool, map(request, range(5)))
        clock.advance(DAY_S / 2)
        await append_all(spool, map(request, range(5, 8)), clock.now_ns())
        clock.advance(DAY_S / 2 + 1)
        assert spool.figures().oldest_age_s == DAY_S + 1
        assert numbers(await drain_all(spool)) == [5, 6, 7]
        figures = spool.figures()
        assert (figures.expired_total, figures.dead_letter_total) == (5, 5)
        assert (figures.dead_letter_records, figures.oldest_age_s) == (5, 0)
        await spool.close()

    asyncio.run(story())


def test_what_waits_expires_while_the_upstream_is_away_too() -> None:
    async def story() -> None:
        spool = make_spool(ForgetfulDisk(), max_age_s=60)
        await spool.open()
        await append_all(spool, map(request, range(5)))
        sent = await drain_all(spool, lambda _delivery: Drained.RETRY_LATER)
        assert set(numbers(sent)) == {0}
        assert spool.figures().expired_total == 5
        await spool.close()

    asyncio.run(story())


def test_a_refusal_becomes_a_dead_letter_with_its_reason() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        await append_all(spool, map(request, range(6)))

        def answer(delivery: Delivery) -> Drained | Refusal:
            return (Drained.DELIVERED, Drained.REFUSED, Refusal("INVALID_ARGUMENT"))[
                delivery.received_ns % 3
            ]

        await drain_all(spool, answer)
        figures = spool.figures()
        assert (figures.delivered_total, figures.refused_total) == (2, 4)
        assert figures.dead_letter_records == 4
        await spool.close()
        seen = survey(disk, spool.directory, verify=True)
        assert seen.dead_letters.by_reason == {"refused": 2, "INVALID_ARGUMENT": 2}
        assert seen.damage == 0

    asyncio.run(story())


def test_dead_letters_are_bounded_and_the_oldest_make_way() -> None:
    async def story() -> None:
        spool = make_spool(ForgetfulDisk(), dead_letter_bytes=4_000)
        await spool.open()
        await append_all(spool, [request(n, body_bytes=300) for n in range(40)])
        await drain_all(spool, lambda _delivery: Drained.REFUSED)
        figures = spool.figures()
        assert figures.dead_letter_total == 40
        assert 0 < figures.dead_letter_bytes <= 4_000
        assert figures.dead_letter_records + figures.dead_letters_dropped_total == 40
        assert figures.dead_letter_records >= 3
        await spool.close()

    asyncio.run(story())


def test_a_dead_letter_too_large_for_its_bound_is_counted_as_dropped() -> None:
    async def story() -> None:
        spool = make_spool(ForgetfulDisk(), dead_letter_bytes=4_000)
        await spool.open()
        await append_all(spool, [request(1), request(2, body_bytes=5_000)])
        await drain_all(spool, lambda _delivery: Drained.REFUSED)
        figures = spool.figures()
        assert (figures.dead_letter_records, figures.dead_letters_dropped_total) == (1, 1)
        await spool.close()

    asyncio.run(story())


def test_a_full_disk_makes_dead_letters_give_way_and_loses_no_live_record() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        await append_all(spool, [request(n, body_bytes=300) for n in range(20)])
        disk.capacity_bytes = sum(len(each.content) for each in disk.names_now.values()) + 900
        sent = await drain_all(
            spool,
            lambda delivery: Drained.REFUSED if delivery.received_ns < 10 else Drained.DELIVERED,
        )
        assert numbers(sent) == list(range(20))
        figures = spool.figures()
        assert figures.delivered_total == 10
        assert figures.dead_letter_total == 10
        assert figures.dead_letter_records + figures.dead_letters_dropped_total == 10
        await spool.close()

    asyncio.run(story())


def test_a_disk_that_cannot_read_for_a_while_delays_and_costs_nothing() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        await append_all(spool, map(request, range(5)))
        failures = 4

        def fail(operation: str, path: object) -> None:
            nonlocal failures
            if operation == "read" and failures:
                failures -= 1
                raise OSError(5, "Input/output error")

        disk.fail = fail
        assert numbers(await drain_all(spool)) == list(range(5))
        assert failures == 0
        assert spool.figures().corrupt_records_total == 0
        await spool.close()

    asyncio.run(story())


def test_a_segment_that_cannot_be_opened_is_left_for_the_next_start() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk, segment_bytes=700)
        await spool.open()
        for number in range(6):
            await append_all(spool, [request(number)])
        first = min(path for path in disk.names_now if path.suffix == ".spool")

        def fail(operation: str, path: object) -> None:
            if operation == "open" and path == first:
                raise OSError(24, "Too many open files")

        disk.fail = fail
        sent = numbers(await drain_all(spool))
        assert sent
        assert sent == list(range(6 - len(sent), 6))
        assert spool.figures().corrupt_records_total == 6 - len(sent)
        await spool.close()
        disk.fail = lambda _operation, _path: None
        again = make_spool(disk)
        await again.open()
        assert numbers(await drain_all(again)) == list(range(6 - len(sent)))
        await again.close()

    asyncio.run(story())


def test_progress_is_synced_so_that_a_power_loss_repeats_little() -> None:
    async def story() -> None:
        import random

        disk = ForgetfulDisk()
        clock = FakeClock()
        spool = make_spool(disk, clock)
        await spool.open()
        await append_all(spool, map(request, range(20)))

        async def deliver(delivery: Delivery) -> Drained:
            if delivery.received_ns == 10:
                clock.advance(10)
            return Drained.DELIVERED if delivery.received_ns < 12 else Drained.RETRY_LATER

        await drain_until(spool, lambda: spool.figures().delivered_total == 12, deliver)
        found = disk.after_crash(random.Random(0))
        await spool.close()
        again = make_spool(found)
        await again.open()
        left = numbers(await drain_all(again))
        assert set(left) >= set(range(12, 20))
        assert len(left) <= 10
        await again.close()

    asyncio.run(story())


def test_progress_that_the_disk_does_not_take_stops_nothing_and_is_said_once() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        await append_all(spool, map(request, range(50)))

        def full(operation: str, path: Path) -> None:
            if operation in ("create", "write") and path.suffix == ".done":
                raise OSError(errno.ENOSPC, "No space left on device")

        disk.fail = full
        assert numbers(await drain_all(spool)) == list(range(50))
        await drain_until(spool, lambda: not spool.figures().segments, _never)
        assert disk.names_now == {}
        await spool.close()

    with capture_logs() as said:
        asyncio.run(story())
    assert [each["event"] for each in said].count("spool_progress_not_written") == 1
