"""The guards of a rollback: each alone holds it back, and says why.

A guard looks at a `Case` and answers None, or a `Hold`: ``proposed`` leaves it to a person,
``withheld`` does not even offer it. The strongest hold wins, and every reason is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from tripswitch.config.target_sections import GUARDRAIL, PROVIDER_FAILOVER, TargetSection
from tripswitch.incidents.ladder import VERSIONS, Rung
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_S, minutes_text, rfc3339
from tripswitch.model.incident import RollbackState
from tripswitch.model.verdict import Comparison, Verdict

if TYPE_CHECKING:
    from tripswitch.config.model import Config
    from tripswitch.incidents.facts import Facts

PROPOSED: Final = RollbackState.PROPOSED
WITHHELD: Final = RollbackState.WITHHELD

_ATTRIBUTION_NS: Final = 48 * NS_PER_HOUR
_VERIFIED_DAYS: Final = 90
_FLAPPING: Final = 3
_EPOCH: Final = date(1970, 1, 1)
# What a plan ended as, when it did not go or a person let the version back.
_HARMLESS: Final = (RollbackState.EXPIRED, RollbackState.RELEASED)


class Hold(NamedTuple):
    """That a rollback must not go by itself, and why."""

    state: RollbackState
    reason: str


@dataclass(frozen=True, slots=True)
class Case:
    """One rung at one target, and all that is known of it."""

    verdict: Verdict
    rung: Rung
    target: TargetSection
    radius: str
    facts: Facts
    config: Config
    now_ns: int

    @property
    def mode(self) -> str:
        """Return what the operator allows: as configured, else by how much is moved."""
        return self.target.mode or ("auto" if self.radius == "cohort" else "propose")


Guard = Callable[[Case], Hold | None]


def holds_of(case: Case) -> list[Hold]:
    """Return every hold, the withheld ones first."""
    found = [hold for guard in GUARDS if (hold := guard(case)) is not None]
    return sorted(found, key=lambda hold: hold.state is not WITHHELD)


def _mode(case: Case) -> Hold | None:
    if case.mode == "observe":
        return Hold(WITHHELD, f"target {case.target.name} only observes")
    if case.mode == "propose":
        return Hold(PROPOSED, f"a {case.radius} is moved, so a person approves")
    return None


def _kill_switch(case: Case) -> Hold | None:
    settings = case.config.rollback
    if not settings.enabled:
        return Hold(WITHHELD, "the kill switch is on (rollback.enabled: false)")
    route = case.verdict.scope.route
    if route is not None and route in settings.disabled_routes:
        return Hold(WITHHELD, f"the kill switch is on for {route} (rollback.disabled_routes)")
    return None


def _unverified(case: Case) -> Hold | None:
    if case.target.is_verified:
        return None
    return Hold(
        PROPOSED,
        f"targets of type {case.target.type} were tried on no real server, so a person approves",
    )


def _single(case: Case) -> Hold | None:
    if case.config.fleet.single:
        return None
    return Hold(PROPOSED, "fleet.single is not set, so another sidecar may see other traffic")


def _attribution(case: Case) -> Hold | None:
    if case.rung.path not in VERSIONS:
        return None
    if case.facts.found_running:
        return Hold(
            PROPOSED, "this version was serving before watching began, so its start is unknown"
        )
    if case.now_ns - case.facts.first_seen_ns > _ATTRIBUTION_NS:
        return Hold(
            PROPOSED,
            "this version has been serving for more than 48 h, so it may not be the cause",
        )
    return None


def _mix(case: Case) -> Hold | None:
    if case.rung.path not in VERSIONS or not case.facts.mix_shift:
        return None
    return Hold(PROPOSED, f"the questions changed with the version: {case.facts.mix_shift}")


def _evaluator(case: Case) -> Hold | None:
    if not case.facts.judge_change:
        return None
    return Hold(
        PROPOSED,
        f"the judge changed too ({case.facts.judge_change}), so it may be the judge and not the "
        "release",
    )


def _bad_at_start(case: Case) -> Hold | None:
    if not case.verdict.was_bad_before:
        return None
    bad = case.rung.bad
    return Hold(
        PROPOSED, f"this was beyond its line before {bad} came, so {bad} may not be the cause"
    )


def _good_version(case: Case) -> Hold | None:
    if case.rung.path not in VERSIONS:
        return None
    fewest = case.config.rollback.fewest_good_calls
    if case.facts.good_calls >= fewest:
        return None
    return Hold(
        PROPOSED,
        f"{case.rung.good} has served {case.facts.good_calls} calls in the last day, fewer than "
        f"the {fewest} that show it is fit to go back to",
    )


def _once(case: Case) -> Hold | None:
    """Hold what was done here before, or was decided by a person."""
    rung = case.rung
    for plan in reversed(case.facts.past):
        here = plan.target == case.target.name and plan.pointer == rung.pointer
        alike = plan.path == rung.path or {plan.path, rung.path} <= set(VERSIONS)
        if not here or not alike or plan.state in _HARMLESS:
            continue
        if plan.from_version == rung.bad:
            return Hold(WITHHELD, _decided(plan.state, plan.decided_by, rung.bad))
        if plan.from_version == rung.good and rung.path in VERSIONS:
            return Hold(
                WITHHELD,
                f"{rung.good} was itself rolled back here, so it is no good version to go back to",
            )
    return None


def _decided(state: RollbackState, by: str, bad: str) -> str:
    if state is RollbackState.REJECTED:
        return f"{by} decided that {bad} is not to be rolled back here"
    if state in (RollbackState.UNDONE, RollbackState.UNDOING):
        return f"{by or 'tripswitch'} took the rollback of {bad} back: a person decides"
    if state is RollbackState.FAILED:
        return f"rolling {bad} back here failed before, and is not tried again: a person decides"
    return f"{bad} was rolled back here before, and is not rolled back twice: a person decides"


def _budget(case: Case) -> Hold | None:
    budget = case.config.rollback.budget
    times = [at_ns for each in case.facts.recent_ns.values() for at_ns in each]
    last_hour = sum(case.now_ns - at_ns < NS_PER_HOUR for at_ns in times)
    if last_hour >= budget.per_hour:
        return Hold(
            PROPOSED,
            f"{last_hour} rollbacks went by themselves in the last hour "
            f"(rollback.budget.per_hour: {budget.per_hour})",
        )
    if len(times) >= budget.per_day:
        return Hold(
            PROPOSED,
            f"{len(times)} rollbacks went by themselves in the last day "
            f"(rollback.budget.per_day: {budget.per_day})",
        )
    return None


def _cooldown(case: Case) -> Hold | None:
    rest_ns = int(case.config.rollback.budget.cooldown * NS_PER_S)
    last_ns = max(case.facts.recent_ns.get(case.target.name, ()), default=None)
    if last_ns is None or case.now_ns - last_ns >= rest_ns:
        return None
    ago = minutes_text(case.now_ns - last_ns)
    return Hold(
        PROPOSED,
        f"target {case.target.name} was used {ago} ago and rests for {minutes_text(rest_ns)}",
    )


def _busy(case: Case) -> Hold | None:
    if case.target.name not in case.facts.busy:
        return None
    return Hold(
        PROPOSED, f"target {case.target.name} has another rollback under way, one goes at a time"
    )


def _freeze(case: Case) -> Hold | None:
    for freeze in case.config.rollback.freezes:
        if freeze.holds(case.verdict.scope.route, case.now_ns):
            until = f" until {freeze.ends}" if freeze.ends else ""
            why = f": {freeze.reason}" if freeze.reason else ""
            return Hold(PROPOSED, f"rollbacks are frozen{until}{why}")
    return None


def _direction(case: Case) -> Hold | None:
    """Hold what would let more through: a guardrail is loosened by a person only."""
    if case.rung.path != GUARDRAIL or case.verdict.direction == "down":
        return None
    if case.verdict.signal != "refusal_rate":
        return None
    return Hold(PROPOSED, "this would loosen a guardrail, which a person approves")


def _flapping(case: Case) -> Hold | None:
    if case.facts.flaps < _FLAPPING:
        return None
    return Hold(PROPOSED, f"this is episode {case.facts.flaps} here, so a person looks at it first")


def _fallback(case: Case) -> Hold | None:
    if case.rung.path != PROVIDER_FAILOVER:
        return None
    if case.facts.is_every_provider_failing:
        failing = ", ".join(case.facts.providers_failing)
        return Hold(
            WITHHELD, f"every provider fails ({failing} too), so the fault is not the provider's"
        )
    if not case.verdict.is_common:
        return Hold(
            PROPOSED,
            f"one route alone goes through {case.rung.bad}, so it is not proven to be the provider",
        )
    name = case.rung.good
    healthy = next(
        (each.is_healthy for each in case.facts.fallbacks.values() if each.name == name), None
    )
    if healthy is None:
        return Hold(PROPOSED, f"{name} has not been seen to serve lately")
    if not healthy:
        return Hold(WITHHELD, f"{name} has errors of its own")
    return None


def _verified_on(case: Case) -> Hold | None:
    if case.rung.path != PROVIDER_FAILOVER:
        return None
    text = case.config.rollback.failover.verified_on
    today = _EPOCH + timedelta(days=case.now_ns // (24 * NS_PER_HOUR))
    if text and (today - date.fromisoformat(text)).days <= _VERIFIED_DAYS:
        return None
    found = f"was last tried on {text}" if text else "was never said to have been tried"
    return Hold(
        PROPOSED,
        f"the failover to {case.rung.good} {found} (rollback.failover.verified_on, "
        f"{rfc3339(case.now_ns)[:10]} less 90 days)",
    )


def _history(case: Case) -> Hold | None:
    if case.rung.path in VERSIONS and case.verdict.comparison is Comparison.HISTORY:
        return Hold(WITHHELD, "its own past alone never blames a version")
    return None


GUARDS: Final[tuple[Guard, ...]] = (
    _kill_switch,
    _mode,
    _history,
    _once,
    _fallback,
    _verified_on,
    _direction,
    _unverified,
    _single,
    _attribution,
    _bad_at_start,
    _evaluator,
    _mix,
    _good_version,
    _busy,
    _cooldown,
    _budget,
    _freeze,
    _flapping,
)
"""In the order in which reasons of one strength are told."""
