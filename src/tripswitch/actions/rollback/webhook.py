"""A rollback target that is asked by a signed webhook: a gateway, or a script beside it.

The receiver moves its own pointer; we know its request and its answer and nothing else. With
``status_url`` it can be asked what became of a request whose answer was lost. An undo is the same
request under a type of its own, with the versions changed about.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tripswitch.actions.attempt import Attempt, AttemptState, answered_field, judge
from tripswitch.actions.cloudevent import CONTENT_TYPE, envelope, message_id
from tripswitch.actions.endpoint import checked_url
from tripswitch.actions.exchange import exchange
from tripswitch.actions.rollback.api import REDACTED
from tripswitch.actions.rollback.asked import asked, evidence_of
from tripswitch.actions.rollback.contract import PlannedCall, Probe, Request, Snapshot
from tripswitch.actions.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.rollback.contract import SpanEvidence
    from tripswitch.config.target_sections import WebhookTarget
    from tripswitch.model.outbox import Effect

_PROBE_ID = "tripswitch-probe"

# A segment of a path that no person has named: long, with letters and digits.
_TOKEN: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_.~%-]{16,}")


class WebhookRollback:
    """`RollbackTarget` over a signed webhook. Raises `ConfigError` for an unusable URL or secret.

    ``instance`` names the sidecar in the event's source, ``now_ns`` is the wall clock.
    """

    def __init__(
        self,
        target: WebhookTarget,
        client: httpx.AsyncClient,
        instance: str,
        now_ns: Callable[[], int],
    ) -> None:
        place = f"rollback.targets[{target.name}]"
        self._url = checked_url(target.url, f"{place}.url")
        self._status_url: httpx.URL | None = None
        if target.status_url:
            self._status_url = checked_url(target.status_url, f"{place}.status_url")
        self._signer = Signer(target.secret.get_secret_value(), f"{place}.secret")
        self._timeout_s = target.timeout
        self._client = client
        self._instance = instance
        self._now_ns = now_ns

    @property
    def can_read_back(self) -> bool:
        """Whether there is a ``status_url`` to ask."""
        return self._status_url is not None

    async def probe(self) -> Probe:
        """Ask ``status_url`` about an action that never was; without it nothing can be known."""
        usable: bool | None = None
        detail = "no status_url: whether the webhook works shows only when it is called"
        if self._status_url is not None:
            snapshot = await self._ask(_PROBE_ID)
            usable = snapshot.applied is not None
            detail = snapshot.detail
        return Probe(
            usable,
            cohort=True,
            compare_and_set=False,
            undo=True,
            dry_run=True,
            read_back=self.can_read_back,
            detail=detail,
        )

    async def snapshot(self, effect: Effect) -> Snapshot:
        """Ask ``status_url`` what became of ``effect``; the pointer itself is out of sight."""
        return await self._ask(effect.key)

    async def plan(self, effect: Effect) -> PlannedCall:
        """Return the signed POST, its signature redacted."""
        message = message_id(effect.key)
        request = Request(
            method="POST",
            url=_shown(self._url),
            headers={
                "content-type": CONTENT_TYPE,
                "webhook-id": message,
                "webhook-signature": "(redacted)",
                "idempotency-key": message,
            },
            body=envelope(effect, self._instance),
        )
        return PlannedCall(effect, (request,), asked(effect).blast_radius)

    async def apply(self, call: PlannedCall, before_leaving: Callable[[], object]) -> Attempt:
        """Sign and POST the planned body; a receiver that names the action id confirms it."""
        now_ns = self._now_ns()
        (request,) = call.requests
        key = call.effect.key
        answer = await exchange(
            self._client,
            request.method,
            self._url,
            headers={**request.headers, **self._signer.headers(key, request.body, now_ns)},
            body=request.body,
            timeout_s=self._timeout_s,
            now_ns=now_ns,
            before_leaving=before_leaving,
        )
        attempt = judge(answer)
        if attempt.state is not AttemptState.DONE:
            return attempt
        if answered_field(answer, "action_id") == key:
            return replace(attempt, detail="confirmed by the receiver")
        detail = "answered 2xx without the action id; recovery will be judged from the spans"
        return replace(attempt, detail=detail)

    async def undo(self, effect: Effect, before_leaving: Callable[[], object]) -> Attempt:
        """Ask the receiver to move back; only it can tell whether its pointer is still there."""
        return await self.apply(await self.plan(effect), before_leaving)

    def observe(self, effect: Effect) -> SpanEvidence:
        """Return the scope to watch and the versions that leave and return."""
        return evidence_of(effect)

    async def _ask(self, action_id: str) -> Snapshot:
        if self._status_url is None:
            return Snapshot(None, "no status_url is configured")
        now_ns = self._now_ns()
        answer = await exchange(
            self._client,
            "GET",
            self._status_url.copy_merge_params({"action_id": action_id}),
            headers=self._signer.headers(action_id, b"", now_ns),
            body=b"",
            timeout_s=self._timeout_s,
            now_ns=now_ns,
        )
        state = None
        if answer.status is not None and 200 <= answer.status < 300:
            state = answered_field(answer, "state")
        if state == "applied":
            return Snapshot(True, "status_url says applied", answer.status)
        if state in ("unknown", "not_applied"):
            return Snapshot(False, f"status_url says {state}", answer.status)
        found = answer.detail if answer.status is None else f"status {answer.status}, no state"
        return Snapshot(None, f"status_url gave no answer: {found}", answer.status)


def _shown(url: httpx.URL) -> str:
    """Return a webhook's address without what may be a credential: often a part of its path."""
    bare = url.copy_with(userinfo=b"", query=None, fragment=None, path="/")
    parts = [REDACTED if _TOKEN.fullmatch(part) else part for part in url.path.split("/")]
    return str(bare).rstrip("/") + "/".join(parts)
