"""When a request is acknowledged: by the upstream, by the disk, or by whichever is there first.

`Acceptance.settle` decides by ``mode``:

- ``upstream``: the upstream's answer is the client's, whatever it is;
- ``disk``: what is on disk is accepted, and goes out from there;
- ``upstream-or-disk``: from when the request leaves, the upstream is given 2 s or 40 % of what is
  left of the client's deadline, whichever is less; what it cannot take for now goes to disk, what
  it refuses for good goes back. After three such failures in a row requests go straight to disk,
  but for one a second that finds out whether the upstream is back.

Nothing is ever acknowledged from memory alone. A disk that is full or failing is UNAVAILABLE.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import grpc
import structlog

from tripswitch.otlp.replies import accepted, back_pressure, refusal
from tripswitch.otlp.spool.drain import Drained, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.otlp.delivery import Delivery, Signal
    from tripswitch.otlp.replies import Reply
    from tripswitch.otlp.upstream import Upstream

Mode = Literal["upstream-or-disk", "upstream", "disk"]

LONGEST_WAIT_S: Final = 2.0
SHARE_OF_DEADLINE: Final = 0.4

# A body that must be unpacked to cross to gRPC is known to be one that can never be sent only once
# it is. With the wait for the upstream this is well within the 10 s that SDKs wait.
LONGEST_UNPACKING_S: Final = 3.0
SHARE_FOR_UNPACKING: Final = 0.3
FAILURES_IN_A_ROW: Final = 3
PROBE_EVERY_S: Final = 1.0

# Refused is who sent it, not what was sent: it may be taken once that is put right.
_OF_THE_SENDER: Final = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "401", "403"})

_log = structlog.get_logger(__name__)


class Spool(Protocol):
    """Where requests wait on disk."""

    async def append(self, delivery: Delivery, now_ns: int) -> None:
        """Return once the request is on disk for good. Raises where it is not."""
        ...

    def wake(self) -> None:
        """Try again at once to send what waits: the upstream has just answered."""
        ...


class Sent(NamedTuple):
    """What answers of the upstream are counted apart by; the protocol is the client's."""

    protocol: Literal["grpc", "http"]
    signal: Signal
    outcome: Literal["sent", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer to a request; ``upstream`` is the upstream's own, where it gave one in time."""

    reply: Reply
    upstream: Reply | None = None
    is_spooled: bool = False


class Acceptance:
    """Decides the answer to every request. ``spool`` is needed in every mode but ``upstream``.

    ``upstream_codes`` counts the upstream's answers by name, ``answers`` by `Sent`, those to
    requests that had waited on disk included; ``sent_bytes`` counts the bytes of bodies that the
    upstream accepted, ``spool_refused`` the requests that the disk could not take. ``now_s`` is a
    clock that never goes back.
    """

    def __init__(
        self,
        upstream: Upstream,
        mode: Mode,
        spool: Spool | None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        if mode != "upstream" and spool is None:
            raise ValueError(f"forward.acknowledge: {mode} needs a spool")
        self.mode = mode
        self.upstream_codes: Counter[str] = Counter()
        self.answers: Counter[Sent] = Counter()
        self.sent_bytes = 0
        self.spool_refused = 0
        self._upstream = upstream
        self._spool = spool
        self._now_s = now_s
        self._failures = 0
        self._probe_at_s = 0.0

    @property
    def is_upstream_away(self) -> bool:
        """Return whether requests go straight to disk for now."""
        return self.mode == "upstream-or-disk" and self._failures >= FAILURES_IN_A_ROW

    def use(self, mode: Mode, spool: Spool | None) -> None:
        """Decide by ``mode`` from now on; see the class."""
        if mode != "upstream" and spool is None:
            raise ValueError(f"forward.acknowledge: {mode} needs a spool")
        self.mode = mode
        self._spool = spool

    def forget_failures(self) -> None:
        """Begin anew with an upstream that is another one now."""
        self._failures = 0
        self._probe_at_s = 0.0
        if self._spool is not None:
            self._spool.wake()

    async def settle(self, delivery: Delivery, remaining_s: float | None) -> Settled:
        """Return the answer to ``delivery``; ``remaining_s`` is what its client still waits."""
        if self._spool is None or self.mode == "upstream":
            reply = await self._upstream.send(delivery, remaining_s)
            self._note(delivery, reply)
            return Settled(reply, reply)
        if self.mode == "disk" or not self._may_try():
            return await self._keep(self._spool, delivery)
        answered = await self._try(delivery, remaining_s)
        if answered is not None and (answered.is_ok or not answered.is_retryable):
            return Settled(answered, answered)
        return await self._keep(self._spool, delivery)

    async def resend(self, delivery: Delivery) -> Drained | Refusal:
        """Send a request that has waited on disk, and say what became of it."""
        reply = await self._upstream.send(delivery, None)
        self._note(delivery, reply)
        if reply.is_ok:
            return Drained.DELIVERED
        if reply.is_retryable:
            return Drained.RETRY_LATER
        if reply.name in _OF_THE_SENDER:
            return Drained.PAUSED_CREDENTIAL
        return Refusal(reply.name)

    def _note(self, delivery: Delivery, reply: Reply) -> None:
        self.upstream_codes[reply.name] += 1
        was_away = self.is_upstream_away
        if reply.is_ok:
            self.sent_bytes += len(delivery.body)
            self.answers[Sent(delivery.protocol, delivery.signal, "sent")] += 1
        else:
            outcome: Literal["failed", "refused"] = "failed" if reply.is_retryable else "refused"
            self.answers[Sent(delivery.protocol, delivery.signal, outcome)] += 1
        self._failures = 0 if reply.is_ok or not reply.is_retryable else self._failures + 1
        if self.is_upstream_away is was_away:
            return
        _log.warning("upstream_back" if was_away else "upstream_away", last_answer=reply.name)
        if was_away and self._spool is not None:
            self._spool.wake()

    def _may_try(self) -> bool:
        """Return whether this request goes upstream first; one a second does whatever happened."""
        if not self.is_upstream_away:
            return True
        now_s = self._now_s()
        if now_s < self._probe_at_s:
            return False
        self._probe_at_s = now_s + PROBE_EVERY_S
        return True

    async def _try(self, delivery: Delivery, remaining_s: float | None) -> Reply | None:
        """Return the upstream's answer, None when it gave none in its share of the time."""
        wait_s, unpacking_s = LONGEST_WAIT_S, LONGEST_UNPACKING_S
        if remaining_s is not None:
            wait_s = min(wait_s, SHARE_OF_DEADLINE * remaining_s)
            unpacking_s = min(unpacking_s, SHARE_FOR_UNPACKING * remaining_s)
        try:
            async with asyncio.timeout(wait_s + unpacking_s):
                reply = await self._upstream.send(delivery, remaining_s, wait_s)
        except TimeoutError:
            self._note(delivery, refusal(grpc.StatusCode.DEADLINE_EXCEEDED, ""))
            return None
        self._note(delivery, reply)
        return reply

    async def _keep(self, spool: Spool, delivery: Delivery) -> Settled:
        try:
            await spool.append(delivery, delivery.received_ns)
        except Exception as error:  # noqa: BLE001 - whatever the disk's trouble, clients may retry
            self.spool_refused += 1
            _log.debug("not_spooled", error=type(error).__name__)
            return Settled(
                back_pressure(
                    "the upstream cannot be reached and the spool takes no more; try again shortly"
                )
            )
        return Settled(accepted(), is_spooled=True)
