"""The whole program as users run it: ``tripswitch run``, real sockets, real processes killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import psutil
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.actions.receiver import HANG, SECRET, Answer, Receiver, closed_url
from tests.drive.live_process import Live
from tests.otlp.relay import client, send, until
from tests.otlp.upstream import Upstream
from tests.play import story
from tests.traffic import requests, value
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

BODIES: Sequence[bytes] = list(requests(story(), 15))


def write_settings(folder: Path, upstream: str, target: str, notify: str | None = None) -> None:
    """Write a configuration with a rollback target, and a notifier where ``notify`` is its URL."""
    settings: dict[str, object] = {
        "receivers": {
            "otlp": {"protocols": {name: {"endpoint": "127.0.0.1:0"} for name in ("grpc", "http")}}
        },
        "exporters": {"otlp_grpc": {"endpoint": upstream}},
        "storage": {"directory": str(folder / "state")},
        "telemetry": {name: {"endpoint": "127.0.0.1:0"} for name in ("metrics", "health", "api")},
        "clock": {"source": "telemetry"},
        "fleet": {"single": True},
        "rollback": {
            "targets": [{"name": "gateway", "url": target, "secret": SECRET, "timeout": "2s"}]
        },
    }
    if notify is not None:
        settings["notify"] = [{"name": "pager", "url": notify, "secret": SECRET}]
    (folder / "tripswitch.yaml").write_text(yaml.safe_dump(settings))


@contextlib.asynccontextmanager
async def running_program(folder: Path, upstream: str) -> AsyncIterator[Live]:
    """Run ``tripswitch run`` with what `write_settings` wrote; its log is ``folder/log``."""
    live = Live(None, folder, upstream)  # type: ignore[arg-type]
    (folder / "state" / "run.json").unlink(missing_ok=True)
    with (folder / "log").open("ab") as log:
        live.process = subprocess.Popen(  # noqa: ASYNC220 - over at once
            [
                sys.executable,
                "-m",
                "tripswitch.cli.app",
                "run",
                "--config",
                str(folder / "tripswitch.yaml"),
            ],
            stderr=log,
            stdout=log,
            start_new_session=True,
        )
    try:
        await until(live.is_up, 60)
        yield live
    finally:
        if live.process.poll() is None:
            live.process.terminate()
            await until(lambda: live.process.poll() is not None, 60)


async def send_bodies(live: Live, bodies: Sequence[bytes]) -> None:
    """Export each body of traces and wait for its acknowledgement."""
    async with client(live.endpoint) as channel:
        for body in bodies:
            await send(channel, TRACES_METHOD, body)


def events_of(live: Live) -> list[str]:
    """Return the names of all events so far, in order."""
    return [event["event"] for event in live.get("api", "/v1/events?after=0").json()]


def _kill_hard(live: Live) -> None:
    """Kill wire and judge with -9, so that neither can tidy up, and wait until both are gone."""
    pids = [live.process.pid, live.judge_pid]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    live.process.wait(30)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pids[1]).wait(30)


def test_a_regression_is_paged_and_rolled_back_over_signed_webhooks(tmp_path: Path) -> None:
    async def check() -> None:
        with Receiver() as gateway, Receiver() as pager:
            async with Upstream() as upstream:
                write_settings(tmp_path, upstream.endpoint, gateway.url, pager.url)
                async with running_program(tmp_path, upstream.endpoint) as live:
                    await send_bodies(live, BODIES)
                    await until(lambda: "rollback.acknowledged" in events_of(live), 60)
                    await until(lambda: len(pager.posts) >= 3, 60)
                    assert live.get("api", "/v1/incidents").json()[0]["severity"] == "page"
        [call] = gateway.posts
        event = call.verify()
        assert call.headers["idempotency-key"].startswith("rb_")
        assert event["type"] == "tripswitch.rollback.requested.v1"
        data = event["data"]
        assert data["scope"]["cohort"] == "canary"
        assert (data["rollback"]["from"], data["rollback"]["to"]) == ("v18", "v17")
        assert "evidence" in data["why"]
        assert data["exemplars"]
        told = [post.verify()["data"]["event"] for post in pager.posts]
        assert told[:3] == ["incident.opened", "incident.escalated", "rollback.planned"]

    asyncio.run(check())


def test_a_kill_between_detection_and_call_ends_in_exactly_one_call(tmp_path: Path) -> None:
    async def check() -> None:
        # Bound but not listening: calls are refused, and nobody else gets the port meanwhile.
        reserved = socket.socket()
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        async with Upstream() as upstream:
            write_settings(tmp_path, upstream.endpoint, f"http://127.0.0.1:{port}/rollback")
            async with running_program(tmp_path, upstream.endpoint) as live:
                await send_bodies(live, BODIES)
                await until(lambda: "rollback.planned" in events_of(live), 60)
                _kill_hard(live)
            reserved.close()
            with Receiver(port=port) as gateway:
                async with running_program(tmp_path, upstream.endpoint) as live:
                    await until(lambda: "rollback.acknowledged" in events_of(live), 90)
                    # The same traffic again: the incident is known, the call is not repeated.
                    await send_bodies(live, BODIES)
                    _kill_hard(live)
                async with running_program(tmp_path, upstream.endpoint) as live:
                    await send_bodies(live, BODIES[-20:])
                    names = events_of(live)
                assert len(gateway.posts) == 1
                gateway.posts[0].verify()
            assert names.count("rollback.planned") == 1
            assert names.count("incident.opened") == 1

    asyncio.run(check())


@pytest.mark.matrix
def test_a_target_that_acts_and_then_hangs_is_not_called_again_blindly(tmp_path: Path) -> None:
    async def check() -> None:
        with Receiver(then=HANG) as gateway:
            async with Upstream() as upstream:
                write_settings(tmp_path, upstream.endpoint, gateway.url)
                async with running_program(tmp_path, upstream.endpoint) as live:
                    await send_bodies(live, BODIES)
                    await until(lambda: "rollback.unknown" in events_of(live), 60)
                    # A restart must not try again either.
                    _kill_hard(live)
                async with running_program(tmp_path, upstream.endpoint) as live:
                    await send_bodies(live, BODIES[-12:])
                    assert "rollback.unknown" in events_of(live)
            assert len(gateway.posts) == 1

    asyncio.run(check())


@pytest.mark.matrix
def test_a_target_that_answers_500_three_times_gets_one_rollback(tmp_path: Path) -> None:
    async def check() -> None:
        with Receiver(Answer(500), Answer(500), Answer(500)) as gateway:
            async with Upstream() as upstream:
                write_settings(tmp_path, upstream.endpoint, gateway.url)
                async with running_program(tmp_path, upstream.endpoint) as live:
                    await send_bodies(live, BODIES)
                    await until(lambda: "rollback.acknowledged" in events_of(live), 90)
                    assert "rollback.failed" not in events_of(live)
            assert len(gateway.posts) == 4
            assert len({post.id for post in gateway.posts}) == 1
            assert len({post.body for post in gateway.posts}) == 1

    asyncio.run(check())


def _span(
    attributes: dict[str, AnyValue], *, trace_id: bytes, span_id: bytes, end_ns: int
) -> bytes:
    message = ExportTraceServiceRequest()
    span = (
        message.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=trace_id,
            span_id=span_id,
            start_time_unix_nano=max(end_ns - 10**9, 0),
            end_time_unix_nano=end_ns,
        )
    )
    span.attributes.extend(KeyValue(key=key, value=item) for key, item in attributes.items())
    return message.SerializeToString()


def _bad_input() -> list[bytes]:
    """Return requests that no healthy client sends."""
    rng = random.Random(4)
    now_ns = time.time_ns()
    chat = {
        "gen_ai.operation.name": value("chat"),
        "gen_ai.request.model": value("m"),
        "http.route": value("/chat/refund"),
    }
    tokens = "gen_ai.usage.input_tokens"
    trace_id = rng.randbytes(16)
    crowd = {f"key.{index}": value(index) for index in range(10_000)}
    years_ns = 10 * 365 * 86_400 * 10**9
    return [
        BODIES[0][: len(BODIES[0]) // 2],
        b"\xff" * 1000,
        _span(chat | crowd, trace_id=trace_id, span_id=rng.randbytes(8), end_ns=now_ns),
        _span(
            chat | {tokens: value(float("nan"))},
            trace_id=trace_id,
            span_id=rng.randbytes(8),
            end_ns=now_ns,
        ),
        _span(
            chat | {tokens: value(-5)}, trace_id=trace_id, span_id=rng.randbytes(8), end_ns=now_ns
        ),
        _span(chat, trace_id=b"short", span_id=rng.randbytes(8), end_ns=now_ns),
        _span(chat, trace_id=rng.randbytes(16), span_id=b"", end_ns=now_ns),
        _span(chat, trace_id=rng.randbytes(16), span_id=rng.randbytes(8), end_ns=now_ns - years_ns),
        _span(chat, trace_id=rng.randbytes(16), span_id=rng.randbytes(8), end_ns=now_ns + years_ns),
        _span(chat, trace_id=rng.randbytes(16), span_id=rng.randbytes(8), end_ns=2**64 - 1),
    ]


def test_bad_input_is_forwarded_and_counted_and_is_no_incident(tmp_path: Path) -> None:
    async def check() -> None:
        async with Upstream() as upstream:
            write_settings(tmp_path, upstream.endpoint, closed_url())
            file = tmp_path / "tripswitch.yaml"
            file.write_text(file.read_text().replace("source: telemetry", "source: wall"))
            async with running_program(tmp_path, upstream.endpoint) as live:
                bad = _bad_input()
                await send_bodies(live, bad)
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await send_bodies(live, [bytes(100_000_000)])
                assert [got.body for got in upstream.got] == bad
                await until(lambda: live.metric("reader_unreadable_requests_total") == 2, 30)
                await until(lambda: live.metric("reader_skewed_spans_total") == 3, 30)
                metrics = live.metrics()
                assert metrics["reader_rejected_facts_total.input_tokens"] == 2
                assert metrics["reader_rejected_facts_total.bad_ids"] == 2
                assert metrics["receiver_requests_total.transport_refused.grpc.traces"] == 1
                assert metrics["judge_errors_total"] == 0
                assert events_of(live) == ["config.loaded"]
                assert live.process.poll() is None

    asyncio.run(check())


def test_an_edited_line_is_used_and_a_bad_edit_is_refused(tmp_path: Path) -> None:
    async def check() -> None:
        async with Upstream() as upstream:
            write_settings(tmp_path, upstream.endpoint, closed_url())
            file = tmp_path / "tripswitch.yaml"
            deaf = yaml.safe_load(file.read_text()) | {
                "detect": {
                    "refusal_rate": {"investigate_points": 90, "page_points": 95},
                    "eval_score": {"investigate_points": 90, "page_points": 95},
                }
            }
            file.write_text(yaml.safe_dump(deaf))
            async with running_program(tmp_path, upstream.endpoint) as live:
                await send_bodies(live, BODIES[:-24])
                bad = file.read_text().replace("page_points: 95", "page_points: ninety")
                file.write_text(bad)
                await until(lambda: live.metric("config_reload_failures_total.judge") >= 1, 30)
                assert live.metric("config_last_reload_ok.judge") == 0
                assert "page_points" in live.log()
                assert "ninety" in live.log()
                assert "incident.opened" not in events_of(live)
                file.write_text(yaml.safe_dump(deaf | {"detect": {}}))
                await until(lambda: live.metric("config_last_reload_ok.judge") == 1, 30)
                await send_bodies(live, BODIES[-24:])
                await until(lambda: "incident.opened" in events_of(live), 30)

    asyncio.run(check())
