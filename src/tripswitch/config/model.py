"""The model of ``tripswitch.yaml``: the one source of every field's type, default, range and help.

The commented sample file, the JSON Schema and the checks on loading are all made from these
classes. Every field has a default; an empty file is a valid configuration. A description is the
sentence a person reads in the sample file. ``reloadable`` in a field's ``json_schema_extra`` says
that an edit takes effect at the next tick; the others need a restart.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tripswitch.config.detect_sections import Detect
from tripswitch.config.evaluations_section import EvaluationRule
from tripswitch.config.evidence_section import Evidence
from tripswitch.config.notifications_section import Notifications
from tripswitch.config.notifier_sections import Notifier
from tripswitch.config.papers_section import Comms, Postmortem
from tripswitch.config.prices_section import Prices
from tripswitch.config.quantities import DurationS, SizeBytes
from tripswitch.config.read_section import Read
from tripswitch.config.rollback_section import Rollback
from tripswitch.config.section import LIVE, Section
from tripswitch.config.spool_section import Spool
from tripswitch.config.telemetry_section import Telemetry
from tripswitch.config.wire_sections import Exporters, Forward, Receivers


class Tap(Section):
    """The hand-over from the forwarding path to the reader; it can lag or drop, never block."""

    max_bytes: SizeBytes = Field(
        64 << 20,
        ge=1 << 20,
        le=1 << 40,
        description=(
            "Most bytes waiting to be read; when full, further requests are counted, not read."
        ),
        json_schema_extra=LIVE,
    )


class Windows(Section):
    """How much is kept in memory."""

    max_scopes: int = Field(
        10_000,
        ge=10,
        le=1_000_000,
        description=(
            "Most scopes (route, prompt, version, cohort, model, provider) watched at once; "
            "beyond it the least recently seen make way."
        ),
    )
    max_skew: DurationS = Field(
        900.0,
        gt=0,
        le=3600,
        description=(
            "A span whose end is further than this from now is counted as skewed, not judged."
        ),
    )


class Incidents(Section):
    """The life of an incident."""

    quiet_period: DurationS = Field(
        3600.0,
        ge=0,
        le=30 * 86_400,
        description="A scope that trips again this soon after recovery re-opens the same episode.",
        json_schema_extra=LIVE,
    )
    exemplars: int = Field(
        3, ge=1, le=20, description="Trace ids shown with an incident.", json_schema_extra=LIVE
    )


class Fleet(Section):
    """How many sidecars see a route."""

    single: bool = Field(
        False,
        description=(
            "Say true when this sidecar alone sees all traffic of its routes; otherwise "
            "rollbacks are proposed, never automatic."
        ),
        json_schema_extra=LIVE,
    )


class Storage(Section):
    """Where state is kept, and for how long."""

    directory: str = Field(
        "state", description="Folder of the ledger and the snapshot; made when missing."
    )
    retain: DurationS = Field(
        90 * 86_400.0,
        ge=3600,
        le=10 * 365 * 86_400,
        description=(
            "How long resolved incidents, their timeline and what was called for them are kept."
        ),
        json_schema_extra=LIVE,
    )


class Clock(Section):
    """What time it is."""

    source: Literal["wall", "telemetry"] = Field(
        "wall",
        description=(
            "wall for production. telemetry takes the time from the spans, as replay does; it "
            "is for recorded or simulated traffic."
        ),
    )


class Config(Section):
    """The whole file."""

    receivers: Receivers = Field(default_factory=Receivers, description="What listens.")
    exporters: Exporters = Field(default_factory=Exporters, description="Where telemetry goes.")
    forward: Forward = Field(default_factory=Forward, description="When a request is acknowledged.")
    spool: Spool = Field(default_factory=Spool, description="What waits on disk.")
    tap: Tap = Field(default_factory=Tap, description="From the forwarding path to the reader.")
    read: Read = Field(default_factory=Read, description="How spans are understood.")
    evaluations: list[EvaluationRule] = Field(
        default_factory=list,
        description=(
            "What evaluations mean, by name, first match first; the rest goes by their names."
        ),
        json_schema_extra=LIVE,
    )
    prices: Prices = Field(default_factory=Prices, description="What tokens cost.")
    windows: Windows = Field(default_factory=Windows, description="How much is kept in memory.")
    detect: Detect = Field(default_factory=Detect, description="When something is wrong.")
    incidents: Incidents = Field(default_factory=Incidents, description="The life of an incident.")
    comms: Comms = Field(default_factory=Comms, description="Status updates about a page.")
    postmortem: Postmortem = Field(
        default_factory=Postmortem, description="When postmortems are due."
    )
    notify: list[Notifier] = Field(default_factory=list, description="Who is told.")
    notifications: Notifications = Field(
        default_factory=Notifications, description="Who is told what, in how many messages."
    )
    rollback: Rollback = Field(default_factory=Rollback, description="What may be rolled back.")
    evidence: Evidence = Field(
        default_factory=Evidence, description="Spans that an incident keeps."
    )
    fleet: Fleet = Field(default_factory=Fleet, description="How many sidecars see a route.")
    storage: Storage = Field(default_factory=Storage, description="Where state is kept.")
    clock: Clock = Field(default_factory=Clock, description="What time it is.")
    telemetry: Telemetry = Field(default_factory=Telemetry, description="About itself.")
