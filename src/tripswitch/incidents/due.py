"""What people owe their readers: a status update while a page is open, a postmortem after it.

The engine has no clock but its ticks, and that is enough: once a minute it is looked at what is
overdue. An update is due one cadence after the page and after each update that was posted; when
none comes, it is said again one cadence later, and after the eighth time ever more seldom. After
the recovery the all-clear is due in the same way until comms are closed. Of a postmortem the draft
and its publication are due once each, counted from the recovery, also after the incident is
resolved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tripswitch.config.model import Config
from tripswitch.incidents.book import Book, Tracked, emit
from tripswitch.incidents.owed import Owed
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_S, minutes_text, rfc3339
from tripswitch.model.incident import Incident, IncidentState, Severity
from tripswitch.model.instruction import Act
from tripswitch.model.messages import Command, EventName

MOST_AWAITED: Final = 1_000
"""Resolved pages whose postmortem is waited for; the oldest make way."""

_PATIENT: Final = 8
_LONGEST_WAIT_NS: Final = 24 * NS_PER_HOUR


class Reminders:
    """Says what is overdue. Called once a minute; what it knows is in the book's ``owed``."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.awaited: dict[str, Incident] = {}

    def take_resolved(self, incident: Incident) -> None:
        """Wait for the postmortem of an incident that is over; one that did not page needs none."""
        if incident.severity is Severity.PAGE:
            self.awaited[incident.id] = incident
            while len(self.awaited) > MOST_AWAITED:
                oldest = next(iter(self.awaited))
                del self.awaited[oldest]
                self.book.owed.pop(oldest, None)

    def resolved(self, incident_id: str) -> Tracked | None:
        """Return the resolved incident whose postmortem is waited for, None for any other."""
        incident = self.awaited.get(incident_id)
        return None if incident is None else Tracked(incident)

    def note(self, incident: Incident, now_ns: int, config: Config) -> None:
        """Take in what a person said was written; an update that was posted starts the wait anew.

        ``incident`` is the incident with that among its confirmations.
        """
        if incident.id in self.awaited:
            self.awaited[incident.id] = incident
        posted_ns = _said_ns(incident, Act.UPDATE_POSTED)
        if posted_ns == now_ns:
            self.book.owed[incident.id] = Owed(
                now_ns, now_ns + _cadence_ns(config), 0, self._owed(incident, now_ns, config).told
            )

    def follow(self, now_ns: int, config: Config) -> list[Command]:
        """Return the events of what became overdue."""
        commands: list[Command] = []
        for tracked in list(self.book.open.values()):
            if tracked.incident.severity is Severity.PAGE:
                commands += self._update(tracked, now_ns, config)
                commands += self._papers(tracked, now_ns, config)
        for incident in list(self.awaited.values()):
            commands += self._papers(Tracked(incident), now_ns, config)
            owed = self._owed(incident, now_ns, config)
            if "published" in owed.told or _said_ns(incident, Act.POSTMORTEM_PUBLISHED):
                del self.awaited[incident.id], self.book.owed[incident.id]
        known = {tracked.incident.id for tracked in self.book.open.values()} | set(self.awaited)
        for gone in [incident_id for incident_id in self.book.owed if incident_id not in known]:
            del self.book.owed[gone]
        return commands

    def outlook(self, config: Config) -> list[dict[str, str]]:
        """Return what is owed and when, soonest first, as JSON."""
        found = []
        for incident, owed in self._all():
            is_closed = _said_ns(incident, Act.COMMS_CLOSED) is not None
            if incident.state is not IncidentState.RESOLVED and not is_closed:
                what = "update" if incident.recovered_at_ns is None else "all-clear"
                found.append((owed.since_ns + _cadence_ns(config), incident.id, what))
            found += [
                (due_ns, incident.id, f"postmortem {what}")
                for what, done, due_ns in _due_papers(incident, config)
                if _said_ns(incident, done) is None
            ]
        return [
            {"incident": incident_id, "what": what, "due": rfc3339(due_ns)}
            for due_ns, incident_id, what in sorted(found)
        ]

    def _all(self) -> Iterator[tuple[Incident, Owed]]:
        opened = (tracked.incident for tracked in self.book.open.values())
        for incident in (*opened, *self.awaited.values()):
            owed = self.book.owed.get(incident.id)
            if owed is not None:
                yield incident, owed

    def _owed(self, incident: Incident, now_ns: int, config: Config) -> Owed:
        owed = self.book.owed.get(incident.id)
        if owed is None:
            since_ns = _said_ns(incident, Act.UPDATE_POSTED) or now_ns
            owed = Owed(since_ns, since_ns + _cadence_ns(config))
            self.book.owed[incident.id] = owed
        return owed

    def _update(self, tracked: Tracked, now_ns: int, config: Config) -> list[Command]:
        owed = self._owed(tracked.incident, now_ns, config)
        is_closed = _said_ns(tracked.incident, Act.COMMS_CLOSED) is not None
        if is_closed or now_ns < owed.next_ns:
            return []
        owed.reminders += 1
        wait_ns = _cadence_ns(config) << max(0, owed.reminders - _PATIENT)
        owed.next_ns = now_ns + min(wait_ns, max(_LONGEST_WAIT_NS, _cadence_ns(config)))
        what = "a status update"
        if tracked.incident.state is IncidentState.RECOVERED:
            what = "the all-clear"
        passed = minutes_text(now_ns - owed.since_ns)
        is_first = _said_ns(tracked.incident, Act.UPDATE_POSTED) is None
        since = "the page" if is_first else "the last update"
        detail = f"{what} is due: {passed} since {since} (`tripswitch comms {tracked.incident.id}`)"
        return emit(EventName.COMMS_DUE, now_ns, tracked, detail)

    def _papers(self, tracked: Tracked, now_ns: int, config: Config) -> list[Command]:
        commands: list[Command] = []
        owed = self._owed(tracked.incident, now_ns, config)
        for what, done, due_ns in _due_papers(tracked.incident, config):
            is_done = _said_ns(tracked.incident, done) is not None
            if now_ns >= due_ns and what not in owed.told and not is_done:
                owed.told.append(what)
                verb = "drafted" if what == "draft" else "published"
                detail = (
                    f"the postmortem was to be {verb} by {rfc3339(due_ns)} "
                    f"(`tripswitch postmortem {tracked.incident.id}`)"
                )
                commands += emit(EventName.POSTMORTEM_DUE, now_ns, tracked, detail)
        return commands


def _due_papers(incident: Incident, config: Config) -> list[tuple[str, Act, int]]:
    """Return what is due of a postmortem: what, the act that settles it, when."""
    began_ns = incident.recovered_at_ns or incident.resolved_at_ns
    if began_ns is None:
        return []
    section = config.postmortem
    return [
        ("draft", Act.POSTMORTEM_DRAFTED, began_ns + int(section.draft_within * NS_PER_S)),
        ("published", Act.POSTMORTEM_PUBLISHED, began_ns + int(section.publish_within * NS_PER_S)),
    ]


def _said_ns(incident: Incident, act: Act) -> int | None:
    """Return when a person last said so, None where nobody did."""
    said = [one.at_ns for one in incident.confirmations if one.what == act.value]
    return max(said, default=None)


def _cadence_ns(config: Config) -> int:
    return int(config.comms.cadence * NS_PER_S)
