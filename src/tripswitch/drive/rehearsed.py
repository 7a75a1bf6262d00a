"""A rollback rehearsed: the literal requests that an incident's plan would send now, none sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tripswitch.actions.attempt import Attempt
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.rehearsal import dry_run, plan_text
from tripswitch.model.instruction import InstructionError
from tripswitch.model.messages import Event, EventName, Rollback

if TYPE_CHECKING:
    from tripswitch.config.model import Config
    from tripswitch.store.ledger import Ledger


async def rehearsed(ledger: Ledger, config: Config, incident_id: str) -> dict[str, Any]:
    """Return the target, the state (``planned``, or why nothing would go) and the requests' text.

    The target is read, never moved. Raises InstructionError where nothing is planned, or its
    target is not configured any more.
    """
    incident = ledger.known_incident(incident_id)
    plan = None if incident is None else incident.rollback
    if incident is None or plan is None:
        raise InstructionError("there is no rollback to rehearse: none was planned")
    targets = {target.name: target for target in config.rollback.targets}
    if plan.target not in targets:
        raise InstructionError(f'no target named "{plan.target}" is configured')
    event = Event(EventName.ROLLBACK_PLANNED, time.time_ns(), incident)
    (effect,) = effects_of([Rollback(plan.key, plan, event)], config, event.time_ns)
    planned = await dry_run(targets[plan.target], effect, ledger.outbox)
    state = planned.state.value if isinstance(planned, Attempt) else "planned"
    return {"target": plan.target, "state": state, "text": plan_text(planned)}
