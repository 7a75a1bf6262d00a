"""The parts of the wire, made from the configuration: upstream, pipeline, receivers.

Secrets are taken out of the configuration here and live on only in the part that needs them.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from tripswitch.otlp.acceptance import Acceptance
from tripswitch.otlp.grpc_receiver import GrpcReceiver
from tripswitch.otlp.grpc_upstream import GrpcUpstream
from tripswitch.otlp.http_receiver import HttpReceiver
from tripswitch.otlp.http_upstream import HttpUpstream
from tripswitch.otlp.pipeline import Pipeline
from tripswitch.otlp.reading import Reading
from tripswitch.otlp.spool.spool import Spool
from tripswitch.otlp.tls import ClientFiles, ClientTls, ServerFiles, ServerTls
from tripswitch.otlp.tokens import BearerTokens
from tripswitch.web.connections import ConnectionLimits
from tripswitch.web.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from tripswitch.config.model import Config
    from tripswitch.config.wire_sections import Auth
    from tripswitch.config.wire_sections import ClientTls as ClientTlsSection
    from tripswitch.config.wire_sections import ServerTls as ServerTlsSection
    from tripswitch.otlp.admission import Admission
    from tripswitch.otlp.tap import Tap
    from tripswitch.otlp.upstream import Upstream

_PROTOCOLS = "receivers.otlp.protocols"

# The spool, the link to the judge, the upstream, health and metrics.
_OTHER_FILES = 768
_FEWEST_CONNECTIONS = 64


def make_upstream(config: Config, room: Admission) -> Upstream:
    """Return the upstream: over HTTP where that has an endpoint, over gRPC otherwise.

    ``room`` is where what unpacks on the way takes its memory from. Raises ConfigError when the
    certificates cannot be used.
    """
    http = config.exporters.otlp_http
    if http.endpoint:
        is_tls = http.endpoint.startswith("https://")
        return HttpUpstream(
            http.endpoint,
            timeout_s=http.timeout,
            headers=_texts(http.headers),
            compression=http.compression,
            tls=_client_tls(http.tls, "exporters.otlp_http.tls") if is_tls else None,
        )
    grpc = config.exporters.otlp_grpc
    tls = None if grpc.tls.insecure else _client_tls(grpc.tls, "exporters.otlp_grpc.tls")
    return GrpcUpstream(
        grpc.endpoint,
        timeout_s=grpc.timeout,
        largest_bytes=_largest_bytes(config),
        headers=_texts(grpc.headers),
        compression=grpc.compression,
        tls=tls,
        room=room,
    )


def make_spool(config: Config) -> Spool | None:
    """Return the spool where one is used, or holds what an earlier configuration left there."""
    spool = Spool.configured(config)
    is_used = config.forward.acknowledge != "upstream" or spool.directory.exists()
    return spool if is_used else None


def make_pipeline(
    config: Config, upstream: Upstream, tap: Tap, spool: Spool | None, room: Admission
) -> Pipeline:
    """Return what all receivers share."""
    return Pipeline(
        Acceptance(upstream, config.forward.acknowledge, spool),
        room,
        Reading(tap, max_bytes=_largest_bytes(config)),
    )


def make_grpc_receiver(config: Config, pipeline: Pipeline) -> GrpcReceiver:
    """Return the gRPC receiver. Raises ConfigError when its certificates cannot be used."""
    grpc = config.receivers.otlp.protocols.grpc
    return GrpcReceiver(
        pipeline,
        max_recv_msg_bytes=grpc.max_recv_msg_size,
        max_concurrent_rpcs=grpc.max_concurrent_rpcs,
        max_connections=_connections(grpc.max_connections, config),
        read_timeout_s=grpc.read_timeout,
        tls=_server_tls(grpc.tls, f"{_PROTOCOLS}.grpc.tls"),
        tokens=_tokens(grpc.auth, f"{_PROTOCOLS}.grpc.auth"),
    )


def make_http_receiver(config: Config, pipeline: Pipeline) -> HttpReceiver:
    """Return the HTTP receiver. Raises ConfigError when its tokens cannot be read."""
    http = config.receivers.otlp.protocols.http
    return HttpReceiver(
        pipeline,
        max_body_bytes=http.max_request_body_size,
        max_concurrent_requests=http.max_concurrent_requests,
        read_timeout_s=http.read_timeout,
        path_prefixes=http.path_prefixes,
        tokens=_tokens(http.auth, f"{_PROTOCOLS}.http.auth"),
    )


async def listen_http(config: Config, receiver: HttpReceiver) -> Listener:
    """Serve the HTTP receiver. Raises ConfigError when its address or certificates fail."""
    http = config.receivers.otlp.protocols.http
    tls = _server_tls(http.tls, f"{_PROTOCOLS}.http.tls")
    return await Listener.start(
        receiver,
        http.endpoint,
        f"{_PROTOCOLS}.http.endpoint",
        limits=ConnectionLimits(
            http.max_connections, http.read_header_timeout, http.idle_timeout, http.max_header_size
        ),
        grace_s=config.forward.grace,
        tls=None if tls is None else tls.ssl_context(),
    )


def _connections(wanted: int, config: Config) -> int:
    """Return how many connections over gRPC leave files for everything else."""
    elsewhere = config.receivers.otlp.protocols.http.max_connections + _OTHER_FILES
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if open_files == resource.RLIM_INFINITY:
        return wanted
    return max(_FEWEST_CONNECTIONS, min(wanted, open_files - elsewhere))


def _largest_bytes(config: Config) -> int:
    protocols = config.receivers.otlp.protocols
    return max(protocols.grpc.max_recv_msg_size, protocols.http.max_request_body_size)


def _texts(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}


def _server_tls(section: ServerTlsSection, field: str) -> ServerTls | None:
    if not section.cert_file:
        return None
    files = ServerFiles(
        section.cert_file, section.key_file, section.client_ca_file, section.min_version
    )
    return ServerTls(files, field)


def _client_tls(section: ClientTlsSection, field: str) -> ClientTls:
    files = ClientFiles(
        section.ca_file,
        section.cert_file,
        section.key_file,
        section.min_version,
        section.server_name_override,
    )
    return ClientTls(files, field)


def _tokens(section: Auth, field: str) -> BearerTokens | None:
    token = section.bearer_token.get_secret_value()
    if not token and not section.bearer_token_file:
        return None
    return BearerTokens(token, section.bearer_token_file, field)
