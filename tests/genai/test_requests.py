"""Requests are put together from calls and entry spans, however these are batched."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.genai.spans import CHAT, SECOND_NS, START_NS, SpanOf, request_of, trace_hex
from tripswitch.config.model import Read
from tripswitch.genai.requests import RequestAssembler
from tripswitch.genai.understand import Understanding
from tripswitch.model.requests import Requests

WORKFLOW = {"gen_ai.operation.name": "invoke_workflow"}
HOLD_S = 30.0


class Row(NamedTuple):
    """One closed request, comparable: NaN is None."""

    trace_id: str
    latency: float
    tokens: float | None
    cost_usd: float | None
    calls: int
    error: bool
    error_class: str | None
    refusal: bool
    success: bool
    end_s: float


class Flow:
    """Feeds OTLP requests one after the other; the clock stands unless moved."""

    def __init__(self, hold_s: float = HOLD_S, max_held: int = 100) -> None:
        self.assembler = RequestAssembler(hold_s, max_held)
        self.understanding = Understanding(Read())
        self.now_s = 0.0

    def send(self, *spans: SpanOf) -> list[Row]:
        return rows(self.add([request_of(*spans)], [self.now_s]))

    def add(self, requests: list[bytes], now_s: list[float]) -> Requests:
        observed = self.understanding.observe(requests)
        now = np.array([START_NS + round(s * SECOND_NS) for s in now_s], dtype=np.int64)
        return self.assembler.add(observed.calls, observed.entries, now)

    def expire(self, after_s: float) -> list[Row]:
        return rows(self.assembler.expire(START_NS + round(after_s * SECOND_NS)))


def rows(requests: Requests) -> list[Row]:
    return [
        Row(
            requests.trace_id[row],
            float(requests.latency[row]),
            None if math.isnan(requests.tokens[row]) else float(requests.tokens[row]),
            None if math.isnan(requests.cost_usd[row]) else float(requests.cost_usd[row]),
            int(requests.calls[row]),
            requests.error[row],
            requests.error_class[row],
            requests.refusal[row],
            requests.success[row],
            (int(requests.end[row]) - START_NS) / SECOND_NS,
        )
        for row in range(len(requests))
    ]


def call(span: int = 1, *, trace: int = 1, parent: int = 99, **changes: object) -> SpanOf:
    start_s, end_s, status = 0.0, 1.0, 0
    attributes = dict(CHAT)
    for name, value in changes.items():
        match name, value:
            case "start_s", float():
                start_s = value
            case "end_s", float():
                end_s = value
            case "status", int():
                status = value
            case _:
                attributes[name.replace("__", ".")] = value
    return SpanOf(attributes, span, trace, parent, start_s, end_s, status=status)


def root(trace: int = 1, end_s: float = 4.0, status: int = 0) -> SpanOf:
    return SpanOf({}, 99, trace, 0, 0.0, end_s, kind=1, status=status)


def server(span: int, start_s: float, end_s: float, trace: int = 1) -> SpanOf:
    return SpanOf({}, span, trace, 77, start_s, end_s, kind=2)


def test_lone_call_without_parent_is_a_request_at_once() -> None:
    flow = Flow()
    [request] = flow.send(call(parent=0, end_s=2.0))
    assert request == Row(trace_hex(1), 2.0, 120.0, None, 1, False, None, False, True, 2.0)
    assert flow.assembler.held == 0


def test_calls_wait_for_their_root_and_are_summed() -> None:
    flow = Flow()
    assert flow.send(call(1, gen_ai__usage__cost=0.5)) == []
    assert flow.assembler.held == 1
    assert flow.send(call(2, start_s=1.0, end_s=3.0)) == []
    [request] = flow.send(root(end_s=4.0))
    assert (request.latency, request.tokens, request.cost_usd, request.calls) == (4.0, 240, 0.5, 2)
    assert (request.end_s, flow.assembler.held) == (4.0, 0)


def test_calls_and_root_in_one_export_in_any_order_are_one_request() -> None:
    for spans in ([root(), call(1), call(2)], [call(2), root(), call(1)]):
        [request] = Flow().send(*spans)
        assert request.calls == 2


def test_root_that_comes_before_its_calls_is_held() -> None:
    flow = Flow()
    assert flow.send(root(end_s=4.0)) == []
    assert flow.send(call(1), call(2)) == []
    [request] = flow.expire(31.0)
    assert (request.latency, request.calls) == (4.0, 2)


def test_scope_and_tenant_are_the_last_attempts() -> None:
    flow = Flow()
    flow.send(
        call(1, end_s=3.0, tripswitch__tenant="late", tripswitch__route="/late"),
        call(2, end_s=1.0, tripswitch__tenant="early", tripswitch__route="/early"),
    )
    closed = flow.add([request_of(root())], [0.0])
    assert (closed.tenant, closed.scope[0].route) == (["late"], "/late")


def test_throttled_attempt_with_a_good_retry_is_no_error() -> None:
    throttled = call(1, end_s=1.0, status=2, error__type="429")
    [request] = Flow().send(throttled, call(2, start_s=1.0, end_s=2.0), root())
    assert (request.error, request.error_class, request.success) == (False, None, True)


def test_last_attempt_that_failed_is_an_error_of_its_class() -> None:
    failed = call(2, start_s=1.0, end_s=2.0, status=2, error__type="503")
    [request] = Flow().send(call(1), failed, root())
    assert (request.error, request.error_class, request.success) == (True, "provider", False)


def test_root_that_failed_above_a_good_call_is_an_error() -> None:
    [request] = Flow().send(call(1), root(status=2))
    assert (request.error, request.error_class, request.success) == (True, "unknown", False)


def test_refusal_is_no_error_and_no_success() -> None:
    [request] = Flow().send(call(gen_ai__response__finish_reasons=["refusal"]), root())
    assert (request.error, request.refusal, request.success) == (False, True, False)


def test_unsaid_tokens_are_not_zero() -> None:
    unsaid = call(1, gen_ai__usage__input_tokens="", gen_ai__usage__output_tokens="", parent=0)
    [request] = Flow().send(unsaid)
    assert request.tokens is None


def test_without_root_the_hold_closes_with_the_outermost_genai_entry() -> None:
    flow = Flow()
    outer = SpanOf(WORKFLOW, 50, 1, 77, 0.0, 5.0, kind=1)
    inner = SpanOf(WORKFLOW, 51, 1, 50, 0.0, 2.0, kind=1)
    flow.send(call(1), inner)
    flow.send(outer)
    assert flow.expire(29.9) == []
    [request] = flow.expire(30.0)
    assert (request.latency, request.calls, flow.assembler.expired) == (5.0, 1, 1)


def test_without_any_entry_the_calls_span_the_latency() -> None:
    flow = Flow()
    flow.send(call(1, start_s=0.0, end_s=1.0), call(2, start_s=2.0, end_s=3.5))
    [request] = flow.expire(30.0)
    assert (request.latency, request.end_s) == (3.5, 3.5)


def test_each_call_renews_the_hold() -> None:
    flow = Flow()
    flow.send(call(1))
    flow.now_s = 20.0
    flow.send(call(2))
    assert flow.expire(45.0) == []
    [request] = flow.expire(50.0)
    assert request.calls == 2


def test_trace_whose_hold_ends_first_closes_first() -> None:
    flow = Flow()
    flow.send(call(1, trace=1))
    flow.now_s = 10.0
    flow.send(call(2, trace=2))
    flow.now_s = 20.0
    flow.send(call(3, trace=1))
    assert [request.trace_id for request in flow.expire(40.0)] == [trace_hex(2)]
    assert [request.trace_id for request in flow.expire(50.0)] == [trace_hex(1)]


def test_calls_after_closing_are_counted_and_are_no_request() -> None:
    flow = Flow()
    flow.send(call(1), root())
    assert flow.send(call(2)) == []
    assert (flow.assembler.late_calls, flow.assembler.held) == (1, 0)
    assert flow.expire(100.0) == []


def test_closed_traces_are_forgotten_after_the_hold() -> None:
    flow = Flow()
    flow.send(call(1), root())
    flow.now_s = 31.0
    flow.send(call(2))
    assert (flow.assembler.late_calls, flow.assembler.held) == (0, 1)


def test_gateway_that_serves_one_trace_many_times_makes_a_request_each_time() -> None:
    flow = Flow()
    [first] = flow.send(call(1, start_s=0.1, end_s=0.9), server(10, 0.0, 1.0))
    [second] = flow.send(call(2, start_s=2.1, end_s=2.9), server(20, 2.0, 3.0))
    assert (first.latency, second.latency) == (1.0, 1.0)
    assert flow.assembler.late_calls == 0


def test_server_span_of_a_tool_does_not_close_calls_it_did_not_serve() -> None:
    flow = Flow()
    assert flow.send(call(1, start_s=0.0, end_s=1.0), server(10, 1.5, 1.6)) == []
    [request] = flow.send(call(2, start_s=2.0, end_s=3.0), root(end_s=3.5))
    assert (request.calls, request.latency) == (2, 3.5)


def test_oldest_trace_makes_way_and_is_counted() -> None:
    flow = Flow(max_held=2)
    flow.send(call(1, trace=1))
    flow.send(call(2, trace=2))
    [request] = flow.send(call(3, trace=3))
    assert request.trace_id == trace_hex(1)
    assert (flow.assembler.evicted, flow.assembler.held) == (1, 2)


def test_roots_of_other_traffic_push_out_no_calls_and_stay_bounded() -> None:
    flow = Flow(max_held=2)
    flow.send(call(1, trace=1))
    for trace in range(10, 60):
        flow.send(root(trace))
    assert (flow.assembler.held, flow.assembler.evicted) == (1, 0)
    assert len(flow.assembler._roots) == 2


def test_trace_that_never_ends_is_closed_as_it_stands() -> None:
    flow = Flow()
    closed = flow.send(*(call(span) for span in range(1, 1001)))
    assert [request.calls for request in closed] == [1000]
    flow.send(call(1001))
    assert flow.assembler.late_calls == 1


def test_embeddings_are_no_requests() -> None:
    embedding = call(1, gen_ai__operation__name="embeddings", parent=0)
    flow = Flow()
    assert flow.send(embedding) == []
    assert flow.assembler.held == 0


def test_time_never_runs_backwards() -> None:
    flow = Flow()
    flow.now_s = 100.0
    flow.send(call(1))
    flow.now_s = 0.0
    flow.send(call(2, trace=2))
    assert flow.expire(129.0) == []
    assert len(flow.expire(130.0)) == 2


spans = st.builds(
    lambda kind, span, trace, parent, start_s, length_s, status: SpanOf(
        {"chat": CHAT, "agent": WORKFLOW}.get(kind, {}),
        span,
        trace,
        parent,
        start_s,
        start_s + length_s,
        kind=2 if kind == "server" else 3,
        status=status,
    ),
    st.sampled_from(["chat", "chat", "chat", "agent", "server", "other"]),
    st.integers(1, 40),
    st.integers(1, 4),
    st.sampled_from([0, 1, 2, 77]),
    st.integers(0, 20).map(float),
    st.integers(0, 5).map(float),
    st.sampled_from([0, 0, 2]),
)
histories = st.lists(
    st.tuples(st.lists(spans, max_size=4), st.integers(0, 25)), min_size=1, max_size=8
)


@pytest.mark.parametrize("max_held", [1, 100])
@given(history=histories, cuts=st.sets(st.integers(0, 8)))
def test_batching_changes_nothing_and_no_call_is_lost(
    max_held: int, history: list[tuple[list[SpanOf], int]], cuts: set[int]
) -> None:
    requests = [request_of(*spans) for spans, _ in history]
    times = [float(t) for t in np.cumsum([step for _, step in history])]

    one_by_one = Flow(max_held=max_held)
    expected: list[Row] = []
    for request, time_s in zip(requests, times, strict=True):
        expected += rows(one_by_one.add([request], [time_s]))
    expected += one_by_one.expire(1e6)

    batched = Flow(max_held=max_held)
    found: list[Row] = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(requests)), len(requests)]
    for first, last in itertools.pairwise(edges):
        found += rows(batched.add(requests[first:last], times[first:last]))
    found += batched.expire(1e6)

    assert found == expected
    calls = Understanding(Read()).observe(requests).calls
    assembler = batched.assembler
    assert assembler.held == 0
    assert sum(row.calls for row in found) + assembler.late_calls == len(calls)
