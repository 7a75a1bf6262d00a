"""The whole program as users run it: ``tripswitch run``, real sockets, real processes killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import yaml

from tests.actions.receiver import HANG, SECRET, Answer, Receiver, closed_url
from tests.drive.live_process import Live
from tests.otlp.relay import client, send, until
from tests.otlp.upstream import Upstream
from tests.play import story
from tests.traffic import requests
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

BODIES: Sequence[bytes] = list(requests(story(), 14))


def _write(folder: Path, upstream: str, target: str, notify: str | None = None) -> None:
    settings: dict[str, object] = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "127.0.0.1:0"}}}},
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
async def _running(folder: Path, upstream: str) -> AsyncIterator[Live]:
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


async def _send(live: Live, bodies: Sequence[bytes]) -> None:
    async with client(live.endpoint) as channel:
        for body in bodies:
            await send(channel, TRACES_METHOD, body)


def _events(live: Live) -> list[str]:
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
                _write(tmp_path, upstream.endpoint, gateway.url, pager.url)
                async with _running(tmp_path, upstream.endpoint) as live:
                    await _send(live, BODIES)
                    await until(lambda: "rollback.acknowledged" in _events(live), 60)
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
        assert told[:2] == ["incident.opened", "rollback.planned"]

    asyncio.run(check())


def test_a_kill_between_detection_and_call_ends_in_exactly_one_call(tmp_path: Path) -> None:
    async def check() -> None:
        url = closed_url()
        async with Upstream() as upstream:
            _write(tmp_path, upstream.endpoint, url)
            async with _running(tmp_path, upstream.endpoint) as live:
                await _send(live, BODIES)
                await until(lambda: "rollback.planned" in _events(live), 60)
                _kill_hard(live)
            with Receiver(port=urlsplit(url).port or 0) as gateway:
                async with _running(tmp_path, upstream.endpoint) as live:
                    await until(lambda: "rollback.acknowledged" in _events(live), 90)
                    # The same traffic again: the incident is known, the call is not repeated.
                    await _send(live, BODIES)
                    _kill_hard(live)
                async with _running(tmp_path, upstream.endpoint) as live:
                    await _send(live, BODIES[-20:])
                    names = _events(live)
                assert len(gateway.posts) == 1
                gateway.posts[0].verify()
            assert names.count("rollback.planned") == 1
            assert names.count("incident.opened") == 1

    asyncio.run(check())


def test_a_target_that_acts_and_then_hangs_is_not_called_again_blindly(tmp_path: Path) -> None:
    async def check() -> None:
        with Receiver(then=HANG) as gateway:
            async with Upstream() as upstream:
                _write(tmp_path, upstream.endpoint, gateway.url)
                async with _running(tmp_path, upstream.endpoint) as live:
                    await _send(live, BODIES)
                    await until(lambda: "rollback.unknown" in _events(live), 60)
                    # A restart must not try again either.
                    _kill_hard(live)
                async with _running(tmp_path, upstream.endpoint) as live:
                    await _send(live, BODIES[-12:])
                    assert "rollback.unknown" in _events(live)
            assert len(gateway.posts) == 1

    asyncio.run(check())


def test_a_target_that_answers_500_three_times_gets_one_rollback(tmp_path: Path) -> None:
    async def check() -> None:
        with Receiver(Answer(500), Answer(500), Answer(500)) as gateway:
            async with Upstream() as upstream:
                _write(tmp_path, upstream.endpoint, gateway.url)
                async with _running(tmp_path, upstream.endpoint) as live:
                    await _send(live, BODIES)
                    await until(lambda: "rollback.acknowledged" in _events(live), 90)
                    assert "rollback.failed" not in _events(live)
            assert len(gateway.posts) == 4
            assert len({post.id for post in gateway.posts}) == 1
            assert len({post.body for post in gateway.posts}) == 1

    asyncio.run(check())
