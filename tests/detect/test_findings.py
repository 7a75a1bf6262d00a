"""Findings: the numbers told are the numbers that decided, and the scope named is to blame."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.detect.stand import CANARY, CONTROL, Behaviour, Stand, Traffic, arm, pages
from tripswitch.detect.point_rule import WINDOW_TEXT, WINDOWS
from tripswitch.detect.signals import TOKENS_OF_SUCCESS, TOKENS_RAW, Kind, eval_measure
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding, Verdict
from tripswitch.windows.scopes import Measure

GOOD = Behaviour()
FULL = Behaviour(latency_s=0.8)
FAITHFULNESS = eval_measure("faithfulness")


def until_page(stand: Stand, traffic: list[Traffic], minutes: int = 120) -> Verdict:
    """Let time pass until a page; return it, with the rings as they were when it was decided."""
    for _ in range(6 * minutes):
        found = pages(stand.run(1 / 6, traffic))
        if found:
            return found[0][1]
    raise AssertionError("nothing paged")


def sums(stand: Stand, scope: Scope, measure: Measure, window: str) -> tuple[float, float, float]:
    """Return (n, s, q) of a series over the window a sentence names."""
    row = stand.scopes.records[scope].series[measure]
    name = WINDOWS[WINDOW_TEXT.index(window)]
    n, s, q = stand.scopes.rings.window(np.array([row]), name)[0]
    return float(n), float(s), float(q)


@pytest.mark.parametrize("calls", [12, 40, 600])
@pytest.mark.parametrize("seed", range(2))
def test_the_numbers_of_a_score_are_those_of_its_rings(calls: float, seed: int) -> None:
    stand = Stand(seed=seed)
    stand.run(30, [Traffic(CONTROL, calls, GOOD), Traffic(arm("v17", "canary"), calls, GOOD)])
    bad = replace(GOOD, score=0.78)
    verdict = until_page(stand, [Traffic(CONTROL, calls, GOOD), Traffic(CANARY, calls, bad)])
    assert verdict.signal == "eval_score"
    n, s, q = sums(stand, CANARY, FAITHFULNESS, verdict.window)
    ny, sy, qy = sums(stand, CONTROL.population(), FAITHFULNESS, verdict.window)
    assert (verdict.samples, verdict.usual_samples) == (n, ny)
    assert verdict.value == pytest.approx(1 - s / n)
    assert verdict.usual == pytest.approx(1 - sy / ny)
    assert verdict.estimate == pytest.approx(s / n - sy / ny)
    # And they decide: over the line, surely, in the very window that is told of.
    assert verdict.estimate >= verdict.line
    error = math.sqrt((q / n - (s / n) ** 2) / n + (qy / ny - (sy / ny) ** 2) / ny)
    assert verdict.estimate - 3 * error >= 0.7 * verdict.line - 1e-9
    told = [float(text.replace(",", "")) for text in re.findall(r"[\d,]*\.?\d+", verdict.why)]
    for number in (
        round(100 * verdict.value, 1),
        round(100 * verdict.usual, 1),
        round(100 * verdict.estimate, 1),
        n,
        ny,
    ):
        assert number in told
    assert verdict.window in verdict.why


def test_the_numbers_of_a_rate_are_those_of_its_rings() -> None:
    stand = Stand()
    stand.run(30, [Traffic(CONTROL, 300, GOOD), Traffic(arm("v17", "canary"), 300, GOOD)])
    bad = replace(GOOD, errors=0.12)
    verdict = until_page(stand, [Traffic(CONTROL, 300, GOOD), Traffic(CANARY, 300, bad)])
    assert verdict.signal == "error_rate"
    n, s, _ = sums(stand, CANARY, Measure("error"), verdict.window)
    ny, sy, _ = sums(stand, CONTROL.population(), Measure("error"), verdict.window)
    assert (verdict.samples, verdict.usual_samples) == (n, ny)
    assert verdict.value == pytest.approx(s / n)
    assert verdict.usual == pytest.approx(sy / ny)
    assert f"{100 * s / n:.1f} % failed requests" in verdict.why


def test_the_numbers_of_tokens_are_raw_tokens_by_success() -> None:
    stand = Stand()
    stand.run(30, [Traffic(CONTROL, 200, FULL), Traffic(arm("v17", "canary"), 200, FULL)])
    bad = replace(FULL, tokens=900.0)
    verdict = until_page(stand, [Traffic(CONTROL, 200, FULL), Traffic(CANARY, 200, bad)])
    assert verdict.signal == "tokens_per_success"
    _, tokens, _ = sums(stand, CANARY, TOKENS_RAW, verdict.window)
    successes, _, _ = sums(stand, CANARY, TOKENS_OF_SUCCESS, verdict.window)
    assert verdict.value == pytest.approx(tokens / successes)
    assert f"{tokens / successes:,.0f} tokens a success" in verdict.why


def test_a_quiet_row_tells_what_it_sees_and_what_it_misses() -> None:
    stand = Stand()
    stand.run(1, [Traffic(arm("v1"), 6)])
    verdict = stand.verdict(arm("v1"), Kind.EVAL)
    assert (verdict.finding, verdict.comparison) == (Finding.INSUFFICIENT, None)
    assert "nothing to be compared with" in verdict.why
    stand.run(1, [Traffic(CONTROL, 60), Traffic(CANARY, 6)])
    waiting = stand.verdict(CANARY, Kind.EVAL)
    assert waiting.finding is Finding.INSUFFICIENT
    assert "50 are needed" in waiting.why
    stand.run(20, [Traffic(CONTROL, 60), Traffic(CANARY, 60)])
    assert stand.verdict(CANARY, Kind.EVAL).finding is Finding.HEALTHY


def test_verdicts_come_in_an_order_of_their_own() -> None:
    stand = Stand()
    arms = [("/a", "v17"), ("/b", "v17")]
    good = [
        Traffic(arm(version, cohort, route=route), 200)
        for route, version in arms
        for cohort in ("canary", "control")
    ]
    stand.run(30, good)
    bad = Behaviour(score=0.7, refusals=0.4)
    mixed = [Traffic(arm("v18", "canary", route=route), 200, bad) for route in ("/b", "/a")] + [
        item for item in good if item.scope.cohort == "control"
    ]
    found = [verdict for _, verdict in stand.run(10, mixed)]
    assert {verdict.scope.route for verdict in found} == {"/a", "/b"}
    last = found[-4:]
    assert [verdict.scope.route for verdict in last] == ["/a", "/a", "/b", "/b"]


def test_a_drop_of_every_arm_is_nobodys() -> None:
    """Two versions that have always served side by side go bad together: the family is named."""
    stand = Stand()
    arms = [arm("v1", "blue"), arm("v2", "green")]
    stand.run(90, [Traffic(scope, 200) for scope in arms])
    bad = replace(GOOD, score=0.65)
    verdict = until_page(stand, [Traffic(scope, 200, bad) for scope in arms], minutes=40)
    assert verdict.is_common
    assert verdict.scope == arms[0].family()
    assert "in every arm at once" in verdict.why


def test_an_arm_that_serves_no_more_does_not_answer_for_the_others() -> None:
    """v0 was well yesterday, and still shows in the window of a day."""
    stand = Stand()
    stand.run(30, [Traffic(arm("v0", "old"), 200)])
    arms = [arm("v1", "blue"), arm("v2", "green")]
    stand.run(90, [Traffic(scope, 200) for scope in arms])
    bad = replace(GOOD, score=0.65)
    verdict = until_page(stand, [Traffic(scope, 200, bad) for scope in arms], minutes=40)
    assert verdict.is_common


def test_a_single_arm_with_two_models_is_not_every_arm() -> None:
    stand = Stand()
    leaves = [arm("v1", request_model=model, provider="openai") for model in ("a", "b")]
    stand.run(90, [Traffic(scope, 200) for scope in leaves])
    bad = replace(GOOD, score=0.55)
    traffic = [Traffic(leaves[0], 200), Traffic(leaves[1], 200, bad)]
    found = pages(stand.run(30, traffic))
    assert found
    assert not any(verdict.is_common for _, verdict in found)
    assert leaves[1] in {verdict.scope for _, verdict in found}


def test_the_onset_is_when_it_began() -> None:
    stand = Stand()
    stand.run(90, [Traffic(arm("v1"), 300)])
    began_ns = stand.now_ns
    verdict = until_page(stand, [Traffic(arm("v1"), 300, replace(GOOD, score=0.6))])
    assert verdict.comparison is Comparison.HISTORY
    assert abs(verdict.onset_ns - began_ns) <= 60e9


def test_of_an_arm_and_its_models_the_smallest_with_quiet_siblings_is_told_of() -> None:
    def by_model(version: str | None, cohort: str, bad: dict[str, Behaviour]) -> list[Traffic]:
        return [
            Traffic(arm(version, cohort, request_model=model, provider="p"), 300, behaviour)
            for model, behaviour in ({"m": GOOD, "n": GOOD} | bad).items()
        ]

    for bad, told in (({"m": 0.4}, {"m"}), ({"m": 0.4, "n": 0.4}, {None})):
        behaviours = {model: replace(GOOD, errors=errors) for model, errors in bad.items()}
        stand = Stand()
        control = by_model("v17", "control", {})
        stand.run(30, [*control, *by_model("v17", "canary", {})])
        # The arm has more calls, so it may be the first for a tick.
        stand.run(5, [*control, *by_model("v18", "canary", behaviours)])
        found = stand.run(1, [*control, *by_model("v18", "canary", behaviours)])
        assert {verdict.scope.request_model for _, verdict in pages(found)} == told
