"""Columns: scopes each once, parts of batches, scores and requests put together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.model.calls import Score
from tripswitch.model.scope import Scope, ScopeColumn
from tripswitch.model.scores import Scores

fields = st.sampled_from([None, "", "a", "b"])
scopes = st.lists(st.builds(Scope, fields, fields, fields, fields, fields, fields), max_size=20)


@given(scopes)
def test_a_scope_column_says_the_scope_of_every_row_and_each_once(some: list[Scope]) -> None:
    column = ScopeColumn.of(some)
    assert [column.distinct[code] for code in column.codes] == some
    assert column.distinct == list(dict.fromkeys(some))
    assert all(type(scope) is Scope for scope in column.distinct)


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


@given(st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=5))
def test_joined_scopes_are_those_of_all_rows(columns: list[list[int]]) -> None:
    scopes = [[Scope(f"/{number}") for number in numbers] for numbers in columns]
    joined = ScopeColumn.joined(ScopeColumn.of(rows) for rows in scopes)
    alike = ScopeColumn.of([scope for rows in scopes for scope in rows])
    assert joined.distinct == alike.distinct
    assert joined.codes.tolist() == alike.codes.tolist()
