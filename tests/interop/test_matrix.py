"""Every client, signal and upstream: with tripswitch in the path the Collector writes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.archive import SIGNALS, Archive
from tests.interop.canonical import first_difference, records, without_chance
from tests.interop.clients import CLIENTS, Client, OtlpProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.interop.sidecar import Sidecar

pytestmark = pytest.mark.interop

# The fewest records that any client sends, so that nothing is never equal to nothing.
FEWEST = {"traces": 111, "logs": 111, "metrics": 5}
UPSTREAMS: tuple[OtlpProtocol, ...] = ("grpc", "http")


@pytest.mark.parametrize("upstream", UPSTREAMS, ids="upstream-{}".format)
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_collector_writes_the_same(
    client: Client,
    signal: str,
    upstream: OtlpProtocol,
    archive: Archive,
    direct: Callable[[Client, str], list[str]],
    sidecar: Callable[[OtlpProtocol], Sidecar],
) -> None:
    expected = direct(client, signal)
    client.run(signal, sidecar(upstream).endpoint(client.protocol))
    written = archive.take(signal)

    assert sum(1 for _ in records(expected)) >= FEWEST[signal]
    if client.fixed:
        assert first_difference(written, expected) == ""
    else:
        assert first_difference(without_chance(written), without_chance(expected)) == ""
