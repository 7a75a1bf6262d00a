"""The parts of the wire, made from the configuration: upstream, pipeline, receivers.

Secrets are taken out of the configuration here and live on only in the part that needs them.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any, Final

from tripswitch.otlp.acceptance import Acceptance
from tripswitch.otlp.delivery import Signal
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

# One of these stands in every log request that tells of a model call; a test holds it to what the
# judge reads. Searching the bytes costs next to nothing beside sending them to another process.
LOG_MARKS: Final = (b"gen_ai.", b"feature_flag", b"guard.evaluation")


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
        largest_bytes=largest_bytes(config),
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
        Reading(tap, max_bytes=largest_bytes(config), marks={Signal.LOGS: LOG_MARKS}),
    )


def make_grpc_receiver(config: Config, pipeline: Pipeline, tls: ServerTls | None) -> GrpcReceiver:
    """Return the gRPC receiver. Raises ConfigError when its tokens cannot be read."""
    grpc = config.receivers.otlp.protocols.grpc
    return GrpcReceiver(
        pipeline,
        max_recv_msg_bytes=grpc.max_recv_msg_size,
        max_connections=_connections(grpc.max_connections, config),
        tls=tls,
        **grpc_settings(config),
    )


def grpc_settings(config: Config) -> dict[str, Any]:
    """Return what a running gRPC receiver can be told; see `GrpcReceiver.use`.

    Raises ConfigError where its tokens cannot be read.
    """
    grpc = config.receivers.otlp.protocols.grpc
    return {
        "max_concurrent_rpcs": grpc.max_concurrent_rpcs,
        "read_timeout_s": grpc.read_timeout,
        "tokens": _tokens(grpc.auth, f"{_PROTOCOLS}.grpc.auth"),
    }


def make_http_receiver(config: Config, pipeline: Pipeline) -> HttpReceiver:
    """Return the HTTP receiver. Raises ConfigError when its tokens cannot be read."""
    return HttpReceiver(pipeline, **http_settings(config))


def http_settings(config: Config) -> dict[str, Any]:
    """Return what a running HTTP receiver can be told; see `HttpReceiver.use`.

    Raises ConfigError where its tokens cannot be read.
    """
    http = config.receivers.otlp.protocols.http
    return {
        "max_body_bytes": http.max_request_body_size,
        "max_concurrent_requests": http.max_concurrent_requests,
        "read_timeout_s": http.read_timeout,
        "path_prefixes": http.path_prefixes,
        "tokens": _tokens(http.auth, f"{_PROTOCOLS}.http.auth"),
    }


def http_limits(config: Config) -> dict[str, Any]:
    """Return the settings of `ConnectionLimits` for the HTTP receiver."""
    http = config.receivers.otlp.protocols.http
    return {
        "max_connections": http.max_connections,
        "header_timeout_s": http.read_header_timeout,
        "idle_timeout_s": http.idle_timeout,
        "max_header_bytes": http.max_header_size,
    }


async def listen_http(config: Config, receiver: HttpReceiver, tls: ServerTls | None) -> Listener:
    """Serve the HTTP receiver. Raises ConfigError when its address cannot be had."""
    return await Listener.start(
        receiver,
        config.receivers.otlp.protocols.http.endpoint,
        f"{_PROTOCOLS}.http.endpoint",
        limits=ConnectionLimits(**http_limits(config)),
        tls=None if tls is None else tls.ssl_context(),
    )


def make_server_tls(config: Config, protocol: str) -> ServerTls | None:
    """Return the TLS of the receiver of ``protocol``, None where it is off.

    Raises ConfigError where its certificates cannot be used.
    """
    section: ServerTlsSection = getattr(config.receivers.otlp.protocols, protocol).tls
    files = server_files(section)
    return None if files is None else ServerTls(files, f"{_PROTOCOLS}.{protocol}.tls")


def server_files(section: ServerTlsSection) -> ServerFiles | None:
    """Return the files of a listener, None where TLS is off."""
    if not section.cert_file:
        return None
    return ServerFiles(
        section.cert_file, section.key_file, section.client_ca_file, section.min_version
    )


def spool_settings(config: Config) -> dict[str, Any]:
    """Return what a running spool can be told; see `Spool.use`."""
    spool = config.spool
    return {
        "max_bytes": spool.max_bytes,
        "max_age_s": spool.max_age,
        "segment_bytes": spool.segment_bytes,
        "dead_letter_bytes": spool.dead_letter_bytes,
        "drain_bytes_per_s": spool.drain_bytes_per_s,
        "drain_in_flight": spool.drain_in_flight,
    }


def _connections(wanted: int, config: Config) -> int:
    """Return how many connections over gRPC leave files for everything else."""
    elsewhere = config.receivers.otlp.protocols.http.max_connections + _OTHER_FILES
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if open_files == resource.RLIM_INFINITY:
        return wanted
    return max(_FEWEST_CONNECTIONS, min(wanted, open_files - elsewhere))


def largest_bytes(config: Config) -> int:
    """Return the largest request that a receiver accepts."""
    protocols = config.receivers.otlp.protocols
    return max(protocols.grpc.max_recv_msg_size, protocols.http.max_request_body_size)


def _texts(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}


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
