"""Sends tripswitch's own telemetry from a thread of its own, so that nobody ever waits for it.

What is offered waits in a bounded queue; what does not fit is dropped and counted. The thread is a
daemon: an endpoint that neither answers nor refuses cannot keep the process from ending. The
OpenTelemetry SDK is imported in that thread, and only where there is something to send.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger(__name__)


class Outlet(Protocol):
    """Where telemetry leaves; used by the sender's thread alone."""

    def export(self, items: list[Any]) -> bool:
        """Send ``items``; return whether they were accepted."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class OwnSender:
    """Hands what is offered to the outlet that ``open_outlet`` makes, in order.

    At most ``most_waiting`` wait. ``results`` counts what was sent, failed, or was dropped. Make it
    inside the event loop.
    """

    def __init__(
        self, name: str, endpoint: str, open_outlet: Callable[[], Outlet], most_waiting: int
    ) -> None:
        self.results: dict[str, int] = {"sent": 0, "failed": 0, "dropped": 0}
        self._name = name
        self._endpoint = endpoint
        self._open_outlet = open_outlet
        # One place more, for the word that it is over.
        self._waiting: queue.Queue[Any] = queue.Queue(most_waiting + 1)
        self._most_waiting = most_waiting
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name=f"own-{name}", daemon=True)
        self._thread.start()

    def offer(self, item: Any) -> None:
        """Have ``item`` sent, unless too many wait already."""
        if self._waiting.qsize() >= self._most_waiting:
            self.results["dropped"] += 1
            return
        self._waiting.put_nowait(item)

    async def stop(self, longest_s: float) -> None:
        """Send what waits and end; what takes longer than ``longest_s`` is left to the thread."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), longest_s)

    def _run(self) -> None:
        try:
            outlet = self._open_outlet()
        except Exception as error:  # noqa: BLE001 - telemetry of ours must never cost anything else
            _log.error("own_telemetry_off", signal=self._name, error=type(error).__name__)
            outlet = _Nowhere()
        while (items := self._next()) is not None:
            self._send(outlet, items)
        with contextlib.suppress(Exception):
            outlet.close()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended.set)

    def _next(self) -> list[Any] | None:
        """Wait for items and return all there are, None after the last."""
        item = self._waiting.get()
        if item is None:
            return None
        items = [item]
        while not self._waiting.empty():
            item = self._waiting.get()
            if item is None:
                self._waiting.put(None)
                break
            items.append(item)
        return items

    def _send(self, outlet: Outlet, items: list[Any]) -> None:
        try:
            is_sent = outlet.export(items)
        except Exception as error:  # noqa: BLE001 - see above
            _log.debug("own_telemetry_fault", signal=self._name, error=type(error).__name__)
            is_sent = False
        self.results["sent" if is_sent else "failed"] += len(items)
        if is_sent is self._is_failing:
            self._is_failing = not is_sent
            event = "own_telemetry_sent_again" if is_sent else "own_telemetry_not_sent"
            _log.warning(event, signal=self._name, endpoint=self._endpoint)


class _Nowhere:
    def export(self, _items: list[Any]) -> bool:
        return False

    def close(self) -> None:
        pass
