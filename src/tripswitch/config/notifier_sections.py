"""The notifiers of the file: one class a kind, what all of them share above it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from tripswitch.config.quantities import DurationS
from tripswitch.config.section import NEEDED, SIGNING_SECRET, WEB_URL, Section


class NotifierSection(Section):
    """What every notifier has."""

    type: str = Field(description="Kind of notifier.")
    name: str = Field("notifier", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name, unique.")
    timeout: DurationS = Field(15.0, gt=0, le=60, description="Longest wait for an answer.")


class WebhookNotifier(NotifierSection):
    """A signed alert webhook (Standard Webhooks, CloudEvents body)."""

    type: Literal["webhook"] = Field("webhook", description="Kind of notifier.")
    name: str = Field("webhook", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name, unique.")
    url: str = Field(
        "",
        description="Where to POST; http:// or https://.",
        examples=["https://hooks.example.com/tripswitch"],
        json_schema_extra=NEEDED | WEB_URL,
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Signing secret, whsec_...; write it as ${env:NAME}.",
        examples=["${env:TRIPSWITCH_WEBHOOK_SECRET}"],
        json_schema_extra=NEEDED | SIGNING_SECRET,
    )


Notifier = WebhookNotifier
"""One entry of ``notify``."""
