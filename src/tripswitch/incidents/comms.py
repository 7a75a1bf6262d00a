"""Status updates, drafted from what is known and nothing else, and held for a person.

A draft is made of a template that an operator can edit and of sentences that are made here, from
the case alone. Its state follows from the case. Two audiences read it: engineers, with trace id
and drift, and consumers, in plain language. For a service of many tenants only the affected ones
are told, and the draft says who must not be. Nothing here sends anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tripswitch.incidents.case import Case
from tripswitch.incidents.comms_check import Hold, holds_of
from tripswitch.incidents.ladder import VERSIONS
from tripswitch.incidents.postmortem.figures import figures_of
from tripswitch.incidents.rendering import render
from tripswitch.incidents.values import clock_text, lasted_text, moment_text
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.plain_text import plain_line

State = Literal["investigating", "identified", "monitoring", "resolved"]
Audience = Literal["engineering", "consumer"]

STATES: Final[tuple[State, ...]] = ("investigating", "identified", "monitoring", "resolved")
AUDIENCES: Final[tuple[Audience, ...]] = ("engineering", "consumer")

_CONSUMER_EFFECT: Final = {
    "eval_drift": "Some answers are of lower quality than usual.",
    "guardrail_regression": "Some requests are declined that are usually answered.",
    "latency_spike": "Answers take longer than usual.",
    "outage": "Some requests fail.",
}
"""What a consumer notices of a shape; a cost spike is not noticed at all."""

_CONSUMER_OVER: Final = {
    "eval_drift": "Answers are of the usual quality again.",
    "guardrail_regression": "Requests are answered as usual again.",
    "latency_spike": "Answers come as fast as usual again.",
    "outage": "Requests are answered as usual again.",
}

_NEVER_ASKED: Final = ("proposed", "withheld", "rejected", "expired")
_GOING_BACK: Final = ("planned", "acknowledged", "confirmed")

_UNNAMED: Final = "the assistant"


@dataclass(frozen=True, slots=True)
class CommsSettings:
    """What an operator sets: cadence in s, names of routes, all tenants, more words that hold."""

    cadence_s: float = 1800.0
    names: Mapping[str, str] = field(default_factory=dict)
    tenants: tuple[str, ...] = ()
    speculation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommsDraft:
    """One update for one audience. It is always held: ``holds`` say what to look at first.

    ``tell`` are the tenants that may get it, ``do_not_tell`` those that must not; both are None
    where the telemetry names no tenant. ``next_update`` is RFC 3339-like text in UTC, or empty.
    """

    incident_id: str
    state: State
    audience: Audience
    text: str
    is_all_clear: bool
    next_update: str
    tell: tuple[str, ...] | None
    do_not_tell: tuple[str, ...] | None
    holds: tuple[Hold, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the draft as plain JSON values."""
        return {
            "incident": self.incident_id,
            "state": self.state,
            "audience": self.audience,
            "text": self.text,
            "all_clear": self.is_all_clear,
            "next_update": self.next_update or None,
            "tell": None if self.tell is None else list(self.tell),
            "do_not_tell": None if self.do_not_tell is None else list(self.do_not_tell),
            "held": True,
            "holds": [{"kind": hold.kind, "why": hold.sentence()} for hold in self.holds],
        }


def state_of(case: Case) -> State:
    """Return the state that a case is in for its readers; each needs its fact in the ledger."""
    if case.recovered_ns is not None or case.resolved_ns is not None:
        return "resolved"
    if case.rollback is not None and case.rollback.state == "confirmed":
        # An answer of the target is no traffic; until the spans show it nothing was put back.
        return "monitoring"
    was_asked = case.rollback is not None and case.rollback.state not in _NEVER_ASKED
    if was_asked or case.cause in ("our_change", "provider"):
        # A rollback that a doubt holds back names no cause by itself.
        return "identified"
    return "investigating"


def title_of(case: Case, state: State) -> str:
    """Return the title for consumers; empty where no sentence says truly what they notice."""
    if not _is_noticed(case):
        return ""
    said = (_CONSUMER_OVER if state == "resolved" else _CONSUMER_EFFECT)[case.shape]
    return said.removesuffix(".")


def drafted(
    case: Case,
    audience: Audience,
    templates: Mapping[str, str],
    settings: CommsSettings,
    now_ns: int,
    *,
    state: State | None = None,
) -> CommsDraft:
    """Return the update of a case for an audience at ``now_ns``.

    ``state`` may be given where a person knows better; a state that the ledger has no fact for is
    named among the holds. Raises ConfigError for a template that cannot be used.
    """
    own = state_of(case)
    said = own if state is None else state
    next_ns = now_ns + int(settings.cadence_s * NS_PER_S)
    next_update = "" if said == "resolved" else moment_text(next_ns)
    values = _values(case, settings) | {"next_update": next_update, "state": said}
    text = render(templates, f"{said}.{audience}.txt.j2", "text", values)
    tell, do_not_tell = _tenants(case, settings)
    known = [*_known(case), *map(str, settings.names.values()), next_update, *_flat(values)]
    holds = list(holds_of(text, known, settings.speculation))
    if STATES.index(said) > STATES.index(own):
        holds.append(Hold("policy", f"the ledger knows of no more than {own}"))
    holds += _policy(case, audience)
    return CommsDraft(
        incident_id=case.id,
        state=said,
        audience=audience,
        text=_tidy(text),
        is_all_clear=said == "resolved",
        next_update=next_update,
        tell=tell,
        do_not_tell=do_not_tell,
        holds=tuple(holds),
    )


