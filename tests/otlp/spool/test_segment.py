"""Finding records in a segment, whatever its bytes are."""

from __future__ import annotations

import zlib
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.otlp.spool.forgetful_disk import ForgetfulDisk, ForgetfulFile, Inode
from tests.otlp.spool.stand import request
from tripswitch.otlp.spool.record import HEADER_BYTES, DamagedRecordError, content_of, draft_of
from tripswitch.otlp.spool.segment import (
    START_BYTES,
    VERSION,
    Records,
    SegmentName,
    done_logs_among,
    is_foreign,
    read_for_certain,
    segments_among,
    start_of_segment,
)

MARK = b"\xf1\x02\x03\x04\x05\x06\x07\x08"
NAME = SegmentName(10, MARK)


def file_of(content: bytes, disk: ForgetfulDisk | None = None) -> ForgetfulFile:
    inode = Inode(content, [], bytearray(content))
    return ForgetfulFile(disk or ForgetfulDisk(), Path("segment"), inode)


def segment_of(count: int, body_bytes: int = 40) -> bytes:
    parts = [start_of_segment()]
    for place in range(count):
        draft = draft_of(request(place, body_bytes), 0)
        parts += [draft.numbered(NAME.first + place).written(MARK), draft.head, draft.body]
    return b"".join(parts)


def readable(content: bytes, limit: int) -> list[int]:
    records = Records(file_of(content), NAME, len(content))
    found_numbers = []
    for found in records.all(NAME.first, limit):
        try:
            delivery, _ = content_of(found.header, records.content(found))
        except DamagedRecordError:
            continue
        found_numbers.append(delivery.received_ns)
    return found_numbers


def test_all_records_are_found_in_order() -> None:
    assert readable(segment_of(20), 30) == list(range(20))


def test_records_from_the_limit_on_are_left_out() -> None:
    assert readable(segment_of(20), 15) == list(range(5))


@given(st.sets(st.integers(0, 10**6), min_size=1, max_size=12), st.integers(0, 7))
def test_flipped_bits_cost_the_records_they_touch(places: set[int], bit: int) -> None:
    clean = segment_of(12)
    # Records are not all of one length: a number of two digits takes a byte more.
    bounds = [len(segment_of(count)) for count in range(13)]
    damaged = bytearray(clean)
    for place in places:
        damaged[place % len(clean)] ^= 1 << bit
    # An even number of flips at one place is none.
    touched = {
        number
        for number, (start, end) in enumerate(pairwise(bounds))
        if damaged[start:end] != clean[start:end]
    }
    assert readable(bytes(damaged), 22) == [n for n in range(12) if n not in touched]


def test_a_segment_cut_anywhere_gives_back_what_is_whole() -> None:
    clean = segment_of(4)
    record_bytes = (len(clean) - START_BYTES) // 4
    for size_bytes in range(len(clean)):
        whole = max(0, size_bytes - START_BYTES) // record_bytes
        assert readable(clean[:size_bytes], 14) == list(range(whole))


@given(st.binary(max_size=2000), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 4))))
def test_any_bytes_are_walked_through(noise: bytes, marks: list[tuple[int, int]]) -> None:
    header = draft_of(request(0), 0).numbered(NAME.first).written(MARK)
    content = bytearray(noise)
    for at, kind in marks:
        piece = (MARK, header, header[:-1], MARK[:-1], MARK * 3)[kind]
        content[at : at + len(piece)] = piece
    records = Records(file_of(bytes(content)), NAME, len(content))
    found = list(records.all(NAME.first, NAME.first + 100))
    assert len(found) <= len(content) // HEADER_BYTES
    assert [each.header.sequence for each in found] == sorted(
        {each.header.sequence for each in found}
    )
    assert all(each.end_offset <= len(content) for each in found)


def test_a_copy_of_another_segment_in_a_body_is_not_taken_for_records() -> None:
    """What a sender puts in a body cannot pass for records when the place is lost."""
    other = SegmentName(NAME.first, b"\x00" * 8)
    draft = draft_of(request(77), 0)
    planted = draft.numbered(11).written(other.mark) + draft.head + draft.body
    delivery = request(0)
    carrier = draft_of(type(delivery)("grpc", "/x", delivery.signal, (), planted * 5, 0), 0)
    content = bytearray(
        start_of_segment() + carrier.numbered(10).written(MARK) + carrier.head + carrier.body
    )
    content[START_BYTES + 20] ^= 1
    assert readable(bytes(content), 100) == []


def test_a_page_that_cannot_be_read_costs_the_records_on_it() -> None:
    clean = segment_of(40, body_bytes=700)

    class BadPage(ForgetfulFile):
        def read_at(self, offset: int, most_bytes: int) -> bytes:
            if offset < 8192 and offset + most_bytes > 4096:
                raise OSError(5, "Input/output error")
            return super().read_at(offset, most_bytes)

    file = BadPage(ForgetfulDisk(), Path("segment"), Inode(clean, [], bytearray(clean)))
    assert read_for_certain(file, 0, 12288) == clean[:4096] + bytes(4096) + clean[8192:12288]
    records = Records(file, NAME, len(clean), is_patient=False)
    whole = 0
    for found in records.all(NAME.first, NAME.first + 40):
        try:
            content_of(found.header, records.content(found))
        except DamagedRecordError:
            continue
        whole += 1
    record_bytes = (len(clean) - START_BYTES) // 40
    # Those on the page, and those that begin or end on it.
    assert whole >= 40 - 4096 // record_bytes - 2


def test_names_are_read_back_and_others_passed_over() -> None:
    newer = SegmentName(200, MARK)
    listing = [
        newer.segment,
        NAME.segment,
        NAME.done,
        "lock",
        "core",
        NAME.segment + "~",
        "x.spool",
    ]
    listing.append(f"{1 << 63:020d}-{MARK.hex()}.spool")
    assert segments_among(listing) == [NAME, newer]
    assert done_logs_among(listing) == [NAME]


def test_only_a_whole_header_of_another_version_is_foreign() -> None:
    start = start_of_segment()
    assert len(start) == START_BYTES
    assert not is_foreign(start)
    magic = start[:7] + bytes([VERSION + 1])
    other = magic + zlib.crc32(magic).to_bytes(4, "big") + bytes(4)
    assert is_foreign(other)
    assert not is_foreign(other[:-1])
    assert not is_foreign(start[:7] + bytes([VERSION + 1]) + start[8:])
