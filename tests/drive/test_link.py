"""The link: framing, and that every request is delivered, waiting or counted."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.otlp.relay import until
from tripswitch.drive.inbox import BATCH_RECORDS, Inbox
from tripswitch.drive.link import (
    SIGNAL_OF,
    JudgeLink,
    Record,
    RecordKind,
    RecordParser,
    encode,
    socket_pair,
)
from tripswitch.otlp.tap import Gap, Tap, Tapped

ITEMS = st.lists(
    st.one_of(
        st.builds(
            Tapped,
            st.binary(max_size=300),
            st.integers(0, 2**63),
            st.sampled_from(sorted(SIGNAL_OF.values())),
        ),
        st.builds(Gap, st.integers(1, 2**40), st.integers(0, 2**63)),
    ),
    max_size=20,
)


def stream(items: list[Tapped | Gap]) -> bytes:
    return b"".join(part for item in items for part in encode(item))


@given(ITEMS, st.lists(st.integers(1, 50), min_size=1))
def test_records_survive_any_cutting_of_the_stream(
    items: list[Tapped | Gap], cuts: list[int]
) -> None:
    parser = RecordParser()
    data = stream(items)
    records: list[Record] = []
    start = 0
    while start < len(data):
        size = cuts[start % len(cuts)]
        records += parser.feed(data[start : start + size])
        start += size
    assert [
        Gap(record.lost_requests, record.received_ns)
        if record.kind is RecordKind.LOST
        else Tapped(record.body, record.received_ns, SIGNAL_OF[record.kind])
        for record in records
    ] == items


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="99"):
        RecordParser().feed(b"\x00\x00\x00\x00" + bytes([99]) + bytes(8))


def ready(link: socket.socket) -> None:
    link.sendall(json.dumps({"ready": {}}).encode() + b"\n")


def test_nothing_is_sent_before_the_judge_is_ready() -> None:
    async def check() -> None:
        tap = Tap(1 << 20)
        ours, theirs = socket_pair()
        with theirs:
            theirs.setblocking(False)
            link = JudgeLink(ours, tap, lambda: None)
            link.open()
            tap.offer(b"x", 1)
            await asyncio.sleep(0)
            with pytest.raises(BlockingIOError):
                theirs.recv(1)
            ready(theirs)
            await until(lambda: link.sent == 1)
            link.close()
        assert tap.lost_requests == 1

    asyncio.run(check())


def test_a_judge_that_dies_takes_only_what_it_was_sent_whole() -> None:
    async def check() -> None:
        tap = Tap(256 << 20)
        ours, theirs = socket_pair()
        link = JudgeLink(ours, tap, lambda: None)
        link.open()
        ready(theirs)
        for number in range(5):
            tap.offer(bytes([number]) * 100, number)
        await until(lambda: link.sent == 5)
        theirs.sendall(b'{"consumed": 2, "counters": {"a_total": 7}}\n')
        await until(lambda: link.consumed == 2)
        assert link.counters == {"a_total": 7}
        assert link.oldest_ns == 2
        # More than a socket holds: it stays with the wire, the first one sent in part.
        big = [bytes([number]) * (20 << 20) for number in (8, 9)]
        for body in big:
            tap.offer(body, 6)
        await until(lambda: len(tap) == 1)
        theirs.close()
        await asyncio.wait_for(link.closed.wait(), 10)
        link.close()
        link.close()
        assert tap.lost_requests == 3
        assert tap.take() == Gap(3, 2)
        assert [tap.take(), tap.take(), tap.take()] == [Tapped(big[0], 6), Tapped(big[1], 6), None]
        assert tap.queued_bytes == 0

    asyncio.run(check())


def test_word_of_a_loss_is_not_lost_with_its_reader() -> None:
    async def check() -> None:
        tap = Tap(0)
        ours, theirs = socket_pair()
        with theirs:
            link = JudgeLink(ours, tap, lambda: None)
            link.open()
            tap.offer(b"too much", 5)
            ready(theirs)
            await until(lambda: link.sent == 1)
            link.close()
        assert (tap.dropped_requests, tap.lost_requests) == (1, 0)
        assert tap.take() == Gap(1, 5)

    asyncio.run(check())


@pytest.mark.parametrize("said", [b"not json\n", b"[]\n", b'{"consumed": "x"}\n', b"x" * (2 << 20)])
def test_a_judge_that_talks_nonsense_is_hung_up_on(said: bytes) -> None:
    async def check() -> None:
        ours, theirs = socket_pair()
        link = JudgeLink(ours, Tap(1 << 20), lambda: None)
        link.open()
        loop = asyncio.get_running_loop()
        theirs.setblocking(False)
        saying = asyncio.create_task(loop.sock_sendall(theirs, said))
        await asyncio.wait_for(link.closed.wait(), 10)
        link.close()
        await asyncio.wait({saying}, timeout=10)
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
        theirs.close()

    asyncio.run(check())


def test_acknowledging_more_than_was_sent_does_no_harm() -> None:
    async def check() -> None:
        ours, theirs = socket_pair()
        with theirs:
            link = JudgeLink(ours, Tap(1 << 20), lambda: None)
            link.open()
            theirs.sendall(b'{"consumed": 1000000, "counters": {"seen_total": 1}}\n')
            await until(lambda: link.counters)
            assert link.consumed == 0
            link.close()

    asyncio.run(check())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=30))
def test_what_is_offered_comes_out_of_the_inbox_in_bounded_batches(sizes: list[int]) -> None:
    async def check() -> None:
        tap = Tap(1 << 30)
        ours, theirs = socket_pair()
        inbox = await Inbox.open(theirs)
        link = JudgeLink(ours, tap, lambda: None)
        link.open()
        inbox.send({"ready": {}})
        for number, size in enumerate(sizes):
            tap.offer(bytes([number]) * size, number)
        got: list[Record] = []
        while len(got) < len(sizes):
            batch = await asyncio.wait_for(inbox.batch(), 10)
            assert 0 < len(batch) <= BATCH_RECORDS
            got += batch
            inbox.send({"consumed": len(got)})
        assert [record.body for record in got] == [
            bytes([number]) * size for number, size in enumerate(sizes)
        ]
        await until(lambda: link.is_drained)
        link.close()
        assert await asyncio.wait_for(inbox.batch(), 10) == []
        assert tap.lost_requests == 0

    asyncio.run(check())
