"""The parts of the configuration model that the wire is made from: what listens, where it goes.

Names follow the OpenTelemetry Collector's where it has the same setting.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from tripswitch.config.endpoints import (
    ListenEndpoint,
    OptionalListenEndpoint,
    OptionalUrl,
    UpstreamEndpoint,
)
from tripswitch.config.quantities import DurationS, SizeBytes
from tripswitch.config.section import LIVE, Section

# gRPC and connection keys are written by each hop itself.
HEADER_NAME = r"^[a-z0-9][a-z0-9_.-]*$"


class ServerTls(Section):
    """TLS of a listener; without files it is off. Switching it on or off needs a restart."""

    cert_file: str = Field(
        "", description="PEM file of the certificate chain.", json_schema_extra=LIVE
    )
    key_file: str = Field("", description="PEM file of the key to it.", json_schema_extra=LIVE)
    client_ca_file: str = Field(
        "",
        description="PEM file of the authorities whose certificates clients must show (mTLS).",
        json_schema_extra=LIVE,
    )
    min_version: Literal["1.2", "1.3"] = Field(
        "1.2", description="Oldest TLS accepted. Over gRPC it is 1.2 and cannot be raised."
    )


class Auth(Section):
    """Who may send; without a token anybody who reaches the port."""

    bearer_token: SecretStr = Field(
        SecretStr(""),
        description=(
            "Token every request must carry as `Authorization: Bearer ...`; write it as "
            "${env:NAME}. The header is then not sent on to the upstream."
        ),
        json_schema_extra=LIVE,
    )
    bearer_token_file: str = Field(
        "",
        description=(
            "File with one accepted token a line, read again when it changes; several lines let "
            "a token be replaced without a gap."
        ),
        json_schema_extra=LIVE,
    )


class GrpcReceiver(Section):
    """Where exporters send OTLP over gRPC."""

    endpoint: ListenEndpoint = Field(
        "localhost:4317", description="Address to listen on. Loopback unless you widen it."
    )
    max_recv_msg_size: SizeBytes = Field(
        64 << 20,
        ge=1 << 10,
        le=1 << 30,
        description=(
            "Largest request accepted, after decompression; larger ones are refused with "
            "RESOURCE_EXHAUSTED. OTLP recommends 64MiB."
        ),
    )
    max_concurrent_rpcs: int = Field(
        64,
        ge=1,
        le=10_000,
        description=(
            "Requests in flight at once; more are refused with a retryable code. Worst-case "
            "memory of the receiver is this times max_recv_msg_size."
        ),
        json_schema_extra=LIVE,
    )
    max_connections: int = Field(
        16_384,
        ge=1,
        le=1_000_000,
        description=(
            "Connections at once, about 15 KiB each; beyond it new ones are closed. Never more "
            "than the process may open files."
        ),
    )
    read_timeout: DurationS = Field(
        30.0,
        gt=0,
        le=3600,
        description="Longest a whole request may take to arrive.",
        json_schema_extra=LIVE,
    )
    tls: ServerTls = Field(default_factory=ServerTls, description="TLS; off without files.")
    auth: Auth = Field(default_factory=Auth, description="Who may send.")


class HttpReceiver(Section):
    """Where exporters send OTLP over HTTP, as protobuf or JSON."""

    endpoint: OptionalListenEndpoint = Field(
        "localhost:4318",
        description="Address to listen on; empty switches it off. Loopback unless you widen it.",
    )
    path_prefixes: list[str] = Field(
        default_factory=list,
        description=(
            "What may stand before /v1/traces and its like, for upstreams with paths of their "
            "own; without any, every path is taken."
        ),
        examples=[["", "/api/public/otel"]],
        json_schema_extra=LIVE,
    )
    max_request_body_size: SizeBytes = Field(
        64 << 20,
        ge=1 << 10,
        le=1 << 30,
        description=(
            "Largest body accepted, as it comes and also unpacked wherever it is unpacked; "
            "larger ones are refused with 413."
        ),
        json_schema_extra=LIVE,
    )
    max_concurrent_requests: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Requests at the upstream or the disk at once; more are refused with 503.",
        json_schema_extra=LIVE,
    )
    max_connections: int = Field(
        1024,
        ge=1,
        le=100_000,
        description=(
            "Connections at once; beyond it the one that has been silent longest is closed."
        ),
        json_schema_extra=LIVE,
    )
    max_header_size: SizeBytes = Field(
        32 << 10,
        ge=1 << 10,
        le=1 << 20,
        description="Most bytes of request line and headers.",
        json_schema_extra=LIVE,
    )
    read_header_timeout: DurationS = Field(
        10.0,
        gt=0,
        le=3600,
        description="Longest the headers of a request may take to arrive.",
        json_schema_extra=LIVE,
    )
    read_timeout: DurationS = Field(
        30.0,
        gt=0,
        le=3600,
        description="Longest a whole body may take to arrive.",
        json_schema_extra=LIVE,
    )
    idle_timeout: DurationS = Field(
        60.0,
        gt=0,
        le=3600,
        description="Longest a connection stays open between requests.",
        json_schema_extra=LIVE,
    )
    tls: ServerTls = Field(default_factory=ServerTls, description="TLS; off without files.")
    auth: Auth = Field(default_factory=Auth, description="Who may send.")


class OtlpProtocols(Section):
    """The protocols of the OTLP receiver."""

    grpc: GrpcReceiver = Field(default_factory=GrpcReceiver, description="OTLP over gRPC.")
    http: HttpReceiver = Field(default_factory=HttpReceiver, description="OTLP over HTTP.")


class OtlpReceiver(Section):
    """The OTLP receiver."""

    protocols: OtlpProtocols = Field(default_factory=OtlpProtocols, description="By protocol.")
    max_in_flight_bytes: SizeBytes = Field(
        256 << 20,
        ge=1 << 20,
        le=1 << 40,
        description=(
            "Most bytes of requests under way at once, over both protocols; more are refused "
            "with a retryable code."
        ),
        json_schema_extra=LIVE,
    )


class Receivers(Section):
    """What listens."""

    otlp: OtlpReceiver = Field(default_factory=OtlpReceiver, description="The OTLP receiver.")


class ClientTls(Section):
    """TLS towards an upstream."""

    ca_file: str = Field(
        "",
        description="PEM file of the authorities to trust; empty trusts the system's.",
        json_schema_extra=LIVE,
    )
    cert_file: str = Field(
        "", description="PEM file of the certificate to show (mTLS).", json_schema_extra=LIVE
    )
    key_file: str = Field("", description="PEM file of the key to it.", json_schema_extra=LIVE)
    server_name_override: str = Field(
        "",
        description="Name the upstream's certificate must have, where it is not its host's.",
        json_schema_extra=LIVE,
    )
    min_version: Literal["1.2", "1.3"] = Field(
        "1.2",
        description="Oldest TLS accepted. Over gRPC it is 1.2 and cannot be raised.",
        json_schema_extra=LIVE,
    )


class GrpcClientTls(ClientTls):
    """TLS towards an upstream over gRPC, whose address does not say whether there is any."""

    insecure: bool = Field(
        True,
        description="true talks plain text; false TLS, for anything beyond this machine.",
        json_schema_extra=LIVE,
    )


class OtlpExporter(Section):
    """What the upstreams of both protocols have in common."""

    endpoint: str = Field("", description="Where the upstream listens.")
    timeout: DurationS = Field(
        10.0,
        gt=0,
        le=3600,
        description=(
            "Longest wait for the upstream when the client set no deadline; a client's own "
            "deadline always wins when it is shorter."
        ),
        json_schema_extra=LIVE,
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        description=(
            "Headers sent with every request, in place of the client's of that name; write "
            "secrets as ${env:NAME}."
        ),
        examples=[{"x-tenant": "${env:TENANT:-default}"}],
        json_schema_extra={**LIVE, "propertyNames": {"pattern": HEADER_NAME}},
    )

    @field_validator("headers")
    @classmethod
    def _lower_case_names(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        return checked_headers(headers)


class OtlpGrpcExporter(OtlpExporter):
    """The upstream that every request is forwarded to over gRPC, byte for byte."""

    endpoint: UpstreamEndpoint = Field(
        "localhost:14317",
        description="Your OpenTelemetry Collector's OTLP/gRPC address.",
        json_schema_extra=LIVE,
    )
    compression: Literal["none", "gzip", "deflate"] = Field(
        "none",
        description="Compression on the way to the upstream.",
        json_schema_extra=LIVE,
    )
    tls: GrpcClientTls = Field(default_factory=GrpcClientTls, description="TLS, off by default.")


class OtlpHttpExporter(OtlpExporter):
    """The upstream that every request is forwarded to over HTTP, byte for byte."""

    endpoint: OptionalUrl = Field(
        "",
        description=(
            "Use this upstream in place of otlp_grpc: http:// or https:// with host, port and "
            "whatever stands before /v1/traces there."
        ),
        examples=["http://localhost:14318"],
        json_schema_extra=LIVE,
    )
    compression: Literal["none", "gzip", "deflate", "zstd"] = Field(
        "none",
        description=(
            "Compression of requests that came over gRPC; those that came over HTTP keep theirs."
        ),
        json_schema_extra=LIVE,
    )
    tls: ClientTls = Field(default_factory=ClientTls, description="TLS, where it is https://.")


class Exporters(Section):
    """Where telemetry goes: over gRPC, or over HTTP where otlp_http has an endpoint."""

    otlp_grpc: OtlpGrpcExporter = Field(
        default_factory=OtlpGrpcExporter, description="The upstream over OTLP/gRPC."
    )
    otlp_http: OtlpHttpExporter = Field(
        default_factory=OtlpHttpExporter, description="The upstream over OTLP/HTTP."
    )


class Forward(Section):
    """When a request is acknowledged."""

    acknowledge: Literal["upstream-or-disk", "upstream", "disk"] = Field(
        "upstream-or-disk",
        description=(
            "upstream-or-disk: once the upstream has accepted it, or else once it is on disk. "
            "upstream: the upstream's answer, nothing is kept. disk: once it is on disk."
        ),
        json_schema_extra=LIVE,
    )
    grace: DurationS = Field(
        5.0,
        ge=0,
        le=600,
        description="How long requests under way may take to finish when tripswitch stops.",
        json_schema_extra=LIVE,
    )


def checked_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Return ``headers`` with lower-case names. Raises where one cannot be sent over gRPC."""
    lower = {name.lower(): value for name, value in headers.items()}
    for name, value in lower.items():
        text = value.get_secret_value()
        if not _is_header_name(name) or not (text.isascii() and text.isprintable()):
            raise PydanticCustomError(
                "format",
                "expected header names of a-z, 0-9, '-', '_' and '.', and printable values",
            )
    return lower


def _is_header_name(name: str) -> bool:
    allowed = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    return bool(name) and name[0].isalnum() and set(name) <= allowed
