"""What evaluations and guardrails say of two harms: a leak of personal data, an injection obeyed.

A guardrail that stopped or masked something did its work: there was no harm. One that only flagged
it let it through. Where in the call a guardrail looked decides for leaks: personal data that a user
sent is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tripswitch.model.calls import Guardrail

if TYPE_CHECKING:
    from tripswitch.genai.appraisal import Appraised

_LOOKED = frozenset({"pass", "flag", "redact", "block"})


def harms_of(appraised: Appraised, guardrails: Sequence[Guardrail]) -> list[tuple[str, float]]:
    """Return (signal, score) of each harm that was looked for: 0 where there was one, else 1."""
    if not guardrails and appraised.pii_leak is None and appraised.prompt_injection is None:
        return []
    found = {"pii_leak": appraised.pii_leak, "prompt_injection": appraised.prompt_injection}
    for guardrail in guardrails:
        if guardrail.verdict not in _LOOKED or guardrail.category not in _SIGNAL_OF:
            continue
        if guardrail.category == "pii" and guardrail.stage != "output":
            continue
        signal = _SIGNAL_OF[guardrail.category]
        found[signal] = bool(found[signal]) or guardrail.verdict == "flag"
    return [
        (signal, 0.0 if happened else 1.0)
        for signal, happened in found.items()
        if happened is not None
    ]


_SIGNAL_OF = {"pii": "pii_leak", "prompt_injection": "prompt_injection"}
