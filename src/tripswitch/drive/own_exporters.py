"""The exporters and the resource of tripswitch's own telemetry, from its configuration.

Imports the OpenTelemetry SDK, which costs about a second and 20 MiB: import this module only where
own telemetry is on.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from opentelemetry.sdk.resources import Resource

from tripswitch.otlp.headers import OWN_TELEMETRY

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from tripswitch.config.telemetry_section import OwnOtlp

# The exporters write a line for every retry, with what went wrong in their own words; the sender
# says in ours, once, that nothing arrives.
_exporters_log = logging.getLogger("opentelemetry")
_exporters_log.addHandler(logging.NullHandler())
_exporters_log.propagate = False


def metric_exporter(settings: OwnOtlp) -> MetricExporter:
    """Return what sends metrics. Raises OSError where a certificate cannot be read."""
    if settings.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as over_grpc

        return over_grpc.OTLPMetricExporter(
            endpoint=settings.endpoint,
            insecure=_is_plain(settings),
            credentials=_credentials(settings),
            headers=_headers(settings),
            timeout=settings.timeout,
        )
    from opentelemetry.exporter.otlp.proto.http import metric_exporter as over_http

    return over_http.OTLPMetricExporter(
        endpoint=f"{settings.endpoint.rstrip('/')}/v1/metrics",
        certificate_file=settings.ca_file or None,
        client_key_file=settings.key_file or None,
        client_certificate_file=settings.cert_file or None,
        headers=_headers(settings),
        timeout=settings.timeout,
    )


def span_exporter(settings: OwnOtlp) -> SpanExporter:
    """Return what sends spans. Raises OSError where a certificate cannot be read."""
    if settings.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc

        return over_grpc.OTLPSpanExporter(
            endpoint=settings.endpoint,
            insecure=_is_plain(settings),
            credentials=_credentials(settings),
            headers=_headers(settings),
            timeout=settings.timeout,
        )
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http

    return over_http.OTLPSpanExporter(
        endpoint=f"{settings.endpoint.rstrip('/')}/v1/traces",
        certificate_file=settings.ca_file or None,
        client_key_file=settings.key_file or None,
        client_certificate_file=settings.cert_file or None,
        headers=_headers(settings),
        timeout=settings.timeout,
    )


def resource_of(settings: OwnOtlp) -> Resource:
    """Return the resource; what the file says wins over OTEL_RESOURCE_ATTRIBUTES."""
    return Resource.create(
        {
            "service.name": "tripswitch",
            "service.version": version("tripswitch"),
            **settings.resource,
        }
    )


def _is_plain(settings: OwnOtlp) -> bool:
    return not settings.endpoint.startswith("https://")


def _headers(settings: OwnOtlp) -> dict[str, str]:
    given = {name: value.get_secret_value() for name, value in settings.headers.items()}
    return {**given, OWN_TELEMETRY: "1"}


def _credentials(settings: OwnOtlp) -> grpc.ChannelCredentials | None:
    if _is_plain(settings):
        return None
    return grpc.ssl_channel_credentials(
        _read(settings.ca_file), _read(settings.key_file), _read(settings.cert_file)
    )


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None
