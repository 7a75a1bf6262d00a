"""One Collector and one tripswitch a kind of upstream, for all cells of the matrix."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.interop.archive import Archive, running_archive
from tests.interop.sidecar import Sidecar, forwarding, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.clients import Client, OtlpProtocol


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Return the Collector that stands upstream."""
    with running_archive(tmp_path_factory.mktemp("collector")) as running:
        yield running


@pytest.fixture(scope="session")
def sidecar(
    tmp_path_factory: pytest.TempPathFactory, archive: Archive
) -> Iterator[Callable[[OtlpProtocol], Sidecar]]:
    """Return the tripswitch in front of it that forwards over a protocol, started when needed."""
    started: dict[str, Sidecar] = {}
    with ExitStack() as stack:

        def get(upstream: OtlpProtocol) -> Sidecar:
            if upstream not in started:
                folder = tmp_path_factory.mktemp(f"tripswitch-{upstream}")
                settings = forwarding(upstream, archive.endpoint(upstream))
                started[upstream] = stack.enter_context(running_sidecar(folder, settings))
            return started[upstream]

        yield get


@pytest.fixture(scope="session")
def direct(archive: Archive) -> Callable[[Client, str], list[str]]:
    """Return what the Collector writes when a client talks to it directly, each run once."""
    written: dict[tuple[str, str], list[str]] = {}

    def get(client: Client, signal: str) -> list[str]:
        key = (client.name, signal)
        if key not in written:
            client.run(signal, archive.endpoint(client.protocol))
            written[key] = archive.take(signal)
        return written[key]

    return get
