"""The ladder: which lever fits what happened, the one that moves least first.

    cohort             the bad version leaves one cohort, at the gateway
    prompt_version     the prompt's pointer goes back, at the registry
    tool_breaker       the slow or failing tool is switched off
    provider_failover  a provider's or model's traffic goes to its fallback
    cost_breaker       spending is limited
    guardrail          the guardrail's configuration goes back

Code is never touched: where no lever fits, what a person can do is advice (`triage`). The first two
need a comparison that blames one arm; the others a page at what they switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tripswitch.config.target_sections import (
    COHORT,
    COST_BREAKER,
    GUARDRAIL,
    PROMPT_VERSION,
    PROVIDER_FAILOVER,
    TOOL_BREAKER,
)
from tripswitch.model.incident import Severity, Shape
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding, Verdict

if TYPE_CHECKING:
    from tripswitch.incidents.facts import Facts

VERSIONS: Final = (COHORT, PROMPT_VERSION)
"""Rungs that put a prompt version back."""

BY_SIGNAL: Final = (COST_BREAKER, GUARDRAIL)
"""Rungs that move no traffic: whether they took shows in the signal alone."""

HELD: Final = (PROVIDER_FAILOVER, TOOL_BREAKER, COST_BREAKER)
"""Rungs that are no state to stay in: after a while people are asked to take them back."""

_BLAMING: Final = (Comparison.CONTROL, Comparison.PREVIOUS)
_OF_TOOLS: Final = ("tool_latency", "tool_errors")


@dataclass(frozen=True, slots=True)
class Rung:
    """One lever: what it moves, from what, to what."""

    path: str
    pointer: Scope
    bad: str
    good: str


def rungs_of(verdict: Verdict, facts: Facts) -> list[Rung]:
    """Return the levers that fit a verdict, first choice first; none for what does not page."""
    if verdict.finding is not Finding.REGRESSED or verdict.severity is not Severity.PAGE:
        return []
    found = _version_rungs(verdict, facts)
    if verdict.signal in _OF_TOOLS and verdict.rubric:
        tool = Rung(TOOL_BREAKER, Scope(verdict.scope.route), verdict.rubric, "off")
        return [*found, tool]
    if verdict.shape in (Shape.OUTAGE, Shape.LATENCY_SPIKE):
        found += _failover(verdict, facts)
    elif verdict.shape is Shape.COST_SPIKE and verdict.scope.route is not None:
        found.append(Rung(COST_BREAKER, verdict.scope.population(), "full", "limited"))
    elif verdict.shape is Shape.GUARDRAIL_REGRESSION and facts.guardrail_change is not None:
        before, after = facts.guardrail_change
        if before is not None:
            found.append(Rung(GUARDRAIL, Scope(verdict.scope.route), after, before))
    return found


def _version_rungs(verdict: Verdict, facts: Facts) -> list[Rung]:
    scope, good = verdict.scope, facts.good_version
    bad = scope.prompt_version
    if verdict.is_common or bad is None or good is None or good == bad:
        return []
    if verdict.comparison not in _BLAMING:
        return []
    pointer = scope.population()
    paths = (COHORT, PROMPT_VERSION) if scope.cohort is not None else (PROMPT_VERSION,)
    return [Rung(path, pointer, bad, good) for path in paths]


def _failover(verdict: Verdict, facts: Facts) -> list[Rung]:
    """Return the way around the upstream of a verdict, the model's own fallback first."""
    upstream = verdict.upstream
    if upstream is None or upstream.provider is None or verdict.comparison in _BLAMING:
        return []
    found = []
    if upstream.request_model in facts.fallbacks:
        to = facts.fallbacks[upstream.request_model].name
        found.append(Rung(PROVIDER_FAILOVER, upstream, upstream.request_model, to))
    if upstream.provider in facts.fallbacks:
        to = facts.fallbacks[upstream.provider].name
        pointer = Scope(provider=upstream.provider)
        found.append(Rung(PROVIDER_FAILOVER, pointer, upstream.provider, to))
    return found
