"""Whatever the rule: the cohort leaves the bad variant, nobody else's outcome changes.

Rules and people are made up; what a rule gives is what flagd's own evaluator says.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from tripswitch.actions.rollback.flag_rules import Whom, outcomes, put_back

COHORTS = ("canary", "beta", None)
VARIANTS = ("v16", "v17", "v18")
CANARY = Whom("cohort", "canary")

conditions = st.one_of(
    st.sampled_from([True, False]),
    st.sampled_from(["canary", "beta"]).map(lambda name: {"==": [{"var": "cohort"}, name]}),
    st.lists(st.sampled_from(["canary", "beta", "x"]), min_size=1, max_size=2, unique=True).map(
        lambda names: {"in": [{"var": "cohort"}, names]}
    ),
    st.sampled_from(["a", "b"]).map(lambda end: {"ends_with": [{"var": "email"}, end]}),
)
shares = st.lists(
    st.tuples(st.sampled_from(VARIANTS), st.integers(1, 9)).map(list), min_size=2, max_size=3
)
leaves = st.one_of(
    st.none(), st.sampled_from(VARIANTS), shares.map(lambda each: {"fractional": each})
)


def branching(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pairs = st.lists(st.tuples(conditions, inner), min_size=1, max_size=3)
    ends = st.one_of(st.just([]), inner.map(lambda last: [last]))
    return st.tuples(pairs, ends).map(
        lambda each: {"if": [part for pair in each[0] for part in pair] + each[1]}
    )


rules = branching(st.recursive(leaves, branching, max_leaves=6))


def given_to(rule: Any, default: str, cohort: str | None, user: str) -> str:
    """Return the variant that flagd gives."""
    flag = {"state": "ENABLED", "variants": {name: name for name in VARIANTS}}
    core = FlagdCore()
    document = {"flags": {"f": flag | {"defaultVariant": default, "targeting": rule}}}
    core.set_flags(json.dumps(document))
    about = {"email": user} | ({} if cohort is None else {"cohort": cohort})
    return str(core.resolve_string_value("f", "", EvaluationContext(user, about)).variant)


@settings(max_examples=60, deadline=None)
@given(rule=rules, default=st.sampled_from(VARIANTS), user=st.sampled_from(["1a", "2b", "3c"]))
def test_the_cohort_leaves_the_bad_variant_and_nobody_else_moves(
    rule: Any, default: str, user: str
) -> None:
    before = {cohort: given_to(rule, default, cohort, user) for cohort in COHORTS}
    # What is seen in a rule holds what flagd gives by it.
    seen = {default if each is None else each for each in outcomes(rule, CANARY)}
    assert before["canary"] in seen
    bad: frozenset[str | None] = frozenset({"v18"} | ({None} if default == "v18" else set()))
    after = put_back(rule, CANARY, bad, "v17")
    for cohort in COHORTS:
        now = given_to(after, default, cohort, user)
        wanted = before[cohort]
        if cohort == "canary":
            assert now != "v18"
            wanted = "v17" if wanted == "v18" else wanted
        assert now == wanted
    assert put_back(rule, Whom("cohort", None), frozenset(), "v17") == rule
