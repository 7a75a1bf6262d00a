"""The numbers in a sentence are the numbers that decided: each is computed again from the rings.

Nothing of the point rule is used for that: slots are added one by one, by the layout that
`windows.rings` documents, and every number is then looked for in the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.detect.stand import Behaviour, Stand, Traffic, arm
from tripswitch.config.detect_sections import (
    BadMinutes,
    Detect,
    ErrorRate,
    EvalScore,
    P99Latency,
    RefusalRate,
    TokensPerSuccess,
)
from tripswitch.detect.signals import TOKENS_OF_SUCCESS, TOKENS_RAW, Kind
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding, Verdict

KEEN = Detect(
    eval_score=EvalScore(min_scores=20),
    refusal_rate=RefusalRate(min_calls=20, min_refusals=2),
    error_rate=ErrorRate(min_requests=20, min_errors=2),
    p99_latency=P99Latency(min_requests=20, min_slow=2),
    tokens_per_success=TokensPerSuccess(min_requests=20),
    bad_minutes=BadMinutes(**dict.fromkeys(BadMinutes.model_fields, 2)),
    min_baseline=40,
    alert_window="2m",
)
NUMBER = r"(-?[\d,]+(?:\.\d+)?(?:e[+-]\d+)?)"
WINDOWS = {
    "15 min": ("minute", 15, 1, 15),
    "1 h": ("quarter", 24, 15, 4),
    "6 h": ("quarter", 24, 15, 24),
    "24 h": ("hour", 24, 60, 24),
}


@dataclass(frozen=True)
class Stream:
    """One small stream: what is compared with, how bad it gets, how much of it there is."""

    comparison: Comparison | None
    bad: Behaviour
    calls_a_minute: float = 30.0
    seed: int = 1

    def plan(self, minute: float) -> list[Traffic]:
        good = Behaviour(latency_s=0.8)
        is_bad = minute >= 20
        behaviour = self.bad if is_bad else good
        if self.comparison is Comparison.CONTROL:
            version = "v18" if is_bad else "v17"
            return [
                Traffic(arm("v17", "control"), self.calls_a_minute, good),
                Traffic(arm(version, "canary"), self.calls_a_minute, behaviour),
            ]
        if self.comparison is Comparison.PREVIOUS:
            return [Traffic(arm("v18" if is_bad else "v17"), self.calls_a_minute, behaviour)]
        return [Traffic(arm("v17"), self.calls_a_minute, behaviour)]


class Watched(Stand):
    """A stand that writes down, when a version before is taken, what its ring held."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(KEEN, seed=stream.seed)
        self.before: dict[int, tuple[float, float]] = {}
        self.stream = stream

    def play(self, minutes: float) -> None:
        for _ in range(round(minutes * 6)):
            for traffic in self.stream.plan(self.minute):
                self.send(traffic)
            self.tick()
            for row in self.roster.rows().tolist():
                if self.roster.previous_samples[row] > 0 and row not in self.before:
                    self.before[row] = self._history_of_previous(row)

    def _history_of_previous(self, row: int) -> tuple[float, float]:
        scope = self.roster.previous_scopes[row]
        assert scope is not None
        series = self.scopes.records[scope].series
        n, s = self._history(series[self.roster.measure(row)])
        if self.roster.kind[row] == Kind.TOKENS:
            return n, self._history(series[TOKENS_RAW])[1] / self._history(
                series[TOKENS_OF_SUCCESS]
            )[0]
        return n, s / n

    def _history(self, series: int) -> tuple[float, float]:
        rings = self.scopes.rings
        n, s = (float(value) for value in rings.moments[series, :2])
        for slot in range(15):
            n, s = n + rings.minute[series, slot, 0], s + rings.minute[series, slot, 1]
        return n, s

    def sums(self, series: int, window: str) -> tuple[float, float]:
        """Return count and sum of a series over a window, slot by slot."""
        name, slots, minutes, count = WINDOWS[window]
        ring, now = getattr(self.scopes.rings, name), self.scopes.rings.now_minute // minutes
        n = s = 0.0
        for back in range(count):
            n += ring[series, (now - back) % slots, 0]
            s += ring[series, (now - back) % slots, 1]
        return n, s

    def value(self, scope: Scope, row: int, window: str) -> tuple[float, float]:
        """Return the samples and the mean y of a row's measure in a scope, tokens by success."""
        series = self.scopes.records[scope].series
        if self.roster.kind[row] == Kind.TOKENS:
            n, tokens = self.sums(series[TOKENS_RAW], window)
            successes, _ = self.sums(series[TOKENS_OF_SUCCESS], window)
            return n, tokens / successes if successes else 0.0
        n, s = self.sums(series[self.roster.measure(row)], window)
        return n, s / n if n else 0.0

    def usual(self, row: int, verdict: Verdict) -> tuple[float, float]:
        """Return the samples and the mean y of what a row is compared with."""
        if verdict.comparison is Comparison.CONTROL:
            assert verdict.reference is not None
            return self.value(verdict.reference, row, verdict.window)
        if verdict.comparison is Comparison.PREVIOUS:
            return self.before[row]
        scope = self.roster.scopes[row]
        assert scope is not None
        rings, series = self.scopes.rings, self.scopes.records[scope].series
        of_measure = series[self.roster.measure(row)]
        # Within the hours of these streams the hour-of-day table is not settled yet.
        assert rings.hours_of(of_measure)[:, 0].sum() < 5 * KEEN.min_baseline
        n, s = (float(value) for value in rings.moments[of_measure, :2])
        if self.roster.kind[row] == Kind.TOKENS:
            raw, successes = series[TOKENS_RAW], series[TOKENS_OF_SUCCESS]
            return n, float(rings.moments[raw, 1] / rings.moments[successes, 0])
        return n, s / n

    def check(self) -> set[tuple[str, str, str]]:
        """Check every sentence there is now; return which kinds of verdict were among them."""
        assert self.decision is not None
        seen = set()
        for index, row in enumerate(self.rows.tolist()):
            if not self.roster.judged[row]:
                continue
            verdict = self.findings.verdict(self.rows, self.decision, index, self.config.detect)
            self._check(row, verdict)
            comparison = "none" if verdict.comparison is None else verdict.comparison.value
            level = "" if verdict.severity is None else verdict.severity.value
            seen.add((Kind(self.roster.kind[row]).name, comparison, level or verdict.finding.value))
        return seen

    def _check(self, row: int, verdict: Verdict) -> None:
        scope, why = self.roster.scopes[row], verdict.why
        assert scope is not None
        n, y = self.value(scope, row, verdict.window)
        if verdict.comparison is None:
            found = re.search(rf"yet: {NUMBER} samples", why)
            assert found is not None, why
            assert number(found[1]) == n
            return
        usual_n, usual_y = self.usual(row, verdict)
        if verdict.finding is Finding.INSUFFICIENT:
            found = re.search(rf"samples: {NUMBER}, and {NUMBER} of .*, where {NUMBER} are", why)
            assert found is not None, why
            assert [number(text) for text in found.groups()] == [n, int(usual_n), 20]
            return
        self._check_value(row, why, y, usual_y)
        found = re.search(
            rf"; {NUMBER} against {NUMBER} samples over (15 min|1 h|6 h|24 h)"
            rf"(?: \(it began {NUMBER} (?:s|min|h) ago\))?, evidence {NUMBER} \(acts at 1\)$",
            why,
        )
        assert found is not None, why
        assert (number(found[1]), number(found[2])) == (n, int(usual_n))
        assert found[3] == verdict.window
        name = "page" if verdict.severity is None or verdict.severity.value == "page" else "look"
        side = "control" if verdict.comparison is Comparison.CONTROL else "own"
        bets = self.roster.detectors[f"{name}_{side}"].bets[row].tolist()
        assert number(found[5]) == pytest.approx(min(sum(bets) / len(bets), 1e12), rel=6e-3)

    def _check_value(self, row: int, why: str, y: float, usual_y: float) -> None:
        kind = Kind(self.roster.kind[row])
        line = float(self.roster.line_page[row])
        if kind is Kind.TOKENS:
            found = re.search(
                rf"is {NUMBER} tokens a success against {NUMBER} tokens a success of .*, "
                rf"{NUMBER} times as much \(line {NUMBER}\)",
                why,
            )
            assert found is not None, why
            wanted = [y, usual_y, y / usual_y]
            assert_rounded(found.groups()[:3], wanted)
            assert number(found[4]) in (1.5, 1.3)
            return
        if kind is Kind.SLOW:
            found = re.search(
                rf"is {NUMBER} % slow requests against {NUMBER} % slow requests of .*, "
                rf"slower than {NUMBER} times the usual p99 \(line {NUMBER} %\)",
                why,
            )
            assert found is not None, why
            assert_rounded(found.groups(), [100 * y, 100 * usual_y, 2.0, 100 * line])
            return
        shown, usual = (1 - y, 1 - usual_y) if kind is Kind.EVAL else (y, usual_y)
        found = re.search(
            rf"is {NUMBER} (?:points|% \w+(?: requests)?) against {NUMBER} .*, "
            rf"(up|down) {NUMBER} points \(line {NUMBER}\)",
            why,
        )
        assert found is not None, why
        assert_rounded((found[1], found[2]), [100 * shown, 100 * usual])
        assert_rounded((found[4],), [100 * abs(shown - usual)])
        if abs(shown - usual) > 1e-9:
            assert found[3] == ("up" if shown > usual else "down"), why
        assert number(found[5]) / 100 in (
            pytest.approx(line),
            pytest.approx(float(self.roster.line_look[row])),
        )


