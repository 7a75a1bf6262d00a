"""Tries the configured rollback targets without pulling them: probes, and the literal requests.

For `tripswitch check` and for showing a plan to a person; nothing here writes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tripswitch.actions.attempt import Attempt
from tripswitch.actions.carry_out import with_kept
from tripswitch.actions.exchange import open_client
from tripswitch.actions.open_rollback import open_target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tripswitch.actions.rollback.contract import PlannedCall, Probe
    from tripswitch.config.target_sections import TargetSection
    from tripswitch.model.outbox import Effect, Outbox

_NOBODY = "rehearsal"


@dataclass(frozen=True, slots=True)
class Probed:
    """What a target answered. ``is_verified`` says whether its kind may ever act by itself."""

    name: str
    type: str
    is_verified: bool
    probe: Probe


async def probe_all(
    targets: Sequence[TargetSection], now_ns: Callable[[], int] = time.time_ns
) -> list[Probed]:
    """Ask every target at once whether its lever is usable, in the order of the file.

    Raises `ConfigError` for an address or a secret that cannot be used.
    """
    async with open_client() as client:
        opened = [open_target(each, client, _NOBODY, now_ns) for each in targets]
        probes = await asyncio.gather(*(each.probe() for each in opened))
    return [
        Probed(each.name, each.type, each.is_verified, probe)
        for each, probe in zip(targets, probes, strict=True)
    ]


async def dry_run(
    target: TargetSection,
    effect: Effect,
    outbox: Outbox | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> PlannedCall | Attempt:
    """Return the requests that ``effect`` would send now, or why it would send none.

    ``outbox`` holds what an undo needs. Raises `ConfigError` as `probe_all` does.
    """
    async with open_client() as client:
        opened = open_target(target, client, _NOBODY, now_ns)
        return await opened.plan(effect if outbox is None else with_kept(effect, outbox))


def plan_text(plan: PlannedCall | Attempt) -> str:
    """Return a plan as text: each request with its headers and body, and how much it moves."""
    if isinstance(plan, Attempt):
        return f"nothing would be sent: {plan.detail}"
    lines: list[str] = []
    for request in plan.requests:
        lines.append(f"{request.method} {request.url}")
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        body = request.shown or request.body.decode("utf-8", "replace")
        lines += ["", _plain(body), ""] if body else [""]
    return "\n".join([*lines, f"blast radius: {plan.blast_radius}"])


def _plain(text: str) -> str:
    """Return text without control characters, which names in spans may carry."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text)
