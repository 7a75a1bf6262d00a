"""Triage: is it real, what changed, whose doing is it, and what is best done, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tripswitch.model.incident import Change


class Cause(StrEnum):
    """Whose doing an incident seems to be.

    ``our_change``: a change of ours fits in time and scope. ``provider``: the same on most that
    share a provider, and no change of ours. ``judge``: scores moved and behaviour did not, or the
    evaluator's version did. ``unknown``: none of them fits.
    """

    OUR_CHANGE = "our_change"
    PROVIDER = "provider"
    JUDGE = "judge"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RankedChange:
    """A change of the last 24 h with how well its time and scope fit, 0..1, and why in words."""

    change: Change
    fit: float
    why: str

    def as_json(self) -> dict[str, Any]:
        """Return the change with its fit."""
        return {**self.change.as_json(), "fit": round(self.fit, 2), "why": self.why}


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """One trace with the facts of its worst call; ``role`` is ``bad`` or ``contrast``."""

    trace_id: str
    role: str
    facts: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the trace and its facts as one object."""
        return {"trace_id": self.trace_id, "role": self.role, "facts": dict(self.facts)}


@dataclass(frozen=True, slots=True)
class Triage:
    """What is known when people are woken. ``is_real`` and ``advice`` are sentences."""

    is_real: str
    cause: Cause
    cause_why: str
    changes: tuple[RankedChange, ...]
    traces: tuple[TraceFacts, ...]
    path: str
    advice: str
    duties: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the fixed ``triage`` object."""
        return {
            "is_real": self.is_real,
            "cause": self.cause.value,
            "sentence": self.cause_why,
            "changes": [change.as_json() for change in self.changes],
            "traces": [trace.as_json() for trace in self.traces],
            "recommended": {"path": self.path, "why": self.advice},
            "duties": list(self.duties),
        }
