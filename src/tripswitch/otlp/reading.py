"""From the forwarding path to the tap: which requests are read, and as what.

The tap holds protobuf requests. One that came in another form (JSON, or HTTP with a
content-encoding) is made into that in a thread, one after the other, within bounds: too many
waiting, or a body that unpacks beyond the limit, cost the reading of that request and nothing
else. Whatever goes wrong here is counted and never reaches the sender.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog

from tripswitch.errors import WireError
from tripswitch.otlp.crossing import protobuf_of
from tripswitch.otlp.delivery import Signal
from tripswitch.otlp.encodings import normal
from tripswitch.otlp.headers import OWN_TELEMETRY
from tripswitch.otlp.status_bodies import JSON, media_type
from tripswitch.otlp.tap import Gap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.otlp.delivery import Delivery
    from tripswitch.otlp.replies import Reply
    from tripswitch.otlp.tap import Tap

READ_SIGNALS: Final = frozenset({Signal.TRACES, Signal.LOGS})

# Bodies waiting to be made into protobuf may take this much.
MAX_WAITING_BYTES: Final = 32 << 20

_log = structlog.get_logger(__name__)


class Reading:
    """Hands requests of ``signals`` to ``tap``, as protobuf of at most ``max_bytes`` each.

    Of a signal in ``marks`` only requests that hold one of its marks are handed over: an
    application's ordinary logs pass by in great volume.

    ``skipped`` counts requests not read because the upstream refused them for good, ``own`` those
    that a tripswitch sent about itself, ``unreadable`` those that are not what their headers say,
    ``dropped`` those that came while too many waited, ``errors`` faults of the reading itself.
    """

    def __init__(
        self,
        tap: Tap,
        *,
        max_bytes: int,
        signals: frozenset[Signal] = READ_SIGNALS,
        marks: Mapping[Signal, Sequence[bytes]] | None = None,
    ) -> None:
        self.skipped = 0
        self.own = 0
        self.unreadable = 0
        self.dropped = 0
        self.errors = 0
        self.max_bytes = max_bytes
        self._tap = tap
        self._signals = signals
        self._marks = marks or {}
        self._waiting: deque[Delivery] = deque()
        self._waiting_bytes = 0
        self._worker: asyncio.Task[None] | None = None

    def take(self, delivery: Delivery, reply: Reply) -> None:
        """Hand a request over that was answered with ``reply``. Never waits, never raises."""
        if delivery.signal not in self._signals:
            return
        if not (reply.is_ok or reply.is_retryable):
            self.skipped += 1
            return
        if any(key == OWN_TELEMETRY for key, _ in delivery.metadata):
            self.own += 1
            return
        try:
            if _is_protobuf(delivery):
                self._offer(delivery.body, delivery)
            else:
                self._enqueue(delivery)
        except Exception as error:  # noqa: BLE001 - reading must never reach the sender
            self.errors += 1
            _log.error("tap_failed", error=type(error).__name__)

    def _offer(self, body: bytes, delivery: Delivery) -> None:
        marks = self._marks.get(delivery.signal)
        if marks is None or any(mark in body for mark in marks):
            self._tap.offer(body, delivery.received_ns, delivery.signal)

    async def settled(self) -> None:
        """Return once nothing waits to be made into protobuf."""
        if self._worker is not None:
            await asyncio.wait({self._worker})

    def _enqueue(self, delivery: Delivery) -> None:
        if self._waiting_bytes + len(delivery.body) > MAX_WAITING_BYTES:
            self.dropped += 1
            self._tap.remember(Gap(1, delivery.received_ns))
            return
        self._waiting.append(delivery)
        self._waiting_bytes += len(delivery.body)
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                delivery = self._waiting.popleft()
                try:
                    await self._convert(delivery)
                finally:
                    self._waiting_bytes -= len(delivery.body)
        finally:
            self._worker = None

    async def _convert(self, delivery: Delivery) -> None:
        try:
            body = await asyncio.to_thread(protobuf_of, delivery, self.max_bytes)
            self._offer(body, delivery)
        except WireError:
            self.unreadable += 1
            self._tap.remember(Gap(1, delivery.received_ns))
        except Exception as error:  # noqa: BLE001 - reading must never reach the sender
            self.errors += 1
            self._tap.remember(Gap(1, delivery.received_ns))
            _log.error("tap_failed", error=type(error).__name__)


def _is_protobuf(delivery: Delivery) -> bool:
    return delivery.protocol == "grpc" or (
        normal(delivery.content_encoding) == "identity"
        and media_type(delivery.content_type) != JSON
    )
