"""Whether what was observed is what the story claims, claim by claim.

The demo succeeds only if every claim holds; each says in words what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tripswitch.drive.demo import story
from tripswitch.drive.demo.timeline import (
    ALERT_RECEIVED,
    ROLLBACK_CALLED,
    Moment,
    Observed,
    clock,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHAPES = ("eval_drift", "guardrail_regression")


_LOSSES = (
    "tap_dropped_requests_total",
    "tap_lost_requests_total",
    "tap_errors_total",
    "reader_unreadable_requests_total",
    "reader_skewed_spans_total",
    "judge_errors_total",
    "judge_restarts_total",
    "ledger_errors_total",
)
"""tripswitch's own counters of what it did not read or judge or write down."""


class Claim(NamedTuple):
    """One thing the story claims, whether it was observed, and what was."""

    claim: str
    held: bool
    detail: str


def claims(seen: Observed) -> list[Claim]:
    """Return every claim of the story with whether it held."""
    told = _regression(seen) if seen.told.has_regression else _healthy(seen)
    return [_played(seen), *told, *_transport(seen)]


def report(seen: Observed) -> dict[str, Any]:
    """Return the demo's one JSON document."""
    judged = claims(seen)
    return {
        "story": seen.told.name,
        "seed": seen.seed,
        "ok": all(claim.held for claim in judged),
        "wall_s": round(seen.wall_s, 3),
        "timeline": seen.timeline,
        "claims": [claim._asdict() for claim in judged],
        "sent": seen.gateway.get("sent"),
        "received": seen.received,
        "stages": {
            stage.name: {"story_s": stage.story_s, "wall_s": stage.wall_s}
            for stage in seen.stages()
        },
    }


def _played(seen: Observed) -> Claim:
    return Claim("the story was played to its end", not seen.cut_short, seen.cut_short or "it was")


def _regression(seen: Observed) -> Iterable[Claim]:
    yield _rollout_seen(seen)
    opened = seen.first("incident.opened")
    yield _opened_on_the_canary(opened)
    incident = {} if opened is None else opened["incident"]
    latest = _latest_incident(seen, incident.get("id"))
    yield _count("one incident was opened", seen.all("incident.opened"), 1)
    yield _exemplars_failed(seen, latest)
    yield _rolled_back_once(seen, incident.get("id"))
    yield _in_order(seen)
    yield _traffic_returned(seen)
    recovered = seen.first("incident.recovered")
    yield Claim(
        "recovery was proven from the spans",
        recovered is not None and recovered["incident"]["id"] == incident.get("id"),
        "no recovery was reported" if recovered is None else said(recovered),
    )
    yield _alerted(seen, incident.get("id"))
    yield _other_route_silent(seen)


def _healthy(seen: Observed) -> Iterable[Claim]:
    yield _rollout_seen(seen)
    fired = [moment for moment in seen.timeline if moment["event"].startswith("incident.")]
    yield _count("no incident was opened", fired, 0)
    yield _count("no rollback was called", seen.all(ROLLBACK_CALLED), 0)
    yield _count("nobody was alerted", seen.all(ALERT_RECEIVED), 0)
    yield _judged_healthy(seen)
    version = seen.gateway["versions"][story.CANARY]
    yield Claim(
        f"the canary still serves {story.NEW_VERSION}",
        version == story.NEW_VERSION,
        f"it serves {version}",
    )


def _transport(seen: Observed) -> Iterable[Claim]:
    sent, received = seen.gateway.get("sent"), seen.received
    yield Claim(
        "every span and byte sent arrived upstream unchanged",
        sent is not None and sent == received and sent["spans"] > 0,
        f"sent {_totals(sent)}; received {_totals(received)}",
    )
    yield _all_read(seen)
    failed = seen.gateway["failed_spans"]
    yield Claim("no export failed", failed == 0, f"{failed} spans were not accepted")


def _all_read(seen: Observed) -> Claim:
    sent = (seen.gateway.get("sent") or {}).get("spans", 0)
    read = int(seen.metrics.get("reader_spans_total", 0))
    losses = [f"{name} {seen.metrics.get(name)}" for name in _LOSSES if seen.metrics.get(name) != 0]
    detail = "; ".join([f"read {read} of {sent} spans", *losses])
    return Claim("tripswitch read and judged all of it", read == sent and not losses, detail)


def _rollout_seen(seen: Observed) -> Claim:
    changes = [
        moment
        for moment in seen.all("change.seen")
        if moment["change"]["to"] == story.NEW_VERSION
        and moment["change"]["scope"]["cohort"] == story.CANARY
        and moment["change"]["scope"]["route"] == story.REFUND_ROUTE
    ]
    detail = said(changes[0]) if changes else "tripswitch reported no such change"
    return Claim(f"the rollout of {story.NEW_VERSION} was seen", bool(changes), detail)


def _opened_on_the_canary(opened: Moment | None) -> Claim:
    claim = f"an incident was opened on {story.NEW_VERSION} in the {story.CANARY}"
    if opened is None:
        return Claim(claim, False, "no incident was opened")
    incident = opened["incident"]
    scope = incident["scope"]
    held = (
        incident["shape"] in _SHAPES
        and scope["route"] == story.REFUND_ROUTE
        and scope["prompt_version"] == story.NEW_VERSION
        and scope["cohort"] == story.CANARY
    )
    return Claim(claim, held, f"{incident['shape']} at {clock(opened)}")


