"""What must stay silent at the judge: scores that come late, and outcomes that come in batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.detect.stand import CANARY, CONTROL, TICKS_A_MINUTE, Behaviour, Stand, Traffic, arm
from tripswitch.detect.signals import CALLS, REFUSAL, eval_measure
from tripswitch.model.calls import Score

GOOD = Behaviour()
FAITHFULNESS = eval_measure("faithfulness")


@pytest.mark.parametrize("seed", range(3))
def test_scores_that_come_late_after_a_judge_was_down(seed: int) -> None:
    """Ten minutes without a score, then all of them at once, the control's before the canary's."""
    stand = Stand(seed=seed)
    both = [Traffic(CONTROL, 60, GOOD), Traffic(CANARY, 60, GOOD)]
    found = stand.run(30, both)
    for _ in range(10 * TICKS_A_MINUTE):
        for scope in (CONTROL, CANARY):
            stand.put(scope, CALLS, np.ones(10))
        found += [(0.0, verdict) for verdict in stand.tick()]
    for scope in (CONTROL, CANARY):
        for late_minutes in range(10, 0, -1):
            values = stand._badness(60, GOOD)
            stand.put(scope, FAITHFULNESS, values, late_minutes=late_minutes)
        found += [(0.0, verdict) for verdict in stand.tick()]
    found += stand.run(20, both)
    assert not found


@pytest.mark.parametrize("seed", range(3))
def test_six_requests_of_a_session_that_share_one_outcome(seed: int) -> None:
    stand = Stand(seed=seed)
    found = []
    for _ in range(90 * TICKS_A_MINUTE):
        for scope in (CONTROL, CANARY, arm("v1", None, route="/alone")):
            sessions = int(stand.rng.poisson(1.5))
            refused = np.repeat(stand.rng.random(sessions) < 0.04, 6).astype(np.float64)
            stand.put(scope, CALLS, np.ones(6 * sessions))
            stand.put(scope, REFUSAL, refused)
            stand.put(scope, FAITHFULNESS, np.repeat(stand._badness(sessions, GOOD), 6))
        found += stand.tick()
    assert not found


def test_the_same_drop_that_is_real_is_told_of() -> None:
    """So that the two above are silent for a reason."""
    stand = Stand()
    stand.run(30, [Traffic(CONTROL, 60, GOOD), Traffic(CANARY, 60, GOOD)])
    bad = replace(GOOD, score=0.75, refusals=0.25)
    assert stand.run(15, [Traffic(CONTROL, 60, GOOD), Traffic(CANARY, 60, bad)])


@pytest.mark.parametrize("hits", [1, 2, 3, 5])
def test_leaks_page_by_hits_on_several_traces(hits: int) -> None:
    """A hit a minute among sixty judged calls a minute; never with fewer than three."""
    for traces, may_page in ((hits, hits >= 3), (1, False)):
        stand = Stand()
        found = []
        for minute in range(30):
            for number in range(60):
                is_hit = number == 0 and 10 <= minute < 10 + hits
                name = f"hit{minute % traces}" if is_hit else f"{minute}-{number}"
                stand.take(
                    scores=[
                        Score(
                            name,
                            "",
                            CANARY,
                            None,
                            "",
                            float(not is_hit),
                            stand.now_ns,
                            0,
                            "pii_leak",
                        )
                    ]
                )
                if number % 10 == 9:
                    found += stand.tick()
        paged = [verdict for verdict in found if verdict.signal == "pii_leak"]
        assert not paged or may_page
        assert bool(paged) or not (may_page and hits >= 5)
