"""``tripswitch run`` and ``tripswitch status`` as a person starts them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.drive.live_process import Live
from tests.otlp.relay import client, send, until
from tests.otlp.upstream import Upstream
from tripswitch.cli.status import printable
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

TRIPSWITCH = (sys.executable, "-m", "tripswitch.cli.app")


def tripswitch(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*TRIPSWITCH, *arguments), capture_output=True, text=True, timeout=60, cwd=cwd, check=False
    )


def test_the_help_does_not_load_the_engine_or_the_wire() -> None:
    program = (
        "import sys, tripswitch.cli.run, tripswitch.cli.status\n"
        "heavy = {'grpc', 'numpy', 'uvicorn', 'httpx', 'rich.table'} & set(sys.modules)\n"
        "raise SystemExit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "word"),
    [("detect: {tick: 7}", "detect.tick"), ("nonsense: 1", "nonsense"), ("a: [", "line")],
)
def test_a_bad_file_ends_in_words_and_exit_code_2(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    done = tripswitch("run", "--config", str(file))
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_ends_in_exit_code_2(tmp_path: Path) -> None:
    done = tripswitch("run", "--config", str(tmp_path / "none.yaml"))
    assert done.returncode == 2
    assert "none.yaml" in done.stderr


@pytest.mark.parametrize("listener", ["grpc", "health", "metrics"])
def test_a_taken_port_ends_in_words_and_exit_code_2(tmp_path: Path, listener: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoints = dict.fromkeys(("grpc", "health", "metrics", "api"), "127.0.0.1:0")
        endpoints[listener] = f"127.0.0.1:{taken.getsockname()[1]}"
        config: dict[str, Any] = {
            "receivers": {
                "otlp": {
                    "protocols": {
                        "grpc": {"endpoint": endpoints["grpc"]},
                        "http": {"endpoint": "127.0.0.1:0"},
                    }
                }
            },
            "telemetry": {
                name: {"endpoint": endpoints[name]} for name in ("health", "metrics", "api")
            },
            "storage": {"directory": str(tmp_path / "state")},
        }
        file = tmp_path / "tripswitch.yaml"
        file.write_text(json.dumps(config))
        done = tripswitch("run", "--config", str(file))
    assert done.returncode == 2
    assert f'cannot listen on "{endpoints[listener]}"' in done.stderr
    assert "Traceback" not in done.stderr


@contextlib.asynccontextmanager
async def running(folder: Path, upstream: str, more: str = "") -> AsyncIterator[Live]:
    """Start the command itself, in ``folder``, on its default file with ``more`` at its end."""
    live = Live(None, folder, upstream)  # type: ignore[arg-type]
    live.write_config()
    with (folder / "tripswitch.yaml").open("a") as file:
        file.write(more)
    (folder / "config").mkdir(exist_ok=True)
    (folder / "tripswitch.yaml").rename(folder / "config/tripswitch.yaml")
    with (folder / "log").open("wb") as log:
        live.process = subprocess.Popen(  # noqa: ASYNC220 - over at once
            (*TRIPSWITCH, "run"), stderr=log, cwd=folder, start_new_session=True
        )
    try:
        await until(live.is_up, 30)
        yield live
    finally:
        if live.process.poll() is None:
            live.process.terminate()
        await until(lambda: live.process.poll() is not None, 30)


def traces(count: int) -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add()
    for number in range(1, count + 1):
        span = spans.spans.add(name="chat gpt", trace_id=bytes(15) + bytes([number]))
        span.span_id = bytes(7) + bytes([number])
        span.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
        span.attributes.add(key="gen_ai.request.model").value.string_value = "gpt"
    return request.SerializeToString()


def test_run_takes_the_default_file_judges_and_reports(tmp_path: Path) -> None:
    async def check() -> None:
        async with Upstream() as upstream, running(tmp_path, upstream.endpoint) as live:
            async with client(live.endpoint) as channel:
                body = traces(20)
                await send(channel, TRACES_METHOD, body)
            assert [got.body for got in upstream.got] == [body]
            await until(lambda: live.metric("judge_requests_total") == 1)
            assert live.metric("judge_errors_total") == 0
            api = f"http://{live.run_file['endpoints']['api']}"
            told = await asyncio.to_thread(tripswitch, "status", "--api", api, "--json")
            assert told.returncode == 0, told.stderr
            assert json.loads(told.stdout)["incidents"] == []
            shown = await asyncio.to_thread(tripswitch, "status", "--api", api)
            assert shown.returncode == 0, shown.stderr
            assert "no open incident" in shown.stdout
            events = [json.loads(line) for line in live.log().splitlines()]
            listening = next(event for event in events if event["event"] == "listening")
            assert listening["otlp_grpc"] == live.endpoint
            live.process.send_signal(signal.SIGTERM)
            await until(lambda: live.process.poll() is not None)
            assert live.process.returncode == 0

    asyncio.run(check())


def test_a_second_run_on_the_same_address_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async def check() -> None:
        async with Upstream() as upstream, running(tmp_path, upstream.endpoint) as live:
            second = tmp_path / "second.yaml"
            second.write_text(
                (tmp_path / "config/tripswitch.yaml")
                .read_text()
                .replace('grpc: {endpoint: "127.0.0.1:0"', f'grpc: {{endpoint: "{live.endpoint}"')
            )
            done = await asyncio.to_thread(tripswitch, "run", "--config", str(second))
            assert done.returncode == 2
            assert psutil.pid_exists(live.process.pid)
            assert live.is_up()
            async with client(live.endpoint) as channel:
                await send(channel, TRACES_METHOD, b"")

    asyncio.run(check())


def test_status_without_a_server_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = tripswitch("status", "--api", f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 2
    assert "hint: is `tripswitch run` up" in done.stderr


def test_text_from_telemetry_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x07\N{RIGHT-TO-LEFT OVERRIDE}c é") == "a?[2Jb??c é"
