"""A run in which everything happened as the story claims, for tests to bend."""

from __future__ import annotations

from typing import Any

from tripswitch.drive.demo import story
from tripswitch.drive.demo.timeline import Observed, story_seconds
from tripswitch.model.clocktext import NS_PER_S, rfc3339

BEGAN_S = 1_000_000.0
TRACES = ["a" * 32, "b" * 32]
TOTALS = {"requests": 3, "spans": 40, "bytes": 900, "digest": "0" * 64}


METRICS = dict.fromkeys(
    (
        "tap_dropped_requests_total",
        "tap_lost_requests_total",
        "tap_errors_total",
        "reader_unreadable_requests_total",
        "reader_skewed_spans_total",
        "judge_errors_total",
        "judge_restarts_total",
        "ledger_errors_total",
    ),
    0.0,
) | {"reader_spans_total": 40.0}


def time_text(story_s: float) -> str:
    return rfc3339(story.START_NS + int(story_s * NS_PER_S))


def scope(**narrowed: str) -> dict[str, str | None]:
    names = ("route", "prompt_name", "prompt_version", "cohort", "request_model", "provider")
    return {name: narrowed.get(name) for name in names}


CANARY_SCOPE = scope(
    route=story.REFUND_ROUTE, prompt_version=story.NEW_VERSION, cohort=story.CANARY
)


def incident(**changed: Any) -> dict[str, Any]:
    return {
        "id": "inc_1",
        "shape": "guardrail_regression",
        "severity": "page",
        "scope": CANARY_SCOPE,
        "onset": time_text(610),
        "detected_at": time_text(660),
        "why": "refusals are up 18 points",
        "exemplars": TRACES,
    } | changed


def event(name: str, story_s: float, about: dict[str, Any] | None) -> dict[str, Any]:
    change = {"to": story.NEW_VERSION, "scope": CANARY_SCOPE} if name == "change.seen" else None
    return {
        "event": name,
        "time": time_text(story_s),
        "detail": f"{name} happened",
        "incident": about,
        "change": change,
    }


def call(kind: str, told: str, story_s: float, **changed: Any) -> dict[str, Any]:
    answer = {"action_id": "rb_1", "state": "applied", "current": story.OLD_VERSION}
    return {
        "kind": kind,
        "id": "rb_1",
        "verified": True,
        "repeat": False,
        "acted": kind == "rollback",
        "status": 200 if kind == "rollback" else 204,
        "answer": answer if kind == "rollback" else {},
        "type": f"tripswitch.{told}.v1",
        "data": {
            "event": told,
            "incident": {"id": "inc_1"},
            "rollback": {"from": story.NEW_VERSION, "to": story.OLD_VERSION},
        },
        "wall_s": BEGAN_S + story_s / 100,
        "story_s": story_s,
    } | changed


def gateway(**changed: Any) -> dict[str, Any]:
    served = {"calls": 100, "first_s": 0.0, "last_s": 1700.0}
    return {
        "story_s": 1710.0,
        "sent_until_s": 1709.0,
        "is_idle": True,
        "versions": {story.CONTROL: story.OLD_VERSION, story.CANARY: story.OLD_VERSION},
        "rolled_out_wall_s": BEGAN_S + 6.0,
        "served": {
            story.CONTROL: {story.OLD_VERSION: served},
            story.CANARY: {
                story.OLD_VERSION: served,
                story.NEW_VERSION: {"calls": 50, "first_s": 600.0, "last_s": 665.0},
            },
        },
        "calls": [
            call("alert", "incident.opened", 664),
            call("rollback", "rollback.planned", 665),
        ],
        "sent": dict(TOTALS),
        "failed_spans": 0,
    } | changed


def arm(route: str, cohort: str, version: str, finding: str) -> dict[str, Any]:
    def signal(name: str, value: float) -> dict[str, Any]:
        return {
            "signal": name,
            "finding": finding,
            "value": value,
            "samples": 120,
            "evidence": 7.5,
            "why": f"{name} is {finding}",
        }

    return {
        "scope": scope(route=route, prompt_version=version, cohort=cohort),
        "label": route,
        "calls_15m": 120,
        "signals": [signal("eval_score", 0.9), signal("refusal_rate", 0.04)],
    }


EVENTS = [
    event("change.seen", 601, None),
    event("incident.opened", 660, incident()),
    event("rollback.planned", 660, incident()),
    event("rollback.acknowledged", 662, incident()),
    event("rollback.confirmed", 780, incident()),
    event("incident.recovered", 1680, incident()),
]


def regression(
    events: list[dict[str, Any]] | None = None, played: dict[str, Any] | None = None
) -> Observed:
    """Return a run of the regression story, each event taken when its time had come."""
    seen = Observed(story.STORIES["regression"], 1, BEGAN_S)
    played = gateway() if played is None else played
    for each in EVENTS if events is None else events:
        now_s = story_seconds(each["time"])
        known = [item for item in played["calls"] if item["story_s"] <= now_s + 5]
        take(seen, [each], played | {"calls": known}, now_s)
    take(seen, [], played, 1709.0)
    seen.status = {
        "scopes": [
            arm(story.REFUND_ROUTE, story.CONTROL, story.OLD_VERSION, "healthy"),
            arm(story.REFUND_ROUTE, story.CANARY, story.NEW_VERSION, "regressed"),
            arm(story.SEARCH_ROUTE, story.CONTROL, story.OLD_VERSION, "insufficient"),
        ]
    }
    seen.received = dict(TOTALS)
    seen.metrics = dict(METRICS)
    seen.bad_traces = [*TRACES, "c" * 32]
    seen.wall_s = 24.0
    return seen


def healthy() -> Observed:
    """Return a run of the healthy story."""
    seen = Observed(story.STORIES["healthy"], 1, BEGAN_S)
    versions = {story.CONTROL: story.OLD_VERSION, story.CANARY: story.NEW_VERSION}
    take(seen, EVENTS[:1], gateway(calls=[], versions=versions), 2399.0)
    seen.status = {"scopes": [arm(story.REFUND_ROUTE, story.CANARY, story.NEW_VERSION, "healthy")]}
    seen.received = dict(TOTALS)
    seen.metrics = dict(METRICS)
    return seen


def take(
    seen: Observed, events: list[dict[str, Any]], played: dict[str, Any], now_s: float
) -> None:
    seen.take(events, played, read_s=now_s, wall_s=BEGAN_S + now_s / 100)
