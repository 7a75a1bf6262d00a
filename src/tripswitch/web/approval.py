"""Approval by link: a URL that lets whoever holds it approve one rollback, within some hours.

The link carries the incident's id, the plan's key and when it ends, with an HMAC-SHA256 over them
under a key that never leaves the state folder. It names no person and opens nothing else. That it
works once is the plan's doing: once decided it is not proposed any more, and the engine refuses.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from tripswitch.model.clocktext import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.model.incident import RollbackPlan

LASTS_S: Final = 24 * 3600.0
"""A link's life at most; a proposal that expires sooner is refused by the engine."""

_MAC_BYTES: Final = 32
_LONGEST_CHARS: Final = 1000


class Approval(NamedTuple):
    """What a link stands for. ``expires_s`` is wall time, s since the epoch.

    ``proposal`` is until when the proposal could be approved that the link was made for: one that
    nobody answered may be made again, and has links of its own.
    """

    incident_id: str
    plan_key: str
    expires_s: float
    proposal: str


class ApprovalLinks:
    """Makes and reads links. ``key`` is secret bytes, ``clock`` returns wall time in s."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        if len(key) < _MAC_BYTES:
            raise ValueError(f"expected a key of {_MAC_BYTES} bytes or more")
        self._key = key
        self._clock = clock

    def link(self, base: str, plan: RollbackPlan, incident_id: str) -> str:
        """Return the address at which ``plan`` can be approved; ``base`` is the dashboard's."""
        proposal = "" if plan.expires_ns is None else rfc3339(plan.expires_ns)
        return f"{base.rstrip('/')}/approve/{self.token(incident_id, plan.key, proposal)}"

    def token(self, incident_id: str, plan_key: str, proposal: str) -> str:
        """Return the last part of such an address."""
        fields = [incident_id, plan_key, int(self._clock() + LASTS_S), proposal]
        body = json.dumps(fields, separators=(",", ":")).encode()
        return _text(body) + "." + _text(self._mac(body))

    def read(self, token: str) -> Approval | None:
        """Return what a token stands for, None where it was not made here; it may be over."""
        if len(token) > _LONGEST_CHARS:
            return None
        head, _, tail = token.partition(".")
        try:
            body, mac = _bytes(head), _bytes(tail)
        except (binascii.Error, ValueError):
            return None
        if not hmac.compare_digest(mac, self._mac(body)):
            return None
        fields = json.loads(body)
        # A link of an older tripswitch has fewer.
        return Approval(*fields) if len(fields) == len(Approval._fields) else None

    def is_over(self, approval: Approval) -> bool:
        """Return whether a link's time has passed."""
        return self._clock() >= approval.expires_s

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._key, b"approve " + body, hashlib.sha256).digest()


def _text(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).decode("ascii").rstrip("=")


def _bytes(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("not base64")
    body = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(body) != text:
        raise ValueError("more than one text for the same bytes")
    return body
