"""From what the engine asks for to what is to be called: commands become effects.

A `Notify` becomes one effect for each notifier that hears it, a `Rollback` one for its target. The
body is settled here, once, so that each retry sends the same bytes. Receivers expect about 20 KB
(Standard Webhooks, "payload size"); lists and texts are shortened until it fits, but never what a
receiver acts on: the action id, the scope and the versions, and the dedup key.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tripswitch.actions.notify.routing import hearers
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_S
from tripswitch.model.incident import RollbackState
from tripswitch.model.messages import Event, Notify, Rollback
from tripswitch.model.outbox import Effect, EffectKind, EffectState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tripswitch.config.model import Config
    from tripswitch.model.incident import RollbackPlan
    from tripswitch.model.messages import Command
    from tripswitch.model.scope import Scope
    from tripswitch.model.threads import Threads

    Approval = Callable[[str, RollbackPlan, str], str]

MAX_BODY_BYTES = 20_000

# Longest text and longest list, tried in this order until the body fits.
_BOUNDS = ((1000, 20), (400, 10), (120, 5), (40, 2))

# The Standard Webhooks schedule ends after about three days.
NOTIFY_NOT_AFTER_NS = 72 * NS_PER_HOUR
_MAX_SUBJECT_PART = 200

# What somebody who must not know the details of a security incident is told instead of them.
_VEIL: dict[str, Any] = {
    "signal": "security",
    "rubric": None,
    "estimate": None,
    "baseline": None,
    "samples": None,
    "evidence": None,
    "why": "a security incident; its details are with the security reviewers",
    "signals": [],
    "exemplars": [],
    "changes": [],
    "tenants": [],
    "triage": None,
    "confirmations": [],
    "waiver": None,
}


def effects_of(
    commands: Sequence[Command],
    config: Config,
    now_ns: int,
    threads: Threads | None = None,
    approval: Approval | None = None,
) -> list[Effect]:
    """Return the effects that ``commands`` ask for, in their order; events ask for none.

    ``now_ns`` is the wall time: effects are due at once, a rollback is given up
    ``rollback.not_after`` later and a notification after three days. ``threads`` knows who was
    told of an episode before, ``approval`` makes the address at which a proposal is approved.
    Raises `LedgerError` when the ledger cannot be read.
    """
    effects: list[Effect] = []
    told: dict[str, set[str]] = {}
    for command in commands:
        if isinstance(command, Notify):
            effects.extend(_notifications(command, config, now_ns, threads, told, approval))
        elif isinstance(command, Rollback):
            not_after_ns = now_ns + int(config.rollback.not_after * NS_PER_S)
            effects.append(_rollback(command, now_ns, not_after_ns))
    return effects


def _notifications(
    command: Notify,
    config: Config,
    now_ns: int,
    threads: Threads | None,
    told: dict[str, set[str]],
    approval: Approval | None,
) -> list[Effect]:
    """Return the effects of one `Notify`; ``told`` is who was told of each episode until now."""
    event = command.event
    thread = "" if event.incident is None else event.incident.dedup_key
    if thread and thread not in told:
        told[thread] = set() if threads is None else threads.hearing(thread)
    hearing = hearers(event, config, told.get(thread, ()))
    if thread:
        told[thread].update(each.name for each in hearing)
    bodies = {
        veiled: _told(event, config, veiled, None if veiled else approval)
        for veiled in {one.is_veiled for one in hearing}
    }
    return [
        Effect(
            key=f"{command.key}/{hearer.name}",
            kind=EffectKind.NOTIFY,
            target=hearer.name,
            type=f"tripswitch.{event.name.value}.v1",
            subject=_subject(event),
            body=bodies[hearer.is_veiled],
            occurred_ns=event.time_ns,
            state=EffectState.PENDING,
            attempts=0,
            due_ns=now_ns,
            not_after_ns=now_ns + NOTIFY_NOT_AFTER_NS,
            thread=thread,
        )
        for hearer in hearing
    ]


def _told(event: Event, config: Config, veiled: bool, approval: Approval | None) -> str:
    data = event.as_json()
    if data["change"] is None:
        del data["change"]
    exact: dict[str, Any] = {}
    if event.incident is not None:
        exact = {"dedup_key": event.incident.dedup_key}
        if event.draft is not None:
            # Bounded by who drafted it; half a sentence is no draft.
            exact["draft"] = data.pop("draft")
        links = _links(event, config.telemetry.api.public_url, approval)
        if links:
            exact["links"] = links
    if veiled:
        data["incident"].update(_VEIL)
        if not event.name.value.startswith("rollback."):
            data["detail"] = _VEIL["why"]
    return _body(data, exact)


def _links(event: Event, base: str, approval: Approval | None) -> dict[str, str]:
    """Return where a person goes on from a message.

    The address to approve at shows what will be done and wants a press of its button: whoever only
    opens it, be it a mail scanner, approves nothing.
    """
    incident = event.incident
    if not base or incident is None:
        return {}
    name = quote(incident.id[:_MAX_SUBJECT_PART], safe="", errors="replace")
    page = f"{base.rstrip('/')}/incidents/{name}"
    links = {"incident": page}
    if incident.rollback is not None and incident.rollback.state is RollbackState.PROPOSED:
        links["approve"] = (
            f"{page}#rollback"
            if approval is None
            else approval(base, incident.rollback, incident.id)
        )
    return links


def _rollback(command: Rollback, now_ns: int, not_after_ns: int) -> Effect:
    event, plan = command.event, command.plan
    told = event.as_json()
    exact = {
        "action_id": command.key,
        "rollback": plan.as_json(),
        "scope": plan.pointer.as_json(),
    }
    data = {
        "event": told["event"],
        "time": told["time"],
        "detail": told["detail"],
        "why": "" if event.incident is None else event.incident.why,
        "exemplars": [] if event.incident is None else list(event.incident.exemplars),
        "incident": told["incident"],
    }
    return Effect(
        key=command.key,
        kind=EffectKind.ROLLBACK,
        target=plan.target,
        type=f"tripswitch.rollback.{'undo' if plan.undoes else 'requested'}.v1",
        subject=_subject(event, plan.pointer._replace(prompt_version=plan.from_version)),
        body=_body(data, exact),
        occurred_ns=event.time_ns,
        state=EffectState.PENDING,
        attempts=0,
        due_ns=now_ns,
        not_after_ns=not_after_ns,
    )


def _subject(event: Event, scope: Scope | None = None) -> str:
    """Return ``route/prompt_version/cohort``, ``-`` where the scope is not narrowed by one."""
    if scope is None and event.incident is not None:
        scope = event.incident.scope
    if scope is None and event.change is not None:
        scope = event.change.scope
    parts = (None,) * 3 if scope is None else (scope.route, scope.prompt_version, scope.cohort)
    return "/".join((part or "-")[:_MAX_SUBJECT_PART] for part in parts)


def _body(data: dict[str, Any], exact: dict[str, Any]) -> str:
    """Return ``exact`` and as much of ``data`` as fits, as compact ASCII JSON."""
    text = ""
    for max_chars, max_items in _BOUNDS:
        bounded = _bounded(data, max_chars, max_items)
        text = json.dumps({**exact, **bounded}, separators=(",", ":"), allow_nan=False)
        if len(text) <= MAX_BODY_BYTES:
            break
    return text


def _bounded(value: Any, max_chars: int, max_items: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= max_chars else value[: max_chars - 1] + "…"
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_bounded(member, max_chars, max_items) for member in value[:max_items]]
    if isinstance(value, dict):
        return {name: _bounded(member, max_chars, max_items) for name, member in value.items()}
    return value
