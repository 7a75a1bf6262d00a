"""The words of a message, plain and in order; each medium lays them out and escapes them.

A person who is woken up reads, in this order: what is wrong and where, why with its numbers, what
changed before, what was or will be done about it, which traces show it, and whom it hits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tripswitch.actions.notify.news import MOST_CHARS, Verb
from tripswitch.model.plain_text import cut, plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.actions.notify.news import News

MOST_TITLE: Final = 200
_MOST_NAME: Final = 80
_MOST_LISTED: Final = 5
_MOST_EARLIER: Final = 10

_ROLLBACK_WORDS: Final = {
    "planned": "on its way",
    "proposed": "waits for a person to approve",
    "withheld": "not done",
    "acknowledged": "the target answered, the spans do not show it yet",
    "unknown": "may or may not be done",
    "failed": "failed",
    "confirmed": "done, and the spans show it",
    "rejected": "not done, a person said no",
    "expired": "not done, nobody answered the proposal in time",
    "undoing": "was done, and is being undone",
    "undone": "was done, and was undone",
    "reverted": "was done, and somebody else put the bad version back",
    "released": "a person lets the version serve again",
}
_RADIUS_WORDS: Final = {"cohort": "one cohort", "route": "a whole route", "global": "everything"}


@dataclass(frozen=True, slots=True)
class Message:
    """A message without a medium.

    ``title`` and every text of ``facts`` (label and text) is one plain line; ``links`` are label
    and address; ``listed`` are the incidents of a group, one a line.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    listed: tuple[str, ...] = ()

    def text(self, most_chars: int) -> str:
        """Return all of it as plain text, its last lines left out where it is too long."""
        lines = [self.title, *(f"{label}: {text}" for label, text in self.facts)]
        ends = [f"{label}: {url}" for label, url in self.links]
        room = most_chars - sum(len(line) + 1 for line in ends) - 1
        return "\n".join([*fitting(lines + list(self.listed), room), *ends])[:most_chars]


def message_of(news: News) -> Message:
    """Return the words of ``news``."""
    links = [("Incident" if not news.group else "Incidents", news.links.get("incident", ""))]
    links.append(("Approve or refuse", news.links.get("approve", "")))
    if news.group:
        facts, listed = _group_facts(news)
    elif news.incident:
        facts, listed = _incident_facts(news), ()
    else:
        facts, listed = [("What", news.detail)], ()
    return Message(
        cut(title_of(news), MOST_TITLE),
        tuple((label, text) for label, text in facts if text),
        tuple((label, url) for label, url in links if url),
        listed,
    )


def title_of(news: News) -> str:
    """Return the one line that says what is wrong, how badly, and where."""
    if news.group:
        return f"{_state_word(news)}: {plain_line(news.group.get('title'), MOST_TITLE)}"
    if not news.incident:
        return news.detail
    shape = news.line("shape").replace("_", " ")
    if news.incident.get("security"):
        shape = "security incident"
    return f"{_state_word(news)}: {shape} on {label_of(news.incident)}"


def label_of(incident: Mapping[str, Any]) -> str:
    """Return the scope of an incident as one short plain text."""
    scope = incident.get("scope") or {}

    def named(field: str) -> str:
        return plain_line(scope.get(field) or "", _MOST_NAME)

    parts = [named("route") or "any route", named("prompt_name"), named("prompt_version")]
    parts.append(f"cohort {named('cohort')}" if named("cohort") else "")
    parts.append(named("request_model"))
    parts.append(f"via {named('provider')}" if named("provider") else "")
    return " ".join(part for part in parts if part)


def rollback_sentence(rollback: Mapping[str, Any]) -> str:
    """Return what was or will be done, in one sentence; empty when there is no plan."""
    if not rollback:
        return ""

    def named(field: str) -> str:
        return plain_line(rollback.get(field) or "-", _MOST_NAME)

    state = named("state")
    words = _ROLLBACK_WORDS.get(state, state)
    sentence = (
        f"{named('from')} → {named('to')} by {named('target')}: {words} "
        f"(touches {_RADIUS_WORDS.get(named('blast_radius'), named('blast_radius'))})"
    )
    reason = plain_line(rollback.get("reason") or "", MOST_CHARS)
    return f"{sentence}: {reason}" if reason else sentence


