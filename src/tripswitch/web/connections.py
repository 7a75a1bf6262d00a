"""Connections that are slow, silent or too many, cut off before they cost anybody else.

Uvicorn bounds the time between two requests; what it leaves open is a connection that never sends
its first request, or sends its headers a byte at a time. Each connection here has until
``header_timeout_s`` for the headers of a request, from when it was made or from when the last
answer ended for the first byte on. Beyond ``max_connections`` the connection that has waited
longest without a request is closed to make way, or else the one that has been sending the body of
one for longest; only where every one of them waits for its answer is the new one closed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class ConnectionLimits:
    """The limits of one listener. Times in s, ``closed`` counts connections it cut off."""

    max_connections: int = 128
    header_timeout_s: float = 10.0
    closed: int = 0
    waiting: dict[GuardedConnection, None] = field(default_factory=dict, repr=False)
    serving: dict[GuardedConnection, None] = field(default_factory=dict, repr=False)

    def protocol(self) -> Callable[..., GuardedConnection]:
        """Return what makes a connection within these limits, as uvicorn's ``http`` setting."""

        def make(**settings: Any) -> GuardedConnection:
            return GuardedConnection(self, **settings)

        return make

    def eldest(self) -> GuardedConnection | None:
        """Return the connection that makes way first, None where all wait for an answer."""
        eldest = next(iter(self.waiting), None)
        return eldest or next((each for each in self.serving if each.is_sending), None)


class GuardedConnection(H11Protocol):
    """One HTTP/1.1 connection that is given up when it is silent for too long."""

    def __init__(self, limits: ConnectionLimits, **settings: Any) -> None:
        super().__init__(**settings)
        self._limits = limits
        self._headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make way for the connection where there are too many, and start its time."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            (self._limits.eldest() or self).cut_off()
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Take in what came; the time for headers ends when they are all there."""
        super().data_received(data)
        if self.is_serving:
            self._stop_waiting()
            self._limits.serving[self] = None
        elif self._headers_due is None:
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        self._limits.serving.pop(self, None)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Count the connection among those that may make way again."""
        super().on_response_complete()
        if not self.is_serving:
            self._limits.serving.pop(self, None)
        if not self.transport.is_closing() and not self.is_serving:
            self._limits.waiting[self] = None

    @property
    def is_serving(self) -> bool:
        """Return whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_sending(self) -> bool:
        """Return whether the request under way has not all come yet."""
        return self.cycle is not None and self.cycle.more_body

    def cut_off(self) -> None:
        """Close the connection at once, unsent bytes and all."""
        self._limits.closed += 1
        self._stop_waiting()
        self._limits.serving.pop(self, None)
        self.transport.abort()

    def _wait_for_headers(self) -> None:
        if self.transport.is_closing():
            return
        self._limits.waiting[self] = None
        self._headers_due = self.loop.call_later(self._limits.header_timeout_s, self.cut_off)

    def _stop_waiting(self) -> None:
        self._limits.waiting.pop(self, None)
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None
