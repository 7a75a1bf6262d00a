"""One write and its reading back, as every target does it that has one request and can be asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tripswitch.actions.attempt import Attempt, AttemptState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tripswitch.actions.rollback.api import Api
    from tripswitch.actions.rollback.contract import PlannedCall, Snapshot
    from tripswitch.model.outbox import Effect


async def written(
    api: Api,
    call: PlannedCall,
    before_leaving: Callable[[], object],
    snapshot: Callable[[Effect], Awaitable[Snapshot]],
) -> Attempt:
    """Send the one request of ``call`` and ask ``snapshot`` what stands there then.

    An answer of success that does not show on reading back may still come true, so it is unknown.
    """
    (request,) = call.requests
    attempt = await api.send(request, before_leaving)
    if attempt.state is not AttemptState.DONE:
        return attempt
    seen = await snapshot(call.effect)
    if seen.applied:
        return replace(attempt, detail=f"read back: {seen.detail}")
    detail = f"answered {attempt.status}, but on reading back: {seen.detail}"
    return Attempt(AttemptState.UNKNOWN, detail, status=attempt.status)
