"""What each row is compared with, and that evidence never outlives its comparison."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.detect.stand import CANARY, CONTROL, Behaviour, Stand, Traffic, arm, pages
from tripswitch.detect.families import Candidates, control_of, serving_version, version_before
from tripswitch.detect.families import Traffic as Calls
from tripswitch.detect.roster import NONE
from tripswitch.detect.signals import (
    SLOW,
    TOKENS,
    TOKENS_OF_SUCCESS,
    TOKENS_RAW,
    Kind,
    eval_measure,
)
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding
from tripswitch.windows.rings import STRATA

BAD = Behaviour(score=0.75)
FULL = Behaviour(latency_s=0.8)
NAMES = ("control", "stable", "baseline", "incumbent", "production")


def control_scope(stand: Stand, scope: Scope) -> Scope | None:
    """Return which scope is chosen as the control of ``scope`` now."""
    family = stand.comparisons.families[scope.family()]
    candidates = Candidates(family, Calls(stand.scopes))
    found = control_of(candidates, stand.scopes.records[scope], NAMES)
    return None if found is None else found.scope


# --- which control --------------------------------------------------------------------------------


def test_named_cohorts_are_taken_in_order() -> None:
    stand = Stand()
    cohorts = ("production", "stable", "canary")
    stand.run(2, [Traffic(arm("v1", cohort), 60) for cohort in cohorts])
    assert control_scope(stand, arm("v1", "canary")) == arm(None, "stable")
    stand.run(1, [Traffic(arm("v1", "control"), 60)])
    assert control_scope(stand, arm("v1", "canary")) == arm(None, "control")


def test_a_named_cohort_that_serves_no_more_is_passed_over() -> None:
    stand = Stand()
    others = [Traffic(arm("v1", "stable"), 60), Traffic(arm("v2", "canary"), 60)]
    stand.run(2, [Traffic(arm("v1", "control"), 60), *others])
    stand.run(6, others)
    assert control_scope(stand, arm("v2", "canary")) == arm(None, "stable")


@pytest.mark.parametrize("cohort", ["Control", "CONTROL", "control"])
def test_names_of_cohorts_are_read_in_any_case(cohort: str) -> None:
    stand = Stand()
    stand.run(2, [Traffic(arm("v1", cohort), 60), Traffic(arm("v2", "canary"), 60)])
    assert control_scope(stand, arm("v2", "canary")) == arm(None, cohort)
    assert control_scope(stand, arm("v1", cohort)) is None


def test_without_a_name_the_older_arm_beside_is_the_control() -> None:
    stand = Stand()
    stand.run(20, [Traffic(arm("v1"), 60)])
    stand.run(5, [Traffic(arm("v1"), 60), Traffic(arm("v2"), 30)])
    assert control_scope(stand, arm("v2")) == arm("v1")
    assert control_scope(stand, arm("v1")) is None


def test_an_arm_that_nothing_older_serves_beside_has_no_control() -> None:
    stand = Stand()
    stand.run(20, [Traffic(arm("v1"), 60)])
    stand.run(8, [Traffic(arm("v2"), 60)])
    assert control_scope(stand, arm("v2")) is None
    family = stand.comparisons.families[arm("v2").family()]
    before = version_before(family, stand.scopes.records[arm("v2")])
    assert before is not None
    assert before.scope == arm("v1")


def test_an_older_arm_with_hardly_any_traffic_is_no_control() -> None:
    stand = Stand()
    stand.run(20, [Traffic(arm("v1"), 60)])
    stand.run(10, [Traffic(arm("v1"), 6), Traffic(arm("v2"), 300)])
    assert control_scope(stand, arm("v2")) is None


def test_a_narrow_scope_is_compared_with_its_own_model_and_provider() -> None:
    stand = Stand()
    models = [("a", "openai"), ("b", "openai"), ("b", "azure")]
    narrow = [
        Traffic(arm(version, cohort, request_model=model, provider=provider), 60)
        for version, cohort in (("v1", "control"), ("v2", "canary"))
        for model, provider in models
    ]
    stand.run(3, narrow)
    for model, provider in models:
        scope = arm("v2", "canary", request_model=model, provider=provider)
        wanted = arm(None, "control", request_model=model, provider=provider)
        assert control_scope(stand, scope) == wanted
    unnamed = Stand()
    unnamed.run(5, [Traffic(arm("v1", request_model="b", provider="azure"), 60)])
    unnamed.run(5, [Traffic(arm("v2", request_model="b", provider="openai"), 60)])
    assert control_scope(unnamed, arm("v2", request_model="b", provider="openai")) is None


def test_the_serving_version_is_the_one_with_the_most_calls() -> None:
    stand = Stand()
    stand.run(3, [Traffic(arm("v1", "control"), 60), Traffic(arm("v2", "control"), 30)])
    family = stand.comparisons.families[arm("v1").family()]
    assert serving_version(family, stand.scopes, arm(None, "control")) == "v1"
    assert serving_version(family, stand.scopes, arm(None, "canary")) is None


# --- what comes of a change of comparison ---------------------------------------------------------


def test_the_version_before_is_the_baseline_of_a_whole_rollout() -> None:
    stand = Stand()
    stand.run(30, [Traffic(arm("v1"), 300)])
    found = stand.run(20, [Traffic(arm("v2"), 300, BAD)])
    at, verdict = pages(found)[0]
    assert verdict.comparison is Comparison.PREVIOUS
    assert verdict.reference == arm("v1")
    assert at - 30 >= 5


def test_a_new_control_starts_the_evidence_anew() -> None:
    stand = Stand()
    stable, control = Traffic(arm("v1", "stable"), 300), Traffic(arm("v1", "control"), 300)
    canary = Traffic(arm("v2", "canary"), 300, BAD)
    stand.run(10, [stable, Traffic(arm("v1", "canary"), 300)])
    stand.run(5, [stable, canary])
    assert stand.evidence("page_control", arm("v2", "canary"), Kind.EVAL) > 1
    row = stand.row(arm("v2", "canary"), Kind.EVAL)
    assert stand.roster.references[row] == arm(None, "stable")
    # The control cohort opens, and is as bad: what was proven was against another.
    stand.run(1 / 6, [stable, canary, replace(control, behaviour=BAD)])
    assert stand.roster.references[row] == arm(None, "stable"), "it hardly serves yet"
    stand.run(5 / 6, [stable, canary, replace(control, behaviour=BAD)])
    assert stand.roster.references[row] == arm(None, "control")
    assert stand.evidence("page_control", arm("v2", "canary"), Kind.EVAL) < 0.01
    assert pages(stand.run(10, [stable, canary, replace(control, behaviour=BAD)])) == []


def test_evidence_against_a_control_does_not_pass_to_history() -> None:
    stand = Stand()
    stand.run(30, [Traffic(CONTROL, 300), Traffic(arm("v17", "canary"), 300)])
    stand.run(5, [Traffic(CONTROL, 300), Traffic(CANARY, 300, BAD)])
    stand.run(6, [Traffic(CANARY, 300, BAD)])
    row = stand.row(CANARY, Kind.EVAL)
    assert stand.roster.control[row] == NONE
    assert stand.roster.references[row] is None
    assert stand.evidence("page_control", CANARY, Kind.EVAL) < 0.01


def test_a_control_that_comes_and_goes_spends_its_start_budget_twice_at_most() -> None:
    stand = Stand()
    control, canary = Traffic(CONTROL, 60), Traffic(CANARY, 60)
    stand.run(10, [control, Traffic(arm("v17", "canary"), 60)])
    row = stand.row(arm("v17", "canary"), Kind.EVAL)
    budgets: list[float] = []
    start = stand.roster.detectors["page_control"].start

    def noting(of_row: int, budget: float, now_ns: int) -> None:
        if stand.roster.scopes[of_row] == CANARY and stand.roster.kind[of_row] == Kind.EVAL:
            budgets.append(budget)
        start(of_row, budget, now_ns)

    stand.roster.detectors["page_control"].start = noting  # type: ignore[method-assign,assignment]
    for _ in range(6):
        stand.run(2, [control, canary])
        stand.run(7, [canary])
    assert row != stand.row(CANARY, Kind.EVAL)
    spent = [budget for budget in budgets if budget > 0]
    assert len(spent) >= 5
    assert spent[0] == stand.config.detect.alpha_start
    assert math.fsum(spent) <= 2 * stand.config.detect.alpha_start


def test_a_control_whose_first_successes_come_later_is_read_right() -> None:
    """Its successes had no series yet when it was chosen."""
    stand = Stand()
    broken = replace(FULL, errors=1.0)
    canary = arm("v17", "canary")
    stand.run(10, [Traffic(canary, 200, FULL)])
    stand.run(3, [Traffic(canary, 200, FULL), Traffic(CONTROL, 200, broken)])
    assert stand.comparisons.families[CONTROL.family()].yardsticks
    stand.run(20, [Traffic(canary, 200, FULL), Traffic(CONTROL, 200, FULL)])
    verdict = stand.verdict(canary, Kind.TOKENS)
    assert verdict.comparison is Comparison.CONTROL
    control = stand.scopes.records[CONTROL.population()]
    row = stand.row(canary, Kind.TOKENS)
    assert stand.roster.control_of_success[row] == control.series[TOKENS_OF_SUCCESS]
    assert stand.roster.control_raw[row] == control.series[TOKENS_RAW]
    assert verdict.usual == pytest.approx(verdict.value, rel=0.1)


# --- strata ---------------------------------------------------------------------------------------


def test_an_unpaired_minute_waits_and_is_paired_once() -> None:
    stand = Stand()
    stand.run(20, [Traffic(CONTROL, 60), Traffic(CANARY, 60)])
    row = stand.row(CANARY, Kind.EVAL)
    stand.tick()
    measure = eval_measure("faithfulness")
    stand.put(CANARY, measure, np.full(5, 0.5))
    stand.tick()
    waiting = stand.roster.pending[row, :, :, 0]
    assert waiting[0].sum() == 5
    assert waiting[1].sum() == 0
    for _ in range(18):
        stand.tick()
    # Two minutes after its end it is in the carry; no slot of a later minute holds it.
    waiting = stand.roster.pending[row, :, :, 0]
    assert waiting[0, STRATA] == 5
    assert waiting[:, :STRATA].sum() == 0
    before = stand.evidence("page_control", CANARY, Kind.EVAL)
    stand.put(CONTROL, measure, np.full(5, 0.1), late_minutes=4)
    stand.tick()
    assert stand.roster.pending[row].sum() == 0
    assert stand.evidence("page_control", CANARY, Kind.EVAL) != before


def test_what_arrives_with_the_control_silent_adds_nothing_yet() -> None:
    stand = Stand()
    stand.run(20, [Traffic(CONTROL, 60), Traffic(arm("v17", "canary"), 60)])
    stand.run(1 / 6, [Traffic(CONTROL, 60), Traffic(CANARY, 60)])
    before = stand.evidence("page_control", CANARY, Kind.EVAL)
    stand.run(3, [Traffic(CANARY, 600, BAD)])
    after = stand.evidence("page_control", CANARY, Kind.EVAL)
    assert after == pytest.approx(before, rel=1e-3)


# --- bounds ---------------------------------------------------------------------------------------


def flood(stand: Stand, first: int, count: int, *, own_route: bool) -> None:
    """Let one score of so many new arms arrive."""
    for number in range(first, first + count):
        route = f"/route/{number}" if own_route else "/chat"
        stand.put(arm(f"v{number}", route=route), eval_measure("faithfulness"), np.full(1, 0.1))


@pytest.mark.parametrize("own_route", [False, True])
def test_everything_stays_bounded_under_new_scopes_without_end(own_route: bool) -> None:
    """Attackers choose routes and versions; rows, families and memories follow the bound."""
    bound = 200
    stand = Stand(max_scopes=bound)
    traffic = [Traffic(CONTROL, 30), Traffic(CANARY, 30)]
    stand.run(1, traffic)
    for step in range(60):
        flood(stand, 100 * step, 100, own_route=own_route)
        stand.run(1 / 6, traffic)
        if step % 6 == 0:
            pinned = {scope for scope in stand.roster.references if scope is not None}
            for record in stand.scopes.make_way(pinned):
                stand.comparisons.forget(record.scope)
                stand.intake.forget(record.scope)
    assert len(stand.scopes.records) <= bound + 1
    assert len(stand.comparisons.families) <= bound + 1
    assert len(stand.intake.leaves.known) <= bound
    assert len(stand.roster) <= 10 * bound
    assert len(stand.roster.by_key) == int(stand.roster.used.sum())
    assert CONTROL in stand.scopes.records
    assert CONTROL.population() in stand.scopes.records
    # Every scope that is left is known to its family, and every family has one.
    for family in stand.comparisons.families.values():
        for scope, record in family.arms.items():
            assert stand.scopes.records[scope] is record
    for scope in stand.roster.by_scope:
        assert scope in stand.scopes.records


def test_a_control_that_made_way_leaves_no_row_behind() -> None:
    stand = Stand(max_scopes=20)
    stand.run(3, [Traffic(CONTROL, 60), Traffic(CANARY, 60)])
    row = stand.row(CANARY, Kind.EVAL)
    assert stand.roster.control[row] != NONE
    stand.now_ns += 30 * NS_PER_MINUTE
    stand.scopes.rings.advance(stand.now_ns)
    flood(stand, 0, 15, own_route=True)
    for record in stand.scopes.make_way({CANARY}):
        stand.comparisons.forget(record.scope)
        stand.intake.forget(record.scope)
    assert CONTROL.population() not in stand.scopes.records
    assert stand.roster.control[row] == NONE
    assert stand.roster.references[row] is None
    # Its rows serve another now; nothing of that reaches the canary.
    flood(stand, 50, 5, own_route=True)
    stand.run(1, [Traffic(CANARY, 60)])
    verdict = stand.verdict(CANARY, Kind.EVAL)
    assert verdict.comparison is not Comparison.CONTROL
    assert verdict.finding is Finding.INSUFFICIENT


def test_rows_of_the_roster_are_reused_clean() -> None:
    stand = Stand()
    stand.run(10, [Traffic(CONTROL, 300), Traffic(arm("v17", "canary"), 300)])
    stand.run(5, [Traffic(CONTROL, 300), Traffic(CANARY, 300, BAD)])
    row = stand.row(CANARY, Kind.EVAL)
    stand.comparisons.forget(CANARY)
    assert not stand.roster.used[row]
    other = arm("v1", route="/other")
    stand.put(other, eval_measure("faithfulness"), np.full(3, 0.1))
    rows = stand.roster.by_scope[other]
    for reused in rows:
        assert stand.roster.control[reused] == NONE
        assert stand.roster.pending[reused].sum() == 0
        assert stand.roster.held_half[reused] == 0
        for name in ("page_own", "page_control", "look_own", "look_control"):
            assert stand.roster.detectors[name].evidence(np.array([reused]))[0] == 0


def test_a_yardstick_that_moved_drops_what_was_counted_with_the_old_one() -> None:
    stand = Stand()
    stand.run(8, [Traffic(CONTROL, 60, FULL), Traffic(CANARY, 60, FULL)])
    family = stand.comparisons.families[CONTROL.family()]
    old = family.yardsticks[SLOW]
    stand.requests(
        CONTROL,
        latency=np.full(300, 9.0),
        tokens=np.full(300, 400.0),
        failed=[False] * 300,
        refused=[False] * 300,
    )
    stand.comparisons.refresh(stand.now_ns + NS_PER_MINUTE, stand.config.detect)
    assert family.yardsticks[SLOW].limit > 1.5 * old.limit
    series = stand.scopes.records[CANARY].series
    assert stand.scopes.rings.window(np.array([series[SLOW]]), "24h").sum() == 0
    # What tokens are measured with has not moved, and theirs are kept.
    assert stand.scopes.rings.window(np.array([series[TOKENS]]), "24h").sum() > 0


def test_a_new_normal_must_last_an_hour_however_often_rows_are_added() -> None:
    """New scopes make a refresh of their own at every tick; those are no minutes."""
    stand = Stand()
    stand.run(12, [Traffic(CONTROL, 150, FULL), Traffic(CANARY, 150, FULL)])
    family = stand.comparisons.families[CONTROL.family()]
    usual = family.yardsticks[SLOW].usual
    record = stand.scopes.records[CONTROL.population()]
    stand.scopes.latencies.clear(record.id)
    values = 1.4 * stand.rng.lognormal(0, 0.5, 3_000)
    stand.scopes.latencies.add(np.full(3_000, record.id), values)
    slower = replace(FULL, latency_s=1.4)
    for number in range(20 * 6):
        flood(stand, number, 1, own_route=True)
        stand.run(1 / 6, [Traffic(CONTROL, 300, slower), Traffic(CANARY, 300, slower)])
    assert 18 <= family.moved_minutes[SLOW] <= 20
    assert family.yardsticks[SLOW].usual == usual
