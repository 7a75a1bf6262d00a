"""The middle of the wire, between receivers and upstream, whichever protocols they speak.

A receiver makes a `Delivery` and hands it to `Pipeline.export`, which settles it, counts it and
gives it to the reading beside the path. What is read:

- every request whose signal is read, once its answer is known, unless the upstream refused it for
  good: a sender it does not know must not be able to plant evidence. Those are counted as skipped;
- one that failed for now is read all the same, so that judging goes on while the upstream is
  away; the copy that the client sends again is recognised by its span ids.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import structlog

if TYPE_CHECKING:
    from tripswitch.otlp.acceptance import Acceptance, Settled
    from tripswitch.otlp.admission import Admission
    from tripswitch.otlp.delivery import Delivery, Signal
    from tripswitch.otlp.reading import Reading
    from tripswitch.otlp.replies import Reply

ProtocolName = Literal["grpc", "http"]

Outcome = Literal[
    "accepted",
    "spooled",
    "refused",
    "failed",
    "overloaded",
    "unauthenticated",
    "transport_refused",
    "unsupported",
    "cancelled",
]

# An upstream that is away fails every request; the counters say how many, the log says why.
_COMPLAINT_EVERY_S = 10.0

_log = structlog.get_logger(__name__)


class Kind(NamedTuple):
    """What requests are counted apart by."""

    protocol: ProtocolName
    signal: Signal
    outcome: Outcome


class Pipeline:
    """What all receivers share.

    ``requests`` counts requests by `Kind`, ``received_bytes`` the bytes of their bodies as they
    came.
    """

    def __init__(self, acceptance: Acceptance, admission: Admission, reading: Reading) -> None:
        self.acceptance = acceptance
        self.admission = admission
        self.reading = reading
        self.requests: Counter[Kind] = Counter()
        self.received_bytes = 0
        self._quiet_until_s: dict[tuple[str, str], float] = {}

    async def export(self, delivery: Delivery, remaining_s: float | None) -> Reply:
        """Return the answer to ``delivery``; ``remaining_s`` is what its client still waits.

        The request is counted, also when it is cancelled meanwhile.
        """
        self.received_bytes += len(delivery.body)
        outcome: Outcome = "cancelled"
        try:
            settled = await self.acceptance.settle(delivery, remaining_s)
            outcome = _outcome(settled)
            if not settled.reply.is_ok:
                self._complain_of(delivery, settled.reply)
            self.reading.take(delivery, settled.reply)
            return settled.reply
        finally:
            self.count(delivery.protocol, delivery.signal, outcome)

    def count(self, protocol: ProtocolName, signal: Signal, outcome: Outcome) -> None:
        """Count a request that ended before it was one `export` was called for."""
        self.requests[Kind(protocol, signal, outcome)] += 1

    def outcomes(self) -> dict[Outcome, int]:
        """Return the requests by what became of them, over all protocols and signals."""
        totals: Counter[Outcome] = Counter()
        for kind, count in self.requests.items():
            totals[kind.outcome] += count
        return dict(totals)

    def complain(self, event: str, code: str, **facts: str | int) -> None:
        """Log a failure, at most once in `_COMPLAINT_EVERY_S` for each event and code."""
        now_s = time.monotonic()
        if now_s >= self._quiet_until_s.get((event, code), 0.0):
            self._quiet_until_s[event, code] = now_s + _COMPLAINT_EVERY_S
            _log.warning(event, code=code, **facts)

    def _complain_of(self, delivery: Delivery, reply: Reply) -> None:
        self.complain(
            "upstream_failed" if reply.is_retryable else "upstream_refused",
            reply.name,
            signal=delivery.signal.value,
            protocol=delivery.protocol,
            request_bytes=len(delivery.body),
        )


def _outcome(settled: Settled) -> Outcome:
    if settled.is_spooled:
        return "spooled"
    if settled.reply.is_ok:
        return "accepted"
    return "failed" if settled.reply.is_retryable else "refused"
