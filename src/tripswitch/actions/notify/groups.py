"""One message for many incidents: what a group says of its members, as pure functions."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from tripswitch.actions.notify.news import (
    GROUP_OPENED,
    GROUP_RESOLVED,
    GROUP_UPDATED,
)
from tripswitch.actions.notify.wording import label_of
from tripswitch.model.clocktext import rfc3339
from tripswitch.model.outbox import Effect, EffectKind, EffectState
from tripswitch.model.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.model.threads import Thread

PREFIX: Final = "tripswitch/group/"

# Of the 20 KB of a webhook; a member takes about 150 bytes.
_MOST_LIST_BYTES: Final = 15_000
_MOST_LABEL: Final = 120


def group_key(notifier: str, first: Effect) -> str:
    """Return the dedup key of the group that ``first`` begins at a notifier."""
    digest = hashlib.sha256(f"{notifier}\n{first.key}".encode("utf-8", "replace")).hexdigest()
    return f"{PREFIX}{notifier}/{digest[:16]}"


def summary_of(effect: Effect) -> dict[str, Any]:
    """Return the line of an incident in its group after ``effect``."""
    data = json.loads(effect.body)
    incident = data.get("incident") or {}
    rollback = incident.get("rollback") or {}
    state = plain_line(incident.get("state") or "open", 20)
    if state == "open" and incident.get("acknowledged"):
        state = "acknowledged"
    return {
        "id": plain_line(incident.get("id") or "-", 64),
        "severity": plain_line(incident.get("severity") or "-", 20),
        "shape": plain_line(incident.get("shape") or "-", 40),
        "state": state,
        "rollback": plain_line(rollback.get("state") or "", 20),
        "label": plain_line(label_of(incident), _MOST_LABEL),
    }


def group_message(
    group: Thread, members: Sequence[Thread], now_ns: int, due_ns: int, not_after_ns: int
) -> Effect:
    """Return the message that tells of ``members``, open pages first."""
    summaries = [member.summary for member in members]
    is_over = all(not member.is_open for member in members)
    event = GROUP_UPDATED if group.told_ns else GROUP_OPENED
    if is_over:
        event = GROUP_RESOLVED
    pages = sum(one["severity"] == "page" for one in summaries)
    states = Counter(str(one["state"]) for one in summaries)
    rollbacks = Counter(str(one["rollback"]) for one in summaries if one["rollback"])
    scopes = f"{len(members)} scopes" if len(members) != 1 else "1 more scope"
    title = f"{scopes} {'were' if is_over else 'are'} affected ({pages} at page level)"
    listed = _listed(summaries)
    data = {
        "event": event,
        "time": rfc3339(now_ns),
        "detail": (
            "many incidents at once are told together; "
            f"{len(listed)} of {len(members)} are listed here"
        ),
        "dedup_key": group.key,
        "incident": None,
        "group": {
            "title": title,
            "severity": "page" if pages and not is_over else "investigate",
            "count": len(members),
            "pages": pages,
            "states": dict(sorted(states.items())),
            "rollbacks": dict(sorted(rollbacks.items())),
            "incidents": listed,
        },
    }
    return Effect(
        key=f"{group.key}/{now_ns}",
        kind=EffectKind.NOTIFY,
        target=group.notifier,
        type=f"tripswitch.{event}.v1",
        subject=group.key,
        body=json.dumps(data, separators=(",", ":")),
        occurred_ns=now_ns,
        state=EffectState.PENDING,
        attempts=0,
        due_ns=due_ns,
        not_after_ns=not_after_ns,
        thread=group.key,
    )


def _listed(summaries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    def urgency(one: Mapping[str, Any]) -> tuple[bool, bool]:
        return (one["state"] == "resolved", one["severity"] != "page")

    listed: list[dict[str, Any]] = []
    room = _MOST_LIST_BYTES
    for one in sorted(summaries, key=urgency):
        room -= len(json.dumps(one))
        if room < 0:
            break
        listed.append(dict(one))
    return listed
