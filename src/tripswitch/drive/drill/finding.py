"""What a drill found: whether it would have been noticed, who told, what rolled back, and how soon.

``ok`` compares that with what the configuration asks for (`expected_of`): a page that somebody
hears, and where a target serves the route, a rollback that goes by itself or is proposed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from tripswitch.config.target_sections import (
    COHORT,
    COST_BREAKER,
    PROMPT_VERSION,
    PROVIDER_FAILOVER,
)
from tripswitch.drive.drill.literal import literal_requests
from tripswitch.drive.drill.scenario import Cause
from tripswitch.model.clocktext import rfc3339
from tripswitch.model.incident import RollbackState, Shape
from tripswitch.model.messages import EventName

if TYPE_CHECKING:
    from tripswitch.config.model import Config
    from tripswitch.drive.drill.play import Played
    from tripswitch.drive.drill.scenario import Scenario
    from tripswitch.model.messages import Event

_MOST_QUIET: Final = 8


class Expected(StrEnum):
    """What has to come of a drill, each more than the one before."""

    NOTICED = "noticed"
    PAGE = "page"
    PROPOSE = "propose"
    AUTO = "auto"


def expected_of(config: Config, scenario: Scenario) -> tuple[Expected, str]:
    """Return what ``config`` asks for in such a case, and why, in words."""
    rungs = _rungs(config, scenario)
    route = scenario.routes[0]
    serving = [
        target
        for target in config.rollback.targets
        if (not target.routes or route in target.routes or _is_global(scenario))
        and any(target.does(rung) for rung in rungs)
    ]
    if not serving:
        return Expected.PAGE, f"no rollback target is configured for this on {route}"
    target = serving[0]
    if not config.rollback.enabled or route in config.rollback.disabled_routes:
        return Expected.PAGE, "the kill switch is on, so nothing is rolled back"
    if target.mode == "observe":
        return Expected.PAGE, f"target {target.name} only observes"
    if target.mode == "auto":
        return Expected.AUTO, f"target {target.name} is set to act by itself (mode: auto)"
    return Expected.PROPOSE, f"target {target.name} can take it back, by itself or when approved"


def _is_global(scenario: Scenario) -> bool:
    return scenario.cause is Cause.PROVIDER


def _rungs(config: Config, scenario: Scenario) -> list[str]:
    """Return the rungs of the ladder that fit what is played."""
    if scenario.cause is Cause.RELEASE:
        return [COHORT, PROMPT_VERSION]
    if scenario.shape is Shape.COST_SPIKE:
        return [COST_BREAKER]
    has_fallback = scenario.provider in config.rollback.failover.fallbacks
    is_upstream = scenario.shape in (Shape.OUTAGE, Shape.LATENCY_SPIKE)
    return [PROVIDER_FAILOVER] if has_fallback and is_upstream else []


def report(config: Config, played: Played, *, expected: Expected | None = None) -> dict[str, Any]:
    """Return everything that a drill found, as plain values for ``--json`` and for the text.

    ``expected`` stands in for what the configuration asks for.
    """
    asked, because = expected_of(config, played.scenario)
    if expected is not None:
        asked, because = expected, "asked for with --expect"
    rollbacks = _rollbacks(config, played)
    notifications = _notifications(config, played)
    problems = _problems(played, asked, rollbacks, notifications)
    return {
        "ok": not problems,
        "drill": True,
        "scenario": _scenario(played.scenario),
        "expected": {"what": asked.value, "because": because},
        "problems": problems,
        "minutes": _minutes(played),
        "notifications": notifications,
        "rollbacks": rollbacks,
        "incidents": [incident.as_json() for incident in played.incidents],
        "quiet": [] if played.paged is not None else _quiet(played),
        "assumed": _assumed(config, played),
        "events": [
            {"minute": played.scenario.minute_of(event.time_ns), **_event(event)}
            for event in played.events
        ],
    }


def _scenario(scenario: Scenario) -> dict[str, Any]:
    return {
        "sentence": scenario.sentence(),
        "shape": scenario.shape.value,
        "cause": scenario.cause.value,
        "size": scenario.size,
        "routes": list(scenario.routes),
        "rate_per_minute": scenario.rate,
        "share": scenario.share,
        "scored": scenario.scored,
        "calm_minutes": scenario.calm,
        "bad_minutes": scenario.bad,
        "versions": {"from": scenario.old_version, "to": scenario.new_version},
        "cohorts": {"control": scenario.control, "bad": scenario.cohort},
        "starts": rfc3339(scenario.start_ns),
        "goes_bad": rfc3339(scenario.bad_ns),
        "seed": scenario.seed,
    }


def _minutes(played: Played) -> dict[str, float | None]:
    """Return how many minutes after it went bad each step came, None for one that did not."""

    def at(event: Event | None) -> float | None:
        return None if event is None else played.scenario.minute_of(event.time_ns)

    went = next(
        (event for plan, event in played.rollbacks if plan.state is RollbackState.PLANNED), None
    )
    return {
        "noticed": at(played.noticed),
        "page": at(played.paged),
        "rollback_proposed_or_called": at(played.first(EventName.ROLLBACK_PLANNED)),
        "rollback_called": at(went or played.first(EventName.ROLLBACK_APPROVED)),
        "traffic_back": at(played.first(EventName.ROLLBACK_CONFIRMED)),
        "recovered": at(played.first(EventName.INCIDENT_RECOVERED)),
        "played": round(played.ended_minute, 2),
    }


def _rollbacks(config: Config, played: Played) -> list[dict[str, Any]]:
    requests = literal_requests(config, played.rollbacks)
    return [
        {
            "minute": played.scenario.minute_of(event.time_ns),
            **plan.as_json(),
            "pointer": plan.pointer.as_json(),
            "held_back_by": plan.reason.split("; ") if plan.reason else [],
            "request": request,
        }
        for (plan, event), request in zip(played.rollbacks, requests, strict=True)
    ]


def _notifications(config: Config, played: Played) -> list[dict[str, Any]]:
    """Return each notifier with the news it would hear, in the order of the file."""
    found = []
    for section in config.notify:
        heard = [
            {
                "minute": played.scenario.minute_of(told.event.time_ns),
                "event": told.event.name.value,
                "severity": None
                if told.event.incident is None
                else told.event.incident.severity.value,
                "veiled": section.name in told.veiled,
            }
            for told in played.told
            if section.name in told.hearers
        ]
        found.append(
            {
                "notifier": section.name,
                "type": section.type,
                "roles": list(section.roles),
                "heard": heard,
            }
        )
    return found


def _problems(
    played: Played,
    asked: Expected,
    rollbacks: list[dict[str, Any]],
    notifications: list[dict[str, Any]],
) -> list[str]:
    """Return in sentences what is short of what was asked for; empty where all is as asked."""
    if played.noticed is None:
        return [f"nothing was noticed within {played.ended_minute:g} min"]
    if asked is Expected.NOTICED:
        return []
    if played.paged is None:
        return ["it was noticed as something to investigate, and nobody would have been paged"]
    problems = []
    hears_page = any(one["severity"] == "page" for each in notifications for one in each["heard"])
    if not notifications:
        problems.append("there is a page and nobody to tell: notify is empty")
    elif not hears_page:
        problems.append("no notifier would hear of the page: see notify and notifications.roles")
    if asked is Expected.PAGE:
        return problems
    if not rollbacks:
        return [*problems, "no rollback was planned: " + _why_no_plan(played)]
    last = rollbacks[-1]
    reasons = "; ".join(last["held_back_by"]) or "no reason is known"
    went = any(one["state"] == RollbackState.PLANNED.value for one in rollbacks)
    if asked is Expected.AUTO and not went:
        problems.append(f"the rollback would not go by itself: {reasons}")
    elif last["state"] == RollbackState.WITHHELD.value:
        problems.append(f"the rollback would be withheld: {reasons}")
    return problems + [
        f"target {one['target']} could not be asked: {one['request']['text']}"
        for one in rollbacks
        if one["request"]["state"] in ("unusable", "failed")
    ]


def _why_no_plan(played: Played) -> str:
    paged = played.paged
    assert paged is not None
    assert paged.incident is not None
    if paged.incident.triage is not None:
        return f"{paged.incident.triage.path}: {paged.incident.triage.advice}"
    return "no lever fits what was found"


def _quiet(played: Played) -> list[dict[str, Any]]:
    """Return what the signals of the shape wait for, where nothing paged."""
    scenario = played.scenario
    found = []
    for scope in played.explained.get("scopes", []):
        is_new = scope["scope"]["prompt_version"] == scenario.new_version
        if scenario.cause is Cause.RELEASE and not is_new:
            continue
        for signal in scope["signals"]:
            if signal["signal"] not in SIGNALS_OF[scenario.shape]:
                continue
            found.append(
                {
                    "scope": scope["label"],
                    "signal": signal["signal"],
                    "rubric": signal["rubric"],
                    "finding": signal["finding"],
                    "why": signal["why"],
                    "missing": signal["missing"],
                    "minutes": signal["outlook"]["minutes"],
                    "remedies": [one["sentence"] for one in signal["remedies"]],
                }
            )
    if scenario.shape is Shape.EVAL_DRIFT and not any(one["rubric"] for one in found):
        found.append(
            {
                "scope": scenario.routes[0],
                "signal": "eval_score",
                "rubric": scenario.rubric,
                "finding": "insufficient",
                "why": f"no score of {scenario.rubric} was judged",
                "missing": ["scores: none came"],
                "minutes": None,
                "remedies": [],
            }
        )
    return found[:_MOST_QUIET]


def _assumed(config: Config, played: Played) -> list[str]:
    """Return what the drill took for granted, in sentences."""
    scenario = played.scenario
    assumed = [
        "spans arrive complete and in time, and questions stay as they are",
        "this is the only sidecar that sees the route"
        if config.fleet.single
        else "other sidecars may see the route too (fleet.single is not set)",
    ]
    if any(plan.state is RollbackState.PLANNED for plan, _ in played.rollbacks):
        assumed.append("a target that is asked does it at once")
    if scenario.approve_after is not None:
        assumed.append(f"a person approves a proposal after {scenario.approve_after:g} min")
    elif any(plan.state is RollbackState.PROPOSED for plan, _ in played.rollbacks):
        assumed.append("nobody answers a proposal (--approve-after says that somebody does)")
    if scenario.fallback:
        assumed.append(f"{scenario.fallback} serves beside {scenario.provider}, and is well")
    return assumed


def _event(event: Event) -> dict[str, Any]:
    return {"event": event.name.value, "time": rfc3339(event.time_ns), "detail": event.detail}


SIGNALS_OF: Final[dict[Shape, tuple[str, ...]]] = {
    Shape.EVAL_DRIFT: ("eval_score",),
    Shape.COST_SPIKE: ("tokens_per_success", "cost_per_success"),
    Shape.LATENCY_SPIKE: ("p99_latency",),
    Shape.GUARDRAIL_REGRESSION: ("refusal_rate",),
    Shape.OUTAGE: ("error_rate",),
}
"""The signals in which each shape of a drill shows."""
