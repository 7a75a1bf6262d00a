"""Past calls stay findable, within their time and their bound, at a known cost."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tripswitch.genai import call_index
from tripswitch.genai.call_index import (
    CallIndex,
    CallRef,
    keys_of,
    response_key,
    span_key,
    trace_key,
)
from tripswitch.model.scope import Scope

SECOND_NS = 10**9
SCOPES = [Scope("/r", "p", str(version), "c", "m", "o") for version in range(4)]


def ref(number: int) -> CallRef:
    return CallRef(number, SCOPES[number % 4], f"t{number % 3}", number * SECOND_NS)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=50), st.integers(1, 30_000))
def test_what_was_filed_is_found_until_it_is_too_old(wanted: list[int], calls: int) -> None:
    index = CallIndex(3600 * SECOND_NS, 10**6)
    for number in range(calls):
        index.add([number + 1, (1 << 63) + number // 2], ref(number), number)
    assert len(index) == calls
    for number in wanted:
        found = index.find(number + 1)
        assert found == (ref(number) if number < calls else None)
        of_trace = index.find((1 << 63) + number // 2)
        last = min(number // 2 * 2 + 1, calls - 1)
        assert of_trace == (ref(last) if number // 2 * 2 < calls else None)


def test_calls_are_forgotten_after_their_time_thin_traffic_too() -> None:
    index = CallIndex(60 * SECOND_NS, 10**6)
    for second in range(200):
        index.add([second + 1], ref(second), second * SECOND_NS)
        index.expire(second * SECOND_NS)
    assert index.find(200) == ref(199)
    assert index.find(199 - 55) is not None
    assert index.find(1) is None
    assert len(index) <= 125
    index.expire(1000 * SECOND_NS)
    assert len(index) == 0


def test_too_many_calls_cost_the_oldest_and_are_counted() -> None:
    index = CallIndex(3600 * SECOND_NS, 100_000)
    for number in range(300_000):
        index.add([number + 1], ref(number), number)
        if number % 1000 == 0:
            index.expire(number)
    index.expire(300_000)
    assert len(index) <= 100_000 + 131_072
    assert index.forgotten_early > 0
    assert index.find(300_000) == ref(299_999)
    assert index.find(1) is None


def test_a_call_with_three_keys_costs_less_than_seventy_bytes() -> None:
    rng = random.Random(1)
    index = CallIndex(3600 * SECOND_NS, 10**6)
    calls = 131_072
    for number in range(calls):
        index.add([rng.getrandbits(64) for _ in range(3)], ref(number), number)
    assert index.nbytes / calls < 70


def test_keys_of_different_things_differ() -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    keys = {span_key(trace, span), trace_key(trace), response_key(trace), response_key(span)}
    assert len(keys) == 4
    assert all(0 <= key < 1 << 64 for key in keys)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=200), st.integers(1, 30))
def test_looking_for_calls_between_filing_them_changes_no_answer(
    steps: list[tuple[int, bool]], fresh: int
) -> None:
    """A key means the call that was filed under it last, whatever was asked in between."""
    index = CallIndex(3600 * SECOND_NS, 10**6)
    latest: dict[int, CallRef] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call_index, "_FRESH", fresh)
        for number, (key, is_asking) in enumerate(steps):
            if is_asking:
                assert index.find(key) == latest.get(key)
                continue
            filed = ref(number)
            index.add([key, key + 10], filed, number)
            latest[key] = latest[key + 10] = filed
    assert all(index.find(key) == filed for key, filed in latest.items())


@given(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1))
def test_both_keys_at_once_are_those_of_each(trace: int, span: int) -> None:
    trace_id, span_id = f"{trace:032x}", f"{span:016x}"
    assert keys_of(trace_id, span_id) == (span_key(trace_id, span_id), trace_key(trace_id))