def _exemplars_failed(seen: Observed, incident: dict[str, Any]) -> Claim:
    shown = incident.get("exemplars") or []
    strangers = [trace for trace in shown if trace not in set(seen.bad_traces)]
    detail = f"{len(shown)} shown, all among the {len(seen.bad_traces)} that failed"
    if strangers or not shown:
        detail = f"{len(shown)} shown, not among those that failed: {strangers}"
    claim = f"the traces shown are failing {story.NEW_VERSION} traces that the gateway sent"
    return Claim(claim, bool(shown) and not strangers, detail)


def _rolled_back_once(seen: Observed, incident_id: str | None) -> Claim:
    calls = [moment["call"] for moment in seen.all(ROLLBACK_CALLED)]
    acted = [call for call in calls if call["verified"] and call["acted"]]
    held = (
        len(calls) == 1
        and len(acted) == 1
        and _incident_id(acted[0]) == incident_id
        and acted[0]["answer"].get("current") == story.OLD_VERSION
    )
    detail = f"calls {len(calls)}, verified and acted on {len(acted)}"
    return Claim("the gateway was called once, verified it and moved the pointer", held, detail)


def _in_order(seen: Observed) -> Claim:
    expected = [
        "change.seen",
        "incident.opened",
        "rollback.planned",
        ROLLBACK_CALLED,
        "rollback.acknowledged",
        "rollback.confirmed",
        "incident.recovered",
    ]
    names = [moment["event"] for moment in seen.timeline]
    rest = iter(names)
    held = all(name in rest for name in expected)
    missing = [name for name in expected if name not in names]
    detail = " > ".join(expected) if held else f"missing: {missing}" if missing else "wrong order"
    return Claim("it all happened in order", held, detail)


def _traffic_returned(seen: Observed) -> Claim:
    version = seen.gateway["versions"][story.CANARY]
    served = seen.gateway["served"][story.CANARY]
    old = served.get(story.OLD_VERSION, {}).get("last_s", 0.0)
    new = served.get(story.NEW_VERSION, {}).get("last_s", 0.0)
    confirmed = seen.first("rollback.confirmed") is not None
    detail = (
        f"the gateway's canary serves {version}; "
        f"tripswitch {'saw' if confirmed else 'did not see'} it in the spans"
    )
    held = version == story.OLD_VERSION and old > new > 0 and confirmed
    return Claim(f"the traffic went back to {story.OLD_VERSION}", held, detail)


def _alerted(seen: Observed, incident_id: str | None) -> Claim:
    calls = [moment["call"] for moment in seen.all(ALERT_RECEIVED)]
    about = [call for call in calls if call["verified"] and _incident_id(call) == incident_id]
    forged = sum(not call["verified"] for call in calls)
    detail = f"{len(about)} alerts verified, {forged} refused"
    return Claim("people were alerted by a signed webhook", bool(about) and not forged, detail)


def _other_route_silent(seen: Observed) -> Claim:
    judged = sum(arm["calls_15m"] for arm in seen.arms(story.SEARCH_ROUTE))
    fired = [
        moment
        for moment in seen.timeline
        if moment["incident"] and moment["incident"]["scope"]["route"] == story.SEARCH_ROUTE
    ]
    detail = f"{judged} calls seen in the last 15 minutes, {len(fired)} events"
    held = judged > 0 and not fired
    return Claim(f"{story.SEARCH_ROUTE} was watched too and stayed silent", held, detail)


def _judged_healthy(seen: Observed) -> Claim:
    """Silence proves nothing by itself: the new version must have been judged."""
    findings = {
        signal["signal"]: signal
        for arm in seen.arms(story.REFUND_ROUTE)
        if arm["scope"]["prompt_version"] == story.NEW_VERSION
        for signal in arm["signals"]
        if signal["signal"] in ("eval_score", "refusal_rate")
    }
    held = len(findings) == 2 and all(
        signal["finding"] == "healthy" for signal in findings.values()
    )
    detail = "; ".join(signal["why"] for signal in findings.values()) or "it was not judged"
    return Claim(f"{story.NEW_VERSION} was judged and found healthy", held, detail)


def _count(claim: str, found: Sequence[Moment], wanted: int) -> Claim:
    detail = str(len(found))
    if len(found) > wanted:
        detail += ": " + "; ".join(said(moment) for moment in found[:3])
    return Claim(claim, len(found) == wanted, detail)


def _latest_incident(seen: Observed, incident_id: str | None) -> dict[str, Any]:
    for moment in reversed(seen.timeline):
        if moment["incident"] is not None and moment["incident"]["id"] == incident_id:
            incident: dict[str, Any] = moment["incident"]
            return incident
    return {}


def _incident_id(call: dict[str, Any]) -> str | None:
    incident = (call["data"] or {}).get("incident") or {}
    found: str | None = incident.get("id")
    return found


def _totals(totals: dict[str, Any] | None) -> str:
    if not totals:
        return "nothing"
    return f"{totals['spans']} spans, {totals['bytes']} bytes, digest {totals['digest'][:12]}"
