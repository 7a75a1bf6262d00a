"""Roll-ups: what no scope has traffic enough to show is shown by all of them together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.detect.stand import Behaviour, Stand, Traffic, arm, pages
from tripswitch.config.detect_sections import Detect
from tripswitch.detect.rollups import Rollup
from tripswitch.detect.signals import CALLS, ERROR, Kind, eval_measure
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.model.verdict import Comparison, Verdict

GOOD = Behaviour()
FAILING = replace(GOOD, errors=0.6)
MODEL = Scope(provider="openai", request_model="gpt-4o-mini")
# Of 1.5 calls a minute a page of errors takes 30 requests, and so 20 minutes.
THIN = 1.5
WARM_MINUTES = 45.0


def routes(count: int) -> list[Scope]:
    return [
        Scope(f"/{number}", "bot", "v1", None, MODEL.request_model, MODEL.provider)
        for number in range(count)
    ]


def served(
    scopes: list[Scope],
    hit: Callable[[Scope], bool],
    bad: Behaviour = FAILING,
    calls: float = THIN,
) -> Callable[[float], list[Traffic]]:
    """Return a plan of thin traffic in which the scopes that are hit go bad after the warm-up."""

    def plan(minute: float) -> list[Traffic]:
        is_bad = minute >= WARM_MINUTES
        return [Traffic(one, calls, bad if is_bad and hit(one) else GOOD) for one in scopes]

    return plan


def first_page(stand: Stand, found: list[tuple[float, Verdict]]) -> tuple[float, Verdict]:
    minute, verdict = pages(found)[0]
    return minute - WARM_MINUTES, verdict


def test_a_model_that_fails_on_thin_routes_is_named_before_any_of_them_could_be() -> None:
    stand = Stand(Detect(tick=10.0))
    found = stand.run(WARM_MINUTES + 9, served(routes(10), lambda _: True))
    minute, verdict = first_page(stand, found)
    assert minute < 8
    assert (verdict.scope, verdict.signal, verdict.is_common) == (MODEL, "error_rate", True)
    assert verdict.upstream == MODEL
    assert "over 10 routes and arms together" in verdict.why
    assert {one.scope for _, one in pages(found)} == {MODEL}


def test_one_route_that_fails_alone_is_not_blamed_on_its_model() -> None:
    stand = Stand()
    plan = served(routes(5), lambda scope: scope.route == "/0", FAILING, calls=9.0)
    found = stand.run(WARM_MINUTES + 20, plan)
    assert stand.evidence("page_own", MODEL, Kind.ERROR) >= 1
    assert pages(found)
    assert {verdict.scope.route for _, verdict in found} == {"/0"}


def test_traffic_that_moves_between_unlike_cohorts_is_no_change() -> None:
    """Each cohort is as ever, and the mean of them all falls by 16 points (Simpson)."""
    stand = Stand()
    easy = [arm("v1", f"easy-{number}") for number in range(3)]
    hard = [arm("v1", f"hard-{number}") for number in range(3)]

    def plan(minute: float) -> list[Traffic]:
        share = 0.1 if minute < WARM_MINUTES else 0.9
        return [
            *(Traffic(one, 12 * (1 - share), replace(GOOD, score=0.92)) for one in easy),
            *(Traffic(one, 12 * share, replace(GOOD, score=0.72)) for one in hard),
        ]

    found = stand.run(WARM_MINUTES + 25, plan)
    rollup = stand.comparisons.rollups.of(Scope("/chat", "bot", "v1"))
    assert rollup is not None
    assert stand.evidence("page_own", rollup.record.scope, Kind.EVAL) >= 1
    assert not found


def test_a_version_over_thin_cohorts_is_compared_with_the_version_before() -> None:
    stand = Stand()
    cohorts = [f"region-{number}" for number in range(6)]

    def plan(minute: float) -> list[Traffic]:
        is_new = minute >= WARM_MINUTES
        version, behaviour = ("v18", replace(GOOD, refusals=0.5)) if is_new else ("v17", GOOD)
        return [Traffic(arm(version, cohort), THIN, behaviour) for cohort in cohorts]

    found = stand.run(WARM_MINUTES + 22, plan)
    minute, verdict = first_page(stand, found)
    assert minute < 20
    assert verdict.scope == Scope("/chat", "bot", "v18")
    assert verdict.comparison is Comparison.PREVIOUS
    assert verdict.reference == Scope("/chat", "bot", "v17")
    assert not verdict.is_common


def test_a_rollup_holds_what_its_members_hold_together() -> None:
    stand = Stand()
    scopes = routes(4)
    stand.run(20, [Traffic(one, 6.0) for one in scopes])
    rings = stand.scopes.rings
    whole = stand.scopes.records[MODEL]
    before = {measure: rings.hour[row].sum() for measure, row in whole.series.items()}
    of_members = {
        measure: sum(rings.hour[stand.scopes.records[one].series[measure]].sum() for one in scopes)
        for measure in before
    }
    stand.run(20, [Traffic(one, 6.0) for one in scopes])
    assert set(before) >= {CALLS, ERROR, eval_measure("faithfulness")}
    for measure, row in whole.series.items():
        members = sum(rings.hour[stand.scopes.records[one].series[measure]].sum() for one in scopes)
        assert (
            abs((rings.hour[row].sum() - before[measure]) - (members - of_members[measure])) < 1e-6
        )


def test_one_arm_with_most_of_the_traffic_needs_no_rollup() -> None:
    stand = Stand()
    large, small = routes(2)
    stand.run(10, [Traffic(large, 20.0), Traffic(small, 3.0)])
    assert not stand.comparisons.rollups.known


def test_rollups_are_known_again_from_a_snapshot() -> None:
    stand = Stand()
    stand.run(10, [Traffic(one, 6.0) for one in routes(4)])
    rollups = stand.comparisons.rollups
    snapshot = Snapshot(stand.now_ns)
    rollups.save(snapshot)
    before = {scope: one.members for scope, one in rollups.known.items()}
    pipes = (rollups._from.tolist(), rollups._to.tolist())
    rollups.known = {}
    rollups.restore(snapshot, {one.id: one for one in stand.scopes.records.values()})
    assert {scope: one.members for scope, one in rollups.known.items()} == before
    assert all(isinstance(one, Rollup) for one in rollups.known.values())
    assert (rollups._from.tolist(), rollups._to.tolist()) == pipes
