"""What one attempt amounts to: whether it acted, certainly did not, or may have.

Sources: RFC 9110 section 15 for the codes; Standard Webhooks, "Deliverability", for 410 (the
endpoint wants no more) and for redirects (never followed). A gateway's 502 or 504 and a 408 do not
say whether the request behind it was carried out, so they count like a lost answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tripswitch.actions.exchange import Exchange


class AttemptState(StrEnum):
    """The four ends of an attempt."""

    DONE = "done"
    RETRY = "retry"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The end of one attempt and one sentence on it.

    ``retry_after_s`` is what the receiver asked for, None when nothing; ``endpoint_gone`` says
    that it wants no more calls; ``status`` is that of its answer, None without one.
    """

    state: AttemptState
    detail: str
    retry_after_s: float | None = None
    endpoint_gone: bool = False
    status: int | None = None


_LOST_ANSWERS = (408, 502, 504)


def judge(exchange: Exchange) -> Attempt:
    """Return what an exchange amounts to, whatever was asked for."""
    return replace(_judged(exchange), status=exchange.status)


def _judged(exchange: Exchange) -> Attempt:
    status = exchange.status
    if status is None:
        state = AttemptState.UNKNOWN if exchange.sent else AttemptState.RETRY
        return Attempt(state, exchange.detail)
    if 200 <= status < 300:
        return Attempt(AttemptState.DONE, f"answered {status}")
    if status in _LOST_ANSWERS:
        return Attempt(AttemptState.UNKNOWN, f"answered {status}: it may or may not have acted")
    if status == 429 or status >= 500:
        return Attempt(AttemptState.RETRY, f"answered {status}", exchange.retry_after_s)
    if status == 410:
        detail = "answered 410: the endpoint is gone and gets no more calls from this process"
        return Attempt(AttemptState.FAILED, detail, endpoint_gone=True)
    return Attempt(AttemptState.FAILED, f"answered {status}: refused for good")


def answered_field(exchange: Exchange, name: str) -> str | None:
    """Return a text member of a JSON object that was answered, None when there is none."""
    try:
        answer = json.loads(exchange.body)
    except (ValueError, RecursionError):
        return None
    member = answer.get(name) if isinstance(answer, dict) else None
    return member if isinstance(member, str) else None
