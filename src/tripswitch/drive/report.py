"""The state of an engine as JSON: what ``/v1/status``, ``tripswitch status`` and the demo show."""

from __future__ import annotations

from typing import Any

from tripswitch.detect.families import calls_in
from tripswitch.engine import Engine
from tripswitch.genai.census import Census
from tripswitch.genai.traces import TraceBook
from tripswitch.model.clocktext import rfc3339
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Verdict


def status_of(engine: Engine) -> dict[str, Any]:
    """Return the scopes with their calls and verdicts, and the open incidents.

    ``scopes`` is a list in order of route, prompt, version, cohort; each has ``scope`` (the six
    fields), ``calls_15m`` and ``signals``, one entry a signal, rubric and direction, in that order.
    ``due`` is what people owe the readers of a page, soonest first.
    """
    by_scope: dict[Scope, list[Verdict]] = {}
    for verdict in engine.verdicts():
        by_scope.setdefault(verdict.scope, []).append(verdict)
    scopes = []
    for scope in sorted(by_scope, key=lambda item: tuple(part or "" for part in item)):
        record = engine.scopes.records.get(scope)
        scopes.append(
            {
                "scope": scope.as_json(),
                "label": scope.label(),
                "calls_15m": 0 if record is None else int(calls_in(engine.scopes, record, "15m")),
                "signals": [_signal(verdict) for verdict in sorted(by_scope[scope], key=_order)],
            }
        )
    return {
        "now": rfc3339(engine.now_ns) if engine.now_ns else None,
        "scopes": scopes,
        "incidents": [
            tracked.incident.as_json()
            for tracked in sorted(
                engine.book.open.values(), key=lambda tracked: tracked.incident.detected_at_ns
            )
        ],
        "due": engine.follower.reminders.outlook(engine.config),
    }


def _order(verdict: Verdict) -> tuple[str, str, str]:
    # By name and not by when each was first judged, which depends on what arrived first.
    return verdict.signal, verdict.rubric or "", verdict.direction


def _signal(verdict: Verdict) -> dict[str, Any]:
    return {
        "signal": verdict.signal,
        "rubric": verdict.rubric,
        "direction": verdict.direction,
        "finding": verdict.finding.value,
        "severity": None if verdict.severity is None else verdict.severity.value,
        "comparison": None if verdict.comparison is None else verdict.comparison.value,
        "value": round(verdict.value, 6),
        "usual": round(verdict.usual, 6),
        "samples": verdict.samples,
        "usual_samples": verdict.usual_samples,
        "evidence": float(f"{min(verdict.evidence, 1e12):.4g}"),
        "why": verdict.why,
    }


def telemetry_of(census: Census, traces: TraceBook) -> dict[str, Any]:
    """Return what is understood of the telemetry: the census, how traces went, learnt ranges."""
    return {
        "census": census.as_json(),
        "counts": traces.counters(),
        "score_ranges": {
            name: {"low": known.low, "high": known.high}
            for name, known in traces.appraiser.ranges.known().items()
        },
    }