def number(text: str) -> float:
    return float(text.replace(",", ""))


def assert_rounded(texts: tuple[str, ...], wanted: list[float]) -> None:
    """Check that each text is its number rounded to as many places as the text has."""
    for text, value in zip(texts, wanted, strict=True):
        places = len(text.partition(".")[2])
        assert abs(number(text) - value) <= 0.5000001 * 10**-places, (texts, wanted)


BAD = Behaviour(score=0.7, refusals=0.25, errors=0.15, latency_s=3.0, tokens=1200)
MILD = Behaviour(score=0.86, refusals=0.10, errors=0.04, latency_s=1.1, tokens=560)
GOOD = Behaviour(latency_s=0.8)
SHY = replace(GOOD, refusals=0.0)

STREAMS = [
    Stream(comparison, bad)
    for comparison in (Comparison.CONTROL, Comparison.PREVIOUS, Comparison.HISTORY)
    for bad in (BAD, MILD, GOOD)
] + [Stream(Comparison.CONTROL, BAD, calls_a_minute=1.5), Stream(None, GOOD, calls_a_minute=0.5)]


def played(stream: Stream) -> set[tuple[str, str, str]]:
    watched = Watched(stream)
    seen: set[tuple[str, str, str]] = set()
    for minutes in (6, 15.5, 4, 8):
        watched.play(minutes)
        seen |= watched.check()
    return seen


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.builds(
        Stream,
        st.sampled_from([*Comparison, None]),
        st.builds(
            Behaviour,
            st.floats(0.6, 0.95),
            st.floats(0, 0.4),
            st.floats(0, 0.3),
            st.floats(0.3, 4),
            st.floats(100, 2000),
        ),
        st.floats(0.5, 60),
        st.integers(0, 10_000),
    )
)
def test_every_number_of_every_sentence_is_in_the_rings(stream: Stream) -> None:
    played(stream)


