"""A record comes back as it was written, or is known to be damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.otlp.spool.stand import request
from tripswitch.otlp.delivery import Delivery, Metadata, Signal
from tripswitch.otlp.spool.record import (
    HEADER_BYTES,
    DamagedRecordError,
    Death,
    Header,
    content_of,
    credential_of,
    draft_of,
    header_of,
)

MARK = b"\x01\x02\x03\x04\x05\x06\x07\x08"

TEXT = st.text(st.characters(codec=None), max_size=30)
PAIRS = st.one_of(st.tuples(TEXT, TEXT), st.tuples(TEXT, st.binary(max_size=30)))
DELIVERIES = st.builds(
    Delivery,
    protocol=st.sampled_from(["grpc", "http"]),
    address=TEXT,
    signal=st.sampled_from(Signal),
    metadata=st.lists(PAIRS, max_size=6).map(tuple),
    body=st.binary(max_size=300),
    received_ns=st.integers(0, 1 << 63),
    content_type=TEXT,
    content_encoding=TEXT,
)


def written(delivery: Delivery, sequence: int = 7, death: Death | None = None) -> bytes:
    draft = draft_of(delivery, 5, death)
    return draft.numbered(sequence).written(MARK) + draft.head + draft.body


def read(record: bytes) -> tuple[Header, Delivery, Death | None]:
    header = header_of(record, MARK)
    assert header is not None
    return header, *content_of(header, record[HEADER_BYTES:])


@given(DELIVERIES, st.integers(0, (1 << 63) - 1))
def test_every_request_comes_back_as_it_was(delivery: Delivery, sequence: int) -> None:
    header, found, death = read(written(delivery, sequence))
    assert found == delivery
    assert death is None
    assert (header.sequence, header.kept_ns, header.signal) == (sequence, 5, delivery.signal)
    assert header.record_bytes == draft_of(delivery, 5).record_bytes


def test_a_dead_letter_says_why_and_since_when() -> None:
    assert read(written(request(1), death=Death("expired", 99)))[2] == Death("expired", 99)


@given(DELIVERIES, st.data())
def test_no_flipped_bit_goes_unnoticed(delivery: Delivery, data: st.DataObject) -> None:
    record = bytearray(written(delivery))
    record[data.draw(st.integers(0, len(record) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    header = header_of(bytes(record), MARK)
    if header is not None:
        with pytest.raises(DamagedRecordError):
            content_of(header, bytes(record[HEADER_BYTES:]))


@given(DELIVERIES, st.data())
def test_no_torn_record_goes_unnoticed(delivery: Delivery, data: st.DataObject) -> None:
    record = written(delivery)
    torn = record[: data.draw(st.integers(0, len(record) - 1))]
    header = header_of(torn, MARK)
    if header is not None:
        with pytest.raises(DamagedRecordError):
            content_of(header, torn[HEADER_BYTES:])


@given(st.binary(max_size=200))
def test_any_bytes_under_a_right_checksum_are_read_or_damaged(head: bytes) -> None:
    import zlib

    header = Header(1, 1, 0, Signal.LOGS, len(head), 0, zlib.crc32(head))
    with pytest.raises(DamagedRecordError):
        content_of(header, head)


@pytest.mark.parametrize(
    "head",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"protocol":"udp"}',
        b"[" * 100_000,
        b'{"protocol":"grpc","address":1}',
        b'{"protocol":"grpc","address":"a","metadata":[["k"]]}',
        b'{"protocol":"grpc","address":"a","metadata":[["k","v","rot13"]]}',
        b'{"protocol":"grpc","address":"a","metadata":[["k","=","base64"]]}',
        b'{"protocol":"grpc","address":"a","metadata":[],"received_ns":"1"}',
    ],
)
def test_a_head_that_is_no_head_is_damage(head: bytes) -> None:
    import zlib

    header = Header(1, 1, 0, Signal.LOGS, len(head), 0, zlib.crc32(head))
    with pytest.raises(DamagedRecordError):
        content_of(header, head)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ((), (("user-agent", "x"), ("traceparent", "y")), True),
        ((("authorization", "Bearer a"),), (("authorization", "Bearer b"),), False),
        ((("authorization", "Bearer a"),), (), False),
        ((("x-api-key", "a"), ("b", "1")), (("b", "2"), ("x-api-key", "a")), True),
        ((("x-scope-orgid", "one"),), (("x-scope-orgid", "two"),), False),
        ((("x-token-bin", b"a"),), (("x-token-bin", b"b"),), False),
        ((("authorization", "\udcff"),), (("authorization", "\udcfe"),), False),
    ],
)
def test_credentials_are_told_apart(one: Metadata, other: Metadata, is_same: bool) -> None:
    assert (credential_of(one) == credential_of(other)) is is_same


def test_no_credential_is_zero() -> None:
    assert credential_of((("user-agent", "x"),)) == 0
    assert credential_of((("authorization", ""),)) != 0
