"""Attributes that say nothing of a call and stand on nearly every span.

Their values name machines, protocols and code, are few, and are nobody's text, so that they may be
remembered by what reads attributes: to know that one is unwanted then takes one look. Keys that may
hold more than such a name (addresses with a query, headers, statements, messages) are not among
them.

Source: the registry of attributes of the OpenTelemetry semantic conventions, of now and as they
were before version 1.21.
"""

from __future__ import annotations

from typing import Final

TECHNICAL_KEYS: Final = frozenset(
    {
        "client.port",
        "cloud.availability_zone",
        "cloud.platform",
        "cloud.provider",
        "cloud.region",
        "code.function",
        "code.function.name",
        "code.lineno",
        "code.namespace",
        "container.runtime",
        "db.system",
        "db.system.name",
        "host.arch",
        "host.name",
        "http.flavor",
        "http.host",
        "http.method",
        "http.request.method",
        "http.scheme",
        "http.server_name",
        "k8s.cluster.name",
        "k8s.container.name",
        "k8s.deployment.name",
        "k8s.namespace.name",
        "k8s.node.name",
        "k8s.pod.name",
        "messaging.system",
        "net.host.name",
        "net.peer.name",
        "net.protocol.name",
        "net.protocol.version",
        "net.sock.family",
        "net.transport",
        "network.protocol.name",
        "network.protocol.version",
        "network.transport",
        "network.type",
        "os.type",
        "otel.library.name",
        "otel.library.version",
        "otel.scope.name",
        "otel.scope.version",
        "process.runtime.name",
        "process.runtime.version",
        "rpc.system",
        "server.address",
        "server.port",
        "service.namespace",
        "telemetry.distro.name",
        "telemetry.distro.version",
        "telemetry.sdk.language",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
        "thread.name",
        "url.scheme",
    }
)
