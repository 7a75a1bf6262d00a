"""Who plays: the collector, the gateway and tripswitch itself, each a process of its own.

tripswitch is started as anybody would start it, ``tripswitch run --config FILE``, on a file that
names addresses, the webhooks, a state folder and where the time comes from. It says nothing about
detection: what judges the demo is what ships.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tripswitch.drive.demo import story
from tripswitch.drive.demo.children import START_WITHIN_S, Child, DemoError, clean_environment
from tripswitch.drive.demo.gateway import SECRET_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMEOUT_S = 10.0
_EVENTS_AT_ONCE = 1000


def demo_config(collector: str, gateway: str, directory: str) -> dict[str, Any]:
    """Return the configuration of the demo's tripswitch, as the content of its file."""
    secret = f"${{env:{SECRET_VARIABLE}}}"
    free_port = {"endpoint": "127.0.0.1:0"}
    return {
        "receivers": {"otlp": {"protocols": {"grpc": free_port, "http": free_port}}},
        "exporters": {"otlp_grpc": {"endpoint": collector}},
        "notify": [
            {"type": "webhook", "name": "on-call", "url": f"{gateway}/alert", "secret": secret}
        ],
        "rollback": {
            "targets": [
                {
                    "type": "webhook",
                    "name": "gateway",
                    "url": f"{gateway}/rollback",
                    "status_url": f"{gateway}/rollback",
                    "secret": secret,
                    "routes": [story.REFUND_ROUTE],
                }
            ]
        },
        "fleet": {"single": True},
        "clock": {"source": "telemetry"},
        "storage": {"directory": directory},
        "telemetry": {"metrics": free_port, "health": free_port, "api": free_port},
    }


class Cast:
    """The running processes, and what can be asked of them over their sockets.

    Used as a context: leaving it ends every process and removes the temporary folder. ``endpoints``
    are tripswitch's own, by the names of its run file.
    """

    def __init__(self, told: story.Story, seed: int) -> None:
        self.endpoints: dict[str, str] = {}
        self._told = told
        self._seed = seed
        self._closing = contextlib.ExitStack()
        self._children: list[Child] = []
        # Loopback is meant; a proxy set for the outside would be asked for it in vain.
        self._http = httpx.Client(trust_env=False, timeout=_TIMEOUT_S)
        self._collector = ""
        self._gateway = ""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(self._closing.close)
            self._closing.enter_context(self._http)
            folder = Path(
                self._closing.enter_context(tempfile.TemporaryDirectory(prefix="tripswitch-demo-"))
            )
            self._start(folder)
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def check(self) -> None:
        """Raise `DemoError` when a process has ended."""
        for child in self._children:
            child.check()

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {child.name: child.pid for child in self._children}

    def allow(self, until_s: float) -> None:
        """Let the gateway play on to this story time."""
        self._http.post(f"{self._gateway}/play", json={"until_s": until_s}).raise_for_status()

    def gateway_state(self) -> dict[str, Any]:
        """Return the gateway's state. Raises `DemoError` when it has a fault."""
        state: dict[str, Any] = self._get(f"{self._gateway}/state")
        if state["fault"]:
            raise DemoError(f"the gateway cannot play on: {state['fault']}")
        return state

    def bad_traces(self) -> list[str]:
        """Return the ids of the new version's bad traces."""
        found: list[str] = self._get(f"{self._gateway}/bad-traces")
        return found

    def received(self) -> dict[str, Any]:
        """Return what arrived upstream."""
        totals: dict[str, Any] = self._get(f"{self._collector}/totals")
        return totals

    def events(self, after_id: int) -> list[dict[str, Any]]:
        """Return tripswitch's events after an id, in order."""
        found: list[dict[str, Any]] = self._get(
            f"http://{self.endpoints['api']}/v1/events?after={after_id}&limit={_EVENTS_AT_ONCE}"
        )
        return found

    def status(self) -> dict[str, Any]:
        """Return what tripswitch sees and how it judges it."""
        found: dict[str, Any] = self._get(f"http://{self.endpoints['api']}/v1/status")
        return found

    def metrics(self) -> dict[str, float]:
        """Return tripswitch's metrics that have no labels, by name without the prefix."""
        response = self._http.get(f"http://{self.endpoints['metrics']}/metrics")
        response.raise_for_status()
        return {
            sample.name.removeprefix("tripswitch_"): sample.value
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
            if not sample.labels
        }

    def _start(self, folder: Path) -> None:
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        environ = clean_environment(os.environ, **{SECRET_VARIABLE: secret})
        module = "tripswitch.drive.demo"
        collector = self._run("collector", [f"{module}.collector"], environ, folder).announced()
        gateway = self._run(
            "gateway",
            [f"{module}.gateway", "--story", self._told.name, "--seed", str(self._seed)],
            environ,
            folder,
        ).announced()
        self._collector = f"http://{collector['control']}"
        self._gateway = f"http://{gateway['http']}"
        path = folder / "tripswitch.yaml"
        state = folder / "state"
        content = demo_config(collector["otlp_grpc"], self._gateway, str(state))
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        arguments = ["tripswitch.cli.app", "run", "--config", str(path)]
        tripswitch = self._run("tripswitch", arguments, environ, folder)
        self.endpoints = _endpoints(tripswitch, state / "run.json")
        self._http.post(
            f"{self._gateway}/connect", json={"otlp_grpc": self.endpoints["otlp_grpc"]}
        ).raise_for_status()

    def _run(
        self, name: str, arguments: Sequence[str], environ: dict[str, str], folder: Path
    ) -> Child:
        command = [sys.executable, "-P", "-m", *arguments]
        child = Child(name, command, environ, folder / f"{name}.log")
        # Closed in reverse: tripswitch first, while those it talks to still answer.
        self._closing.callback(child.stop)
        self._children.append(child)
        return child

    def _get(self, url: str) -> Any:
        response = self._http.get(url)
        response.raise_for_status()
        return response.json()


def _endpoints(tripswitch: Child, run_file: Path) -> dict[str, str]:
    """Wait until tripswitch has left word of all its addresses, and return them."""
    deadline_s = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline_s:
        tripswitch.check()
        with contextlib.suppress(OSError):
            endpoints: dict[str, str] = json.loads(run_file.read_bytes())["endpoints"]
            if "api" in endpoints and "otlp_grpc" in endpoints:
                return endpoints
        time.sleep(0.02)
    raise DemoError(f"tripswitch was not ready in {START_WITHIN_S:g} s: {tripswitch.last_words()}")
