"""Columns: scopes each once, parts of batches, scores and requests put together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.model.calls import Calls, Entry, Observed, Score
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope, ScopeColumn
from tripswitch.model.scores import Scores

fields = st.sampled_from([None, "", "a", "b"])
scopes = st.lists(st.builds(Scope, fields, fields, fields, fields, fields, fields), max_size=20)


def calls_of(some: list[Scope], request_index: list[int]) -> Calls:
    """Return calls of which only the scopes and a name differ."""
    size = len(some)
    text: list[str | None] = [None] * size
    zero = np.zeros(size)
    return Calls(
        trace_id=[f"t{row}" for row in range(size)],
        span_id=[f"s{row}" for row in range(size)],
        parent_span_id=text,
        response_id=text,
        start=np.arange(size),
        end=np.arange(size),
        ttft=zero,
        route=[scope.route for scope in some],
        prompt_name=[scope.prompt_name for scope in some],
        prompt_version=[scope.prompt_version for scope in some],
        prompt_label=text,
        cohort=[scope.cohort for scope in some],
        tenant=text,
        session=text,
        user=text,
        provider=[scope.provider for scope in some],
        request_model=[scope.request_model for scope in some],
        response_model=text,
        input_tokens=zero,
        output_tokens=zero,
        cached_tokens=zero,
        reasoning_tokens=zero,
        cost_usd=zero,
        cost_source=["unknown"] * size,
        streaming=[False] * size,
        finish_reasons=[[] for _ in some],
        refusal=[None] * size,
        refusal_source=text,
        refusal_kind=text,
        guardrails=[[] for _ in some],
        evals=[[] for _ in some],
        error_type=text,
        error_class=[None] * size,
        tools=[[] for _ in some],
        dialect=["semconv"] * size,
        is_chat=[True] * size,
        request_index=np.array(request_index, dtype=np.int64),
    )


@given(scopes)
def test_a_scope_column_says_the_scope_of_every_row_and_each_once(some: list[Scope]) -> None:
    column = ScopeColumn.of(some)
    assert [column.distinct[code] for code in column.codes] == some
    assert column.distinct == list(dict.fromkeys(some))
    assert all(type(scope) is Scope for scope in column.distinct)


@given(scopes, st.data())
def test_calls_keep_their_scopes_in_parts_and_selections(
    some: list[Scope], data: st.DataObject
) -> None:
    calls = calls_of(some, [0] * len(some))
    first = data.draw(st.integers(0, len(some)))
    last = data.draw(st.integers(first, len(some)))
    part = calls.part(first, last)
    column = part.by_scope()
    assert [column.distinct[code] for code in column.codes] == some[first:last]
    assert part.trace_id == calls.trace_id[first:last]
    assert [part.scope(row) for row in range(len(part))] == some[first:last]
    rows = data.draw(st.permutations(range(len(some))))
    taken = calls.take(rows)
    column = taken.by_scope()
    assert [column.distinct[code] for code in column.codes] == [some[row] for row in rows]


@given(st.lists(st.integers(0, 6), max_size=12).map(sorted))
def test_a_reading_falls_into_parts_by_request(indices: list[int]) -> None:
    scope = Scope("/a")
    observed = Observed(
        calls_of([scope] * len(indices), indices),
        [Entry(f"e{at}", "", None, 0, 0, True, False, at) for at in indices],
        [Score("", f"s{at}", scope, None, "r", 0.5, 0, at) for at in indices],
        spans=9,
        unreadable=2,
        rejected={"ttft": 1},
    )
    parts = [observed.part(0, 2), observed.part(2, 3), observed.part(3, 7)]
    for part, wanted in zip(parts, ((0, 1), (2,), (3, 4, 5, 6)), strict=True):
        kept = [at for at in indices if at in wanted]
        assert part.calls.request_index.tolist() == kept
        assert [entry.request_index for entry in part.entries] == kept
        assert [score.request_index for score in part.scores] == kept
    # What is only counted is counted once.
    assert [part.spans for part in parts] == [9, 0, 0]
    assert [part.unreadable for part in parts] == [2, 0, 0]
    assert [part.rejected for part in parts] == [{"ttft": 1}, {}, {}]


def test_a_part_may_be_changed_without_the_whole() -> None:
    observed = Observed(calls_of([Scope("/a")] * 3, [1, 1, 1]))
    part = observed.part(1, 2)
    part.calls.request_index = np.zeros(3, dtype=np.int64)
    assert observed.calls.request_index.tolist() == [1, 1, 1]


def test_scores_become_columns_in_their_order() -> None:
    scores = [
        Score("t1", "s1", Scope("/a"), "acme", "r", 0.25, 7, 0),
        Score("t2", "s2", Scope("/b"), None, "q", 0.75, 9, 1),
    ]
    columns = Scores.of(scores)
    assert len(columns) == 2
    assert list(columns.trace_id) == ["t1", "t2"]
    assert list(columns.tenant) == ["acme", None]
    assert list(columns.rubric) == ["r", "q"]
    assert columns.score.tolist() == [0.25, 0.75]
    assert columns.end.tolist() == [7, 9]
    assert columns.request_index.tolist() == [0, 1]
    assert [columns.scopes.distinct[code] for code in columns.scopes.codes] == [
        Scope("/a"),
        Scope("/b"),
    ]
    assert len(Scores.of([])) == 0


def test_requests_are_joined_column_by_column() -> None:
    def closed(name: str, index: int) -> Requests:
        return Requests(
            trace_id=[name],
            scope=[Scope(name)],
            tenant=[None],
            end=np.array([index]),
            latency=np.array([0.5]),
            tokens=np.array([1.0]),
            cost_usd=np.array([np.nan]),
            calls=np.array([1]),
            error=[False],
            error_class=[None],
            refusal=[False],
            success=[True],
            request_index=np.array([index]),
        )

    joined = Requests.joined([closed("a", 0), Requests(), closed("b", 2)])
    assert joined.trace_id == ["a", "b"]
    assert joined.end.tolist() == joined.request_index.tolist() == [0, 2]
    assert joined.by_scope().distinct == [Scope("a"), Scope("b")]
