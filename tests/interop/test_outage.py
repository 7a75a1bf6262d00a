"""The Collector is away while a client sends: what was acknowledged reaches it once it is back."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.interop.archive import running_archive
from tests.interop.canonical import first_difference, records, without_chance
from tests.interop.clients import Client, JavaScriptSdk, OtlpProtocol, PythonSdk, Telemetrygen
from tests.interop.sidecar import forwarding, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.archive import Archive

pytestmark = pytest.mark.interop

_ARRIVAL_S = 60.0

# The JavaScript exporter takes every gRPC error for final: without a spool its spans are gone.
CLIENTS: tuple[Client, ...] = (
    PythonSdk("python-http-gzip", "http", "gzip"),
    JavaScriptSdk("js-grpc", "grpc"),
    Telemetrygen("telemetrygen-grpc", "grpc"),
)
UPSTREAMS: tuple[OtlpProtocol, ...] = ("grpc", "http")


def first_start_ns(line: str) -> int:
    """Return when the first span of a request started."""
    return min(int(entry["record"]["startTimeUnixNano"]) for entry in records([line]))


def arrived(archive: Archive, signal: str, expected: int) -> list[str]:
    """Return what was written until ``expected`` records were there, and all that came since.

    Raises TimeoutError when there are fewer after a minute.
    """
    lines: list[str] = []
    give_up_s = time.monotonic() + _ARRIVAL_S
    while sum(1 for _ in records(lines)) < expected:
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"{len(lines)} requests after {_ARRIVAL_S:.0f} s: {expected} wanted")
        lines += archive.take(signal)
    return lines


@pytest.mark.parametrize("upstream", UPSTREAMS, ids="upstream-{}".format)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_what_was_acknowledged_meanwhile_arrives_once_and_unchanged(
    client: Client,
    upstream: OtlpProtocol,
    direct: Callable[[Client, str], list[str]],
    tmp_path: Path,
) -> None:
    expected = direct(client, "traces")
    (tmp_path / "collector").mkdir()
    # Bound but not listening: refused at once, and nobody else gets the port meanwhile.
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        settings = forwarding(upstream, f"127.0.0.1:{port}")
        settings["forward"] = {"acknowledge": "upstream-or-disk"}
        with running_sidecar(tmp_path, settings) as sidecar:
            client.run("traces", sidecar.endpoint(client.protocol))
            reserved.close()
            with running_archive(tmp_path / "collector", **{f"{upstream}_port": port}) as archive:
                written = arrived(archive, "traces", sum(1 for _ in records(expected)))
    # What has waited is sent several requests at a time, and OTLP promises no order of requests.
    written, expected = sorted(written, key=first_start_ns), sorted(expected, key=first_start_ns)
    if client.fixed:
        assert first_difference(written, expected) == ""
    else:
        assert first_difference(without_chance(written), without_chance(expected)) == ""
