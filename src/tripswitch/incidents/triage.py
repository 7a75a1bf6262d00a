"""Triage, on every page: is it real, what changed, whose doing is it, what is best done.

Everything here is said from what is known at that moment; where nothing fits it says so.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tripswitch.detect.signals import SECURITY
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE, minutes_text
from tripswitch.model.incident import Change, RollbackPlan, RollbackState
from tripswitch.model.instruction import TRIGGER_WORDS, Trigger
from tripswitch.model.scope import Scope
from tripswitch.model.triage import Cause, RankedChange, TraceFacts, Triage
from tripswitch.model.verdict import Comparison, Verdict

if TYPE_CHECKING:
    from tripswitch.incidents.contrast import Contrast
    from tripswitch.incidents.exemplars import Exemplars
    from tripswitch.incidents.facts import Facts
    from tripswitch.model.incident import Incident

_GOING_ON: Final = ", and it is still going on"
_FITS: Final = 0.5
_MOST_CHANGES: Final = 5
_FADES_NS: Final = 6 * NS_PER_HOUR
# Spans come late, and the onset is an estimate.
_SLACK_NS: Final = 5 * NS_PER_MINUTE
# What may stand in a command line that people copy.
_REVISION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]{0,99}")

SECURITY_DUTIES: Final = (
    (
        "Personal data of people in the EU or UK: the authority is told within 72 hours of knowing "
        "(GDPR Art. 33), the people themselves without delay where the risk is high (Art. 34)."
    ),
    "Health data in the US: HIPAA breach rule, 60 days at most.",
    "US states have breach laws of their own; some want the attorney general told.",
    (
        "A high-risk AI system in the EU: a serious incident goes to the market authority "
        "(AI Act Art. 73)."
    ),
    "Card data: the acquirer, at once.",
    "Contracts and insurers often want notice within 24 to 72 hours.",
)
"""Duties to consider; whether one applies is for a lawyer to say."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What triage looks at besides the incident and its verdict."""

    facts: Facts | None
    changes: tuple[Change, ...]
    exemplars: Exemplars
    contrast: Contrast
    arms: list[Scope]


def triage(
    incident: Incident, verdict: Verdict, plan: RollbackPlan | None, around: Circumstances
) -> Triage:
    """Return the triage of a page; ``plan`` is what is planned about it."""
    ranked = rank(around.changes, verdict)
    cause, why = _cause(incident, verdict, ranked, around.facts)
    path, advice = _recommended(incident, plan, cause, ranked)
    return Triage(
        is_real=_is_real(verdict),
        cause=cause,
        cause_why=why,
        changes=ranked,
        traces=_traces(incident, around),
        path=path,
        advice=advice,
        duties=SECURITY_DUTIES if incident.security else (),
    )


def over(found: Triage | None, *, is_proven: bool) -> Triage | None:
    """Return a triage as it is true once its incident has recovered, or was closed without that."""
    if found is None:
        return None
    words = ", and it is over" if is_proven else ", and it was not proven over when it was closed"
    return replace(found, is_real=found.is_real.removesuffix(_GOING_ON) + words)


def triage_by_hand(trigger: Trigger | None, sentence: str) -> Triage:
    """Return the triage of an incident that a person opened."""
    what = "" if trigger is None else f"{TRIGGER_WORDS[trigger]}: "
    return Triage(
        is_real=f"a person says so: {what}{sentence}",
        cause=Cause.UNKNOWN,
        cause_why="opened by hand; nothing was judged",
        changes=(),
        traces=(),
        path="person",
        advice="the security review decides; standard triage is not asked"
        if trigger is not None
        else "a person decides",
        duties=SECURITY_DUTIES if trigger is not None else (),
    )


def rank(changes: tuple[Change, ...], verdict: Verdict) -> tuple[RankedChange, ...]:
    """Return changes by how well their time and scope fit a verdict, best first."""
    found = [_ranked(change, verdict) for change in changes]
    found.sort(key=lambda each: (-each.fit, -each.change.time_ns, each.change.kind))
    return tuple(found[:_MOST_CHANGES])


def _ranked(change: Change, verdict: Verdict) -> RankedChange:
    before_ns = verdict.onset_ns - change.time_ns
    if before_ns < -_SLACK_NS:
        in_time = 0.1
        when = f"{minutes_text(-before_ns)} after the onset, so hardly its cause"
    else:
        in_time = math.exp(-max(0, before_ns) / _FADES_NS)
        when = f"{minutes_text(max(0, before_ns))} before the onset"
    scope = verdict.scope
    is_version = change.kind == "prompt_version" and change.after == scope.prompt_version
    if is_version and change.scope.cohort in (None, scope.cohort):
        in_scope, where = 1.0, "on the very version that is bad"
    elif change.kind == "prompt_version" and change.after != scope.prompt_version:
        in_scope, where = 0.3, "on another version of this route"
    elif change.scope.route is not None and change.scope.route == scope.route:
        in_scope, where = 0.7, "on this route"
    else:
        in_scope, where = 0.4, "on no route in particular"
    return RankedChange(change, in_time * in_scope, f"{when}, {where}")