def fitting(lines: list[str], most_chars: int) -> list[str]:
    """Return as many of ``lines`` as fit, and in the last place how many did not."""
    kept: list[str] = []
    room = most_chars
    for at, line in enumerate(lines):
        if len(line) + 1 > room - 24 and (at + 1 < len(lines) or len(line) > room):
            return [*kept, f"… and {len(lines) - at} more lines"][: max(1, len(kept) + 1)]
        kept.append(line)
        room -= len(line) + 1
    return kept


def _state_word(news: News) -> str:
    if news.verb is Verb.RESOLVE:
        return "RESOLVED"
    if news.incident.get("state") == "recovered":
        return "RECOVERED"
    if news.incident.get("acknowledged"):
        return "ACKNOWLEDGED"
    return "PAGE" if news.is_page else "INVESTIGATE"


def _incident_facts(news: News) -> list[tuple[str, str]]:
    if news.draft:
        return _draft_facts(news)
    why = news.line("why")
    ids = news.incident.get("exemplars") or []
    traces = ", ".join(plain_line(each, 64) for each in ids[:_MOST_LISTED])
    return [
        ("Why", why),
        ("News", "" if news.detail == why else news.detail),
        *(("Before", each) for each in news.earlier[-_MOST_EARLIER:]),
        ("Real", news.line("triage", "is_real")),
        ("Cause", news.line("triage", "sentence")),
        ("Changed", _changes(news)),
        ("Advice", news.line("triage", "recommended", "why")),
        ("Rollback", rollback_sentence(news.rollback)),
        ("Traces", traces),
        ("Tenants", _tenants(news)),
        ("Duties to consider", _joined(news, "triage", "duties")),
        ("Acknowledged by", news.line("acknowledged", "by", most_chars=_MOST_NAME)),
        ("Still missing", _joined(news, "missing")),
        ("Since", news.line("onset", most_chars=40)),
        ("Id", news.line("id", most_chars=64)),
    ]


def _draft_facts(news: News) -> list[tuple[str, str]]:
    """Return a drafted update: the texts, who may read them, and what to look at before."""
    draft = news.draft

    def named(field: str) -> str:
        return cut(", ".join(plain_line(each, _MOST_NAME) for each in draft.get(field) or []), 500)

    return [
        ("News", news.detail),
        ("For customers", plain_line(draft.get("body") or "", MOST_CHARS)),
        ("For engineers", plain_line(draft.get("engineering") or "", MOST_CHARS)),
        ("Only to", named("tell")),
        ("Not to", named("do_not_tell")),
        ("Look at first", "; ".join(plain_line(each, 300) for each in draft.get("holds") or [])),
        ("Next update by", plain_line(draft.get("next_update") or "", _MOST_NAME)),
        ("Id", news.line("id", most_chars=64)),
    ]


def _joined(news: News, *path: str) -> str:
    found: Any = news.incident
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    words = [plain_line(each, MOST_CHARS).replace("_", " ") for each in found or []]
    return cut("; ".join(words), MOST_CHARS)


def _changes(news: News) -> str:
    told = []
    for change in (news.incident.get("changes") or [])[:_MOST_LISTED]:
        kind, before, after, time = (
            plain_line(change.get(field) or "-", _MOST_NAME)
            for field in ("kind", "from", "to", "time")
        )
        told.append(f"{kind} {before} → {after} at {time}")
    return "; ".join(told)


def _tenants(news: News) -> str:
    tenants = news.incident.get("tenants") or []
    named = [
        f"{plain_line(each.get('tenant') or '-', _MOST_NAME)} ({each.get('calls')})"
        for each in tenants[:_MOST_LISTED]
    ]
    more = len(tenants) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _group_facts(news: News) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    group = news.group
    counts = ", ".join(
        f"{count} {plain_line(name, 40)}" for name, count in (group.get("states") or {}).items()
    )
    rollbacks = ", ".join(
        f"{count} {plain_line(name, 40)}" for name, count in (group.get("rollbacks") or {}).items()
    )
    listed = tuple(
        plain_line(
            f"{each.get('id')} {each.get('severity')} {each.get('shape')} {each.get('state')}: "
            f"{each.get('label')}",
            300,
        )
        for each in group.get("incidents") or ()
    )
    facts = [("News", news.detail), ("Now", counts), ("Rollbacks", rollbacks)]
    return facts, listed
