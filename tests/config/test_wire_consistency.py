"""Settings of the wire that do not go together, and those worth a warning."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tripswitch.config.model import Config
from tripswitch.config.wire_consistency import wire_conflicts, wire_warnings

PEM = {"cert_file": "a.crt", "key_file": "a.key"}
PROTOCOLS = "receivers.otlp.protocols"


def found(**parts: Any) -> list[tuple[str, str]]:
    """Return code and place of every conflict of a configuration."""
    conflicts = wire_conflicts(Config.model_validate(parts))
    return [(each.code, each.dotted_path) for each in conflicts]


def receivers(protocol: str, **parts: Any) -> dict[str, Any]:
    """Return the section of one receiver."""
    return {"otlp": {"protocols": {protocol: parts}}}


def test_the_defaults_fit() -> None:
    assert found() == []
    assert wire_warnings(Config()) == []


@pytest.mark.parametrize(
    ("exporters", "place"),
    [
        ({"otlp_grpc": {"endpoint": "127.0.0.1:4317"}}, "exporters.otlp_grpc.endpoint"),
        ({"otlp_grpc": {"endpoint": "localhost:4318"}}, "exporters.otlp_grpc.endpoint"),
        ({"otlp_http": {"endpoint": "http://localhost:4318"}}, "exporters.otlp_http.endpoint"),
        ({"otlp_http": {"endpoint": "http://[::1]:4318/otel"}}, "exporters.otlp_http.endpoint"),
    ],
)
def test_an_upstream_that_is_a_receiver_is_a_loop(exporters: dict[str, Any], place: str) -> None:
    assert found(exporters=exporters) == [("config.loop", place)]


def test_there_is_one_upstream() -> None:
    http = {"endpoint": "http://collector:4318"}
    assert found(exporters={"otlp_http": http}) == []
    both = {"otlp_http": http, "otlp_grpc": {"endpoint": "collector:4317"}}
    assert found(exporters=both) == [("config.conflict", "exporters.otlp_http.endpoint")]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize(
    ("tls", "missing"),
    [
        ({"cert_file": "a.crt"}, ["key_file"]),
        ({"key_file": "a.key"}, ["cert_file"]),
        ({"client_ca_file": "ca.pem"}, ["cert_file"]),
        (PEM | {"client_ca_file": "ca.pem"}, []),
    ],
)
def test_a_listener_needs_certificate_and_key(
    protocol: str, tls: dict[str, str], missing: list[str]
) -> None:
    assert found(receivers=receivers(protocol, tls=tls)) == [
        ("config.missing", f"{PROTOCOLS}.{protocol}.tls.{field}") for field in missing
    ]


def test_what_grpc_cannot_do_is_said() -> None:
    tls = {"min_version": "1.3"}
    assert found(receivers=receivers("http", tls=tls)) == []
    assert found(receivers=receivers("grpc", tls=tls)) == [
        ("config.range", f"{PROTOCOLS}.grpc.tls.min_version")
    ]


def test_certificates_for_a_plain_connection_are_a_conflict() -> None:
    ca = {"ca_file": "ca.pem"}
    assert found(exporters={"otlp_grpc": {"tls": ca}}) == [
        ("config.conflict", "exporters.otlp_grpc.tls.insecure")
    ]
    assert found(exporters={"otlp_grpc": {"tls": ca | {"insecure": False}}}) == []
    plain = {"endpoint": "http://collector:4318", "tls": ca}
    assert found(exporters={"otlp_http": plain}) == [("config.conflict", "exporters.otlp_http.tls")]
    secure = {"endpoint": "https://collector:4318", "tls": ca}
    assert found(exporters={"otlp_http": secure}) == []


def test_the_shared_bytes_have_room_for_the_largest_request() -> None:
    parts = {"otlp": {"max_in_flight_bytes": "64MiB"}}
    assert found(receivers=parts) == [("config.order", "receivers.otlp.max_in_flight_bytes")] * 2


@pytest.mark.parametrize(
    ("parts", "lacking"),
    [
        ({}, "TLS and a token"),
        ({"tls": PEM}, "a token"),
        ({"auth": {"bearer_token": "t"}}, "TLS"),
        ({"tls": PEM, "auth": {"bearer_token_file": "f"}}, None),
        ({"tls": PEM | {"client_ca_file": "ca.pem"}}, None),
    ],
)
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_wide_bind_without_tls_or_auth_is_warned_of_once(
    protocol: str, parts: dict[str, Any], lacking: str | None
) -> None:
    section = receivers(protocol, endpoint="0.0.0.0:9999", **parts)
    warnings = wire_warnings(Config.model_validate({"receivers": section}))
    if lacking is None:
        assert warnings == []
    else:
        (warning,) = warnings
        assert warning.code == "config.wide_bind"
        assert warning.dotted_path == f"{PROTOCOLS}.{protocol}.endpoint"
        assert warning.found.endswith(f"without {lacking}")


@pytest.mark.parametrize(
    "headers", [{"bad name": "x"}, {"x": "line\nbreak"}, {"x": "caf\xe9"}, {":path": "x"}, {"": ""}]
)
def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refusal:
        Config.model_validate({"exporters": {"otlp_http": {"headers": headers}}})
    assert "caf" not in str(refusal.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "collector:4318",
        "ftp://collector",
        "http://",
        "http://u:p@host",
        "http://host:0",
        "http://h?x",
    ],
)
def test_an_http_upstream_is_a_url_without_query_or_password(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"exporters": {"otlp_http": {"endpoint": endpoint}}})
