"""The log of done records: a damaged entry has a record sent again, it never skips one."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.otlp.spool.forgetful_disk import ForgetfulDisk, ForgetfulFile, Inode
from tripswitch.otlp.spool.done_log import Places, append_places, read_places

MARK = b"\x09" * 8


def log_of(content: bytes = b"") -> ForgetfulFile:
    return ForgetfulFile(ForgetfulDisk(), Path("log"), Inode(content, [], bytearray(content)))


def places_in(file: ForgetfulFile, records: int, mark: bytes = MARK) -> set[int]:
    places = read_places(file, mark, records)
    members = {place for place in range(records) if place in places}
    assert len(places) == len(members)
    return members


@given(st.lists(st.integers(0, 5000), max_size=50))
def test_places_are_a_set(added: list[int]) -> None:
    places = Places()
    for number, place in enumerate(added):
        assert places.add(place) is (place not in added[:number])
    assert len(places) == len(set(added))
    assert all(place in places for place in added)
    assert 5001 not in places


@given(st.lists(st.integers(0, 199), max_size=50))
def test_what_is_noted_is_read_back(done: list[int]) -> None:
    file = log_of()
    for place in done:
        append_places(file, MARK, [place])
    assert places_in(file, 200) == set(done)
    assert places_in(file, 100) == {place for place in done if place < 100}


@given(st.sets(st.integers(0, 99), max_size=20), st.data())
def test_damage_never_adds_a_place(done: set[int], data: st.DataObject) -> None:
    file = log_of()
    append_places(file, MARK, sorted(done))
    content = bytearray(file.read_at(0, 1 << 16))
    for _ in range(data.draw(st.integers(1, 5)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert places_in(log_of(bytes(content)), 100) <= done


@given(st.binary(max_size=500))
def test_any_bytes_can_be_read(noise: bytes) -> None:
    places_in(log_of(noise), 100)


def test_a_torn_entry_is_written_over() -> None:
    file = log_of()
    append_places(file, MARK, [1, 2])
    torn = log_of(file.read_at(0, 13))
    append_places(torn, MARK, [3])
    assert places_in(torn, 10) == {1, 3}


def test_a_log_of_another_segment_says_nothing() -> None:
    file = log_of()
    append_places(file, MARK, [1, 2])
    assert places_in(file, 10, b"\x08" * 8) == set()