def checked(case: Case, text: str, settings: CommsSettings) -> tuple[Hold, ...]:
    """Return what holds a text that a person wrote about a case."""
    known = [*_known(case), *settings.names.values(), *_flat(_values(case, settings))]
    return holds_of(text, known, settings.speculation)


def _values(case: Case, settings: CommsSettings) -> dict[str, Any]:
    """Return what a template may say: sentences that are true of the case, empty where unknown."""
    plan, rollout = case.rollback, case.rollout()
    figures = figures_of(case)
    served = [one.sentence() for one in figures if one.has_moved]
    route = case.scope.route or ""
    return {
        "incident": case.id,
        "severity": case.severity,
        "scope": case.label,
        "service": plain_line(settings.names.get(route, _UNNAMED)),
        "began": moment_text(case.onset_ns),
        "began_time": f"{clock_text(case.onset_ns, seconds=False)} UTC",
        "noticed": moment_text(case.detected_ns),
        "signal": case.why,
        "measured": served,
        "trace": case.exemplars[0].trace_id if case.exemplars else "",
        "change": ""
        if rollout is None
        else f"{rollout.sentence()} at {moment_text(rollout.time_ns)}",
        "rollback": "" if plan is None else _rollback_sentence(case),
        "recovered": "" if case.recovered_ns is None else moment_text(case.recovered_ns),
        "recovered_time": ""
        if case.recovered_ns is None
        else f"{clock_text(case.recovered_ns, seconds=False)} UTC",
        "lasted": ""
        if case.recovered_ns is None
        else lasted_text(case.recovered_ns - case.onset_ns),
        "tenants": [name for name, _ in case.tenants],
        "effect": _CONSUMER_EFFECT[case.shape] if _is_noticed(case) else "",
        "effect_over": _CONSUMER_OVER[case.shape] if _is_noticed(case) else "",
        "is_going_back": plan is not None and plan.state in _GOING_BACK,
        "is_version": plan is not None and plan.path in VERSIONS,
        "is_providers": case.cause == "provider",
    }


def _is_noticed(case: Case) -> bool:
    """Return whether a sentence says truly what consumers notice of it."""
    if case.security or case.shape not in _CONSUMER_EFFECT:
        return False
    if case.shape == "guardrail_regression":
        # Fewer refusals than usual are no request declined.
        return case.signal.startswith("refusal_rate") and case.estimate > case.baseline
    if case.shape == "outage":
        return not case.signal.startswith(("traffic_drop", "telemetry_lost"))
    return True


def _rollback_sentence(case: Case) -> str:
    plan = case.rollback
    assert plan is not None
    move = f"{plan.before} back to {plan.after} by {plan.target} ({plan.blast_radius})"
    if case.confirmed_ns is not None:
        return f"{move}: the traffic is back, seen at {moment_text(case.confirmed_ns)}"
    if case.called_ns is not None:
        return f"{move}: asked for at {moment_text(case.called_ns)}, answered {plan.state}"
    return f"{move}: {plan.state}"


def _tenants(
    case: Case, settings: CommsSettings
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return who may be told and who must not; None where the telemetry names nobody."""
    if not case.tenants:
        return None, None
    tell = tuple(name for name, _ in case.tenants)
    every = dict.fromkeys(plain_line(name) for name in settings.tenants)
    return tell, tuple(name for name in every if name not in tell)


def _policy(case: Case, audience: Audience) -> list[Hold]:
    holds = []
    if case.security:
        holds.append(
            Hold("policy", "a security incident: security review decides what is said, and to whom")
        )
    if audience == "consumer" and not _is_noticed(case):
        what = case.shape.replace("_", " ")
        holds.append(Hold("policy", f"there is no plain sentence for this {what}; write one"))
    if case.severity != "page":
        holds.append(Hold("policy", "it did not page; an update is not due"))
    return holds


def _known(case: Case) -> list[str]:
    """Return every text of the ledger that a number or a name may come from."""
    plan = case.rollback
    texts = [
        case.id,
        case.shape.replace("_", " "),
        case.label,
        case.why,
        case.cause_sentence,
        case.recommended,
        case.waiver,
        f"{case.samples} {case.samples:,} {case.estimate:.6g} {case.baseline:.6g}",
        *case.signals,
        *(one.trace_id for one in case.exemplars),
        *(change.sentence() for change in case.changes),
        *(f"{name} {calls}" for name, calls in case.tenants),
        *(moment.detail for moment in case.moments),
        *(moment_text(moment.time_ns) for moment in case.moments),
        *(f"{one.what} {one.by} {one.at} {one.link} {one.note}" for one in case.told),
        str(len(case.tenants)),
    ]
    if plan is not None:
        texts += [plan.before, plan.after, plan.target, plan.blast_radius, plan.reason]
    return texts


def _flat(values: Mapping[str, Any]) -> list[str]:
    texts = []
    for value in values.values():
        texts += [str(one) for one in value] if isinstance(value, list) else [str(value)]
    return texts


def _tidy(text: str) -> str:
    lines = [line.rstrip() for line in text.strip().splitlines()]
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept) + "\n"
