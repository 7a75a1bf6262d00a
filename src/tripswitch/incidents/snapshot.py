"""Incidents in a snapshot: what the ledger does not hold of them, the changes, the worst calls.

The ledger says which incidents are open and how each stands; a snapshot adds the verdicts they
stand on and how far the proof of recovery is.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tripswitch.incidents.book import Book, Subject, Tracked
from tripswitch.incidents.changes import ChangeLog
from tripswitch.incidents.exemplars import Exemplars
from tripswitch.incidents.owed import Owed
from tripswitch.incidents.recovery import Recovery
from tripswitch.model.incident import Incident, IncidentState, Severity, Shape
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.model.verdict import Comparison, Finding, Verdict


def save_incidents(
    snapshot: Snapshot, book: Book, changes: ChangeLog, exemplars: Exemplars
) -> None:
    """Put what is known of open incidents, changes and bad calls into ``snapshot``."""
    changes.save(snapshot)
    exemplars.save(snapshot, {tracked.incident.scope.arm() for tracked in book.open.values()})
    snapshot.facts["incidents.episodes"] = [
        [snapshot.number(subject.scope), subject.security, *episode]
        for subject, episode in book.episodes.items()
    ]
    snapshot.facts["incidents.owed"] = {
        incident_id: owed.as_json() for incident_id, owed in book.owed.items()
    }
    snapshot.facts["incidents.open"] = [
        _tracked_json(tracked, snapshot) for tracked in book.open.values()
    ]


def restore_incidents(
    snapshot: Snapshot, book: Book, changes: ChangeLog, exemplars: Exemplars
) -> None:
    """Take from ``snapshot`` what `save_incidents` put there.

    Its incidents are only remembered: the ledger, read after this, says which are open.
    """
    changes.restore(snapshot)
    exemplars.restore(snapshot)
    for number, *flags, episode, quiet_until_ns in snapshot.facts["incidents.episodes"]:
        scope = snapshot.scope(number)
        if scope is not None:
            # None of those before security had incidents of its own was about it.
            book.episodes[Subject(scope, any(flags))] = (episode, quiet_until_ns)
    for incident_id, fields in snapshot.facts.get("incidents.owed", {}).items():
        book.owed[incident_id] = Owed(**fields)
    for kept in snapshot.facts["incidents.open"]:
        book.remembered[kept["id"]] = _tracked_of(kept, snapshot)


def _tracked_json(tracked: Tracked, snapshot: Snapshot) -> dict[str, Any]:
    incident = tracked.incident
    return {
        "id": incident.id,
        "scope": snapshot.number(incident.scope),
        "state": incident.state.value,
        "security": incident.security,
        "called_ns": tracked.called_ns,
        "share_before": tracked.share_before,
        "is_overdue": tracked.is_overdue,
        "is_unrecovered": tracked.is_unrecovered,
        "is_hold_over": tracked.is_hold_over,
        "confirmed_ns": tracked.confirmed_ns,
        "tried": sorted(map(list, tracked.tried)),
        "families": [snapshot.number(family) for family in sorted(tracked.families, key=repr)],
        "blaming": None if tracked.blaming is None else _verdict_json(tracked.blaming, snapshot),
        "drift_step": tracked.drift_step,
        "recovery": None if tracked.recovery is None else tracked.recovery.as_json(),
        "verdicts": [_verdict_json(verdict, snapshot) for verdict in tracked.verdicts.values()],
    }


def _tracked_of(kept: dict[str, Any], snapshot: Snapshot) -> Tracked:
    scope = snapshot.scope(kept["scope"]) or Scope()
    state, security = IncidentState(kept["state"]), bool(kept.get("security"))
    tracked = Tracked(_placeholder(kept["id"], scope, state, security=security))
    tracked.called_ns, tracked.share_before = kept["called_ns"], kept["share_before"]
    tracked.is_overdue = kept["is_overdue"]
    tracked.is_unrecovered = kept.get("is_unrecovered", False)
    tracked.is_hold_over = kept.get("is_hold_over", False)
    tracked.confirmed_ns = kept.get("confirmed_ns")
    tracked.tried = {(path, target) for path, target in kept.get("tried", ())}
    families = (snapshot.scope(number) for number in kept.get("families", ()))
    tracked.families = {family for family in families if family is not None}
    tracked.drift_step = kept.get("drift_step", "")
    try:
        blaming = kept.get("blaming")
        tracked.blaming = None if blaming is None else _verdict_of(blaming, snapshot)
        recovery = kept["recovery"]
        tracked.recovery = None if recovery is None else Recovery.of_json(recovery)
        verdicts = [_verdict_of(verdict, snapshot) for verdict in kept["verdicts"]]
    except (KeyError, TypeError, ValueError):
        # Of another make: the proof begins anew, as it does without a snapshot.
        tracked.recovery, verdicts = None, []
    for verdict in verdicts:
        tracked.verdicts[verdict.signal, verdict.rubric, verdict.direction] = verdict
    return tracked


def _placeholder(
    incident_id: str, scope: Scope, state: IncidentState, *, security: bool
) -> Incident:
    """Return an incident of which only this is known, until the ledger's takes its place."""
    return Incident(
        id=incident_id,
        shape=Shape.EVAL_DRIFT,
        signal="",
        rubric=None,
        severity=Severity.INVESTIGATE,
        state=state,
        security=security,
        scope=scope,
        episode=0,
        onset_ns=0,
        detected_at_ns=0,
        estimate=0.0,
        baseline=0.0,
        samples=0,
        evidence=0.0,
        why="",
    )


def _verdict_json(verdict: Verdict, snapshot: Snapshot) -> dict[str, Any]:
    return asdict(verdict) | {
        "scope": snapshot.number(verdict.scope),
        "reference": snapshot.number(verdict.reference),
        "measured": snapshot.number(verdict.measured),
        "upstream": snapshot.number(verdict.upstream),
    }


def _verdict_of(kept: dict[str, Any], snapshot: Snapshot) -> Verdict:
    severity, comparison = kept["severity"], kept["comparison"]
    values = kept | {
        "finding": Finding(kept["finding"]),
        "severity": None if severity is None else Severity(severity),
        "shape": Shape(kept["shape"]),
        "comparison": None if comparison is None else Comparison(comparison),
        "scope": snapshot.scope(kept["scope"]) or Scope(),
        "reference": snapshot.scope(kept["reference"]),
        "measured": snapshot.scope(kept["measured"]) or Scope(),
        "upstream": snapshot.scope(kept["upstream"]),
    }
    return Verdict(**values)
