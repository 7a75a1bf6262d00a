"""The notifiers that write to people or programs: webhooks, chat, mail, drafts, the long tail."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from tripswitch.config.notifier_base import KEPT, NAME_PATTERN, NotifierSection
from tripswitch.config.section import NEEDED, SIGNING_SECRET, WEB_URL


class WebhookNotifier(NotifierSection):
    """A signed alert webhook (Standard Webhooks, CloudEvents body)."""

    type: Literal["webhook"] = Field("webhook", description="Kind of notifier.")
    name: str = Field("webhook", pattern=NAME_PATTERN, description="Name, unique.")
    url: str = Field(
        "",
        description="Where to POST; http:// or https://.",
        examples=["https://hooks.example.com/tripswitch"],
        json_schema_extra=NEEDED | WEB_URL | KEPT,
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Signing secret, whsec_...; write it as ${env:NAME}.",
        examples=["${env:TRIPSWITCH_WEBHOOK_SECRET}"],
        json_schema_extra=NEEDED | SIGNING_SECRET,
    )
