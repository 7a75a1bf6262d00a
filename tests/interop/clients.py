"""The client programs of the matrix, each run to its end against one address."""

from __future__ import annotations

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, Literal

from tests.interop.collector import Settings, pipelines, receiving, running_collector
from tests.interop.parts import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.interop.collector import CollectorProcess

OtlpProtocol = Literal["grpc", "http"]

_LONGEST_S = 60
_IDS = ("--trace-id", "ae87dadd90e9935a4bc9660628efd569", "--span-id", "5828fa4960140870")
_MADE = {
    "traces": ("--traces", "120", "--child-spans", "2", "--status-code", "Error"),
    "logs": ("--logs", "250", "--body", "Grüße, 世界", *_IDS),
    "metrics": ("--metrics", "250", "--metric-type", "Histogram", *_IDS),
}
_JAVASCRIPT = Path(__file__).parent / "js" / "export.js"


@dataclass(frozen=True)
class Client(ABC):
    """A program that sends traces, logs or metrics.

    ``fixed`` says that two runs send the same bytes; otherwise ids and times differ.
    """

    name: str
    protocol: OtlpProtocol
    fixed: ClassVar[bool] = True

    @abstractmethod
    def run(self, signal: str, endpoint: str) -> None:
        """Send to ``host:port`` and come back once everything has been acknowledged.

        Raises CalledProcessError when the program says that something was not.
        """


@dataclass(frozen=True)
class PythonSdk(Client):
    """The Python SDK's exporters."""

    compression: str = "none"

    def run(self, signal: str, endpoint: str) -> None:
        """Send what tests/interop/python_client.py makes."""
        module = "tests.interop.python_client"
        _run(sys.executable, "-m", module, signal, self.protocol, endpoint, self.compression)


@dataclass(frozen=True)
class JavaScriptSdk(Client):
    """The JavaScript SDK's exporters; ``encoding`` is protobuf or, over HTTP, json."""

    encoding: str = "protobuf"
    compression: str = "none"

    def run(self, signal: str, endpoint: str) -> None:
        """Send what tests/interop/js/export.js makes."""
        protocol = self.protocol if self.protocol == "grpc" else f"http/{self.encoding}"
        _run(
            "node",
            _JAVASCRIPT,
            signal,
            protocol,
            f"http://{endpoint}",
            self.compression,
            env={"NODE_PATH": str(path_of("js"))},
        )


@dataclass(frozen=True)
class Telemetrygen(Client):
    """The Collector project's load generator, with the Go SDK's exporters in it."""

    fixed = False

    def run(self, signal: str, endpoint: str) -> None:
        """Send some hundred records in several requests."""
        words = [*_MADE[signal], "--rate", "0", "--otlp-attributes", 'host.name="a"']
        words += ["--telemetry-attributes", 'gen_ai.operation.name="chat"']
        words += ["--otlp-endpoint", endpoint, "--otlp-insecure"]
        if self.protocol == "http":
            words.append("--otlp-http")
        _run(path_of("telemetrygen"), signal, *words)


@dataclass(frozen=True)
class CollectorExporter(Client):
    """A Collector's own exporter, which compresses by default, fed by the Python SDK.

    Without a queue, so that what it acknowledges has been acknowledged to it.
    """

    compression: str = "gzip"

    def run(self, signal: str, endpoint: str) -> None:
        """Send what the Python SDK sends, through a Collector."""
        with _relaying(self._exporter(endpoint), signal) as collector:
            PythonSdk("", "grpc").run(signal, collector.grpc)

    def _exporter(self, endpoint: str) -> Settings:
        settings: Settings = {
            "endpoint": endpoint if self.protocol == "grpc" else f"http://{endpoint}",
            "compression": self.compression,
            "tls": {"insecure": True},
            "sending_queue": {"enabled": False},
        }
        return {f"otlp_{self.protocol}": settings}


CLIENTS: tuple[Client, ...] = (
    PythonSdk("python-grpc", "grpc"),
    PythonSdk("python-grpc-gzip", "grpc", "gzip"),
    PythonSdk("python-http", "http"),
    PythonSdk("python-http-gzip", "http", "gzip"),
    PythonSdk("python-http-deflate", "http", "deflate"),
    JavaScriptSdk("js-grpc", "grpc"),
    JavaScriptSdk("js-http-protobuf", "http"),
    JavaScriptSdk("js-http-json", "http", "json"),
    JavaScriptSdk("js-http-json-gzip", "http", "json", "gzip"),
    Telemetrygen("telemetrygen-grpc", "grpc"),
    Telemetrygen("telemetrygen-http", "http"),
    CollectorExporter("collector-grpc-gzip", "grpc", "gzip"),
    CollectorExporter("collector-http-zstd", "http", "zstd"),
)


@contextmanager
def _relaying(exporter: Settings, signal: str) -> Iterator[CollectorProcess]:
    settings = receiving()
    settings["exporters"] = exporter
    settings["service"]["pipelines"] = pipelines(next(iter(exporter)), signal)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        yield stack.enter_context(running_collector(folder, settings))


def _run(*command: str | Path, env: Mapping[str, str] | None = None) -> None:
    # What the caller's environment says about exporters is not what is tested here.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    subprocess.run(command, check=True, timeout=_LONGEST_S, env=inherited | dict(env or {}))
