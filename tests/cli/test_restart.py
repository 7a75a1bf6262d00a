"""The real program ends and starts again, and its judge is killed: baselines are still there."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_run import running
from tests.drive.live_process import Live
from tests.otlp.relay import client, send, until
from tests.otlp.upstream import Upstream
from tests.traffic import START_NS, Arm, requests
from tripswitch.drive.snapshots import SNAPSHOT_FILE
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

CLOCK = "clock: {source: telemetry}\n"


def plan(_: float) -> list[Arm]:
    return [Arm(0.6, "v17", None)]


async def send_minutes(live: Live, first: float, minutes: float, seed: int) -> None:
    """Send so many minutes of traffic on the time in the data, and wait until it is judged."""
    before = live.metric("judge_requests_total")
    sent = list(
        requests(plan, minutes, seed=seed, step_s=20, start_ns=START_NS + int(first * 60e9))
    )
    async with client(live.endpoint) as channel:
        for body in sent:
            await send(channel, TRACES_METHOD, body)
    await until(lambda: live.metric("judge_requests_total") == before + len(sent))


def signals(live: Live) -> dict[str, dict[str, Any]]:
    """Return what is said of each signal of the one scope."""
    (scope,) = live.get("api", "/v1/status").json()["scopes"]
    return {signal["signal"]: signal for signal in scope["signals"]}


def logged(live: Live, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in live.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@pytest.mark.matrix
def test_a_restart_keeps_the_baselines(tmp_path: Path) -> None:
    async def check() -> None:
        async with Upstream() as upstream:
            async with running(tmp_path, upstream.endpoint, CLOCK) as live:
                await send_minutes(live, 0, 40, seed=1)
                before = signals(live)["refusal_rate"]
                assert before["comparison"] == "history"
                assert before["usual_samples"] >= 200
            assert (tmp_path / "state" / SNAPSHOT_FILE).exists()
            async with running(tmp_path, upstream.endpoint, CLOCK) as live:
                assert len(logged(live, "snapshot_resumed")) == 1
                # A judge that had to learn anew would have nothing to compare with for 15 minutes.
                await send_minutes(live, 40, 2, seed=2)
                after = signals(live)["refusal_rate"]
                assert after["comparison"] == "history"
                assert after["usual_samples"] >= before["usual_samples"]
                assert live.metric("snapshots_put_aside_total") == 0
                pid = live.judge_pid
                live.tell_judge(signal.SIGKILL)
                await until(lambda: live.is_up() and live.judge_pid != pid)
                await send_minutes(live, 42, 2, seed=3)
                assert signals(live)["refusal_rate"]["comparison"] == "history"
                assert len(logged(live, "snapshot_resumed")) == 2

    asyncio.run(check())
