"""The notifiers that wake people: Alertmanager, PagerDuty, Jira Service Management, Opsgenie."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from tripswitch.config.notifier_base import KEPT, NAME_PATTERN, NotifierSection, SeverityName
from tripswitch.config.quantities import DurationS
from tripswitch.config.section import NEEDED, WEB_URL


def _pages() -> list[SeverityName]:
    return ["page"]


class PagerSection(NotifierSection):
    """A notifier that wakes a person, so that it hears pages only unless told otherwise."""

    severities: list[SeverityName] = Field(
        default_factory=_pages,
        description="Severities it hears: page, investigate. Empty means both.",
    )


class AlertmanagerNotifier(NotifierSection):
    """Alerts at a Prometheus Alertmanager (API v2), which groups, silences and fans out.

    For a cluster of them, give each member an entry of its own with the same labels.
    """

    type: Literal["alertmanager"] = Field("alertmanager", description="Kind of notifier.")
    name: str = Field("alertmanager", pattern=NAME_PATTERN, description="Name, unique.")
    url: str = Field(
        "",
        description="Where Alertmanager is, without /api/v2.",
        examples=["http://alertmanager:9093"],
        json_schema_extra=NEEDED | WEB_URL | KEPT,
    )
    authorization: SecretStr = Field(
        SecretStr(""),
        description='Authorization header in full, such as "Bearer ${env:ALERTMANAGER_TOKEN}".',
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels put on every alert, to route by.",
        examples=[{"team": "assistants"}],
    )
    hold: DurationS = Field(
        4 * 3600.0,
        ge=300,
        le=7 * 86_400,
        description=(
            "How long an alert stays firing without word from tripswitch; while it is open it is "
            "renewed each third of this."
        ),
    )
    heartbeat: DurationS = Field(
        0.0,
        ge=0,
        le=3600,
        description=(
            "How often to renew the alert TripswitchHeartbeat, which fires as long as tripswitch "
            "runs: let something page when it is gone. 0s sends none."
        ),
    )


class PagerDutyNotifier(PagerSection):
    """Incidents at PagerDuty (Events API v2), and a change event for every rollback and undo."""

    type: Literal["pagerduty"] = Field("pagerduty", description="Kind of notifier.")
    name: str = Field("pagerduty", pattern=NAME_PATTERN, description="Name, unique.")
    url: str = Field(
        "https://events.pagerduty.com",
        description="Where the Events API is; https://events.eu.pagerduty.com for the EU.",
        json_schema_extra=NEEDED | WEB_URL | KEPT,
    )
    routing_key: SecretStr = Field(
        SecretStr(""),
        description="Integration key of an Events API v2 integration; write it as ${env:NAME}.",
        examples=["${env:PAGERDUTY_ROUTING_KEY}"],
        json_schema_extra=NEEDED | KEPT,
    )
    change_events: bool = Field(
        True, description="Send a change event for every rollback and every undo."
    )


class JsmNotifier(PagerSection):
    """Alerts at Jira Service Management (integration events API)."""

    type: Literal["jsm"] = Field("jsm", description="Kind of notifier.")
    name: str = Field("jsm", pattern=NAME_PATTERN, description="Name, unique.")
    url: str = Field(
        "https://api.atlassian.com/jsm/ops/integration",
        description="Where the API is, without /v2/alerts.",
        json_schema_extra=NEEDED | WEB_URL | KEPT,
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="Key of an API integration (GenieKey); write it as ${env:NAME}.",
        examples=["${env:JSM_API_KEY}"],
        json_schema_extra=NEEDED | KEPT,
    )
    page_priority: Literal["P1", "P2", "P3", "P4", "P5"] = Field(
        "P1", description="Priority of a page."
    )
    investigate_priority: Literal["P1", "P2", "P3", "P4", "P5"] = Field(
        "P3", description="Priority of what is only to be looked into."
    )


class OpsgenieNotifier(JsmNotifier):
    """Alerts at Opsgenie, which Atlassian closes in April 2027; then change the type to jsm."""

    type: Literal["opsgenie"] = Field("opsgenie", description="Kind of notifier.")  # type: ignore[assignment]
    name: str = Field("opsgenie", pattern=NAME_PATTERN, description="Name, unique.")
    url: str = Field(
        "https://api.opsgenie.com",
        description="Where the API is, without /v2/alerts; https://api.eu.opsgenie.com for the EU.",
        json_schema_extra=NEEDED | WEB_URL | KEPT,
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="Key of an API integration (GenieKey); write it as ${env:NAME}.",
        examples=["${env:OPSGENIE_API_KEY}"],
        json_schema_extra=NEEDED | KEPT,
    )
