"""Putting traces together: whatever the order and the time, each call once, with what is its."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.genai.reading import read_all
from tests.genai.spans import CHAT, START_NS, EventOf, SpanOf, request_of, span_hex, trace_hex
from tests.otlp.test_log_reader import log_request
from tripswitch.config.model import Config
from tripswitch.config.read_section import Read
from tripswitch.genai.traces import TraceBook
from tripswitch.genai.understand import Understanding
from tripswitch.model.settled import Settled
from tripswitch.otlp.delivery import Signal

SECOND_NS = 10**9


class Flow:
    """A book that is fed as time goes by; times in seconds from the start."""

    def __init__(self, **read: Any) -> None:
        config = Config(read=Read(**read))
        self.understanding = Understanding(config.read)
        self.book = TraceBook(config)

    def spans(self, at_s: float, *spans: SpanOf) -> None:
        self._add(at_s, Signal.TRACES, request_of(*spans))

    def logs(self, at_s: float, *records: dict[str, Any]) -> None:
        self._add(at_s, Signal.LOGS, log_request(*records))

    def settle(self, at_s: float) -> Settled:
        return self.book.settle(START_NS + round(at_s * SECOND_NS))

    def count(self, name: str) -> int:
        return self.book.counters()[name]

    def _add(self, at_s: float, signal: Signal, body: bytes) -> None:
        sighted = self.understanding.read([(signal, body)])
        self.book.add(sighted.items, START_NS + round(at_s * SECOND_NS))


ROOT = SpanOf({"http.route": "/chat"}, span=1, parent=0, kind=2, end_s=3.0)
CALL = SpanOf({**CHAT, "gen_ai.response.id": "r1"}, span=2, parent=1, start_s=0.5, end_s=2.5)


def score(name: str, value: float, **where: Any) -> dict[str, Any]:
    attributes = {
        "gen_ai.evaluation.name": name,
        "gen_ai.evaluation.score.value": value,
        **where.pop("attributes", {}),
    }
    return {"event": "gen_ai.evaluation.result", "attributes": attributes, **where}


# --- when a trace is settled ----------------------------------------------------------------------


def test_trace_settles_once_its_root_has_lingered() -> None:
    flow = Flow()
    flow.spans(0, CALL)
    assert len(flow.settle(10).calls) == 0
    flow.spans(11, ROOT)
    assert len(flow.settle(15).calls) == 0
    settled = flow.settle(16)
    assert (len(settled.calls), len(settled.requests)) == (1, 1)
    assert settled.calls.route == ["/chat"]


def test_trace_without_a_root_settles_when_nothing_came_for_the_hold() -> None:
    flow = Flow()
    flow.spans(0, CALL)
    flow.spans(20, SpanOf(CHAT, span=3, parent=1))
    assert len(flow.settle(49.9).calls) == 0
    settled = flow.settle(50)
    assert (len(settled.calls), len(settled.requests)) == (2, 1)
    assert settled.calls.route == [None, None]
    assert (flow.count("expired"), flow.book.held) == (1, 0)


def test_call_that_comes_after_its_request_was_handed_on_inherits_and_is_counted_late() -> None:
    flow = Flow()
    flow.spans(0, ROOT, CALL)
    assert len(flow.settle(5).calls) == 1
    flow.spans(20, SpanOf(CHAT, span=3, parent=1))
    settled = flow.settle(25)
    assert settled.calls.route == ["/chat"]
    assert (len(settled.requests), flow.count("late_calls")) == (0, 1)


def test_call_under_a_server_span_does_not_wait_for_the_traces_root() -> None:
    flow = Flow()
    flow.spans(0, SpanOf({"http.route": "/chat"}, span=1, parent=99, kind=2), CALL)
    assert len(flow.settle(5).calls) == 1


def test_call_whose_parents_are_missing_waits_though_another_request_of_its_trace_is_done() -> None:
    flow = Flow()
    flow.spans(0, SpanOf({}, span=1, parent=99, kind=2), CALL, SpanOf(CHAT, span=4, parent=50))
    assert flow.settle(5).calls.span_id == [span_hex(2)]
    flow.spans(6, SpanOf({"http.route": "/b"}, span=50, parent=99, kind=2))
    settled = flow.settle(11)
    assert (settled.calls.span_id, settled.calls.route) == ([span_hex(4)], ["/b"])


def test_ordinary_traces_are_dropped_as_soon_as_their_root_was_seen() -> None:
    flow = Flow()
    flow.spans(0, SpanOf({}, span=1, parent=0), SpanOf({}, span=2, parent=1))
    flow.settle(5)
    assert flow.book.held == 0


def test_too_many_traces_cost_the_oldest_which_is_settled_as_it_stands() -> None:
    flow = Flow(max_held_traces=100)
    for number in range(1, 102):
        flow.spans(0, SpanOf(CHAT, trace=number))
    assert flow.settle(0).calls.trace_id == [trace_hex(1)]
    assert (flow.count("evicted"), flow.book.held) == (1, 100)


def test_one_trace_of_endless_spans_is_bounded() -> None:
    flow = Flow()
    for first in range(0, 10_000, 500):
        flow.spans(0, *(SpanOf(CHAT, span=1 + first + n, parent=20_000) for n in range(500)))
    assert flow.book._spans <= 4096
    assert len(flow.settle(100).calls) == 10_000


def test_parents_in_a_circle_end_somewhere() -> None:
    flow = Flow()
    flow.spans(0, SpanOf(CHAT, span=2, parent=3), SpanOf({}, span=3, parent=2))
    assert len(flow.settle(100).calls) == 1


# --- what a call inherits -------------------------------------------------------------------------


def test_facts_on_ancestors_and_the_resource_hold_for_the_call() -> None:
    found = read_all(
        [
            request_of(CALL),
            request_of(
                SpanOf(
                    {
                        "tripswitch.prompt.version": "18",
                        "cohort": "canary",
                        "session.id": "s",
                        "user.id": "u",
                        "tenant.id": "acme",
                        "http.route": "/chat",
                    },
                    span=1,
                    parent=0,
                ),
            ),
        ]
    ).calls.as_json(0)
    assert (found["prompt_version"], found["cohort"], found["tenant"], found["route"]) == (
        "18",
        "canary",
        "acme",
        "/chat",
    )
    assert found["session"] == "s"
    assert found["user"] not in (None, "u")


def test_outer_route_wins_over_a_gateways_own_path() -> None:
    found = read_all(
        [
            request_of(
                SpanOf({"http.route": "/app"}, span=1, parent=0, kind=2),
                SpanOf({"http.route": "/v1/chat/completions"}, span=2, parent=1, kind=2),
                SpanOf(CHAT, span=3, parent=2),
            )
        ]
    )
    assert found.calls.route == ["/app"]


def test_nested_call_with_a_prompt_of_its_own_keeps_it() -> None:
    found = read_all(
        [
            request_of(
                SpanOf(
                    {"gen_ai.operation.name": "invoke_agent", "gen_ai.prompt.name": "outer"},
                    span=1,
                    parent=0,
                ),
                SpanOf({**CHAT, "langfuse.observation.prompt.name": "inner"}, span=2, parent=1),
            )
        ]
    )
    assert found.calls.prompt_name == ["inner"]


@pytest.mark.parametrize(
    ("flags", "wanted", "cohort"),
    [
        ({"rollout": "canary"}, [], "canary"),
        ({"rollout": "canary", "colour": "red"}, [], None),
        ({"rollout": "canary", "colour": "red"}, ["colour"], "red"),
        ({"rollout": "canary"}, ["other"], None),
    ],
)
@pytest.mark.parametrize("carrier", ["span", "log"])
def test_feature_flags_give_the_cohort(
    flags: dict[str, str], wanted: list[str], cohort: str | None, carrier: str
) -> None:
    events = [
        EventOf(
            "feature_flag.evaluation",
            {"feature_flag.key": key, "feature_flag.result.variant": variant},
        )
        for key, variant in flags.items()
    ]
    on_span = events if carrier == "span" else []
    logs = [
        log_request({"event": event.name, "attributes": event.attributes, "trace": 1, "span": 1})
        for event in (events if carrier == "log" else [])
    ]
    root = SpanOf({}, span=1, parent=0, kind=2, events=on_span)
    found = read_all([request_of(root, CALL)], Read(cohort_flags=wanted), logs=logs)
    assert found.calls.cohort == [cohort]


# --- one call is counted once ---------------------------------------------------------------------


def test_agent_that_repeats_the_usage_of_its_calls_is_no_call() -> None:
    agent = SpanOf({**CHAT, "gen_ai.operation.name": "invoke_agent"}, span=1, parent=0)
    found = read_all([request_of(agent, CALL)])
    assert found.calls.span_id == [span_hex(2)]


def test_gateway_behind_an_sdk_is_the_call_and_knows_what_the_sdk_knew() -> None:
    sdk = SpanOf({**CHAT, "gen_ai.response.finish_reasons": ["stop"]}, span=1, parent=0)
    server = SpanOf({}, span=2, parent=1, kind=2)
    gateway = SpanOf({**CHAT, "gen_ai.usage.cost": 0.5}, span=3, parent=2)
    found = read_all([request_of(sdk, server, gateway)])
    assert found.calls.span_id == [span_hex(3)]
    assert (found.calls.cost_usd[0], found.calls.finish_reasons) == (0.5, [["stop"]])
    assert found.counts["double_counted"] == 1


def test_gateways_retries_behind_one_sdk_span_are_a_call_each() -> None:
    sdk = SpanOf(CHAT, span=1, parent=0)
    server = SpanOf({}, span=2, parent=1, kind=2)
    first = SpanOf({**CHAT, "error.type": "429"}, span=3, parent=2, status=2)
    second = SpanOf(CHAT, span=4, parent=2, start_s=1.0, end_s=2.0)
    found = read_all([request_of(sdk, server, first, second)])
    assert sorted(found.calls.span_id) == [span_hex(3), span_hex(4)]
    assert found.requests.error == [False]


def test_two_spans_of_one_answer_in_different_traces_are_one_call() -> None:
    flow = Flow()
    flow.spans(0, SpanOf({**CHAT, "gen_ai.response.id": "x"}, trace=1, parent=0))
    flow.spans(0, SpanOf({**CHAT, "gen_ai.response.id": "x"}, trace=2, parent=0))
    assert len(flow.settle(100).calls) == 1
    assert flow.count("double_counted") == 1


@pytest.mark.parametrize(("start_s", "calls"), [(0.5, 1), (60.0, 2)])
def test_answer_that_a_cache_repeats_under_its_id_is_another_call(
    start_s: float, calls: int
) -> None:
    answer = {**CHAT, "gen_ai.response.id": "x"}
    first = SpanOf(answer, trace=1, parent=0, start_s=0.0, end_s=2.0)
    second = SpanOf(answer, trace=2, parent=0, start_s=start_s, end_s=start_s + 1.0)
    found = read_all([request_of(first, second, scope_name="one.writer")])
    assert len(found.calls) == calls
    assert found.counts["double_counted"] == 2 - calls


def test_inner_call_that_comes_after_the_outer_was_counted_is_not_counted_again() -> None:
    flow = Flow()
    flow.spans(0, SpanOf(CHAT, span=1, parent=0))
    assert len(flow.settle(5).calls) == 1
    flow.spans(8, SpanOf({}, span=2, parent=1, kind=2), SpanOf(CHAT, span=3, parent=2))
    assert len(flow.settle(20).calls) == 0


def test_calls_of_a_judge_are_no_user_traffic() -> None:
    judge = SpanOf({"openinference.span.kind": "EVALUATOR"}, span=2, parent=1)
    found = read_all([request_of(ROOT, judge, SpanOf(CHAT, span=3, parent=2))])
    assert len(found.calls) == 0
    assert found.counts["model_judge_calls"] == 1


def test_tools_belong_to_the_call_that_asked_for_them() -> None:
    def tool(span: int, at_s: float, **more: Any) -> SpanOf:
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": f"t{span}"}
        return SpanOf(attributes, span=span, parent=1, start_s=at_s, end_s=at_s + 0.25, **more)

    first = SpanOf(CHAT, span=2, parent=1, start_s=0, end_s=1)
    second = SpanOf(CHAT, span=3, parent=1, start_s=2, end_s=3)
    found = read_all([request_of(ROOT, first, tool(5, 1.5), second, tool(6, 3.5, status=2))])
    tools = [[(t.name, t.error, t.latency) for t in tools] for tools in found.calls.tools]
    assert tools == [[("t5", False, 0.25)], [("t6", True, 0.25)]]


@pytest.mark.parametrize(
    ("inner", "failed"), [([2], True), ([2, 0], False), ([0, 2], True), ([0], False), ([], False)]
)
def test_run_of_a_tool_that_two_saw_fails_as_its_last_attempt(
    inner: list[int], *, failed: bool
) -> None:
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    call = SpanOf(CHAT, span=2, parent=1, start_s=0, end_s=1)
    outer = SpanOf(attributes, span=5, parent=1, start_s=1.5, end_s=3)
    runs = [
        SpanOf(
            attributes, span=6 + n, parent=5, start_s=1.5 + n / 4, end_s=1.7 + n / 4, status=said
        )
        for n, said in enumerate(inner)
    ]
    found = read_all([request_of(ROOT, call, outer, *runs)])
    assert [(tool.name, tool.error) for tool in found.calls.tools[0]] == [("search", failed)]


# --- whose evaluation it is -----------------------------------------------------------------------


def test_score_of_an_ancestor_stands_on_the_requests_last_call() -> None:
    last = SpanOf(CHAT, span=3, parent=1, start_s=2.6, end_s=2.9)
    logs = [log_request(score("groundedness", 0.9, trace=1, span=1))]
    found = read_all([request_of(ROOT, CALL, last)], logs=logs)
    assert [[e.name for e in evals] for evals in found.calls.evals] == [[], ["groundedness"]]


def test_score_sent_as_event_and_as_log_record_counts_once() -> None:
    event = EventOf(
        "gen_ai.evaluation.result",
        {"gen_ai.evaluation.name": "g", "gen_ai.evaluation.score.value": 0.5},
    )
    call = SpanOf(CHAT, span=2, parent=0, events=[event])
    found = read_all([request_of(call)], logs=[log_request(score("g", 0.5, trace=1, span=2))])
    assert len(found.scores) == 1


@pytest.mark.parametrize(
    "target", [{"trace": 1, "span": 2}, {"attributes": {"gen_ai.response.id": "r1"}}]
)
def test_score_may_come_before_its_call(target: dict[str, Any]) -> None:
    flow = Flow()
    flow.logs(0, score("g", 0.5, **target))
    flow.spans(3, ROOT, CALL)
    assert [s.rubric for s in flow.settle(8).scores] == ["g"]


@pytest.mark.parametrize("late_s", [20, 60, 29 * 60])
@pytest.mark.parametrize(
    "target",
    [
        {"trace": 1, "span": 2},
        {"trace": 1, "span": 1},
        {"trace": 1, "span": 77},
        {"attributes": {"gen_ai.response.id": "r1"}},
    ],
)
def test_late_score_lands_in_its_calls_scope(late_s: float, target: dict[str, Any]) -> None:
    flow = Flow()
    flow.spans(0, SpanOf({**ROOT.attributes, "cohort": "canary"}, span=1, parent=0), CALL)
    scope = flow.settle(5).calls.scope(0)
    for at_s in range(10, int(late_s), 10):
        assert flow.settle(at_s).scores == []
    flow.logs(late_s, score("g", 0.25, **target))
    # One whose trace is held, but whose span is not, is settled with the trace.
    found = [*flow.settle(late_s).scores, *flow.settle(late_s + 40).scores]
    assert [(s.scope, s.rubric, s.score, s.end) for s in found] == [
        (scope, "g", 0.25, START_NS + round(2.5 * SECOND_NS))
    ]
    assert flow.count("unjoined_scores") == 0


def test_score_of_a_call_that_is_forgotten_is_counted_and_given_to_nobody() -> None:
    flow = Flow(late_scores=60.0)
    flow.spans(0, ROOT, CALL)
    flow.settle(5)
    flow.settle(200)
    flow.logs(
        201,
        score("g", 0.5, trace=1, span=2),
        score("g", 0.5, attributes={"gen_ai.response.id": "r1"}),
    )
    assert flow.settle(300).scores == []
    assert flow.count("unjoined_scores") == 2


def test_late_score_that_comes_twice_counts_once() -> None:
    flow = Flow()
    flow.spans(0, ROOT, CALL)
    flow.settle(5)
    flow.settle(100)
    for at_s in (101, 102):
        flow.logs(at_s, score("g", 0.5, trace=1, span=2))
    assert len(flow.settle(110).scores) == 1
    assert flow.count("repeated_scores") == 1


def test_linked_evaluator_in_a_trace_of_its_own_finds_its_call() -> None:
    message_of = request_of(
        SpanOf(
            {
                "openinference.span.kind": "EVALUATOR",
                "evaluations.0.evaluation.name": "g",
                "evaluations.0.evaluation.score": 0.75,
            },
            trace=9,
            span=9,
            parent=0,
        )
    )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest.FromString(message_of)
    link = message.resource_spans[0].scope_spans[0].spans[0].links.add()
    link.trace_id, link.span_id = bytes.fromhex(trace_hex(1)), bytes.fromhex(span_hex(2))
    for order in itertools.permutations([message.SerializeToString(), request_of(ROOT, CALL)]):
        found = read_all(list(order))
        assert [[e.score for e in evals] for evals in found.calls.evals] == [[0.75]]


def test_evaluator_with_a_list_of_scores_for_an_output_gives_them_all() -> None:
    # As Phoenix' evals write them.
    output = (
        '[{"name": "helpfulness", "score": 1.0, "label": "good", "kind": "llm"},'
        ' {"name": "brevity", "score": 0.75, "kind": "code", "direction": "maximize"},'
        ' {"score": 0.5}, {"name": "none"}, 3]'
    )
    attributes = {"openinference.span.kind": "EVALUATOR", "output.value": output}
    judged = SpanOf(attributes, name="helpfulness.evaluate", span=9, parent=1)
    found = read_all([request_of(ROOT, CALL, judged)])
    assert [(e["name"], e["raw"], e["source"]) for e in found.calls.as_json(0)["evals"]] == [
        ("helpfulness", 1.0, "llm"),
        ("brevity", 0.75, "code"),
    ]


# --- order ----------------------------------------------------------------------------------------

SPANS = [
    ROOT,
    SpanOf({"gen_ai.operation.name": "invoke_agent", "cohort": "canary"}, span=10, parent=1),
    SpanOf({**CHAT, "gen_ai.response.id": "a"}, span=11, parent=10, start_s=0.1, end_s=0.5),
    SpanOf(
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"},
        span=12,
        parent=10,
        start_s=0.6,
        end_s=0.7,
    ),
    SpanOf({**CHAT, "gen_ai.response.id": "b"}, span=13, parent=10, start_s=0.8, end_s=0.9),
    SpanOf(CHAT, span=14, parent=13, start_s=0.81, end_s=0.89),
    SpanOf(
        {"gen_ai.guardrail.name": "pii", "gen_ai.guardrail.status": "FAILED"}, span=15, parent=1
    ),
]


@settings(deadline=None)
@given(st.permutations(SPANS), st.data())
def test_order_batches_and_repeats_change_nothing(spans: list[SpanOf], data: st.DataObject) -> None:
    wanted = [read_all([request_of(*SPANS)]).calls.as_json(row) for row in range(2)]
    repeated = [*spans, *data.draw(st.lists(st.sampled_from(spans), max_size=4))]
    found = read_all([request_of(span) for span in repeated]).calls
    assert [found.as_json(row) for row in range(len(found))] == wanted