def _is_real(verdict: Verdict) -> str:
    against = (
        {
            Comparison.CONTROL: "a control that serves at the same time",
            Comparison.PREVIOUS: "the version before",
            Comparison.HISTORY: "its own past",
        }.get(verdict.comparison)
        if verdict.comparison is not None
        else None
    )
    compared = f" against {against} ({verdict.usual_samples} samples)" if against else ""
    evidence = f"{min(verdict.evidence, 1e12):.3g}"
    return f"yes: {verdict.samples} samples{compared}, evidence {evidence} (a page at 1){_GOING_ON}"


def _cause(
    incident: Incident,
    verdict: Verdict,
    ranked: tuple[RankedChange, ...],
    facts: Facts | None,
) -> tuple[Cause, str]:
    only_scores = all(name.startswith("eval_score") for name in incident.signals)
    judge_change = "" if facts is None else facts.judge_change
    if only_scores and judge_change:
        return Cause.JUDGE, f"only scores moved, and the judge changed with them: {judge_change}"
    blames = verdict.comparison in (Comparison.CONTROL, Comparison.PREVIOUS)
    best = ranked[0] if ranked else None
    fits = best is not None and best.fit >= _FITS
    if blames and not verdict.is_common and best is not None and fits:
        after = f"{best.change.kind.replace('_', ' ')} {best.change.after}"
        return Cause.OUR_CHANGE, f"{after} came {best.why}, and what serves beside it is well"
    if verdict.is_common and verdict.upstream is not None and not fits:
        provider = verdict.upstream.provider
        return (
            Cause.PROVIDER,
            f"most prompts that go through {provider} show the same, and no change of ours fits",
        )
    if fits and best is not None:
        after = f"{best.change.kind.replace('_', ' ')} {best.change.after}"
        return Cause.OUR_CHANGE, f"{after} came {best.why}"
    if only_scores and verdict.comparison is Comparison.HISTORY:
        return Cause.JUDGE, "scores moved and behaviour did not, and no change of ours fits"
    return Cause.UNKNOWN, "no change of the last 24 h fits in time and scope"


def _recommended(
    incident: Incident,
    plan: RollbackPlan | None,
    cause: Cause,
    ranked: tuple[RankedChange, ...],
) -> tuple[str, str]:
    if plan is not None:
        return plan.path, _of_plan(plan)
    if incident.security or incident.signal in SECURITY:
        return "security_review", "the security review decides; nothing is switched by itself"
    if cause is Cause.PROVIDER:
        return (
            "provider",
            "no fallback is configured: watch the provider",
        )
    if cause is Cause.JUDGE:
        return "judge", "look at the judge first: score a few of the traces by hand"
    for each in ranked:
        commands = code_revert(each.change)
        if each.fit >= _FITS and commands:
            return (
                "code",
                f"no target has a lever for it; the change can be taken back with: {commands}",
            )
    return "person", "no lever fits what is known; a person looks at the traces"


def _of_plan(plan: RollbackPlan) -> str:
    move = f"{plan.from_version} back to {plan.to_version} through {plan.target}"
    words = {
        RollbackState.PLANNED: f"{move}: the least that undoes it, and nothing holds it back",
        RollbackState.PROPOSED: f"{move}, once a person approves: {plan.reason}",
        RollbackState.WITHHELD: f"{move} would fit, but {plan.reason}",
    }
    return words.get(plan.state, move)


def code_revert(change: Change) -> str:
    """Return the commands that take a change of code back, empty where they cannot be said.

    Only advice, and only of revisions that are safe to put in a command line.
    """
    if change.kind not in ("service_version", "deployment") or change.before is None:
        return ""
    before, after = change.before, change.after
    if not (_REVISION.fullmatch(before) and _REVISION.fullmatch(after)):
        return ""
    return (
        f"git log --oneline {before}..{after}; git revert --no-commit {before}..{after}; git commit"
    )


def _traces(incident: Incident, around: Circumstances) -> tuple[TraceFacts, ...]:
    bad = [
        TraceFacts(trace_id, "bad", around.exemplars.facts(incident.scope, trace_id))
        for trace_id in incident.exemplars[:3]
    ]
    tenant = dict(bad[0].facts).get("tenant") if bad else None
    good = around.contrast.nearest(around.arms, tenant)
    if good is not None:
        bad.append(TraceFacts(good.trace_id, "contrast", good.facts))
    return tuple(bad)
