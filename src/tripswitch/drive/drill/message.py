"""A real test message of a drill, through the real outbox and notifiers, marked as a DRILL.

It goes to the notifiers that would have heard of the page, opens an alert and closes it at once.
Its dedup key is a drill's own, so that it can neither join nor close a real incident; its scope and
its sentence begin with DRILL in every medium. What the public reads is never written to, no sign of
life is given in the sidecar's name, and no rollback target is opened.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tripswitch.actions.backoff import Pace
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.exchange import open_client
from tripswitch.actions.notify.delivery import Delivery
from tripswitch.actions.notify.opening import Means, Notifiers
from tripswitch.model.messages import Event, EventName, Notify
from tripswitch.model.outbox import EffectState
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.config.model import Config
    from tripswitch.model.outbox import Effect

MARK: Final = "DRILL"
PUBLIC: Final = frozenset({"statuspage"})
"""Kinds of notifier that the public reads."""

_WORDS: Final = (
    f"{MARK}, nobody need act: a test of tripswitch's own messages with simulated traffic. "
)


def send_test(config: Config, paged: Event) -> list[dict[str, Any]]:
    """Send the test message of ``paged``; return what each notifier's end said.

    One entry a message: ``{"notifier", "event", "state", "detail"}``. A failure is tried once and
    told, never raised. Raises ConfigError for an address or a secret that cannot be used.
    """
    return asyncio.run(_send(config, paged))


async def _send(config: Config, paged: Event) -> list[dict[str, Any]]:
    now_ns = time.time_ns()
    public = {each.name for each in config.notify if each.type in PUBLIC}
    heard = effects_of([Notify(f"drill_{now_ns}", paged)], config, now_ns)
    said: list[dict[str, Any]] = [
        _said(effect, "left out", "the public reads it")
        for effect in heard
        if effect.target in public
    ]
    with (
        tempfile.TemporaryDirectory(prefix="tripswitch-drill-") as folder,
        Ledger(Path(folder) / "ledger.sqlite") as ledger,
    ):
        async with open_client() as client:
            sender = _Sender(config, ledger, client)
            for name in (paged.name, EventName.INCIDENT_RESOLVED):
                said += [
                    await sender.send(marked_as_drill(effect, name, now_ns))
                    for effect in heard
                    if effect.target not in public
                ]
    return said


class _Sender:
    """Sends effects through a ledger of their own, each tried once."""

    def __init__(self, config: Config, ledger: Ledger, client: httpx.AsyncClient) -> None:
        self._outbox = ledger.outbox
        self._attempts: list[Attempt] = []
        self._delivery = Delivery(
            ledger.outbox,
            ledger.threads,
            Notifiers(config, Means(client, ledger.outbox.instance, time.time_ns)),
            config,
            now_ns=time.time_ns,
            pace=Pace(),
            share=lambda: 0.5,
            note=lambda _effect, attempt, _start_ns: self._attempts.append(attempt),
            counters=Counter(),
        )

    async def send(self, effect: Effect) -> dict[str, Any]:
        """Return what came of one message."""
        self._outbox.put([effect])
        self._attempts.clear()
        step = await self._delivery.carry_out(effect)
        if step is not None:
            self._outbox.finish(effect.key, step.state, step.result, time.time_ns())
        if self._attempts:
            return _said(effect, self._attempts[-1].state.value, self._attempts[-1].detail)
        return _said(effect, "skipped", "" if step is None else step.result)


def marked_as_drill(effect: Effect, name: EventName, now_ns: int) -> Effect:
    """Return ``effect`` as the message of a drill: marked, under a key and a thread of its own."""
    digest = hashlib.sha256(f"{effect.thread} {now_ns}".encode()).hexdigest()[:16]
    thread = f"tripswitch/drill/{digest}"
    data = json.loads(effect.body)
    told = data.get("incident") or {}
    scope = dict(told.get("scope") or {})
    route = scope.get("route")
    scope["route"] = f"{MARK} {route}" if route else MARK
    told |= {
        "id": f"drill_{digest}",
        "dedup_key": thread,
        "scope": scope,
        "why": _WORDS + str(told.get("why") or ""),
        "exemplars": [],
        "changes": [],
        "triage": None,
        "tenants": [],
        "rollback": None,
        "rollbacks": [],
    }
    data |= {
        "event": name.value,
        "drill": True,
        "dedup_key": thread,
        "detail": _WORDS + str(data.get("detail") or ""),
        "incident": told,
    }
    data.pop("links", None)
    return replace(
        effect,
        key=f"{thread}/{name.value}/{effect.target}",
        type=f"tripswitch.{name.value}.v1",
        subject=f"{MARK}/{effect.subject}",
        body=json.dumps(data, separators=(",", ":")),
        occurred_ns=now_ns,
        state=EffectState.PENDING,
        thread=thread,
    )


def _said(effect: Effect, state: str, detail: str) -> dict[str, Any]:
    event = effect.type.removeprefix("tripswitch.").removesuffix(".v1")
    return {"notifier": effect.target, "event": event, "state": state, "detail": detail}
