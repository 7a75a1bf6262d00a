"""What no single field of the wire can say: receivers, upstreams and limits that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from tripswitch.config.endpoints import is_loopback, same_listener, split_endpoint
from tripswitch.config.problems import NOWHERE, Problem
from tripswitch.config.quantities import size_text
from tripswitch.config.wire_sections import ClientTls, OtlpGrpcExporter, ServerTls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tripswitch.config.model import Config

Path: TypeAlias = tuple[str | int, ...]

_PROTOCOLS: Path = ("receivers", "otlp", "protocols")
_GRPC: Path = (*_PROTOCOLS, "grpc")
_HTTP: Path = (*_PROTOCOLS, "http")
_TO_GRPC: Path = ("exporters", "otlp_grpc")
_TO_HTTP: Path = ("exporters", "otlp_http")
_DEFAULT_UPSTREAM = OtlpGrpcExporter().endpoint


def receiver_listeners(config: Config) -> list[tuple[Path, str]]:
    """Return where telemetry is received: the path of each setting, and what it says."""
    protocols = config.receivers.otlp.protocols
    return [
        ((*_GRPC, "endpoint"), protocols.grpc.endpoint),
        ((*_HTTP, "endpoint"), protocols.http.endpoint),
    ]


def wire_conflicts(config: Config) -> list[Problem]:
    """Return the errors in how the wire's settings go together, without their lines."""
    return [*_upstreams(config), *_tls(config), *_limits(config)]


def wire_warnings(config: Config) -> list[Problem]:
    """Return what works on the wire but is seldom meant, without lines."""
    return list(_open_to_anybody(config))


def _problem(
    code: str, path: Path, found: str, wanted: str, hint: str = "", also: tuple[Path, ...] = ()
) -> Problem:
    return Problem(code, NOWHERE, path, found, wanted, hint, also)


def _upstreams(config: Config) -> Iterator[Problem]:
    grpc, http = config.exporters.otlp_grpc.endpoint, config.exporters.otlp_http.endpoint
    if http and grpc != _DEFAULT_UPSTREAM:
        yield _problem(
            "config.conflict",
            (*_TO_HTTP, "endpoint"),
            "an upstream beside that of exporters.otlp_grpc",
            "one upstream",
            "remove one of the two; a Collector there can send on to several",
            also=((*_TO_GRPC, "endpoint"),),
        )
    to_itself = _loops(config)
    if to_itself is not None:
        upstream, receiver, endpoint = to_itself
        yield _problem(
            "config.loop",
            upstream,
            f'"{endpoint}", the receiver\'s own address',
            "the address of your Collector",
            "every request would be forwarded back to tripswitch; let the Collector listen on "
            "another port, such as localhost:14317",
            also=(receiver,),
        )


def _loops(config: Config) -> tuple[Path, Path, str] | None:
    """Return the upstream that is a receiver of ours, that receiver, and the address."""
    url = config.exporters.otlp_http.endpoint
    path, endpoint = (*_TO_GRPC, "endpoint"), config.exporters.otlp_grpc.endpoint
    if url:
        path, endpoint = (*_TO_HTTP, "endpoint"), _host_and_port(url)
    for receiver, own in receiver_listeners(config):
        if own and same_listener(endpoint, own):
            return path, receiver, endpoint
    return None


def _host_and_port(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tls(config: Config) -> Iterator[Problem]:
    protocols, exporters = config.receivers.otlp.protocols, config.exporters
    for path, section in ((_GRPC, protocols.grpc.tls), (_HTTP, protocols.http.tls)):
        yield from _pairs((*path, "tls"), section)
        if section.client_ca_file and not section.cert_file:
            wanted = "a certificate to serve with it"
            yield _problem("config.missing", (*path, "tls", "cert_file"), "nothing", wanted)
    yield from _pairs((*_TO_GRPC, "tls"), exporters.otlp_grpc.tls)
    yield from _pairs((*_TO_HTTP, "tls"), exporters.otlp_http.tls)
    for path, version in (
        (_GRPC, protocols.grpc.tls.min_version),
        (_TO_GRPC, exporters.otlp_grpc.tls.min_version),
    ):
        if version != "1.2":
            yield _problem(
                "config.range",
                (*path, "tls", "min_version"),
                f'"{version}"',
                "1.2, which gRPC cannot be told to raise",
                "TLS 1.3 is used wherever the other side knows it",
            )
    tls = exporters.otlp_grpc.tls
    if tls.insecure and (tls.ca_file or tls.cert_file or tls.server_name_override):
        yield _problem(
            "config.conflict",
            (*_TO_GRPC, "tls", "insecure"),
            "true, beside settings of TLS that it makes void",
            "false",
            "write insecure: false, or take the other settings out",
        )
    if exporters.otlp_http.endpoint.startswith("http://") and _is_set(exporters.otlp_http.tls):
        yield _problem(
            "config.conflict",
            (*_TO_HTTP, "tls"),
            "settings of TLS beside an http:// endpoint",
            "an https:// endpoint",
            "write https:// in exporters.otlp_http.endpoint, or take the settings out",
            also=((*_TO_HTTP, "endpoint"),),
        )


def _is_set(tls: ClientTls) -> bool:
    return tls != ClientTls()


def _pairs(path: Path, section: ServerTls | ClientTls) -> Iterator[Problem]:
    for given, missing in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if getattr(section, given) and not getattr(section, missing):
            yield _problem(
                "config.missing",
                (*path, missing),
                "nothing",
                f"the other half of {given}",
                also=((*path, given),),
            )


def _limits(config: Config) -> Iterator[Problem]:
    shared = config.receivers.otlp.max_in_flight_bytes
    protocols = config.receivers.otlp.protocols
    for path, name, size in (
        (_GRPC, "max_recv_msg_size", protocols.grpc.max_recv_msg_size),
        (_HTTP, "max_request_body_size", protocols.http.max_request_body_size),
    ):
        if size >= shared:
            yield _problem(
                "config.order",
                ("receivers", "otlp", "max_in_flight_bytes"),
                f'"{size_text(shared)}", not above {name}: {size_text(size)}',
                f"a size above {name}",
                "a request of the largest size could never be taken",
                also=((*path, name),),
            )


def _open_to_anybody(config: Config) -> Iterator[Problem]:
    protocols = config.receivers.otlp.protocols
    for path, section in ((_GRPC, protocols.grpc), (_HTTP, protocols.http)):
        if not section.endpoint or is_loopback(split_endpoint(section.endpoint)[0]):
            continue
        has_tls = bool(section.tls.cert_file)
        has_auth = bool(
            section.auth.bearer_token.get_secret_value()
            or section.auth.bearer_token_file
            or section.tls.client_ca_file
        )
        if has_tls and has_auth:
            continue
        lacking = " and ".join(
            word for word, is_there in (("TLS", has_tls), ("a token", has_auth)) if not is_there
        )
        yield _problem(
            "config.wide_bind",
            (*path, "endpoint"),
            f'"{section.endpoint}" without {lacking}',
            "a loopback address, or tls and auth",
            "anyone who reaches this port can send, or listen: set tls and auth, keep it inside "
            "the pod, or put it behind a network policy",
        )