def test_every_kind_of_verdict_is_among_those_that_are_checked() -> None:
    seen = set().union(*(played(stream) for stream in STREAMS))
    # The stand sends these; what the others say is looked at where they have traffic.
    kinds = {"EVAL", "REFUSAL_UP", "REFUSAL_DOWN", "ERROR", "SLOW", "TOKENS"}
    for comparison in ("control", "previous", "history"):
        assert {kind for kind, against, _ in seen if against == comparison} == kinds
        assert {kind for kind, against, level in seen if against == comparison and level == "page"}
    for level in ("page", "healthy", "insufficient"):
        found = {kind for kind, _, at in seen if at == level}
        # A rate of some percent cannot fall by ten points, so that no page says it did.
        wanted = kinds - {"REFUSAL_DOWN"} if level == "page" else kinds
        assert found >= wanted, (level, wanted - found)
    assert {kind for kind, _, at in seen if at == "investigate"}


def test_a_number_that_is_not_the_one_that_decided_is_found_out() -> None:
    watched = Watched(Stream(Comparison.CONTROL, BAD))
    watched.play(26)
    watched.check()
    watched.scopes.rings.minute[:, :, 1] *= 0.9
    with pytest.raises(AssertionError):
        watched.check()
    assert np.isfinite(watched.scopes.rings.minute).all()
