"""What can go wrong, split by who has to act.

TripswitchError
  ConfigError     the operator: the file, a flag or an environment variable is wrong
  WireError       the sender of telemetry: bytes that are not OTLP
  ActionError     the system we called: it refused, failed, or did not answer
  LedgerError     this machine: the state on disk cannot be read or written
  SnapshotError   this machine: a snapshot on disk cannot be used
"""

from __future__ import annotations


class TripswitchError(Exception):
    """Something tripswitch can name: what was found, what was wanted, where, and what to do next.

    ``hint`` is one sentence saying what to do next, or empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ConfigError(TripswitchError):
    """The configuration cannot be used; every problem in it is listed at once."""


class WireError(TripswitchError):
    """These bytes are not a readable OTLP request."""


class ActionError(TripswitchError):
    """A system that tripswitch called did not do what was asked.

    ``retryable`` says whether the same request may be sent again without a read-back.
    """

    def __init__(self, message: str, *, retryable: bool, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable


class LedgerError(TripswitchError):
    """The ledger on disk cannot be read or written."""


class SnapshotError(TripswitchError):
    """A snapshot on disk cannot be used; the message goes on from its name ("is damaged: ...")."""
