"""What is counted later holds what it would hold had each batch been counted as it came."""

from __future__ import annotations

from random import Random
from unittest.mock import patch

import numpy as np
import pytest

from tests.detect.stand import Stand, arm
from tests.incidents.test_offers import closed
from tripswitch.genai.census import Census
from tripswitch.incidents import contrast, exemplars, worst
from tripswitch.incidents.contrast import Contrast
from tripswitch.incidents.exemplars import Exemplars
from tripswitch.incidents.offers import Judged, offers_of
from tripswitch.model.calls import Calls, Score, ToolExecution
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores
from tripswitch.model.snapshot import Snapshot
from tripswitch.model.waiting import Waiting

# A third arm drives out one of the others, and is rare.
LEAVES = [arm(f"v{number}", request_model="m") for number in [1] * 40 + [2] * 40 + [3]]
LEAVES += [arm("v1", request_model="n")] * 20
# Seconds later: soon, in the next five minutes, or when what was is forgotten.
LATER_S = [1, 1, 1, 10, 10, 300, 1200]

# Leaf, minutes before now, refusal and its kind, tenant, tools and whether they failed, score,
# tokens, and whether the call failed.
Row = tuple[
    Scope,
    int,
    bool | None,
    str | None,
    str | None,
    list[tuple[str, bool]],
    float | None,
    float,
    bool,
]


def row_of(rng: Random) -> Row:
    """Return a call: all that a `Row` says."""
    return (
        rng.choice(LEAVES),
        rng.choice([0, 0, 4, 12]),
        rng.choice([None, False, True]),
        rng.choice(["legitimate", "illegitimate", "unknown"]),
        rng.choice(["t", "u", "v", None]),
        [(rng.choice("ab"), rng.random() < 0.5) for _ in range(rng.choice([0, 0, 1, 2]))],
        rng.choice([0.25, 0.5, 1.0, None]),
        rng.choice([float("nan"), 5.0, 7.0, 9.0]),
        rng.random() < 0.3,
    )


def judged(stand: Stand, number: int, rows: list[Row]) -> Judged:
    """Return what a stand makes of calls."""
    count = len(rows)
    ends = [stand.now_ns - row[1] * NS_PER_MINUTE for row in rows]
    ids = [f"{number}.{place}" for place in range(count)]
    scopes = [row[0] for row in rows]
    calls = Calls(
        trace_id=ids,
        end=np.array(ends, dtype=np.int64),
        route=[scope.route for scope in scopes],
        prompt_name=[scope.prompt_name for scope in scopes],
        prompt_version=[scope.prompt_version for scope in scopes],
        cohort=[scope.cohort for scope in scopes],
        tenant=[row[4] for row in rows],
        session=[None] * count,
        provider=[scope.provider for scope in scopes],
        request_model=[scope.request_model for scope in scopes],
        refusal=[row[2] for row in rows],
        refusal_kind=[row[3] if row[2] else None for row in rows],
        error_class=["unknown" if row[8] else None for row in rows],
        tools=[[ToolExecution(name, failed, 0.5) for name, failed in row[5]] for row in rows],
        dialect=["d"] * count,
        is_chat=[True] * count,
        request_index=np.zeros(count, dtype=np.int64),
    )
    scores = [
        Score(trace_id, "", row[0], row[4], "r", row[6], end)
        for trace_id, row, end in zip(ids, rows, ends, strict=True)
        if row[6] is not None
    ]
    requests = closed(
        *[
            (trace_id, row[0], row[8], 1.0, row[7], end)
            for trace_id, row, end in zip(ids, rows, ends, strict=True)
        ]
    )
    columns = Scores.of(scores)
    counted = stand.intake.add(
        stand.config, np.array([stand.now_ns]), calls=calls, scores=columns, requests=requests
    )
    return Judged(calls, columns, requests, counted)


class Takers:
    """Whatever lets batches wait."""

    def __init__(self) -> None:
        self.exemplars, self.contrast, self.census = Exemplars(), Contrast(), Census()

    def take(self, batch: Judged, *, at_once: bool) -> None:
        """Take a batch, its offers as it came or when it is asked for."""
        if at_once:
            self.exemplars.take_offers(offers_of([batch]))
        else:
            self.exemplars.take(batch)
        self.contrast.take(batch.calls)
        self.census.add_calls(batch.calls)

    def held(self) -> object:
        """Return everything, with the order that it is held in."""
        snapshot = Snapshot(0)
        self.exemplars.save(snapshot, ())
        self.contrast.save(snapshot)
        census = self.census.as_json()
        return snapshot.facts, snapshot.scopes, census, [*map(list, census["values"].values())]


@pytest.mark.parametrize("seed", range(6))
def test_batches_that_waited_count_as_if_each_was_counted_as_it_came(seed: int) -> None:
    rng, stand, late, at_once = Random(seed), Stand(), Takers(), Takers()
    with (
        patch.multiple(exemplars, _MOST_ARMS=2, _FEW=8),
        patch.multiple(worst, _MOST_TENANTS=2, _WORST=2),
        patch.multiple(contrast, _MOST_ARMS=2, _KEPT=2),
    ):
        for number in range(120):
            stand.now_ns += rng.choice(LATER_S) * NS_PER_S
            stand.scopes.rings.advance(stand.now_ns)
            rows = [row_of(rng) for _ in range(rng.choice([0, 1, 2, 3, 9]))]
            batch = judged(stand, number, rows)
            late.take(batch, at_once=False)
            at_once.take(batch, at_once=True)
            at_once.held()
            if rng.random() < 0.1:
                assert late.held() == at_once.held()
        assert late.held() == at_once.held()


def test_what_waits_is_counted_when_it_is_too_much_or_asked_for() -> None:
    counted: list[list[str]] = []
    waiting: Waiting[str] = Waiting(200, counted.append)
    waiting.count()
    assert counted == []
    waiting.put("a", 60)
    waiting.put("b", 60)
    assert counted == []
    waiting.put("c", 1)
    assert counted == [["a", "b", "c"]]
    waiting.put("d", 9)
    waiting.count()
    waiting.count()
    assert counted[1:] == [["d"]]
    # Small batches have their price too.
    for _ in range(20):
        waiting.put("e", 1)
    assert len(counted) > 2
