"""A status update to copy: what is known of an incident now, in words for people outside.

Only what the incident itself says; names from telemetry are made plain, and no cause is guessed.
"""

from __future__ import annotations

from typing import Any, Final

from tripswitch.model.plain_text import plain_line

_SEEN: Final = {
    "eval_drift": "lower quality of some answers",
    "cost_spike": "higher cost of some requests",
    "latency_spike": "slower answers for some requests",
    "guardrail_regression": "answers that our safety checks treat differently than usual",
    "outage": "failing requests",
}
_BACK: Final = ("acknowledged", "confirmed")


def updates_of(incident: dict[str, Any]) -> list[dict[str, str]]:
    """Return the updates of an incident's JSON, each with ``audience``, ``title`` and ``text``."""
    return [
        {"audience": "customers", "title": "For customers", "text": _for_customers(incident)},
        {"audience": "engineering", "title": "For engineering", "text": _for_us(incident)},
    ]


def _phase(incident: dict[str, Any]) -> str:
    if incident["state"] == "resolved":
        return "Resolved"
    if incident["state"] == "recovered":
        return "Monitoring"
    plan = incident["rollback"]
    return "Identified" if plan is not None and plan["state"] in _BACK else "Investigating"


def _for_customers(incident: dict[str, Any]) -> str:
    phase, seen = _phase(incident), _SEEN.get(incident["shape"], "a change in some answers")
    since = _clock(incident["onset"])
    match phase:
        case "Resolved":
            what = f"Between {since} and {_clock(incident['recovered_at'])} UTC we saw {seen}. "
            what += "It has been back to normal since then."
        case "Monitoring":
            what = f"Since {since} UTC we saw {seen}. We undid the change, and measurements are "
            what += "back to normal. We keep watching."
        case "Identified":
            what = f"Since {since} UTC we see {seen}. We have undone a recent change and are "
            what += "checking that it helps."
        case _:
            what = f"Since {since} UTC we see {seen}. We are looking into it."
    return f"{phase}: {what}\n"


def _for_us(incident: dict[str, Any]) -> str:
    lines = [f"{_phase(incident)}: {plain_line(incident['why'], 600)}"]
    scope = [
        f"{name} {plain_line(value, 80)}" for name, value in incident["scope"].items() if value
    ]
    lines.append(f"Where: {', '.join(scope) or 'everything'}")
    lines.append(f"Since: {incident['onset']}, noticed {incident['detected_at']}")
    plan = incident["rollback"]
    if plan is not None:
        move = f"{plain_line(plan['from'], 60)} to {plain_line(plan['to'], 60)}"
        lines.append(f"Rollback: {move} through {plain_line(plan['target'], 60)}, {plan['state']}")
    if incident["missing"]:
        missing = ", ".join(what.replace("_", " ") for what in incident["missing"])
        lines.append(f"Still needed to close: {missing}")
    lines.append(f"Incident: {incident['id']}")
    return "\n".join(lines) + "\n"


def _clock(text: str | None) -> str:
    return "an unknown time" if text is None else text[11:16]
