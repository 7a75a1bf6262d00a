"""A whole tripswitch in processes of its own, for tests to send to, look at and hurt."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.otlp.relay import until
from tests.otlp.upstream import Upstream
from tripswitch.drive.live import run_live

CONFIG = """\
receivers:
  otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:0"}}, http: {{endpoint: "127.0.0.1:0"}}}}}}
exporters: {{otlp_grpc: {{endpoint: "{upstream}"}}}}
tap: {{max_bytes: {tap_bytes}}}
detect: {{eval_score: {{page_points: {page_points}}}}}
storage: {{directory: "{directory}"}}
telemetry:
  health: {{endpoint: "127.0.0.1:0"}}
  metrics: {{endpoint: "127.0.0.1:0"}}
  api: {{endpoint: "127.0.0.1:0"}}
"""


class Live:
    """One running tripswitch."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, upstream: str) -> None:
        self.process = process
        self.folder = folder
        self.upstream = upstream

    @property
    def run_file(self) -> dict[str, Any]:
        """Return what run.json says, nothing while there is none."""
        try:
            content: dict[str, Any] = json.loads((self.folder / "state/run.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return content

    @property
    def judge_pid(self) -> int:
        """Return the judge's process id."""
        return int(self.run_file["judge_pid"])

    @property
    def endpoint(self) -> str:
        """Return the address of the receiver."""
        return str(self.run_file["endpoints"]["otlp_grpc"])

    def is_up(self) -> bool:
        """Return whether wire and judge are both ready."""
        return bool(self.run_file.get("judge_up"))

    def get(self, listener: str, path: str) -> httpx.Response:
        """Ask one of the HTTP listeners."""
        return httpx.get(f"http://{self.run_file['endpoints'][listener]}{path}", trust_env=False)

    def post(self, path: str, content: Any) -> httpx.Response:
        """Post ``content`` as JSON to the API."""
        url = f"http://{self.run_file['endpoints']['api']}{path}"
        token = (self.folder / "state/api-token").read_text("ascii").strip()
        headers = {"authorization": f"Bearer {token}"}
        return httpx.post(url, json=content, headers=headers, trust_env=False)

    def metrics(self) -> dict[str, float]:
        """Return every sample of the metrics page, by name and label values."""
        page = self.get("metrics", "/metrics").text
        return {
            ".".join([sample.name.removeprefix("tripswitch_"), *sample.labels.values()]): (
                sample.value
            )
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    def metric(self, name: str) -> float:
        """Return one sample, 0 where it is not there yet."""
        return self.metrics().get(name, 0.0)

    def fed(self) -> list[str]:
        """Return the digests of the bodies that reached a session, in order."""
        record = self.folder / "fed"
        return record.read_text().split() if record.exists() else []

    def log(self) -> str:
        """Return what has been logged."""
        return (self.folder / "log").read_text()

    def write_config(self, page_points: str = "5", tap_bytes: int = 64 << 20) -> None:
        """Write the configuration file."""
        text = CONFIG.format(
            upstream=self.upstream,
            directory=self.folder / "state",
            page_points=page_points,
            tap_bytes=tap_bytes,
        )
        (self.folder / "tripswitch.yaml").write_text(text)

    def tell_judge(self, number: signal.Signals) -> None:
        """Send the judge a signal."""
        os.kill(self.judge_pid, number)


class Both(NamedTuple):
    """A tripswitch and the upstream it forwards to."""

    live: Live
    upstream: Upstream


@contextlib.asynccontextmanager
async def running(
    folder: Path, session: str = "recording", tap_bytes: int = 64 << 20
) -> AsyncIterator[Both]:
    """Run tripswitch with a stand-in session, with an upstream in this process."""
    async with Upstream() as upstream:
        live = Live(None, folder, upstream.endpoint)  # type: ignore[arg-type]
        live.write_config(tap_bytes=tap_bytes)
        with (folder / "log").open("wb") as log:
            live.process = subprocess.Popen(  # noqa: ASYNC220 - over at once
                [sys.executable, "-m", "tests.drive.live_process", session, str(folder)],
                stderr=log,
                start_new_session=True,
            )
        try:
            await until(live.is_up, 30)
            yield Both(live, upstream)
        finally:
            if live.process.poll() is None:
                with contextlib.suppress(ProcessLookupError, KeyError, TypeError):
                    live.tell_judge(signal.SIGCONT)
                live.process.terminate()
                await until(lambda: live.process.poll() is not None, 30)
                assert live.process.returncode == 0


def digest(body: bytes) -> str:
    """Return a body's digest as the stand-in session writes it down."""
    return hashlib.sha256(body).hexdigest()


def main(session: str, folder: Path) -> int:
    """Run the wire here, with the stand-in as its judge."""
    config = folder / "tripswitch.yaml"
    judge = (
        sys.executable,
        "-m",
        "tests.drive.stand_in_judge",
        session,
        str(folder / "fed"),
        "--config",
        str(config),
    )
    return run_live([config], judge)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2])))
