"""Damage on disk costs the records it touches, each counted, and never the start."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.otlp.spool.forgetful_disk import ForgetfulDisk, Inode
from tests.otlp.spool.stand import (
    DIRECTORY,
    append_all,
    drain_all,
    drain_until,
    make_spool,
    numbers,
    request,
)
from tripswitch.otlp.delivery import Delivery
from tripswitch.otlp.spool.drain import Drained
from tripswitch.otlp.spool.segment import START_BYTES
from tripswitch.otlp.spool.spool import SpoolFigures
from tripswitch.otlp.spool.survey import survey

COUNT = 22
BODY_BYTES = 100
# All of three digits, so that all records have one size.
FIRST = 100


async def written(disk: ForgetfulDisk, count: int = COUNT) -> int:
    """Write ``count`` records of as many senders, five a segment; return their size."""
    spool = make_spool(disk, segment_bytes=1_700)
    await spool.open()
    for number in range(count):
        sender = (("authorization", f"{number:02d}"),)
        await append_all(spool, [request(FIRST + number, BODY_BYTES, sender)])
    record_bytes = spool.figures().appended_bytes_total // count
    await spool.close()
    return record_bytes


async def drained(disk: ForgetfulDisk) -> tuple[list[int], SpoolFigures]:
    """Return the records that came out, counted from 0, and the figures."""
    spool = make_spool(disk)
    await spool.open()
    sent = [number - FIRST for number in numbers(await drain_all(spool))]
    figures = spool.figures()
    await append_all(spool, [request(1_000)])
    assert numbers(await drain_all(spool)) == [1_000]
    await spool.close()
    return sent, figures


def segments(disk: ForgetfulDisk) -> list[Inode]:
    return [disk.names_now[path] for path in sorted(disk.names_now) if path.suffix == ".spool"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**6), st.integers(0, 7)), max_size=6))
def test_flipped_bits_cost_the_records_they_touch_and_each_is_counted(
    flips: list[tuple[int, int, int]],
) -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        record_bytes = await written(disk)
        files = segments(disk)
        assert len(files) >= 3
        clean = [bytes(file.content) for file in files]
        for number, place, bit in flips:
            content = files[number % len(files)].content
            content[place % len(content)] ^= 1 << bit
        touched = set()
        first = 0
        for before, file in zip(clean, files, strict=True):
            records = (len(before) - START_BYTES) // record_bytes
            for place in range(records):
                start = START_BYTES + place * record_bytes
                if before[start:][:record_bytes] != file.content[start:][:record_bytes]:
                    touched.add(first + place)
            first += records
        sent, figures = await drained(disk)
        assert sent == [number for number in range(COUNT) if number not in touched]
        lost = figures.corrupt_records_total + figures.torn_tails_total
        # Of several damaged headers at the very end each is seen by its mark, if that is whole.
        assert lost <= len(touched)
        assert lost >= len(touched - {COUNT - 1, COUNT - 2, COUNT - 3})
        assert bool(lost) is bool(touched)

    asyncio.run(story())


def test_a_tail_torn_at_any_byte_costs_what_is_torn() -> None:
    async def story() -> None:
        whole = ForgetfulDisk()
        record_bytes = await written(whole, 2)
        last_bytes = len(segments(whole)[-1].content)
        for size_bytes in range(last_bytes):
            disk = whole.after_crash(random.Random(0))
            last = segments(disk)[-1]
            del last.content[size_bytes:]
            kept = max(0, size_bytes - START_BYTES) // record_bytes
            sent, figures = await drained(disk)
            assert sent == list(range(kept))
            is_torn = size_bytes > START_BYTES + kept * record_bytes
            assert figures.torn_tails_total == is_torn, size_bytes
            assert figures.corrupt_records_total == 0

    asyncio.run(story())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.integers(0, 3_000), st.binary(max_size=300))
def test_garbage_anywhere_never_costs_the_start_nor_other_segments(
    number: int, place: int, garbage: bytes
) -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        record_bytes = await written(disk)
        files = segments(disk)
        hit = number % len(files)
        content = files[hit].content
        content[place : place + len(garbage)] = garbage
        sent, figures = await drained(disk)
        first = sum((len(file.content) - START_BYTES) // record_bytes for file in files[:hit])
        spared = set(range(first)) | set(
            range(first + 1 + (max(map(len, (f.content for f in files))) // record_bytes), COUNT)
        )
        assert spared <= set(sent)
        assert sent == sorted(set(sent))
        lost = COUNT - len(sent)
        assert bool(figures.corrupt_records_total + figures.torn_tails_total) >= bool(lost)

    asyncio.run(story())


@pytest.mark.parametrize("suffix", [".spool", ".done"])
def test_files_of_nothing_but_garbage(suffix: str) -> None:
    async def story() -> None:
        choice = random.Random(7)
        disk = ForgetfulDisk()
        await written(disk)
        names = [path for path in disk.names_now if path.suffix == ".spool"]
        for path in names:
            target = path.with_suffix(suffix)
            noise = bytearray(choice.randbytes(choice.randint(0, 4_000)))
            disk.names_now[target] = Inode(bytes(noise), [], noise)
        sent, figures = await drained(disk)
        assert sent == ([] if suffix == ".spool" else list(range(COUNT)))
        if suffix == ".spool":
            assert figures.corrupt_records_total + figures.torn_tails_total > 0

    asyncio.run(story())


def test_a_file_that_vanished_costs_its_records_and_is_counted() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        await written(disk)
        spool = make_spool(disk)
        await spool.open()
        second = sorted(path for path in disk.names_now if path.suffix == ".spool")[1]
        del disk.names_now[second]
        sent = numbers(await drain_all(spool))
        figures = spool.figures()
        assert len(sent) + figures.corrupt_records_total == COUNT
        assert 0 < figures.corrupt_records_total < COUNT / 2
        await spool.close()

    asyncio.run(story())


def test_damage_is_counted_once_though_it_is_passed_again() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        record_bytes = await written(disk)
        first = segments(disk)[0]
        for place in (1, 2):
            first.content[START_BYTES + place * record_bytes + 3] ^= 1
        first.content[START_BYTES + 4 * record_bytes - 3] ^= 1
        spool = make_spool(disk)
        await spool.open()
        tries = 0

        async def deliver(delivery: Delivery) -> Drained:
            nonlocal tries
            tries += 1
            assert delivery.received_ns - FIRST not in (1, 2, 3)
            return Drained.PAUSED_CREDENTIAL

        await drain_until(spool, lambda: tries >= 3 * COUNT, deliver)
        assert spool.figures().corrupt_records_total == 3
        assert spool.figures().records == COUNT - 3
        assert len(await drain_all(spool)) == COUNT - 3
        await spool.close()

    asyncio.run(story())


@pytest.mark.parametrize("is_log_readable", [True, False])
def test_what_was_sent_from_the_middle_is_not_taken_for_lost(*, is_log_readable: bool) -> None:
    """Segments between two that wait are deleted once they are sent; a start must know of it."""
    waits = {0, COUNT - 2, COUNT - 1}

    async def deliver(delivery: Delivery) -> Drained:
        is_held = delivery.received_ns - FIRST in waits
        return Drained.PAUSED_CREDENTIAL if is_held else Drained.DELIVERED

    async def story() -> None:
        disk = ForgetfulDisk()
        await written(disk)
        begun = len(segments(disk))
        spool = make_spool(disk)
        await spool.open()
        await drain_until(spool, lambda: len(segments(disk)) == 2, deliver)
        assert (begun, spool.figures().records) == (6, len(waits))
        await spool.close()
        for path, inode in disk.names_now.items():
            if path.suffix == ".done" and not is_log_readable:
                inode.content[:] = bytes(len(inode.content))
        surveyed = survey(disk, DIRECTORY, verify=True)
        sent, figures = await drained(disk)
        if is_log_readable:
            assert (sent, figures.corrupt_records_total) == (sorted(waits), 0)
            assert (surveyed.waiting.records, surveyed.damage) == (len(waits), 0)
        else:
            # Then nothing tells what was sent from what is missing, and that is said.
            assert set(sent) > waits
            assert figures.corrupt_records_total == COUNT - len(sent)

    asyncio.run(story())
