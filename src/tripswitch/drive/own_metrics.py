"""Tripswitch's own metrics by OTLP: the families of the metrics page, under the same names.

One source for both: what is read for a scrape is read here once an interval, on the event loop,
and handed to the SDK's observable instruments in the sender's thread.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tripswitch.drive.own_sender import OwnSender
from tripswitch.web.metrics import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from opentelemetry.metrics import CallbackOptions, Observation

    from tripswitch.config.telemetry_section import OwnOtlp
    from tripswitch.web.metrics import Metric

_MOST_WAITING = 1


def add_results(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Return two counts of results as one."""
    return {result: count + other.get(result, 0) for result, count in one.items()}


class OwnMetrics:
    """Sends what ``read`` returns every ``settings.interval``, and once more at the end.

    Make it inside the event loop.
    """

    def __init__(self, settings: OwnOtlp, read: Callable[[], Iterable[Metric]]) -> None:
        self._interval_s = settings.interval
        self._read = read
        self._sender = OwnSender(
            "metrics", settings.endpoint, lambda: _MetricOutlet(settings), _MOST_WAITING
        )
        self._next: asyncio.TimerHandle | None = None
        self._tick()

    @property
    def results(self) -> dict[str, int]:
        """Return how many exports were sent, failed, or dropped because one was under way."""
        return {**self._sender.results}

    async def stop(self, longest_s: float) -> None:
        """Send once more, for at most ``longest_s``, and end."""
        if self._next is not None:
            self._next.cancel()
        self._sender.offer(list(self._read()))
        await self._sender.stop(longest_s)

    def _tick(self) -> None:
        self._sender.offer(list(self._read()))
        self._next = asyncio.get_running_loop().call_later(self._interval_s, self._tick)


class _MetricOutlet:
    def __init__(self, settings: OwnOtlp) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        from tripswitch.drive.own_exporters import metric_exporter, resource_of

        self._exporter = metric_exporter(settings)
        self._timeout_ms = settings.timeout * 1000
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider(
            [self._reader], resource=resource_of(settings), shutdown_on_exit=False
        )
        self._meter = self._provider.get_meter("tripswitch")
        self._instruments: dict[str, Any] = {}
        self._latest: dict[str, Metric] = {}

    def export(self, items: list[Sequence[Metric]]) -> bool:
        """Send the newest of ``items``."""
        from opentelemetry.sdk.metrics.export import MetricExportResult

        self._latest = {metric.name: metric for metric in items[-1]}
        for metric in items[-1]:
            if metric.name not in self._instruments:
                self._instruments[metric.name] = self._instrument(metric)
        data = self._reader.get_metrics_data()
        if data is None:
            return True
        result = self._exporter.export(data, self._timeout_ms)
        return result is MetricExportResult.SUCCESS

    def close(self) -> None:
        """Let go of the connection."""
        self._exporter.shutdown(self._timeout_ms)

    def _instrument(self, metric: Metric) -> Any:
        make = (
            self._meter.create_observable_counter
            if metric.kind == "counter"
            else self._meter.create_observable_gauge
        )

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return self._observations(metric.name)

        return make(PREFIX + metric.name, [observe], description=metric.help)

    def _observations(self, name: str) -> list[Observation]:
        from opentelemetry.metrics import Observation

        metric = self._latest.get(name)
        samples = () if metric is None else metric.samples
        return [Observation(float(sample.value), dict(sample.labels)) for sample in samples]
