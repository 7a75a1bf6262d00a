"""The mix of questions is the same however many calls are counted at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.incidents.mix import MixLog
from tripswitch.model.calls import Calls
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot

SPAN_NS = 600 * 10**9

# Version, model, tenant, tokens and span of ten minutes of a call.
CALL = st.tuples(
    st.integers(0, 2),
    st.sampled_from(["m", "n", None]),
    st.sampled_from(["t", "u", None]),
    st.sampled_from([1.0, 900.0, float("nan")]),
    st.integers(100, 103),
)


def calls_of(rows: list[tuple[int, str | None, str | None, float, int]]) -> Calls:
    """Return a batch of calls."""
    versions, models, tenants, tokens, spans = map(list, zip(*rows, strict=True))
    count = len(rows)
    return Calls(
        trace_id=["1"] * count,
        route=["/r"] * count,
        prompt_name=[f"p{version}" for version in versions],
        prompt_version=["1"] * count,
        cohort=[None] * count,
        provider=[None] * count,
        request_model=models,
        tenant=tenants,
        input_tokens=np.array(tokens),
        end=np.array(spans, dtype=np.int64) * SPAN_NS,
    )


def kept(log: MixLog) -> dict[tuple[Scope, int], object]:
    """Return what is kept of each population and span."""
    snapshot = Snapshot(0)
    log.save(snapshot)
    return {
        (snapshot.scopes[number], span): counts
        for number, spans in snapshot.facts["mix"]
        for span, counts in spans
    }


@given(st.lists(st.lists(CALL, min_size=1, max_size=20), max_size=5))
def test_batches_counted_together_are_counted_as_each(
    batches: list[list[tuple[int, str | None, str | None, float, int]]],
) -> None:
    together, each = MixLog(), MixLog()
    for rows in batches:
        together.take(calls_of(rows))
        each.take(calls_of(rows))
        kept(each)
    assert kept(together) == kept(each)
    counts = [values for values in kept(together).values() if isinstance(values, list)]
    assert sum(sum(values[0]) for values in counts) == sum(map(len, batches))


def test_the_mix_is_asked_for_right_after_it_changed() -> None:
    log = MixLog()
    log.take(calls_of([(0, "m", "t", 1.0, 100)] * 400))
    log.take(calls_of([(0, "n", "t", 1.0, 102)] * 400))
    population = Scope("/r", "p0")
    assert log.shift(population, 101 * SPAN_NS).startswith("models differ by ")
