"""Addresses: what is one, who can reach it, and which two are the same."""

from __future__ import annotations

import pytest

from tripswitch.config.endpoints import is_loopback, same_listener, split_endpoint


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("localhost:4317", ("localhost", 4317)),
        ("[::1]:0", ("::1", 0)),
        (":4317", ("", 4317)),
        ("collector.monitoring.svc:4317", ("collector.monitoring.svc", 4317)),
    ],
)
def test_split(endpoint: str, expected: tuple[str, int]) -> None:
    assert split_endpoint(endpoint) == expected


@pytest.mark.parametrize("endpoint", ["", "localhost", "a:b", "a:65536", "http://a:1", "::1:4317"])
def test_split_refuses(endpoint: str) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        split_endpoint(endpoint)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.8.8.8", True), ("::1", True), ("", False), ("0.0.0.0", False)],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("localhost:4317", "127.0.0.1:4317", True),
        ("0.0.0.0:4317", "localhost:4317", True),
        ("[::]:4317", "[::1]:4317", True),
        ("Collector:4317", "collector:4317", True),
        ("collector:4317", "localhost:4317", False),
        ("localhost:4317", "localhost:4318", False),
        ("localhost:0", "localhost:0", False),
        ("unix:/run/otlp.sock", "localhost:4317", False),
    ],
)
def test_same_listener(one: str, other: str, expected: bool) -> None:
    assert same_listener(one, other) is expected
    assert same_listener(other, one) is expected
