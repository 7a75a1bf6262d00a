"""Offers: what is bad of what was judged, and nothing else."""

from __future__ import annotations

import numpy as np

from tests.detect.stand import START_NS, Stand, arm
from tripswitch.detect.signals import SLOW
from tripswitch.detect.yardsticks import Yardstick
from tripswitch.incidents.offers import Judged, Offers, offers_of
from tripswitch.model.calls import Calls, Score
from tripswitch.model.clocktext import NS_PER_HOUR
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores

LEAF = arm("v1", "canary", request_model="m", provider="p")
OTHER = LEAF._replace(request_model="n")
NOBODY = Scope("/nobody")


def calls_of(*rows: tuple[str, Scope, bool | None, bool, int]) -> Calls:
    """Return calls by trace id, scope, refusal, whether it is a chat, and end."""
    return Calls(
        trace_id=[row[0] for row in rows],
        end=np.array([row[4] for row in rows], dtype=np.int64),
        route=[row[1].route for row in rows],
        prompt_name=[row[1].prompt_name for row in rows],
        prompt_version=[row[1].prompt_version for row in rows],
        cohort=[row[1].cohort for row in rows],
        tenant=["acme" for _ in rows],
        session=["s" for _ in rows],
        provider=[row[1].provider for row in rows],
        request_model=[row[1].request_model for row in rows],
        refusal=[row[2] for row in rows],
        error_type=[None for _ in rows],
        error_class=[None for _ in rows],
        is_chat=[row[3] for row in rows],
        request_index=np.zeros(len(rows), dtype=np.int64),
    )


def closed(*rows: tuple[str, Scope, bool, float, float, int]) -> Requests:
    """Return requests by trace id, scope, error, latency, tokens, and end."""
    return Requests(
        trace_id=[row[0] for row in rows],
        scope=[row[1] for row in rows],
        tenant=[None for _ in rows],
        end=np.array([row[5] for row in rows], dtype=np.int64),
        latency=np.array([row[3] for row in rows]),
        tokens=np.array([row[4] for row in rows]),
        cost_usd=np.full(len(rows), np.nan),
        error=[row[2] for row in rows],
        success=[not row[2] for row in rows],
        request_index=np.zeros(len(rows), dtype=np.int64),
    )


def offered(
    stand: Stand,
    *,
    calls: Calls | None = None,
    scores: list[Score] | None = None,
    requests: Requests | None = None,
) -> list[tuple[Scope, str, str, float]]:
    """Return arm, signal, trace id and badness of everything that is offered."""
    calls, columns, requests = calls or Calls(), Scores.of(scores or []), requests or Requests()
    counted = stand.intake.add(
        stand.config, np.array([stand.now_ns]), calls=calls, scores=columns, requests=requests
    )
    return [
        (each.arms[each.arm[index]], each.signals[each.signal[index]], *_shown(each, index))
        for each in offers_of([Judged(calls, columns, requests, counted)])
        for index in range(len(each))
    ]


def _shown(offers: Offers, index: int) -> tuple[str, float]:
    exemplar = offers.exemplar(index)
    return exemplar.trace_id, exemplar.badness


def test_refusals_of_chat_calls_are_offered_by_arm() -> None:
    calls = calls_of(
        ("a", LEAF, True, True, START_NS),
        ("b", LEAF, False, True, START_NS),
        ("c", NOBODY, None, True, START_NS),
        ("d", OTHER, True, True, START_NS),
        ("e", LEAF, True, False, START_NS),
    )
    assert offered(Stand(), calls=calls) == [
        (LEAF.arm(), "refusal_rate", "a", 1.0),
        (LEAF.arm(), "refusal_rate", "d", 1.0),
    ]


def test_scores_below_the_best_are_offered_by_rubric() -> None:
    scores = [
        Score("a", "", LEAF, None, "r", 0.25, START_NS, 0),
        Score("b", "", LEAF, None, "r", 1.0, START_NS, 0),
        Score("c", "", LEAF, None, "q", 0.5, START_NS, 0),
    ]
    assert offered(Stand(), scores=scores) == [
        (LEAF.arm(), "eval_score:r", "a", 0.75),
        (LEAF.arm(), "eval_score:q", "c", 0.5),
    ]


def test_requests_are_offered_for_errors_slowness_and_tokens() -> None:
    stand = Stand()
    requests = closed(
        ("a", LEAF, True, 9.0, np.nan, START_NS),
        ("b", LEAF, False, 4.5, 100.0, START_NS),
        ("c", LEAF, False, 4.0, 0.0, START_NS),
    )
    # Nobody knows yet what is slow.
    assert offered(stand, requests=requests) == [
        (LEAF.arm(), "error_rate", "a", 1.0),
        (LEAF.arm(), "tokens_per_success", "b", 100.0),
    ]
    stand.comparisons.families[LEAF.family()].yardsticks[SLOW] = Yardstick(2.0, 4.0)
    assert offered(stand, requests=requests) == [
        (LEAF.arm(), "error_rate", "a", 1.0),
        (LEAF.arm(), "p99_latency", "a", 9.0),
        (LEAF.arm(), "p99_latency", "b", 4.5),
        (LEAF.arm(), "tokens_per_success", "b", 100.0),
    ]


def test_what_is_not_judged_is_not_offered() -> None:
    far = START_NS + NS_PER_HOUR
    assert not offered(
        Stand(),
        calls=calls_of(("a", LEAF, True, True, far)),
        scores=[Score("a", "", LEAF, None, "r", 0.0, far, 0)],
        requests=closed(("a", LEAF, True, 9.0, 100.0, far)),
    )


def test_rubrics_that_an_arm_has_no_room_for_are_not_offered() -> None:
    stand = Stand()
    scores = [Score("a", "", LEAF, None, f"r{number}", 0.5, START_NS, 0) for number in range(40)]
    signals = [signal for _, signal, _, _ in offered(stand, scores=scores)]
    assert signals == [f"eval_score:r{number}" for number in range(32)]
