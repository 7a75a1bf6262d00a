"""What is owed to the readers of one page, as a restart must know it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Owed:
    """What is owed for one page.

    ``since_ns`` is when readers last heard something (the page itself at first), ``reminders`` how
    often nobody did anything since, ``next_ns`` when it is said again, ``told`` the due dates that
    were told to have passed.
    """

    since_ns: int
    next_ns: int
    reminders: int = 0
    told: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)
