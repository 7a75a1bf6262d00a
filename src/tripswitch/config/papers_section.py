"""What is written about an incident: status updates and the postmortem."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from tripswitch.config.quantities import DurationS
from tripswitch.config.section import LIVE, Section

Phrase = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Comms(Section):
    """Status updates: drafted from what is known, held for a person, never sent by themselves."""

    cadence: DurationS = Field(
        1800.0,
        ge=300,
        le=86_400,
        description="How often a page's readers hear something; 15 to 30 min is usual.",
        json_schema_extra=LIVE,
    )
    templates: str = Field(
        "",
        description=(
            "Folder with templates of your own, named as the built-in ones; empty uses those."
        ),
        examples=["comms-templates"],
        json_schema_extra=LIVE,
    )
    names: dict[Phrase, Phrase] = Field(
        default_factory=dict,
        description="What customers call a route.",
        examples=[{"/chat/refund": "the refund assistant"}],
        json_schema_extra=LIVE,
    )
    tenants: list[Phrase] = Field(
        default_factory=list,
        description=(
            "Every tenant of the service, so that an update can name those who must not get it."
        ),
        examples=[["acme", "globex", "initech"]],
        json_schema_extra=LIVE,
    )
    speculation: list[Phrase] = Field(
        default_factory=list,
        description="Words and phrases, besides the built-in ones, that hold a draft.",
        examples=[["as always", "our vendor"]],
        json_schema_extra=LIVE,
    )


class Postmortem(Section):
    """The postmortem's due dates, counted from the recovery."""

    draft_within: DurationS = Field(
        172_800.0,
        ge=3600,
        le=90 * 86_400,
        description="How soon after the recovery of a page there has to be a draft.",
        json_schema_extra=LIVE,
    )
    publish_within: DurationS = Field(
        604_800.0,
        ge=3600,
        le=90 * 86_400,
        description="How soon after it the postmortem has to be out.",
        json_schema_extra=LIVE,
    )
