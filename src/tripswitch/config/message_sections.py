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


class SlackNotifier(NotifierSection):
    """Messages of a Slack bot: one thread an incident, its first message kept up to date."""

    type: Literal["slack"] = Field("slack", description="Kind of notifier.")
    name: str = Field("slack", pattern=NAME_PATTERN, description="Name, unique.")
    url: str = Field(
        "https://slack.com/api",
        description="Where the Web API is.",
        json_schema_extra=NEEDED | WEB_URL | KEPT,
    )
    token: SecretStr = Field(
        SecretStr(""),
        description=(
            "Bot token, xoxb-..., with chat:write, and files:write for charts; write it as "
            "${env:NAME}."
        ),
        examples=["${env:SLACK_BOT_TOKEN}"],
        json_schema_extra=NEEDED,
    )
    channel: str = Field(
        "",
        description="Id of the channel, which the bot has joined.",
        examples=["C0123456789"],
        json_schema_extra=NEEDED | KEPT,
    )


class EmailNotifier(NotifierSection):
    """E-mail by SMTP: one conversation an incident."""

    type: Literal["email"] = Field("email", description="Kind of notifier.")
    name: str = Field("email", pattern=NAME_PATTERN, description="Name, unique.")
    host: str = Field(
        "",
        description="Name of the mail server.",
        examples=["smtp.example.com"],
        json_schema_extra=NEEDED | KEPT,
    )
    port: int = Field(
        587, ge=1, le=65_535, description="Its port: 587, or 465 for tls.", json_schema_extra=KEPT
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls and tls check the server's certificate; none is for loopback.",
        json_schema_extra=KEPT,
    )
    ca_file: str = Field(
        "",
        description="PEM file of the authorities to trust; empty trusts the system's.",
        json_schema_extra=KEPT,
    )
    username: str = Field("", description="Who logs in; empty does not.")
    password: SecretStr = Field(
        SecretStr(""), description="Password of the login; write it as ${env:NAME}."
    )
    sender: str = Field(
        "",
        description="Address the mail comes from.",
        examples=["tripswitch@example.com"],
        json_schema_extra=NEEDED | KEPT,
    )
    to: list[str] = Field(
        default_factory=list,
        description="Addresses it goes to.",
        examples=[["oncall@example.com"]],
        json_schema_extra=NEEDED | KEPT,
    )


class StatuspageNotifier(NotifierSection):
    """Drafts for a Statuspage, as incident templates that a person may apply; publishes nothing."""

    type: Literal["statuspage"] = Field("statuspage", description="Kind of notifier.")
    name: str = Field("statuspage", pattern=NAME_PATTERN, description="Name, unique.")
    url: str = Field(
        "https://api.statuspage.io",
        description="Where the API is, without /v1.",
        json_schema_extra=NEEDED | WEB_URL | KEPT,
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="API key; write it as ${env:NAME}.",
        examples=["${env:STATUSPAGE_API_KEY}"],
        json_schema_extra=NEEDED,
    )
    page: str = Field(
        "",
        description="Id of the page.",
        examples=["kctbh9vrtdwd"],
        json_schema_extra=NEEDED | KEPT,
    )
    components: list[str] = Field(
        default_factory=list,
        description="Ids of the components that the draft names as affected.",
        examples=[["ftgks51sfs2d"]],
    )


class AppriseNotifier(NotifierSection):
    """Any other service, through apprise (`pip install tripswitch[apprise]`): plain messages."""

    type: Literal["apprise"] = Field("apprise", description="Kind of notifier.")
    name: str = Field("apprise", pattern=NAME_PATTERN, description="Name, unique.")
    url: SecretStr = Field(
        SecretStr(""),
        description="Apprise's URL of the service, which holds its secrets.",
        examples=["${env:APPRISE_URL}"],
        json_schema_extra=NEEDED,
    )
