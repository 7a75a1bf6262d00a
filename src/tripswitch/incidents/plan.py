"""The plan of a rollback: which pointer, from which version to which, and whether it may go alone.

A rollback needs a page, a comparison that puts the blame on one arm (a concurrent control, or the
version before a change that was seen), a target, and a good version. Whatever is missing is said
in ``reason``; nothing is ever rolled back past a doubt.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from tripswitch.config.model import Config, WebhookTarget
from tripswitch.model.clocktext import NS_PER_HOUR
from tripswitch.model.incident import RollbackPlan, RollbackState
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Verdict

_ATTRIBUTION_NS: Final = 48 * NS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Facts:
    """What the plan needs to know besides the verdict.

    ``good_version`` is what the control serves or the version before; ``found_running`` says that
    the bad version's start was not seen; ``past`` are the (target, pointer, version) that were
    rolled back before.
    """

    good_version: str | None
    first_seen_ns: int
    found_running: bool
    past: frozenset[tuple[str, Scope, str]]


def plan_rollback(
    verdict: Verdict, facts: Facts, config: Config, now_ns: int
) -> RollbackPlan | None:
    """Return the plan, None when there is nothing that a rollback could move.

    A plan that may not go by itself is proposed or withheld, with the reason in words.
    """
    scope = verdict.scope
    bad, good = scope.prompt_version, facts.good_version
    if verdict.is_common or bad is None or good is None or good == bad:
        return None
    if verdict.comparison not in (Comparison.CONTROL, Comparison.PREVIOUS):
        return None
    target = _target_for(scope.route, config)
    if target is None:
        return None
    pointer = scope.population()
    radius = "cohort" if scope.cohort is not None else "route"
    mode, reason = _mode(target, radius, facts, config, now_ns)
    if mode == "auto" and verdict.was_bad_before:
        mode = "propose"
        reason = f"this was beyond its line before {bad} came, so {bad} may not be the cause"
    state = {"auto": RollbackState.PLANNED, "propose": RollbackState.PROPOSED}.get(
        mode, RollbackState.WITHHELD
    )
    if (target.name, pointer, bad) in facts.past:
        state = RollbackState.WITHHELD
        reason = f"{bad} was rolled back here before; it is not rolled back twice, a person decides"
    elif (target.name, pointer, good) in facts.past:
        state = RollbackState.WITHHELD
        reason = f"{good} was itself rolled back here, so it is no good version to go back to"
    elif state is RollbackState.PLANNED and not config.rollback.enabled:
        state, reason = RollbackState.WITHHELD, "the kill switch is on (rollback.enabled: false)"
    return RollbackPlan(
        key=_key(target.name, pointer, bad, good),
        path="cohort" if scope.cohort is not None else "prompt_version",
        target=target.name,
        pointer=pointer,
        from_version=bad,
        to_version=good,
        blast_radius=radius,
        mode=mode,
        state=state,
        reason=reason,
    )


def _mode(
    target: WebhookTarget, radius: str, facts: Facts, config: Config, now_ns: int
) -> tuple[str, str]:
    mode = target.mode or ("auto" if radius == "cohort" else "propose")
    if mode == "observe":
        return mode, f"target {target.name} only observes"
    if mode == "propose":
        return mode, f"a {radius} is moved, so a person approves"
    if not config.fleet.single:
        return "propose", "fleet.single is not set, so another sidecar may see other traffic"
    if facts.found_running:
        return "propose", "this version was serving before watching began, so its start is unknown"
    if now_ns - facts.first_seen_ns > _ATTRIBUTION_NS:
        return (
            "propose",
            "this version has been serving for more than 48 h, so it may not be the cause",
        )
    return mode, ""


def _target_for(route: str | None, config: Config) -> WebhookTarget | None:
    for target in config.rollback.targets:
        if not target.routes or route in target.routes:
            return target
    return None


def _key(target: str, pointer: Scope, bad: str, good: str, release_epoch: int = 1) -> str:
    """Return the idempotency key: the same on every replica and after every restart.

    The release epoch counts how often a person has let the bad version back; nothing of this
    machine or this run goes in.
    """
    text = json.dumps([target, list(pointer), bad, good, release_epoch], ensure_ascii=False)
    return "rb_" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
