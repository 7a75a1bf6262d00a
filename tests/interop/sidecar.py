"""A whole tripswitch in front of a Collector."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import yaml

from tests.drive.live_process import Live
from tests.otlp.relay import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop.clients import OtlpProtocol
    from tests.interop.collector import Settings

_START_S = 60
_STOP_S = 60


class Sidecar:
    """One running tripswitch."""

    def __init__(self, live: Live) -> None:
        self.live = live

    def endpoint(self, protocol: OtlpProtocol) -> str:
        """Return ``host:port`` of the receiver."""
        return str(self.live.run_file["endpoints"][f"otlp_{protocol}"])


def forwarding(protocol: OtlpProtocol, upstream: str) -> Settings:
    """Return settings that forward to ``upstream`` (``host:port``), on free loopback ports."""
    listen = {"endpoint": "127.0.0.1:0"}
    endpoint = upstream if protocol == "grpc" else f"http://{upstream}"
    return {
        "receivers": {"otlp": {"protocols": {"grpc": listen, "http": listen}}},
        "exporters": {f"otlp_{protocol}": {"endpoint": endpoint}},
        "telemetry": dict.fromkeys(("metrics", "health", "api"), listen),
    }


@contextmanager
def running_sidecar(folder: Path, settings: Settings) -> Iterator[Sidecar]:
    """Run ``tripswitch run`` with its state in ``folder`` until the end of the block."""
    config = folder / "tripswitch.yaml"
    settings = settings | {"storage": {"directory": str(folder / "state")}}
    config.write_text(yaml.safe_dump(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tripswitch.cli.app", "run", "--config", config],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    live = Live(process, folder, "")

    def is_up() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"tripswitch has ended at once: {live.log()[-2000:]}")
        return live.is_up()

    try:
        asyncio.run(until(is_up, _START_S))
        yield Sidecar(live)
    finally:
        process.terminate()
        process.wait(_STOP_S)
