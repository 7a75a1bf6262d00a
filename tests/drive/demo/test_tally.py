"""A tally tells whether the same bodies came, whatever their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.drive.demo.tally import Tally, Totals

bodies = st.lists(st.binary(max_size=64), max_size=12)


def tallied(bodies: list[bytes]) -> Totals:
    tally = Tally()
    for body in bodies:
        tally.add(body, 1)
    return tally.totals()


@given(bodies.flatmap(lambda came: st.tuples(st.just(came), st.permutations(came))))
def test_order_does_not_matter(orders: tuple[list[bytes], list[bytes]]) -> None:
    assert tallied(orders[0]) == tallied(orders[1])


@given(bodies, st.binary(max_size=64))
def test_one_body_more_shows_even_when_it_is_empty(came: list[bytes], extra: bytes) -> None:
    assert tallied([*came, extra])["digest"] != tallied(came)["digest"]


@given(st.binary(min_size=1, max_size=64), st.integers(min_value=0))
def test_one_flipped_bit_shows_in_the_digest_alone(body: bytes, where: int) -> None:
    place = where % (8 * len(body))
    flipped = bytearray(body)
    flipped[place // 8] ^= 1 << (place % 8)
    ours, theirs = tallied([body]), tallied([bytes(flipped)])
    assert ours["bytes"] == theirs["bytes"]
    assert ours["digest"] != theirs["digest"]


def test_two_copies_in_place_of_two_bodies_show() -> None:
    assert tallied([b"a", b"a"])["digest"] != tallied([b"a", b"b"])["digest"]
