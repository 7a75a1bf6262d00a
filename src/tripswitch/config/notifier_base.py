"""What every notifier of the file has: its name, and which news it hears."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from tripswitch.config.quantities import DurationS
from tripswitch.config.section import Section

Role = Literal["on_call", "eval_owner", "comms_drafter", "release_captain", "security_reviewer"]
"""Who somebody is in an incident; ``notifications.roles`` says who hears what."""

SeverityName = Literal["page", "investigate"]
ShapeName = Literal["eval_drift", "cost_spike", "latency_spike", "guardrail_regression", "outage"]

KEPT: Final[dict[str, Any]] = {"kept": True}
"""Marks where a notifier's messages go. An episode keeps it from its first message to its last,
so that an edit of the file does not leave a page open that nobody can close."""

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]*$"


class NotifierSection(Section):
    """What every notifier has. A list that is empty narrows nothing."""

    type: str = Field(description="Kind of notifier.")
    name: str = Field("notifier", pattern=NAME_PATTERN, description="Name, unique.")
    timeout: DurationS = Field(15.0, gt=0, le=60, description="Longest wait for an answer.")
    roles: list[Role] = Field(
        default_factory=list,
        description=(
            "Whom it reaches: on_call, eval_owner, comms_drafter, release_captain, "
            "security_reviewer; it hears what notifications.roles gives to them. Empty hears "
            "everything, but of security incidents only that there is one while a security "
            "reviewer is told."
        ),
        examples=[["on_call"]],
    )
    severities: list[SeverityName] = Field(
        default_factory=list,
        description="Severities it hears: page, investigate. Empty means both.",
        examples=[["page"]],
    )
    shapes: list[ShapeName] = Field(
        default_factory=list,
        description=(
            "Shapes it hears: eval_drift, cost_spike, latency_spike, guardrail_regression, "
            "outage. Empty means all."
        ),
        examples=[["eval_drift", "guardrail_regression"]],
    )
    routes: list[str] = Field(
        default_factory=list,
        description="Routes it hears; * stands for anything. Empty means all.",
        examples=[["/chat/refund", "/agents/*"]],
    )
    tenants: list[str] = Field(
        default_factory=list,
        description="It hears incidents that touch one of these tenants. Empty means all.",
        examples=[["acme"]],
    )
