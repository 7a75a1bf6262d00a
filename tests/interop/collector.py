"""A real OpenTelemetry Collector as a process on loopback."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from tests.interop.parts import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LARGEST_MIB = 64
_START_S = 30.0
_STOP_S = 30.0

Settings = dict[str, Any]


class CollectorProcess:
    """One running Collector; ``grpc`` and ``http`` are where it listens, ``host:port``."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.grpc = ""
        self.http = ""

    def is_up(self) -> bool:
        """Return whether it is ready, and take its addresses from its log.

        Raises RuntimeError when it has ended instead.
        """
        entries = self._entries()
        for entry in entries:
            if entry.get("msg") == "Starting GRPC server":
                self.grpc = entry["endpoint"]
            elif entry.get("msg") == "Starting HTTP server":
                self.http = entry["endpoint"]
        if self.process.poll() is not None:
            raise RuntimeError(f"the Collector has ended at once: {self.log.read_text()[-2000:]}")
        return any(str(entry.get("msg")).startswith("Everything is ready") for entry in entries)

    def _entries(self) -> list[Mapping[str, Any]]:
        complete = self.log.read_text().rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in complete if line.startswith("{")]


def receiving(grpc_port: int = 0, http_port: int = 0) -> Settings:
    """Return settings that receive OTLP on loopback ports, 0 being any that is free."""
    grpc = {"endpoint": f"127.0.0.1:{grpc_port}", "max_recv_msg_size_mib": LARGEST_MIB}
    http = {"endpoint": f"127.0.0.1:{http_port}", "max_request_body_size": LARGEST_MIB << 20}
    return {
        "receivers": {"otlp": {"protocols": {"grpc": grpc, "http": http}}},
        "service": {"telemetry": {"metrics": {"level": "none"}, "logs": {"encoding": "json"}}},
    }


def pipelines(exporter: str, *signals: str) -> dict[str, Settings]:
    """Return a pipeline from the receiver to ``exporter`` for each of ``signals``."""
    return {signal: {"receivers": ["otlp"], "exporters": [exporter]} for signal in signals}


@contextmanager
def running_collector(folder: Path, settings: Settings) -> Iterator[CollectorProcess]:
    """Run a Collector with ``settings`` in ``folder`` until the end of the block.

    What it has buffered is written by then. Raises RuntimeError when it does not start.
    """
    config = folder / "collector.yaml"
    config.write_text(yaml.safe_dump(settings))
    log = folder / "collector.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [path_of("collector"), "--config", config],
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        collector = CollectorProcess(process, log)
        give_up_s = time.monotonic() + _START_S
        while not collector.is_up():
            if time.monotonic() > give_up_s:
                raise RuntimeError(f"the Collector is not ready after {_START_S:.0f} s: see {log}")
            time.sleep(0.01)
        yield collector
    finally:
        process.terminate()
        process.wait(_STOP_S)
