"""The Prometheus page: ``/metrics`` in the text format, made of values when it is asked for.

There are no metric objects to keep in step: whoever knows a number hands it over when the page is
read. Every family has a ``# HELP`` line; names begin with ``tripswitch_``, counters end in
``_total``.

Source: Prometheus documentation, "Exposition formats"; "Metric and label naming".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric as Family
    from starlette.requests import Request

PREFIX = "tripswitch_"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Sample(NamedTuple):
    """One number, with the labels that tell it from its siblings."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()


class Metric(NamedTuple):
    """One family. ``name`` is without prefix; that of a counter ends in ``_total``.

    Every sample has the same label names, in the same order.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: tuple[Sample, ...]


def counter(name: str, text: str, value: float) -> Metric:
    """Return a counter without labels."""
    return Metric(name, "counter", text, (Sample(value),))


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return Metric(name, "gauge", text, (Sample(value),))


def by_label(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a counter with one label, a sample for each of ``values``."""
    samples = tuple(Sample(value, ((label, key),)) for key, value in sorted(values.items()))
    return Metric(name, "counter", text, samples)


def named(values: Mapping[str, float], texts: Mapping[str, str]) -> list[Metric]:
    """Return metrics for numbers that another process counted under their names.

    A name ending in ``_total`` is a counter, any other a gauge; ``texts`` has the help. Labels
    follow the name as ``;label=value``, the same ones in every sample of a family. What Prometheus
    would not take as a name is left out.
    """
    families: dict[str, list[Sample]] = {}
    for text, value in sorted(values.items()):
        name, *labels = text.split(";")
        pairs = tuple(
            (label, content) for label, _, content in (one.partition("=") for one in labels)
        )
        if all(_NAME.fullmatch(part) for part in (name, *(label for label, _ in pairs))):
            families.setdefault(name, []).append(Sample(value, pairs))
    return [
        Metric(
            name,
            "counter" if name.endswith("_total") else "gauge",
            texts.get(name, name.removesuffix("_total").replace("_", " ") + "."),
            tuple(samples),
        )
        for name, samples in families.items()
    ]


def metrics_app(read: Callable[[], Iterable[Metric]]) -> Starlette:
    """Return the application that serves what ``read`` returns at each scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_OnScrape(read))

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def front(_request: Request) -> Response:
        return RedirectResponse("/metrics")

    return Starlette(routes=[Route("/metrics", metrics), Route("/", front)])


class _OnScrape(Collector):
    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def describe(self) -> list[Family]:
        return []

    def collect(self) -> Iterator[Family]:
        for metric in self._read():
            labels = [label for label, _ in metric.samples[0].labels] if metric.samples else []
            make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = make(PREFIX + metric.name, metric.help, labels=labels)
            for sample in metric.samples:
                family.add_metric([value for _, value in sample.labels], sample.value)
            yield family
