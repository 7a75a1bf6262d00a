"""The part of the configuration about what tripswitch says of itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from tripswitch.config.endpoints import OptionalListenEndpoint, OptionalUrl
from tripswitch.config.quantities import DurationS
from tripswitch.config.section import LIVE, Section
from tripswitch.config.wire_sections import HEADER_NAME, Auth, checked_headers


class Listen(Section):
    """An HTTP listener of tripswitch's own."""

    endpoint: OptionalListenEndpoint = Field(
        ..., description="Address to listen on; empty switches it off."
    )


class ApiListen(Listen):
    """The listener of the API."""

    # Other fields of it are often set alone.
    endpoint: OptionalListenEndpoint = Field(
        "127.0.0.1:8317", description="Address to listen on; empty switches it off."
    )
    auth: Auth = Field(
        default_factory=Auth,
        description=(
            "Who may change something, and who may read from another machine. The token that "
            "tripswitch keeps in its state folder is admitted always."
        ),
    )
    public_url: OptionalUrl = Field(
        "",
        description=(
            "Where people reach the dashboard, if a proxy stands before it; links in messages "
            "begin with it, and its host is answered to."
        ),
        examples=["https://tripswitch.example.com"],
    )
    trace_link: str = Field(
        "",
        pattern=r"^$|^https?://[^\s]+\{trace_id\}[^\s]*$",
        description="Address of a trace in your own back end; {trace_id} stands for its id.",
        examples=["https://jaeger.example.com/trace/{trace_id}"],
        json_schema_extra=LIVE,
    )


def _listen(endpoint: str, description: str) -> Any:
    return Field(default_factory=lambda: Listen(endpoint=endpoint), description=description)


class OwnOtlp(Section):
    """Tripswitch's own metrics, and spans of the calls it makes, sent by OTLP."""

    endpoint: OptionalUrl = Field(
        "",
        description=(
            "Where to send tripswitch's own telemetry: http:// or https:// with host and port; "
            "empty sends none. It may be tripswitch's own receiver: what is its own is forwarded "
            "and never judged."
        ),
        examples=["http://localhost:14317"],
        json_schema_extra=LIVE,
    )
    protocol: Literal["grpc", "http/protobuf"] = Field(
        "grpc", description="Protocol to send it by.", json_schema_extra=LIVE
    )
    metrics: bool = Field(
        True,
        description="Send the metrics that are served in Prometheus' form, under the same names.",
        json_schema_extra=LIVE,
    )
    traces: bool = Field(
        True,
        description=(
            "Send one span for each attempt to notify, to roll back or to ask what became of a "
            "rollback."
        ),
        json_schema_extra=LIVE,
    )
    interval: DurationS = Field(
        60.0, ge=1, le=3600, description="How often metrics are sent.", json_schema_extra=LIVE
    )
    timeout: DurationS = Field(
        10.0, gt=0, le=60, description="Longest an export may take.", json_schema_extra=LIVE
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Headers sent with each export; write secrets as ${env:NAME}.",
        examples=[{"authorization": "Bearer ${env:TELEMETRY_TOKEN:-none}"}],
        json_schema_extra={**LIVE, "propertyNames": {"pattern": HEADER_NAME}},
    )
    ca_file: str = Field(
        "",
        description="PEM file of the authorities to trust; empty trusts the system's.",
        json_schema_extra=LIVE,
    )
    cert_file: str = Field(
        "", description="PEM file of the certificate to show (mTLS).", json_schema_extra=LIVE
    )
    key_file: str = Field("", description="PEM file of the key to it.", json_schema_extra=LIVE)
    resource: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "Resource attributes beside service.name (tripswitch, unless given here), "
            "service.version and those in OTEL_RESOURCE_ATTRIBUTES."
        ),
        examples=[{"deployment.environment.name": "production"}],
        json_schema_extra=LIVE,
    )

    @field_validator("headers")
    @classmethod
    def _lower_case_names(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        return checked_headers(headers)


class Telemetry(Section):
    """What tripswitch says about itself."""

    metrics: Listen = _listen("localhost:8888", "Prometheus metrics, at /metrics.")
    health: Listen = _listen("localhost:13133", "Health checks for an orchestrator.")
    api: ApiListen = Field(default_factory=ApiListen, description="Dashboard and API.")
    otlp: OwnOtlp = Field(
        default_factory=OwnOtlp, description="Its own telemetry by OTLP; off without an endpoint."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much is logged.", json_schema_extra=LIVE
    )
