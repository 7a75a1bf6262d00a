"""One attempt at one rollback or undo: plan against what stands there now, record, write."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tripswitch.actions.attempt import Attempt
from tripswitch.actions.rollback.asked import UNDO_TYPE, asked
from tripswitch.errors import LedgerError
from tripswitch.model.plain_text import plain_line

if TYPE_CHECKING:
    from tripswitch.actions.rollback.contract import Request, RollbackTarget
    from tripswitch.model.outbox import Effect, Outbox

_MOST_URL: Final = 500


async def carry_out(target: RollbackTarget, effect: Effect, outbox: Outbox) -> Attempt:
    """Let ``target`` do what ``effect`` asks for; what an undo needs is on disk before it writes.

    The plan is made anew on each attempt, so a retry compares again before it writes again. Raises
    `LedgerError` before the first byte goes where the effect is not this process's any more.
    """

    def leave(kept: str = "", sent: str = "") -> None:
        if not outbox.mark_leaving(effect.key, kept, sent):
            raise LedgerError(
                f"{effect.key} was taken over by another process",
                hint="two processes work on one ledger, and one held this one for dead",
            )

    if effect.type == UNDO_TYPE:
        return await target.undo(with_kept(effect, outbox), leave)
    call = await target.plan(effect)
    if isinstance(call, Attempt):
        return call
    sent = "; ".join(_line(request) for request in call.requests)
    return await target.apply(call, lambda: leave(call.kept, sent))


def _line(request: Request) -> str:
    """Return a request for the audit: what was called, and the digest of what it carried."""
    line = f"{request.method} {plain_line(request.url, _MOST_URL)}"
    if not request.body:
        return line
    return f"{line} with a body of sha256 {hashlib.sha256(request.body).hexdigest()}"


def with_kept(effect: Effect, outbox: Outbox) -> Effect:
    """Return an undo with what was recorded by the rollback that it takes back."""
    if effect.type != UNDO_TYPE:
        return effect
    return replace(effect, kept=outbox.kept(asked(effect).undoes))
