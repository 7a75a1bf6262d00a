"""Drafts status updates as incidents go on: held for a person, and sent to who drafts comms.

A page is drafted for when it opens and whenever what may be said of it changes (`comms.state_of`).
The ledger knows what was drafted last, so a restart drafts nothing twice. A security incident is
not drafted for: security review decides what is said.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import structlog

from tripswitch.drive.papers import comms_settings, templates_of
from tripswitch.errors import ConfigError
from tripswitch.incidents.book import told_of
from tripswitch.incidents.case import case_of
from tripswitch.incidents.comms import AUDIENCES, drafted, state_of, title_of
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.incident import Severity
from tripswitch.model.instruction import Act
from tripswitch.model.messages import Event, EventName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.config.model import Config
    from tripswitch.incidents.case import Case
    from tripswitch.incidents.comms import CommsDraft
    from tripswitch.model.incident import Incident
    from tripswitch.model.messages import Command
    from tripswitch.store.ledger import Ledger

_CHANGING: Final = frozenset(
    {
        EventName.INCIDENT_OPENED,
        EventName.INCIDENT_ESCALATED,
        EventName.INCIDENT_RECOVERED,
        EventName.INCIDENT_UNRECOVERED,
        EventName.ROLLBACK_PLANNED,
        EventName.ROLLBACK_APPROVED,
        EventName.ROLLBACK_CONFIRMED,
        EventName.ROLLBACK_FAILED,
        EventName.ROLLBACK_UNDONE,
        EventName.ROLLBACK_REVERTED,
    }
)
"""Events after which something else may be said."""

_MOST_CHARS: Final = 4000
_MOST_LISTED_CHARS: Final = 2000
_log = structlog.get_logger(__name__)


class Drafts:
    """Follows what is recorded. ``counts`` are for the metrics page.

    In a flood of pages (``notifications.flood_opens`` within ``flood_window``) no more are drafted;
    those are there for whoever asks (`tripswitch comms`), and at their next change.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lately_ns: deque[int] = deque()
        self.counts = {"comms_drafts_total": 0, "comms_drafts_skipped_total": 0}

    def follow(self, commands: Sequence[Command], config: Config) -> list[Command]:
        """Return the drafts that the recorded commands call for, and who is told of them."""
        wanted: dict[str, int] = {}
        for command in commands:
            if isinstance(command, Event) and command.name in _CHANGING:
                incident = command.incident
                if incident is not None and _is_due(incident):
                    wanted[incident.id] = command.time_ns
        found: list[Command] = []
        for incident_id, time_ns in wanted.items():
            found += self._draft(incident_id, time_ns, config)
        return found

    def _draft(self, incident_id: str, time_ns: int, config: Config) -> list[Command]:
        if self._is_flood(time_ns, config):
            # Before anything is read: a flood is no time to read a case for each page.
            self.counts["comms_drafts_skipped_total"] += 1
            return []
        incident, document = (
            self._ledger.known_incident(incident_id),
            self._ledger.case(incident_id),
        )
        if incident is None or document is None:
            return []
        case = case_of(document)
        if state_of(case) == _last_drafted(document["events"]):
            return []
        try:
            templates = templates_of("comms", config.comms.templates)
            settings = comms_settings(config)
            consumer, engineering = (
                drafted(case, audience, templates, settings, time_ns)
                for audience in reversed(AUDIENCES)
            )
        except ConfigError as error:
            self.counts["comms_drafts_skipped_total"] += 1
            _log.error("comms_not_drafted", incident=incident_id, problems=str(error))
            return []
        self.counts["comms_drafts_total"] += 1
        self._lately_ns.append(time_ns)
        detail = f"a status update is drafted ({consumer.state}) and held for a person"
        draft = _as_json(case, consumer, engineering)
        event = Event(EventName.COMMS_DRAFTED, time_ns, incident, detail=detail, draft=draft)
        return told_of(event)

    def _is_flood(self, time_ns: int, config: Config) -> bool:
        settings = config.notifications
        since_ns = time_ns - int(settings.flood_window * NS_PER_S)
        while self._lately_ns and self._lately_ns[0] <= since_ns:
            self._lately_ns.popleft()
        return len(self._lately_ns) >= settings.flood_opens


def _is_due(incident: Incident) -> bool:
    is_closed = any(one.what == Act.COMMS_CLOSED.value for one in incident.confirmations)
    return incident.severity is Severity.PAGE and not incident.security and not is_closed


def _last_drafted(events: Sequence[Mapping[str, Any]]) -> str | None:
    for event in reversed(events):
        if event["event"] == EventName.COMMS_DRAFTED.value:
            return str(event["draft"]["status"])
    return None


def _as_json(case: Case, consumer: CommsDraft, engineering: CommsDraft) -> dict[str, Any]:
    """Return what goes out: the text for consumers is empty where they notice nothing."""
    title = title_of(case, consumer.state)
    return {
        "status": consumer.state,
        "title": title,
        "body": consumer.text[:_MOST_CHARS] if title else "",
        "engineering": engineering.text[:_MOST_CHARS],
        "next_update": consumer.next_update or None,
        "tell": None if consumer.tell is None else _listed(consumer.tell),
        "do_not_tell": None if consumer.do_not_tell is None else _listed(consumer.do_not_tell),
        "holds": _listed([one.sentence() for one in (consumer if title else engineering).holds]),
    }


def _listed(names: Sequence[str]) -> list[str]:
    """Return as many names as a message has room for, and how many more there are."""
    found: list[str] = []
    room = _MOST_LISTED_CHARS
    for name in names:
        room -= len(name)
        if room < 0:
            return [*found, f"and {len(names) - len(found)} more, see tripswitch comms"]
        found.append(name)
    return found
