"""What a notifier is to tell: an effect of the outbox, read back as values.

Bodies hold what spans said, so every text is made plain on reading (`model.plain_text`). Events are
taken generically: one that is not known here is an update of its thread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from tripswitch.model.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.model.outbox import Effect

MOST_CHARS: Final = 1000
"""Longest text of one fact."""

GROUP_OPENED: Final = "incidents.grouped"
GROUP_UPDATED: Final = "incidents.group_updated"
GROUP_RESOLVED: Final = "incidents.group_resolved"
NOTIFIER_FAILING: Final = "notifier.failing"
NOTIFIER_BACK: Final = "notifier.back"

NUMBERS: Final = "incident.updated"
"""The event that brings new numbers and no new state: the one that may wait for a later one."""

_RESOLVING: Final = frozenset({"incident.resolved", GROUP_RESOLVED, NOTIFIER_BACK})
_NEVER_OPENING: Final = frozenset({"incident.recovered", *_RESOLVING})
_LOUD: Final = frozenset(
    {
        "incident.opened",
        "incident.escalated",
        "incident.reopened",
        "incident.unrecovered",
        "rollback.planned",
        "rollback.failed",
        "rollback.unknown",
        "rollback.expired",
        "rollback.reverted",
        "rollback.hold_over",
        GROUP_OPENED,
        GROUP_UPDATED,
    }
)


class Verb(StrEnum):
    """What a message does to its thread at the other side."""

    TRIGGER = "trigger"
    UPDATE = "update"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell.

    ``incident`` is the JSON of the incident as it stood then (empty for what is about none),
    ``group`` that of many, ``draft`` what was drafted for the public (``title`` and ``body``); they
    still hold raw texts, which `line` makes plain. ``earlier`` are
    sentences of updates that this message tells as well.
    """

    key: str
    thread: str
    event: str
    verb: Verb
    occurred_ns: int
    detail: str
    incident: Mapping[str, Any]
    group: Mapping[str, Any]
    draft: Mapping[str, Any]
    links: Mapping[str, str]
    earlier: tuple[str, ...]

    @property
    def is_loud(self) -> bool:
        """Whether it is worth calling a person again, who may have closed the page by hand."""
        return self.event in _LOUD

    @property
    def is_page(self) -> bool:
        """Whether it is about a page."""
        return (self.group or self.incident).get("severity") == "page"

    @property
    def rollback(self) -> Mapping[str, Any]:
        """The rollback plan of the incident, empty when there is none."""
        found = self.incident.get("rollback")
        return found if isinstance(found, dict) else {}

    def line(self, *path: str, most_chars: int = MOST_CHARS) -> str:
        """Return a text of the incident as one plain line, empty where it is missing."""
        found: Any = self.incident
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        return "" if found is None else plain_line(found, most_chars)


def news_of(effect: Effect, *, is_first: bool) -> News:
    """Return what ``effect`` tells; ``is_first`` says that its thread is not open yet."""
    data = json.loads(effect.body)
    event = event_name(effect)
    links = data.get("links") or {}
    return News(
        key=effect.key,
        thread=effect.thread,
        event=event,
        verb=_verb(event, is_first),
        occurred_ns=effect.occurred_ns,
        detail=plain_line(data.get("detail") or "", MOST_CHARS),
        incident=data.get("incident") or {},
        group=data.get("group") or {},
        draft=data.get("draft") or {},
        links={name: str(url) for name, url in links.items()},
        earlier=tuple(plain_line(each, MOST_CHARS) for each in data.get("earlier") or ()),
    )


def event_name(effect: Effect) -> str:
    """Return the name of the event that an effect tells of."""
    return effect.type.removeprefix("tripswitch.").removesuffix(".v1")


def is_paper(event: str) -> bool:
    """Return whether an event is about an episode's papers, which neither open nor end it."""
    return event.startswith(("comms.", "postmortem."))


def may_open(event: str) -> bool:
    """Return whether an event is worth telling somebody who has not heard of its episode."""
    return event not in _NEVER_OPENING


def _verb(event: str, is_first: bool) -> Verb:
    if event in _RESOLVING:
        return Verb.RESOLVE
    if is_paper(event):
        return Verb.UPDATE
    if is_first:
        return Verb.TRIGGER
    return Verb.ACKNOWLEDGE if event == "incident.acknowledged" else Verb.UPDATE
