"""One example of config/examples, started as it is written but for where it listens and sends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from tests.drive.live_process import Live
from tests.otlp.http_upstream import HttpUpstream
from tests.otlp.relay import until
from tests.otlp.upstream import Upstream
from tests.stack.names import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EXAMPLES = ROOT / "config/examples"
TRIPSWITCH = (sys.executable, "-m", "tripswitch.cli.app")
_VARIABLE = re.compile(r"\$\{env:(\w+)\}")
_NOBODY = "127.0.0.1:0"


def names() -> list[str]:
    """Return every folder that is an example."""
    return sorted(each.parent.name for each in EXAMPLES.glob("*/tripswitch.yaml"))


def file_of(name: str) -> Path:
    """Return an example's configuration file."""
    return EXAMPLES / name / "tripswitch.yaml"


def environment(name: str) -> dict[str, str]:
    """Return this process's environment with every variable set that the example needs."""
    wanted = _VARIABLE.findall(file_of(name).read_text("utf-8"))
    made = {
        variable: "whsec_YW4gZXhhbXBsZSwgbmV2ZXIgYSBzZWNyZXQ="
        if "SECRET" in variable and variable.startswith("TRIPSWITCH")
        else "made-up"
        for variable in wanted
    }
    kept = {
        variable: value for variable, value in os.environ.items() if "TRIPSWITCH" not in variable
    }
    return {**kept, **made}


@dataclass(frozen=True, slots=True)
class Started:
    """A running example. ``path`` is what its upstream's address has before /v1/traces."""

    live: Live
    upstream: Upstream | HttpUpstream
    path: str
    prefixes: list[str]

    def bodies(self) -> list[bytes]:
        """Return what arrived behind it."""
        return [got.body for got in self.upstream.got]


@contextlib.asynccontextmanager
async def started(name: str, folder: Path) -> AsyncIterator[Started]:
    """Start an example with ports and upstream on loopback, and its state in ``folder``."""
    content: dict[str, Any] = yaml.safe_load(file_of(name).read_text("utf-8"))
    by_http = content["exporters"].get("otlp_http", {}).get("endpoint", "")
    path = urlsplit(by_http).path
    upstream: Upstream | HttpUpstream = HttpUpstream() if by_http else Upstream()
    protocols = content.get("receivers", {}).get("otlp", {}).get("protocols", {})
    async with upstream:
        exporter = (
            {"otlp_http": {"endpoint": upstream.url + path}}
            if isinstance(upstream, HttpUpstream)
            else {"otlp_grpc": {"endpoint": upstream.endpoint}}
        )
        nobody = {"endpoint": _NOBODY}
        moved = {
            "receivers": {"otlp": {"protocols": {"grpc": nobody, "http": nobody}}},
            "exporters": exporter,
            "storage": {"directory": str(folder / "state")},
            "telemetry": {"health": nobody, "metrics": nobody, "api": nobody},
        }
        (folder / "moved.yaml").write_text(yaml.safe_dump(moved), "utf-8")
        live = Live(None, folder, "")  # type: ignore[arg-type]  # it is started below
        with (folder / "log").open("wb") as log:
            live.process = subprocess.Popen(  # noqa: ASYNC220 - over at once
                (
                    *TRIPSWITCH,
                    "run",
                    "--config",
                    str(file_of(name)),
                    "--config",
                    str(folder / "moved.yaml"),
                ),
                stderr=log,
                cwd=folder,
                env=environment(name),
                start_new_session=True,
            )
        try:
            await until(lambda: live.is_up() or live.process.poll() is not None, 60)
            assert live.process.poll() is None, live.log()[-3000:]
            yield Started(live, upstream, path, protocols.get("http", {}).get("path_prefixes", []))
        finally:
            if live.process.poll() is None:
                live.process.send_signal(signal.SIGTERM)
            await until(lambda: live.process.poll() is not None, 30)
