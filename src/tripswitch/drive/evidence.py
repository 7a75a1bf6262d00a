"""Keeps evidence: recent spans while capture is on, a sealed bundle when an incident wants one.

The security class is sealed when it opens, when it grows and when it closes, capture or not; any
other page when it opens and closes, and only where capture is on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from tripswitch.config.shown import config_text
from tripswitch.errors import LedgerError
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.incident import Severity
from tripswitch.model.messages import Event, EventName
from tripswitch.otlp.delivery import Signal
from tripswitch.store.evidence import Vault
from tripswitch.store.recent_spans import RecentSpans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.evidence_section import Evidence
    from tripswitch.config.model import Config
    from tripswitch.drive.session import Arrival
    from tripswitch.model.incident import Incident
    from tripswitch.model.messages import Command
    from tripswitch.store.ledger import Ledger

_SEALED_AT: Final = (
    EventName.INCIDENT_OPENED,
    EventName.INCIDENT_ESCALATED,
    EventName.INCIDENT_UNRECOVERED,
    EventName.INCIDENT_RESOLVED,
)
_log = structlog.get_logger(__name__)


class EvidenceKeeper:
    """Follows what is fed and what is commanded. ``counts`` are for the metrics page."""

    def __init__(self, vault: Vault, ledger: Ledger) -> None:
        self._vault = vault
        self._ledger = ledger
        self._recent = RecentSpans()
        self.counts = {
            "evidence_sealed_total": 0,
            "evidence_failures_total": 0,
            "evidence_removed_total": 0,
            "evidence_recent_bytes": 0,
        }

    def take(self, arrivals: Sequence[Arrival], settings: Evidence) -> None:
        """Keep the bodies of traces while capture is on; drop all when it is off."""
        if not settings.enabled:
            self._recent.clear()
        else:
            for arrival in arrivals:
                if arrival.signal is Signal.TRACES:
                    self._recent.add(
                        arrival.body,
                        arrival.received_ns,
                        max_bytes=settings.max_bytes,
                        window_ns=int(settings.window * NS_PER_S),
                    )
        self.counts["evidence_recent_bytes"] = self._recent.held_bytes

    def follow(self, commands: Sequence[Command], config: Config) -> list[Event]:
        """Seal what the commands call for, after they are recorded; return what to record of it."""
        wanted: dict[str, int] = {}
        for command in commands:
            if isinstance(command, Event) and command.name in _SEALED_AT:
                incident = command.incident
                if incident is not None and _wants(incident, config.evidence):
                    wanted[incident.id] = command.time_ns
        events = (self._seal(one, time_ns, config) for one, time_ns in wanted.items())
        return [event for event in events if event is not None]

    def expire(self, now_ns: int, settings: Evidence) -> None:
        """Drop recent spans that are past their window, or all where capture was switched off."""
        window_ns = int(settings.window * NS_PER_S) if settings.enabled else 0
        self._recent.expire(now_ns - window_ns)
        self.counts["evidence_recent_bytes"] = self._recent.held_bytes

    def prune(self, now_ns: int, settings: Evidence) -> None:
        """Remove what is past its time or over the bound of the disk."""
        before_s = now_ns / NS_PER_S - settings.retain
        self.counts["evidence_removed_total"] += self._vault.prune(
            before_s, settings.max_disk_bytes
        )

    def _seal(self, incident_id: str, time_ns: int, config: Config) -> Event | None:
        settings = config.evidence
        # As it stands after all that was recorded, not as it stood at the event that called for it.
        incident = self._ledger.known_incident(incident_id)
        file = self._ledger.incident_file(incident_id)
        if incident is None or file is None:
            return None
        spans = None
        if settings.enabled:
            traces = [trace for trace in incident.traces if _is_id(trace)]
            spans = self._recent.of_traces(traces[: settings.max_traces])
        try:
            sealed = self._vault.seal(file, config_text(config), spans, settings.redact)
        except LedgerError as error:
            self.counts["evidence_failures_total"] += 1
            _log.error("evidence_not_sealed", incident=incident.id, error=str(error))
            return None
        self.counts["evidence_sealed_total"] += 1
        content = f"{sealed.spans} span groups" if settings.enabled else "content was not kept"
        detail = f"bundle {sealed.path.name} sealed, sha256 {sealed.digest}; {content}"
        return Event(EventName.EVIDENCE_SEALED, time_ns, incident, detail=detail)


def _wants(incident: Incident, settings: Evidence) -> bool:
    return incident.security or (settings.enabled and incident.severity is Severity.PAGE)


def _is_id(trace: str) -> bool:
    return len(trace) == 32 and all(letter in "0123456789abcdef" for letter in trace)
