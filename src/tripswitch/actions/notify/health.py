"""How the notifiers are: which of them fail, since when, and which rest until a certain time.

Kept in memory: after a restart each is tried at once, and what fails is noticed again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Health:
    """One notifier. ``failures`` counts attempts in a row, ``since_ns`` is when the first was;
    ``is_told`` says that the others were told of it.
    """

    failures: int = 0
    since_ns: int = 0
    rest_until_ns: int = 0
    is_told: bool = False
    is_gone: bool = False

    def worked(self) -> None:
        """Note that a message was taken."""
        self.failures = 0
        self.rest_until_ns = 0
        self.is_told = False

    def failed(self, now_ns: int) -> None:
        """Note that an attempt failed."""
        if self.failures == 0:
            self.since_ns = now_ns
        self.failures += 1


class Wards:
    """The health of every notifier by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Health] = {}

    def of(self, name: str) -> Health:
        """Return the health of a notifier, a good one where nothing is known."""
        return self._by_name.setdefault(name, Health())

    def resting(self, now_ns: int) -> dict[str, int]:
        """Return the notifiers that are not to be called yet, and until when, in ns."""
        return {
            name: health.rest_until_ns
            for name, health in self._by_name.items()
            if health.rest_until_ns > now_ns
        }
