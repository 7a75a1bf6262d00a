"""A case: one incident as the ledger tells of it, typed and made harmless to show.

`case_of` takes the JSON that ``Ledger.case`` (or the API) gives and reads it once, tolerantly: an
older ledger lacks fields, a newer one has more. Every text goes through `plain_line` here, so that
what is made of a case (charts, updates, postmortems) starts from single, bounded, inert lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tripswitch.model.clocktext import ns_of
from tripswitch.model.drift import DriftSeries, DriftSignal
from tripswitch.model.plain_text import plain_line
from tripswitch.model.scope import Scope

_NAME_CHARS: Final = 80
_SENTENCE_CHARS: Final = 600
_MOST: Final = 500
"""Entries read of any list."""

_TRACE_ID: Final = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of the timeline; ``severity`` and ``rollback`` are the incident's states then."""

    time_ns: int
    name: str
    detail: str
    severity: str = ""
    rollback: str = ""


@dataclass(frozen=True, slots=True)
class CaseChange:
    """One change before the incident."""

    kind: str
    time_ns: int
    scope: Scope
    before: str
    after: str
    why: str = ""
    """Why triage ranks it where it stands, empty where there was none."""

    def sentence(self) -> str:
        """Return the change in words."""
        what = f"{self.kind.replace('_', ' ')} {self.after}"
        where = f" on {self.scope.label()}" if self.scope.route else ""
        return what + where + (f", after {self.before}" if self.before else "")


@dataclass(frozen=True, slots=True)
class CaseRollback:
    """The rollback, in the words of the ledger."""

    path: str
    target: str
    before: str
    after: str
    blast_radius: str
    mode: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a person said: what, who, when, where it can be read, and why."""

    what: str
    by: str
    at: str
    link: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One trace that shows it, with the facts that triage found in its spans."""

    trace_id: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that is known of one incident. Times are ns since the epoch, None if not yet.

    ``signal`` is the name of the first signal, with its rubric; ``cause`` is what triage took it
    for (``our_change``, ``provider``, ``judge``, ``unknown``), empty where there was no triage.
    """

    id: str
    shape: str
    signal: str
    severity: str
    state: str
    security: bool
    scope: Scope
    onset_ns: int
    detected_ns: int
    paged_ns: int | None
    called_ns: int | None
    confirmed_ns: int | None
    recovered_ns: int | None
    resolved_ns: int | None
    estimate: float
    baseline: float
    samples: int
    evidence: float
    why: str
    signals: tuple[str, ...]
    exemplars: tuple[Exemplar, ...]
    contrast: Exemplar | None
    changes: tuple[CaseChange, ...]
    tenants: tuple[tuple[str, int], ...]
    rollback: CaseRollback | None
    moments: tuple[Moment, ...]
    drift: tuple[DriftSignal, ...]
    cause: str = ""
    cause_sentence: str = ""
    recommended: str = ""
    told: tuple[Told, ...] = ()
    waiver: str = ""
    calls: tuple[str, ...] = field(default=())

    @property
    def label(self) -> str:
        """Return the scope as one short text."""
        return self.scope.label()

    def signal_drift(self, name: str | None = None) -> DriftSignal | None:
        """Return the series of a signal, of the incident's first one by default."""
        wanted = self.signal if name is None else name
        return next((one for one in self.drift if one.name == wanted), None)

    def rollout(self) -> CaseChange | None:
        """Return the change that brought the bad version, None where none was seen."""
        version = self.scope.prompt_version
        return next(
            (
                change
                for change in self.changes
                if version and change.after == version and change.time_ns <= self.detected_ns
            ),
            None,
        )


def case_of(document: Mapping[str, Any]) -> Case:
    """Return the case in ``document``. Raises ValueError or KeyError for what is no case at all."""
    incident = document["incident"]
    # What the outbox did stands in the calls.
    moments = tuple(
        _moment(event)
        for event in _items(document.get("events"))
        if not str(event["event"]).startswith("action.")
    )
    triage = _mapping(incident.get("triage"))
    recommended = _mapping(triage.get("recommended"))
    plan = _mapping(incident.get("rollback"))
    rubric = incident.get("rubric")
    signals = tuple(_name(one) for one in _items(incident.get("signals")))
    first = f"{incident['signal']}:{rubric}" if rubric else str(incident["signal"])
    return Case(
        id=_name(incident["id"]),
        shape=_name(incident["shape"]),
        signal=_name(first),
        severity=_name(incident["severity"]),
        state=_name(incident["state"]),
        security=bool(incident.get("security")),
        scope=_scope(incident.get("scope")),
        onset_ns=ns_of(incident["onset"]),
        detected_ns=ns_of(incident["detected_at"]),
        paged_ns=_first(moments, "incident.opened", "incident.escalated", severity="page"),
        called_ns=_first(moments, "rollback.acknowledged", "rollback.unknown"),
        confirmed_ns=_first(moments, "rollback.confirmed"),
        recovered_ns=_time(incident.get("recovered_at")),
        resolved_ns=_time(incident.get("resolved_at")),
        estimate=float(incident["estimate"]),
        baseline=float(incident["baseline"]),
        samples=int(incident["samples"]),
        evidence=float(incident["evidence"]),
        why=_sentence(incident["why"]),
        signals=signals or (_name(first),),
        exemplars=_exemplars(incident, triage),
        contrast=next(
            (
                one
                for trace in _items(triage.get("traces"))
                if _mapping(trace).get("role") == "contrast" and (one := _exemplar(trace))
            ),
            None,
        ),
        changes=tuple(
            _change(one) for one in _items(triage.get("changes") or incident.get("changes"))
        ),
        tenants=tuple(
            (_name(one["tenant"]), int(one["calls"])) for one in _items(incident.get("tenants"))
        ),
        rollback=_rollback(plan) if plan else None,
        moments=moments,
        drift=tuple(_clean(DriftSignal.of_json(one)) for one in _items(document.get("drift"))),
        cause=_name(triage.get("cause") or ""),
        cause_sentence=_sentence(triage.get("sentence") or ""),
        recommended=_sentence(recommended.get("why") or ""),
        told=_told(incident),
        waiver=_waiver(incident.get("waiver")),
        calls=tuple(_call(one) for one in _items(document.get("calls"))),
    )


