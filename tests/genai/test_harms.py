"""What guardrails and evaluations say of leaks and injections."""

from __future__ import annotations

import pytest

from tripswitch.genai.appraisal import Appraised
from tripswitch.genai.harms import harms_of
from tripswitch.model.calls import Guardrail


@pytest.mark.parametrize(
    ("category", "verdict", "stage", "expected"),
    [
        ("pii", "flag", "output", [("pii_leak", 0.0)]),
        ("pii", "redact", "output", [("pii_leak", 1.0)]),
        ("pii", "block", "output", [("pii_leak", 1.0)]),
        ("pii", "pass", "output", [("pii_leak", 1.0)]),
        # What a user sent is no leak, and where nobody says which it was nothing is claimed.
        ("pii", "flag", "input", []),
        ("pii", "flag", None, []),
        ("prompt_injection", "flag", "input", [("prompt_injection", 0.0)]),
        ("prompt_injection", "block", "input", [("prompt_injection", 1.0)]),
        ("prompt_injection", "pass", None, [("prompt_injection", 1.0)]),
        # One that did not look says nothing.
        ("prompt_injection", "not_run", "input", []),
        ("prompt_injection", "error", "input", []),
        ("toxicity", "flag", "output", []),
    ],
)
def test_a_guardrail_speaks_of_what_it_let_through(
    category: str, verdict: str, stage: str | None, expected: list[tuple[str, float]]
) -> None:
    assert harms_of(Appraised(), [Guardrail("g", category, verdict, stage)]) == expected


def test_one_that_found_it_outweighs_one_that_did_not() -> None:
    guards = [Guardrail("g", "pii", "pass", "output"), Guardrail("h", "pii", "flag", "output")]
    assert harms_of(Appraised(), guards) == [("pii_leak", 0.0)]
    assert harms_of(Appraised(pii_leak=True), guards[:1]) == [("pii_leak", 0.0)]
    assert harms_of(Appraised(pii_leak=False, prompt_injection=False), []) == [
        ("pii_leak", 1.0),
        ("prompt_injection", 1.0),
    ]
