"""A Collector that writes every request it accepts to a file, as one line of OTLP JSON each."""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from tests.interop.collector import pipelines, receiving, running_collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop.collector import CollectorProcess

SIGNALS = ("traces", "logs", "metrics")

_ARRIVAL_S = 30.0


class Archive:
    """What a Collector has written, by signal, in the order in which it was accepted."""

    def __init__(self, collector: CollectorProcess, folder: Path) -> None:
        self.collector = collector
        self._folder = folder
        self._read_bytes = dict.fromkeys(SIGNALS, 0)
        self._numbers = itertools.count(1)

    def endpoint(self, protocol: str) -> str:
        """Return ``host:port`` for ``grpc`` or ``http``."""
        return self.collector.grpc if protocol == "grpc" else self.collector.http

    def take(self, signal: str) -> list[str]:
        """Return the lines written since the last call.

        A mark sent now is written after everything that was accepted before, so what stands in
        front of it is complete. Raises TimeoutError when the mark does not arrive.
        """
        mark = f"mark-{next(self._numbers)}"
        url = f"http://{self.collector.http}/v1/{signal}"
        httpx.post(url, json=_marked(signal, mark), trust_env=False).raise_for_status()
        give_up_s = time.monotonic() + _ARRIVAL_S
        while time.monotonic() < give_up_s:
            before = self._up_to(signal, mark)
            if before is not None:
                return before
            time.sleep(0.005)
        raise TimeoutError(f"{mark} was accepted and not written in {_ARRIVAL_S:.0f} s")

    def _up_to(self, signal: str, mark: str) -> list[str] | None:
        """Return the unread lines in front of ``mark``, None while it is not there."""
        lines = self._unread(signal).splitlines(keepends=True)
        for number, line in enumerate(lines):
            if mark.encode() in line and line.endswith(b"\n"):
                self._read_bytes[signal] += sum(len(read) for read in lines[: number + 1])
                return [read.decode().rstrip("\n") for read in lines[:number]]
        return None

    def _unread(self, signal: str) -> bytes:
        with (self._folder / f"{signal}.jsonl").open("rb") as file:
            file.seek(self._read_bytes[signal])
            return file.read()


@contextmanager
def running_archive(folder: Path, grpc_port: int = 0, http_port: int = 0) -> Iterator[Archive]:
    """Run a Collector that writes to ``folder``, on the given ports or any that are free."""
    settings = receiving(grpc_port, http_port)
    settings["exporters"] = {
        f"file/{signal}": {"path": str(folder / f"{signal}.jsonl"), "flush_interval": "10ms"}
        for signal in SIGNALS
    }
    settings["service"]["pipelines"] = {
        name: pipeline
        for signal in SIGNALS
        for name, pipeline in pipelines(f"file/{signal}", signal).items()
    }
    with running_collector(folder, settings) as collector:
        yield Archive(collector, folder)


def _marked(signal: str, mark: str) -> dict[str, Any]:
    match signal:
        case "traces":
            span = {"name": mark, "traceId": "01" * 16, "spanId": "01" * 8}
            return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        case "logs":
            record = {"body": {"stringValue": mark}}
            return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
        case _:
            metric = {"name": mark, "gauge": {"dataPoints": [{"asInt": "1"}]}}
            return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
