"""Already bad at the start: what was beyond its line before a version came is not proven by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.detect.stand import CANARY, CONTROL, Behaviour, Stand, Traffic, arm, pages
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Verdict

GOOD = Behaviour()
FULL = replace(GOOD, latency_s=0.8)
BEFORE = arm("v17", "canary")


def page_of(stand: Stand, before: Behaviour, after: Behaviour, usual: Behaviour) -> Verdict:
    """Return the first page of a version that follows another in a canary beside a control."""
    control = Traffic(CONTROL, 60, usual)
    stand.run(20, [control, Traffic(BEFORE, 60, before)])
    found = stand.run(12, [control, Traffic(CANARY, 60, after)])
    return next(verdict for _, verdict in pages(found) if verdict.scope == CANARY)


@pytest.mark.parametrize(
    ("usual", "bad"),
    [
        (GOOD, replace(GOOD, score=0.74)),
        pytest.param(GOOD, replace(GOOD, refusals=0.35), marks=pytest.mark.matrix),
        pytest.param(GOOD, replace(GOOD, errors=0.25), marks=pytest.mark.matrix),
        (FULL, replace(FULL, tokens=1_200.0)),
    ],
    ids=["score", "refusals", "errors", "tokens"],
)
def test_a_version_is_not_blamed_for_what_its_slice_had_before(
    usual: Behaviour, bad: Behaviour
) -> None:
    assert page_of(Stand(), bad, bad, usual).was_bad_before
    fresh = page_of(Stand(), usual, bad, usual)
    assert not fresh.was_bad_before
    assert fresh.comparison is Comparison.CONTROL


def test_a_version_that_follows_a_bad_one_without_a_control() -> None:
    old, bad, worse = (
        Traffic(Scope("/chat", "bot", version), 60, replace(GOOD, score=score))
        for version, score in (("v17", 0.90), ("v17", 0.75), ("v18", 0.60))
    )
    for second, is_bad_before in ((old, False), (bad, True)):
        stand = Stand()
        stand.run(30, [old])
        stand.run(12, [second])
        found = pages(stand.run(25, [worse]))
        blamed = [verdict for _, verdict in found if verdict.scope.prompt_version == "v18"]
        assert blamed[0].comparison is Comparison.PREVIOUS
        assert blamed[0].was_bad_before is is_bad_before
