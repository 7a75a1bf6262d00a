"""The gateway's release desk: which version serves which cohort, and who may move it back.

It honours a rollback asked for by a signed webhook: it verifies the signature with the library of
Standard Webhooks, acts once for each ``webhook-id`` and gives a repeated one the same answer.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

from standardwebhooks import Webhook, WebhookVerificationError

from tripswitch.drive.demo import story

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A demo makes two or three calls; a caller that never stops must not fill the memory.
_MOST_CALLS = 1000


class Call(TypedDict):
    """One webhook as it was received. Wall time is seconds since the epoch, story time an offset.

    ``status`` is the HTTP status answered, ``acted`` whether a pointer moved, ``repeat`` whether
    this id had been answered before; ``type`` and ``data`` are the CloudEvent's, None when it was
    not verified.
    """

    kind: Literal["rollback", "alert"]
    id: str
    verified: bool
    repeat: bool
    acted: bool
    status: int
    answer: dict[str, Any]
    type: str | None
    data: dict[str, Any] | None
    wall_s: float
    story_s: float


class Reply(NamedTuple):
    """An HTTP status and the JSON object that goes with it."""

    status: int
    body: dict[str, Any]


class ReleaseDesk:
    """Pointers of the refund route by cohort, and every webhook that came.

    ``secret`` is the shared ``whsec_`` secret; ``story_s`` tells the story time of a call.
    """

    def __init__(self, secret: str, story_s: Callable[[], float]) -> None:
        self.calls: list[Call] = []
        self._webhook = Webhook(secret)
        self._story_s = story_s
        self._versions = {story.CONTROL: story.OLD_VERSION, story.CANARY: story.OLD_VERSION}
        self._answered: dict[str, Reply] = {}
        self._lock = threading.Lock()

    def version(self, route: str, cohort: str) -> str:
        """Return the version that serves ``cohort`` on ``route`` now."""
        return self._versions[cohort] if route == story.REFUND_ROUTE else story.OLD_VERSION

    def versions(self) -> dict[str, str]:
        """Return the refund route's pointers by cohort."""
        return dict(self._versions)

    def roll_out(self, cohort: str, version: str) -> None:
        """Move a pointer because the story says so."""
        with self._lock:
            self._versions[cohort] = version

    def rollback(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer a request to roll back: 200 done (also when repeated), 401, 400 or 409."""
        with self._lock:
            event = self._verified(headers, body)
            before = self.versions()
            message_id = headers.get("webhook-id", "")
            repeat = event is not None and message_id in self._answered
            if event is None:
                reply = Reply(401, {"error": "the signature does not verify"})
            elif repeat:
                reply = self._answered[message_id]
            else:
                reply = self._answered[message_id] = self._move_back(event)
            acted = before != self._versions
            self._note("rollback", message_id, event, reply, repeat=repeat, acted=acted)
            return reply

    def alert(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Take an alert: 204 when its signature verifies, else 401."""
        with self._lock:
            event = self._verified(headers, body)
            reply = Reply(204, {}) if event is not None else Reply(401, {})
            message_id = headers.get("webhook-id", "")
            repeat = event is not None and any(
                call["verified"] and call["kind"] == "alert" and call["id"] == message_id
                for call in self.calls
            )
            self._note("alert", message_id, event, reply, repeat=repeat, acted=False)
            return reply

    def action(self, headers: Mapping[str, str], action_id: str) -> Reply:
        """Answer what became of the rollback ``action_id``: applied or unknown."""
        with self._lock:
            if not self._is_signed(headers, b""):
                return Reply(401, {"error": "the signature does not verify"})
            done = any(
                reply.body.get("action_id") == action_id and reply.status == 200
                for reply in self._answered.values()
            )
            return Reply(200, {"action_id": action_id, "state": "applied" if done else "unknown"})

    def _verified(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
        if not self._is_signed(headers, body):
            return None
        event = json.loads(body)
        return event if isinstance(event, dict) else None

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            return False
        return True

    def _move_back(self, event: dict[str, Any]) -> Reply:
        try:
            data = event["data"]
            action_id = str(data["action_id"])
            route, cohort = data["scope"]["route"], data["scope"]["cohort"]
            from_version, to_version = data["rollback"]["from"], data["rollback"]["to"]
            current = self._versions[cohort] if route == story.REFUND_ROUTE else None
        except (KeyError, TypeError):
            return Reply(400, {"error": "expected action_id, scope and rollback in data"})
        if to_version != story.OLD_VERSION or current is None:
            return Reply(400, {"error": f"{route} has no version {to_version} to go back to"})
        if current not in (from_version, to_version):
            return Reply(409, {"error": f"{cohort} serves {current}, not {from_version}"})
        self._versions[cohort] = to_version
        return Reply(200, {"action_id": action_id, "state": "applied", "current": to_version})

    def _note(
        self,
        kind: Literal["rollback", "alert"],
        message_id: str,
        event: dict[str, Any] | None,
        reply: Reply,
        *,
        repeat: bool,
        acted: bool,
    ) -> None:
        if len(self.calls) >= _MOST_CALLS:
            return
        self.calls.append(
            {
                "kind": kind,
                "id": message_id,
                "verified": event is not None,
                "repeat": repeat,
                "acted": acted,
                "status": reply.status,
                "answer": reply.body,
                "type": None if event is None else str(event.get("type")),
                "data": None if event is None else event.get("data"),
                "wall_s": time.time(),
                "story_s": self._story_s(),
            }
        )
