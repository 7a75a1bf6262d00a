"""The literal requests of a drill's rollbacks: what the real target would be sent, sent to nobody.

A target's plan may have to read what stands there first. In a drill nobody is called: such a target
says so in place of its request, and `tripswitch check --probe` is how it is asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.open_rollback import open_target
from tripswitch.actions.rehearsal import plan_text
from tripswitch.errors import ConfigError
from tripswitch.model.messages import Rollback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.model import Config
    from tripswitch.config.target_sections import TargetSection
    from tripswitch.model.incident import RollbackPlan
    from tripswitch.model.messages import Event

_NOBODY = "drill"
_UNREAD = (
    "its request depends on what stands at the target, and a drill calls nobody; "
    "`tripswitch check --probe` asks it"
)


def literal_requests(
    config: Config, plans: Sequence[tuple[RollbackPlan, Event]]
) -> list[dict[str, Any]]:
    """Return for each plan ``{"state", "text"}``: what would be sent, or why nothing would."""
    return asyncio.run(_all(config, plans))


async def _all(config: Config, plans: Sequence[tuple[RollbackPlan, Event]]) -> list[dict[str, Any]]:
    targets = {target.name: target for target in config.rollback.targets}
    async with httpx.AsyncClient(transport=httpx.MockTransport(_refuse)) as client:
        return [
            await _one(config, targets[plan.target], plan, event, client) for plan, event in plans
        ]


async def _one(
    config: Config,
    target: TargetSection,
    plan: RollbackPlan,
    event: Event,
    client: httpx.AsyncClient,
) -> dict[str, Any]:
    (effect,) = effects_of([Rollback(plan.key, plan, event)], config, event.time_ns)
    try:
        opened = open_target(target, client, _NOBODY, lambda: event.time_ns)
        planned = await opened.plan(effect)
    except ConfigError as error:
        return {"state": "unusable", "text": str(error)}
    if isinstance(planned, Attempt) and planned.state is AttemptState.RETRY:
        return {"state": "unread", "text": _UNREAD}
    state = planned.state.value if isinstance(planned, Attempt) else "planned"
    return {"state": state, "text": plan_text(planned)}


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("a drill calls nobody", request=request)
