"""Senders whose credential the upstream refuses: their records wait while others go on."""

from __future__ import annotations

from typing import Final, NamedTuple

FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 600.0
# Beyond so many, the one whose pause ends first makes way; at worst it is tried too early.
MOST_PAUSED: Final = 1024


class _Pause(NamedTuple):
    until_s: float
    length_s: float
    oldest_ns: int


class PausedCredentials:
    """Pauses by the hash of a credential, each twice as long as the one before it."""

    def __init__(self) -> None:
        self._pauses: dict[int, _Pause] = {}
        self._lengths_s: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._pauses)

    def __contains__(self, credential: int) -> bool:
        return credential in self._pauses

    @property
    def next_end_s(self) -> float | None:
        """Return when the first pause ends, None where nobody is paused."""
        return min((pause.until_s for pause in self._pauses.values()), default=None)

    @property
    def oldest_ns(self) -> int | None:
        """Return since when the oldest record has waited that was refused with its credential."""
        return min((pause.oldest_ns for pause in self._pauses.values()), default=None)

    def pause(self, credential: int, kept_ns: int, now_s: float) -> bool:
        """Pause ``credential``; return whether it was not paused yet."""
        known = self._pauses.get(credential)
        if known is not None:
            oldest_ns = min(kept_ns, known.oldest_ns)
            self._pauses[credential] = known._replace(oldest_ns=oldest_ns)
            return False
        if len(self._pauses) >= MOST_PAUSED:
            del self._pauses[min(self._pauses, key=lambda each: self._pauses[each].until_s)]
        before_s = self._lengths_s.pop(credential, FIRST_PAUSE_S / 2)
        length_s = min(2 * before_s, LONGEST_PAUSE_S)
        self._pauses[credential] = _Pause(now_s + length_s, length_s, kept_ns)
        return True

    def end_due(self, now_s: float) -> bool:
        """Let those try again whose pause is over; return whether there are any."""
        due = [each for each, pause in self._pauses.items() if pause.until_s <= now_s]
        for credential in due:
            self._lengths_s[credential] = self._pauses.pop(credential).length_s
        while len(self._lengths_s) > MOST_PAUSED:
            del self._lengths_s[next(iter(self._lengths_s))]
        return bool(due)

    def accept(self, credential: int) -> None:
        """Note that the upstream took a record with ``credential``."""
        self._lengths_s.pop(credential, None)