def _items(value: Any) -> list[Any]:
    return list(value)[:_MOST] if isinstance(value, list | tuple) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _name(value: Any) -> str:
    return plain_line(value, _NAME_CHARS)


def _sentence(value: Any) -> str:
    return plain_line(value, _SENTENCE_CHARS)


def _time(value: Any) -> int | None:
    return None if value is None else ns_of(value)


def _scope(value: Any) -> Scope:
    fields = _mapping(value)
    return Scope(
        *(None if (one := fields.get(key)) is None else _name(one) for key in Scope._fields)
    )


def _moment(event: Mapping[str, Any]) -> Moment:
    incident = _mapping(event.get("incident"))
    return Moment(
        ns_of(event["time"]),
        _name(event["event"]),
        _sentence(event.get("detail") or ""),
        _name(incident.get("severity") or ""),
        _name(_mapping(incident.get("rollback")).get("state") or ""),
    )


def _first(moments: Iterable[Moment], *names: str, severity: str = "") -> int | None:
    for moment in moments:
        if moment.name in names and severity in ("", moment.severity):
            return moment.time_ns
    return None


def _change(one: Mapping[str, Any]) -> CaseChange:
    return CaseChange(
        _name(one["kind"]),
        ns_of(one["time"]),
        _scope(one.get("scope")),
        _name(one.get("from") or ""),
        _name(one["to"]),
        _sentence(one.get("why") or ""),
    )


def _rollback(plan: Mapping[str, Any]) -> CaseRollback:
    names = ("path", "target", "from", "to", "blast_radius", "mode", "state")
    path, target, before, after, radius, mode, state = (
        _name(plan.get(name) or "") for name in names
    )
    reason = _sentence(plan.get("reason") or "")
    return CaseRollback(path, target, before, after, radius, mode, state, reason)


def _exemplars(incident: Mapping[str, Any], triage: Mapping[str, Any]) -> tuple[Exemplar, ...]:
    bad = [one for one in _items(triage.get("traces")) if _mapping(one).get("role") != "contrast"]
    known = {one.trace_id: one for one in map(_exemplar, bad) if one is not None}
    ids = [_exemplar(one) for one in _items(incident.get("exemplars"))]
    named = {one.trace_id: one for one in ids if one is not None}
    return tuple((named | known).values())


def _exemplar(one: Any) -> Exemplar | None:
    """Return the exemplar in ``one``, a trace id or an object; None for what is no trace id."""
    fields = _mapping(one)
    trace_id = fields.get("trace_id") if fields else one
    if not isinstance(trace_id, str) or not _TRACE_ID.fullmatch(trace_id):
        return None
    told = _mapping(fields.get("facts"))
    facts = [
        f"{_name(key).replace('_', ' ')} {_name(value)}"
        for key, value in list(told.items())[:20]
        if isinstance(value, str | int | float)
    ]
    return Exemplar(trace_id, tuple(facts))


def _told(incident: Mapping[str, Any]) -> tuple[Told, ...]:
    acknowledged = _mapping(incident.get("acknowledged"))
    first = [_said({"what": "acknowledged"} | dict(acknowledged))] if acknowledged else []
    confirmed = [_said(one) for one in _items(incident.get("confirmations")) if _mapping(one)]
    return (*first, *confirmed)


def _said(one: Mapping[str, Any]) -> Told:
    what, by, at, link = (_name(one.get(key) or "") for key in ("what", "by", "at", "link"))
    return Told(what.replace("_", " "), by, at, link, _sentence(one.get("note") or ""))


def _waiver(value: Any) -> str:
    fields = _mapping(value)
    if not fields:
        return ""
    return _sentence(f"{fields.get('note') or 'no reason given'} ({fields.get('by')})")


def _call(one: Mapping[str, Any]) -> str:
    attempts = int(one.get("attempts") or 0)
    return _sentence(
        f"{one.get('kind')} to {one.get('target')}: {one.get('state')} after {attempts} "
        f"attempt{'' if attempts == 1 else 's'}, {one.get('last_result')}"
    )


def _clean(signal: DriftSignal) -> DriftSignal:
    series = tuple(
        DriftSeries(
            one.role,
            Scope(*(None if part is None else _name(part) for part in one.scope)),
            one.points,
        )
        for one in signal.series
    )
    return DriftSignal(
        _name(signal.name),
        signal.unit,
        signal.worse,
        signal.usual,
        signal.investigate,
        signal.page,
        series,
    )
