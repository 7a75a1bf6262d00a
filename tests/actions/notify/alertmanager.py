"""Debian's Alertmanager as a process of the test, with a receiver behind it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = shutil.which("prometheus-alertmanager")

_CONFIG = """\
global:
  resolve_timeout: 5m
route:
  receiver: hook
  group_by: [tripswitch_episode]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs:
      - url: {hook}
        send_resolved: true
"""


class Alertmanager:
    """One server on a free port; what it sends goes to ``hook``."""

    def __init__(self, folder: Path, hook: str) -> None:
        assert PROGRAM is not None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = folder / "alertmanager.yml"
        config.write_text(_CONFIG.format(hook=hook), "utf-8")
        self.url = f"http://127.0.0.1:{port}"
        self._arguments = [
            PROGRAM,
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            # Empty: no gossip, which would listen on every interface.
            "--cluster.listen-address=",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self._process = subprocess.Popen(
            self._arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end_s = time.monotonic() + 30
        while True:
            try:
                self.get("/-/ready")
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < end_s, "Alertmanager did not start"
                assert self._process.poll() is None, "Alertmanager ended"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def get(self, path: str) -> bytes:
        """Return the answer to a GET."""
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            body: bytes = response.read()
            return body

    def alerts(self) -> list[dict[str, Any]]:
        """Return what is firing, but for the heartbeat."""
        return [one for one in self.all_alerts() if one["labels"]["severity"] != "none"]

    def all_alerts(self) -> list[dict[str, Any]]:
        """Return what is firing."""
        found: list[dict[str, Any]] = json.loads(self.get("/api/v2/alerts"))
        return found
