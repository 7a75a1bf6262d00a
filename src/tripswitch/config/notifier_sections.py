"""The notifiers of the file: one class a kind, told apart by their ``type``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Tag

from tripswitch.config.message_sections import (
    AppriseNotifier,
    EmailNotifier,
    SlackNotifier,
    StatuspageNotifier,
    WebhookNotifier,
)
from tripswitch.config.pager_sections import (
    AlertmanagerNotifier,
    JsmNotifier,
    OpsgenieNotifier,
    PagerDutyNotifier,
)
from tripswitch.config.variants import kinds

Notifier = Annotated[
    Annotated[WebhookNotifier, Tag("webhook")]
    | Annotated[AlertmanagerNotifier, Tag("alertmanager")]
    | Annotated[PagerDutyNotifier, Tag("pagerduty")]
    | Annotated[JsmNotifier, Tag("jsm")]
    | Annotated[OpsgenieNotifier, Tag("opsgenie")]
    | Annotated[SlackNotifier, Tag("slack")]
    | Annotated[EmailNotifier, Tag("email")]
    | Annotated[StatuspageNotifier, Tag("statuspage")]
    | Annotated[AppriseNotifier, Tag("apprise")],
    kinds("webhook"),
]
"""One entry of ``notify``."""
