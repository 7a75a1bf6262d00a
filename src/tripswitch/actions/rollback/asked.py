"""What an effect asks a target for, read from its body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tripswitch.actions.rollback.contract import SpanEvidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.model.outbox import Effect

UNDO_TYPE: Final = "tripswitch.rollback.undo.v1"
"""The type of an effect that takes an earlier rollback back."""

_MAX_WORD = 120


@dataclass(frozen=True, slots=True)
class Asked:
    """One move: which rung, from what to what, for which slice of the traffic.

    ``undoes`` is the key of the rollback that this one takes back, empty for a rollback. ``scope``
    holds the six fields of a scope, None where it is not narrowed.
    """

    path: str
    before: str
    after: str
    blast_radius: str
    undoes: str
    scope: Mapping[str, str | None]

    @property
    def cohort(self) -> str | None:
        """The cohort that alone is to move, None for every one."""
        return self.scope.get("cohort")


def asked(effect: Effect) -> Asked:
    """Return what ``effect`` asks for. The body is our own, so nothing in it is missing."""
    data = json.loads(effect.body)
    rollback = data["rollback"]
    return Asked(
        path=rollback["path"],
        before=rollback["from"],
        after=rollback["to"],
        blast_radius=rollback["blast_radius"],
        undoes=str(rollback.get("undoes") or ""),
        scope=data["scope"],
    )


def route_of(effect: Effect) -> str | None:
    """Return the route whose incident asks for ``effect``, None where it is of no single one."""
    data = json.loads(effect.body)
    incident = data.get("incident") or {}
    route = data["scope"].get("route") or (incident.get("scope") or {}).get("route")
    return None if route is None else str(route)


def evidence_of(effect: Effect) -> SpanEvidence:
    """Return the scope to watch and the versions that leave and return."""
    wanted = asked(effect)
    return SpanEvidence(wanted.scope, wanted.before, wanted.after)


def word(text: object) -> str:
    """Return what spans or servers said as one short line without control characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(text)[:400])
    return line if len(line) <= _MAX_WORD else line[: _MAX_WORD - 1] + "…"
