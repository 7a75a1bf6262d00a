"""The plan of a rollback: which lever, which target, and whether it may go by itself.

The first rung of the ladder that has a target is planned; the guards say whether it goes, is
proposed or is withheld. Whatever holds it back is said in ``reason``; nothing is ever rolled back
past a doubt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container
from typing import TYPE_CHECKING, Final

from tripswitch.config.target_sections import PROVIDER_FAILOVER, TargetSection
from tripswitch.incidents.guards import Case, holds_of
from tripswitch.incidents.ladder import VERSIONS, Rung, rungs_of
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.incident import RollbackPlan, RollbackState, undo_key
from tripswitch.model.verdict import Verdict

if TYPE_CHECKING:
    from tripswitch.config.model import Config
    from tripswitch.incidents.facts import Facts

_MOST_REASONS: Final = 3


def plan_rollback(
    verdict: Verdict,
    facts: Facts,
    config: Config,
    now_ns: int,
    tried: Container[tuple[str, str]] = (),
) -> RollbackPlan | None:
    """Return the plan, None when there is nothing that a rollback could move.

    ``tried`` are the (rung, target) that this incident is past. A plan that may not go by itself
    is proposed or withheld, with the reason in words.
    """
    for rung in rungs_of(verdict, facts):
        target = _target_for(rung, config, tried)
        if target is not None:
            return _plan(verdict, rung, target, facts, config, now_ns)
    return None


def _plan(
    verdict: Verdict,
    rung: Rung,
    target: TargetSection,
    facts: Facts,
    config: Config,
    now_ns: int,
) -> RollbackPlan:
    radius: str = target.radius(rung.pointer.cohort)
    if rung.path == PROVIDER_FAILOVER:
        radius = "route" if target.routes else "global"
    case = Case(verdict, rung, target, radius, facts, config, now_ns)
    holds = holds_of(case)
    state = holds[0].state if holds else RollbackState.PLANNED
    expires_ns = None
    if state is RollbackState.PROPOSED:
        expires_ns = now_ns + int(config.rollback.proposal_expires * NS_PER_S)
    return RollbackPlan(
        key=rollback_key(target.name, rung, release_epoch(rung, target.name, facts.past)),
        path=rung.path,
        target=target.name,
        pointer=rung.pointer,
        from_version=rung.bad,
        to_version=rung.good,
        blast_radius=radius,
        mode="propose" if state is RollbackState.PROPOSED else case.mode,
        state=state,
        reason="; ".join(hold.reason for hold in holds[:_MOST_REASONS]),
        planned_at_ns=now_ns,
        expires_ns=expires_ns,
    )


def _target_for(
    rung: Rung, config: Config, tried: Container[tuple[str, str]]
) -> TargetSection | None:
    route = rung.pointer.route
    paths = VERSIONS if rung.path in VERSIONS else (rung.path,)
    for target in config.rollback.targets:
        serves = not target.routes or route is None or route in target.routes
        # A target is asked once to move a version, whichever rung that was called.
        is_behind = any((path, target.name) in tried for path in paths)
        if serves and target.does(rung.path) and not is_behind:
            return target
    return None


def release_epoch(rung: Rung, target: str, past: tuple[RollbackPlan, ...]) -> int:
    """Return 1 and how often a person has let the bad version serve again here."""
    return 1 + sum(
        plan.state is RollbackState.RELEASED
        and (plan.target, plan.pointer, plan.from_version) == (target, rung.pointer, rung.bad)
        for plan in past
    )


def rollback_key(target: str, rung: Rung, epoch: int) -> str:
    """Return the idempotency key: the same on every replica and after every restart.

    The release epoch counts how often a person has let the bad version back; nothing of this
    machine or this run goes in.
    """
    parts = [target, list(rung.pointer), rung.bad, rung.good, epoch]
    if rung.path not in VERSIONS:
        parts.append(rung.path)
    return _hash(parts)


def _hash(parts: list[object]) -> str:
    text = json.dumps(parts, ensure_ascii=False)
    return "rb_" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def undo_of(plan: RollbackPlan, by: str, now_ns: int) -> RollbackPlan:
    """Return the plan that takes ``plan`` back: from where it moved to, to where it was."""
    return RollbackPlan(
        key=undo_key(plan.key, now_ns),
        path=plan.path,
        target=plan.target,
        pointer=plan.pointer,
        from_version=plan.to_version,
        to_version=plan.from_version,
        blast_radius=plan.blast_radius,
        mode="propose" if by else "auto",
        state=RollbackState.PLANNED,
        planned_at_ns=now_ns,
        decided_by=by,
        undoes=plan.key,
        incident_id=plan.incident_id,
    )
