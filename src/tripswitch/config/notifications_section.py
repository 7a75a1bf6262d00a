"""What holds for all notifiers: who hears what by default, and how much of it at once."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tripswitch.config.notifier_base import Role
from tripswitch.config.quantities import DurationS
from tripswitch.config.section import LIVE, Section


def _heard_by(*roles: Role, description: str) -> Any:
    return Field(
        default_factory=lambda: list(roles), description=description, json_schema_extra=LIVE
    )


class RoleRoutes(Section):
    """The roles that each kind of news goes to; a notifier without roles hears them all."""

    page: list[Role] = _heard_by("on_call", description="Who hears of pages.")
    investigate: list[Role] = _heard_by(
        "on_call", description="Who hears of what is only to be looked into."
    )
    eval_drift: list[Role] = _heard_by(
        "eval_owner", description="Who also hears of drifts of evaluation scores."
    )
    security: list[Role] = _heard_by(
        "security_reviewer",
        description=(
            "Who hears of security incidents, instead of those above; add on_call to tell both. "
            "Where nobody has such a role, everybody is told as of any other page."
        ),
    )
    rollback: list[Role] = _heard_by(
        "release_captain",
        description=(
            "Who also hears of rollbacks planned, proposed, approved, done, failed and undone; of "
            "security incidents without their details."
        ),
    )
    comms: list[Role] = _heard_by(
        "comms_drafter", description="Who hears of drafted updates and of those that are due."
    )
    postmortem: list[Role] = _heard_by(
        "on_call", description="Who hears of postmortems that are due."
    )


class Notifications(Section):
    """Who is told what, and how many messages it takes."""

    roles: RoleRoutes = Field(
        default_factory=RoleRoutes, description="The roles that each kind of news goes to."
    )
    update_interval: DurationS = Field(
        300.0,
        ge=0,
        le=86_400,
        description=(
            "At most one message in this time about an incident that only has new numbers; what "
            "changes its state is told at once."
        ),
        json_schema_extra=LIVE,
    )
    flood_opens: int = Field(
        5,
        ge=1,
        le=1000,
        description=(
            "Most incidents that a notifier opens one by one within flood_window; further ones "
            "are told together, as one message that lists them and is kept up to date."
        ),
        json_schema_extra=LIVE,
    )
    flood_window: DurationS = Field(
        60.0,
        gt=0,
        le=3600,
        description="Time within which flood_opens counts, and between two messages of a group.",
        json_schema_extra=LIVE,
    )
    group_wait: DurationS = Field(
        30.0,
        ge=0,
        le=600,
        description="How long the first message of a group waits for others to be in it.",
        json_schema_extra=LIVE,
    )
    tell_after: DurationS = Field(
        300.0,
        ge=0,
        le=86_400,
        description="A notifier that fails for this long is told of on the other notifiers.",
        json_schema_extra=LIVE,
    )
