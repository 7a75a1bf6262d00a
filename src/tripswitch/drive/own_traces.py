"""Tripswitch's own spans by OTLP: one for each attempt of the executor to call somebody.

They carry what the call was for and what came of it, never its content or its address, since an
address may hold a credential. They go to `telemetry.otlp` with a mark that keeps them from being
judged where that leads back into a tripswitch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tripswitch.drive.own_metrics import add_results
from tripswitch.drive.own_sender import OwnSender

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from tripswitch.actions.call import Call
    from tripswitch.config.telemetry_section import OwnOtlp

_MOST_WAITING = 1000

_STATUS_CODE = "http.response.status_code"


class OwnTraces:
    """Takes the executor's calls; without an endpoint it does nothing with them.

    Make it inside the event loop.
    """

    def __init__(self, settings: OwnOtlp) -> None:
        self._settings = settings
        self._sender = _sender_for(settings)
        self._past: dict[str, int] = dict.fromkeys(("sent", "failed", "dropped"), 0)

    @property
    def results(self) -> dict[str, int]:
        """Return how many spans were sent, failed to be, or dropped because too many waited."""
        sender = self._sender
        now: dict[str, int] = {} if sender is None else {**sender.results}
        return add_results(self._past, now)

    def record(self, call: Call) -> None:
        """Have a span made of ``call`` and sent."""
        if self._sender is not None:
            self._sender.offer(call)

    async def reload(self, settings: OwnOtlp, longest_s: float) -> None:
        """Send what is recorded from now on as ``settings`` say."""
        if settings == self._settings:
            return
        left = self._sender
        self._settings, self._sender = settings, _sender_for(settings)
        if left is not None:
            await left.stop(longest_s)
            self._past = add_results(self._past, {**left.results})

    async def stop(self, longest_s: float) -> None:
        """Send what waits, for at most ``longest_s``, and end."""
        if self._sender is not None:
            await self._sender.stop(longest_s)


def _sender_for(settings: OwnOtlp) -> OwnSender | None:
    if not settings.endpoint or not settings.traces:
        return None
    return OwnSender("traces", settings.endpoint, lambda: _SpanOutlet(settings), _MOST_WAITING)


class _SpanOutlet:
    def __init__(self, settings: OwnOtlp) -> None:
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider, sampling

        from tripswitch.drive.own_exporters import resource_of, span_exporter

        self._exporter = span_exporter(settings)
        self._provider = TracerProvider(
            sampling.ALWAYS_ON,
            resource_of(settings),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attribute_length=512),
        )
        self._tracer = self._provider.get_tracer("tripswitch.actions")

    def export(self, items: list[Call]) -> bool:
        """Send a span for each call."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        result = self._exporter.export([self._span(call) for call in items])
        return result is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Let go of the connection."""
        self._exporter.shutdown()

    def _span(self, call: Call) -> ReadableSpan:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, StatusCode

        attributes: dict[str, str | int] = {
            "tripswitch.action": call.action,
            "tripswitch.action.target": call.target,
            "tripswitch.action.idempotency_key": call.key,
            "tripswitch.action.attempt": call.attempt,
            "tripswitch.action.state": call.state,
        }
        if call.status is not None:
            attributes[_STATUS_CODE] = call.status
        span: Any = self._tracer.start_span(
            f"{call.action} {call.target}",
            # Each attempt is a trace of its own: there is nothing around it to belong to.
            Context(),
            SpanKind.CLIENT,
            attributes,
            start_time=call.start_ns,
        )
        if call.is_error:
            span.set_status(StatusCode.ERROR, call.state)
        span.end(call.end_ns)
        readable: ReadableSpan = span
        return readable
