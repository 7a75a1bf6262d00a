"""Past calls stay findable, within their time and their bound, at a known cost."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
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
from tripswitch.genai.family import Place
from tripswitch.model.scope import Scope

SECOND_NS = 10**9
SCOPES = [Scope("/r", "p", str(version), "c", "m", "o") for version in range(4)]


def place(number: int) -> Place:
    """Return the place of a call, another object each time."""
    return Place((), SCOPES[number % 4], None, f"t{number % 3}", None, None, None, has_judge=False)


def ref(number: int) -> CallRef:
    return CallRef(number, SCOPES[number % 4], f"t{number % 3}", number * SECOND_NS)


def file(index: CallIndex, numbers: Sequence[int], keys: Sequence[list[int]], now_ns: int) -> None:
    """File calls at once, each under its keys."""
    index.add(
        [np.array(of_kind, np.uint64) for of_kind in zip(*keys, strict=True)],
        np.array(numbers, np.uint64),
        [number * SECOND_NS for number in numbers],
        [place(number) for number in numbers],
        now_ns,
    )


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=50), st.integers(1, 30_000))
def test_what_was_filed_is_found_until_it_is_too_old(wanted: list[int], calls: int) -> None:
    index = CallIndex(3600 * SECOND_NS, 10**6)
    for number in range(calls):
        file(index, [number], [[number + 1, (1 << 63) + number // 2]], number)
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
        file(index, [second], [[second + 1]], second * SECOND_NS)
        index.expire(second * SECOND_NS)
    assert index.find(200) == ref(199)
    assert index.find(199 - 55) is not None
    assert index.find(1) is None
    assert len(index) <= 125
    index.expire(1000 * SECOND_NS)
    assert len(index) == 0


def test_too_many_calls_cost_the_oldest_and_are_counted() -> None:
    index = CallIndex(3600 * SECOND_NS, 100_000)
    for first in range(0, 300_000, 1000):
        numbers = range(first, first + 1000)
        file(index, numbers, [[number + 1] for number in numbers], first)
        index.expire(first)
    index.expire(300_000)
    assert len(index) <= 100_000 + 131_072
    assert index.forgotten_early > 0
    assert index.find(300_000) == ref(299_999)
    assert index.find(1) is None


def test_a_call_with_three_keys_costs_less_than_seventy_bytes() -> None:
    rng = random.Random(1)
    index = CallIndex(3600 * SECOND_NS, 10**6)
    calls = 131_072
    for first in range(0, calls, 1000):
        numbers = range(first, min(calls, first + 1000))
        keys = [[rng.getrandbits(64) for _ in range(3)] for _ in numbers]
        file(index, numbers, keys, first)
    assert index.nbytes / calls < 70


def test_keys_of_different_things_differ() -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    keys = {span_key(trace, span), trace_key(trace), response_key(trace), response_key(span)}
    assert len(keys) == 4
    assert all(0 <= key < 1 << 64 for key in keys)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.one_of(st.integers(0, 20), st.lists(st.integers(0, 20), min_size=1, max_size=40)),
        max_size=60,
    ),
    st.integers(1, 30),
)
def test_looking_for_calls_between_filing_them_changes_no_answer(
    steps: list[int | list[int]], fresh: int
) -> None:
    """A key means the call filed under it last, however many at once, whatever was asked before."""
    index = CallIndex(3600 * SECOND_NS, 10**6)
    latest: dict[int, CallRef] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call_index, "_FRESH", fresh)
        filed = 0
        for step in steps:
            if isinstance(step, int):
                assert index.find(step) == latest.get(step)
                continue
            numbers = range(filed, filed + len(step))
            file(index, numbers, [[key, key + 10] for key in step], filed)
            for number, key in zip(numbers, step, strict=True):
                latest[key] = latest[key + 10] = ref(number)
            filed += len(step)
    assert all(index.find(key) == found for key, found in latest.items())


IDS = st.tuples(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1))


@given(st.lists(IDS, max_size=5))
def test_keys_of_many_spans_are_those_of_each(ids: list[tuple[int, int]]) -> None:
    traces = [f"{trace:032x}" for trace, _ in ids]
    spans = [f"{span:016x}" for _, span in ids]
    of_spans, of_traces = keys_of(traces, spans)
    assert of_spans.tolist() == [span_key(*both) for both in zip(traces, spans, strict=True)]
    assert of_traces.tolist() == [trace_key(trace) for trace in traces]
