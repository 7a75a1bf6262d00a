"""What people want done about an incident, and what they open by hand.

Every instruction is a message into the engine, so that replay, drill and tests can make them too.
``by`` is the name a person gave; it is shown and kept, and proves nothing about who it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tripswitch.model.incident import Shape
from tripswitch.model.scope import Scope


class Act(StrEnum):
    """What a person can do about an incident.

    ``approve`` and ``reject`` answer a proposed rollback, ``undo`` takes back one that was made,
    ``release`` lets a version that was rolled back serve again, so that it may be judged and
    rolled back anew. ``fix_in_review`` and ``comms_closed`` are two of the three confirmations that
    an incident needs to close, ``waive`` closes it without what is missing, on the record. The
    last three say that something was written, also of an incident that is closed.
    """

    ACKNOWLEDGE = "acknowledge"
    APPROVE = "approve"
    REJECT = "reject"
    UNDO = "undo"
    RELEASE = "release"
    FIX_IN_REVIEW = "fix_in_review"
    COMMS_CLOSED = "comms_closed"
    WAIVE = "waive"
    UPDATE_POSTED = "update_posted"
    POSTMORTEM_DRAFTED = "postmortem_drafted"
    POSTMORTEM_PUBLISHED = "postmortem_published"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One act of a person on one incident; ``note`` says why, ``link`` shows the fix or post."""

    incident_id: str
    act: Act
    by: str
    note: str = ""
    link: str = ""


class Trigger(StrEnum):
    """The five triggers of the security class."""

    INJECTION = "injection"
    PII_LEAK = "pii_leak"
    STOLEN_KEYS = "stolen_keys"
    TOOL_EXFILTRATION = "tool_exfiltration"
    SUPPLY_CHAIN = "supply_chain"


TRIGGER_WORDS: dict[Trigger, str] = {
    Trigger.INJECTION: "a prompt injection that got data out",
    Trigger.PII_LEAK: "a leak of personal data",
    Trigger.STOLEN_KEYS: "stolen keys or a compromised provider",
    Trigger.TOOL_EXFILTRATION: "data taken out through a tool call",
    Trigger.SUPPLY_CHAIN: "a compromised dependency, model or prompt source",
}


@dataclass(frozen=True, slots=True)
class Opening:
    """An incident that a person opens, because they know what no span shows.

    With a ``trigger`` it is of the security class; ``shape`` is then a guardrail regression.
    ``traces`` are ids of traces that show it.
    """

    scope: Scope
    sentence: str
    by: str
    trigger: Trigger | None = None
    shape: Shape = Shape.GUARDRAIL_REGRESSION
    traces: tuple[str, ...] = ()


class InstructionError(ValueError):
    """An instruction that cannot be carried out; its text says what was found and what to do."""
