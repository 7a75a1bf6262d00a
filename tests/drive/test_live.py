"""The two processes together: nothing that happens to the judge reaches a sender."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from tests.drive.live_process import Both, Live, digest, running
from tests.drive.stand_in_judge import PROMPT
from tests.genai.spans import CHAT, SpanOf, request_of
from tests.otlp.relay import client, send, until
from tripswitch.cli.app import app
from tripswitch.otlp.grpc_receiver import TRACES_METHOD


def bodies(count: int, size: int = 3000, seed: int = 7) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(rng.randrange(size)) for _ in range(count)]


async def send_all(both: Both, sent: list[bytes]) -> None:
    """Send every body and check that each one arrives upstream as it is."""
    before = len(both.upstream.got)
    async with client(both.live.endpoint) as channel:
        for body in sent:
            assert await send(channel, TRACES_METHOD, body) == b""
    assert [got.body for got in both.upstream.got[before:]] == sent


def test_what_is_forwarded_is_fed_to_the_session_in_order(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as both:
            sent = [*bodies(40), b"", bytes(3 << 20)]
            await send_all(both, sent)
            await until(lambda: both.live.metric("stand_in_fed_total") == len(sent))
            assert both.live.fed() == [digest(body) for body in sent]
            metrics = both.live.metrics()
            assert metrics["receiver_requests_total.accepted.grpc.traces"] == len(sent)
            assert metrics["exporter_sent_bytes_total"] == sum(map(len, sent))
            assert metrics["tap_offered_requests_total"] == len(sent)
            assert metrics["tap_dropped_requests_total"] == 0
            assert metrics["tap_queued_bytes"] == 0
            assert metrics["judge_up"] == 1
            assert metrics["process_resident_bytes.judge"] > 1e6

    asyncio.run(check())


def test_a_session_that_raises_on_every_batch_costs_no_request(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path, "raising") as both:
            pid = both.live.judge_pid
            sent = bodies(60)
            await send_all(both, sent)
            await until(lambda: both.live.metric("stand_in_lost_total") == len(sent))
            assert both.live.metric("judge_errors_total") >= 1
            assert both.live.judge_pid == pid
            assert PROMPT not in both.live.log()
            assert "ValueError" in both.live.log()

    asyncio.run(check())


def test_a_stopped_judge_costs_no_request_and_catches_up(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as both:
            both.live.tell_judge(signal.SIGSTOP)
            sent = bodies(200, size=60_000)
            await send_all(both, sent)
            assert both.live.metric("tap_lag_seconds") > 0
            both.live.tell_judge(signal.SIGCONT)
            await until(lambda: len(both.live.fed()) == len(sent))
            assert both.live.fed() == [digest(body) for body in sent]

    asyncio.run(check())


def test_a_full_tap_drops_counts_and_tells_the_session(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path, tap_bytes=1 << 20) as both:
            both.live.tell_judge(signal.SIGSTOP)
            sent = [bytes(500_000)] * 40
            await send_all(both, sent)
            dropped = both.live.metric("tap_dropped_requests_total")
            assert dropped >= 20
            both.live.tell_judge(signal.SIGCONT)
            await until(lambda: both.live.metric("stand_in_fed_total") == len(sent) - dropped)
            await until(lambda: both.live.metric("stand_in_lost_total") == dropped)

    asyncio.run(check())


def test_a_killed_judge_costs_no_request_and_is_replaced(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as both:
            first = both.live.judge_pid
            sent = bodies(300)
            sending = asyncio.create_task(send_all(both, sent))
            await until(lambda: len(both.upstream.got) > 50)
            both.live.tell_judge(signal.SIGKILL)
            await sending
            await until(lambda: both.live.is_up() and both.live.judge_pid != first)
            after = bodies(20, seed=8)
            await send_all(both, after)
            await until(lambda: both.live.fed()[-len(after) :] == [digest(body) for body in after])
            metrics = both.live.metrics()
            fed = both.live.fed()
            lost = metrics["tap_lost_requests_total"]
            # A request may be fed and counted as lost, never neither.
            assert len(fed) + lost >= len(sent) + len(after)
            assert len(set(fed)) == len(fed)
            assert metrics["judge_restarts_total"] == 1
            assert metrics["receiver_requests_total.accepted.grpc.traces"] == len(sent) + len(after)

    asyncio.run(check())


@pytest.mark.matrix
def test_a_judge_that_is_busy_for_seconds_costs_no_request(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path, "busy") as both:
            pid = both.live.judge_pid
            sent = bodies(100)
            await send_all(both, sent)
            assert both.live.fed() == []
            await until(lambda: len(both.live.fed()) == len(sent), 60)
            assert both.live.judge_pid == pid
            assert both.live.metric("tap_lost_requests_total") == 0

    asyncio.run(check())


def test_a_dead_judge_leaves_health_and_metrics_up(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as both:
            assert both.live.get("health", "/ready").json()["judge"] == "up"
            assert both.live.get("api", "/v1/status").json()["nan"] is None
            both.live.tell_judge(signal.SIGKILL)
            await until(lambda: both.live.metric("judge_up") == 0)
            ready = both.live.get("health", "/")
            assert (ready.status_code, ready.json()["judge"]) == (200, "down")
            await until(lambda: both.live.metric("judge_up") == 1)

    asyncio.run(check())


def test_scores_and_changes_are_posted_and_what_is_understood_is_shown(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path, "real") as both:
            call = SpanOf({**CHAT, "gen_ai.response.id": "r1", "http.route": "/chat"}, parent=0)
            await send_all(both, [request_of(call)])
            api = both.live.run_file["endpoints"]["api"]
            score = {"response_id": "r1", "name": "tone", "score": 0.5}
            posted = both.live.post("/v1/scores", [score, {"name": "tone"}])
            assert (posted.status_code, posted.json()["accepted"]) == (202, 1)
            assert posted.json()["refused"][0]["index"] == 1
            change = {"kind": "flag", "to": "on", "route": "/chat"}
            posted = both.live.post("/v1/changes", change)
            assert (posted.status_code, posted.json()) == (202, {"accepted": 1, "refused": []})
            events = both.live.get("api", "/v1/events").json()
            assert [event["event"] for event in events] == ["config.loaded", "change.seen"]
            await until(lambda: both.live.get("api", "/v1/telemetry").json()["census"]["calls"], 60)
            shown = await asyncio.to_thread(
                CliRunner().invoke, app, ["inspect", "--live", "--api", f"http://{api}"]
            )
            assert shown.exit_code == 0
            assert shown.stdout.startswith("1 calls in 1 spans")
            assert "/chat" in shown.stdout

    asyncio.run(check())


def test_a_signal_drains_to_the_judge_and_ends_both(tmp_path: Path) -> None:
    async def check() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            folder = tmp_path / number.name
            folder.mkdir()
            async with running(folder) as both:
                judge = psutil.Process(both.live.judge_pid)
                sent = bodies(100)
                await send_all(both, sent)
                both.live.process.send_signal(number)
                await until(lambda: both.live.process.poll() is not None)
                assert both.live.process.returncode == 0
                assert not judge.is_running()
                assert len(both.live.fed()) == len(sent)
                assert both.live.run_file == {}

    asyncio.run(check())


def test_the_judge_dies_with_the_wire_even_when_stopped(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as both:
            judge = psutil.Process(both.live.judge_pid)
            both.live.tell_judge(signal.SIGSTOP)
            both.live.process.kill()
            await until(lambda: both.live.process.poll() is not None)
            await until(lambda: not is_alive(judge))

    asyncio.run(check())


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process still runs; one that nobody has reaped yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_edits_of_the_file_are_taken_or_refused_while_running(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as both:
            live: Live = both.live
            await until(lambda: live.metric("stand_in_page_points") == 5)
            live.write_config(page_points="7")
            await until(lambda: live.metric("stand_in_page_points") == 7)
            assert live.metric("config_reloads_total.judge") == 1
            live.write_config(page_points='"five"')
            await until(lambda: live.metric("config_reload_failures_total.judge") == 1)
            assert live.metric("config_last_reload_ok.judge") == 0
            assert live.metric("stand_in_page_points") == 7
            assert "page_points" in live.log()
            live.write_config(page_points="6")
            await until(lambda: live.metric("stand_in_page_points") == 6)
            assert live.metric("config_last_reload_ok.judge") == 1

    asyncio.run(check())


def test_the_wire_follows_the_file_too_and_names_what_needs_a_restart(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as both, client(both.live.endpoint) as channel:
            live = both.live
            await send(channel, TRACES_METHOD, b"before")
            live.write_config(tap_bytes=2 << 20)
            await until(lambda: live.metric("tap_capacity_bytes") == 2 << 20)
            assert live.metric("config_reloads_total.wire") == 1
            assert live.metric("config_needs_restart") == 0
            file = tmp_path / "tripswitch.yaml"
            moved = file.read_text().replace(str(tmp_path / "state"), str(tmp_path / "elsewhere"))
            file.write_text(moved)
            await until(lambda: live.metric("config_needs_restart") == 1)
            assert "storage.directory" in live.log()
            live.write_config(tap_bytes=2 << 20, page_points='"five"')
            await until(lambda: live.metric("config_reload_failures_total.wire") == 1)
            assert live.metric("config_last_reload_ok.wire") == 0
            # All on the connection that was there before.
            await send(channel, TRACES_METHOD, b"after")
            assert [got.body for got in both.upstream.got] == [b"before", b"after"]

    asyncio.run(check())


def test_forwarding_goes_on_at_once_beside_a_busy_judge(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path, "busy") as both, client(both.live.endpoint) as channel:
            await send(channel, TRACES_METHOD, b"start burning")
            for body in bodies(20):
                await send(channel, TRACES_METHOD, body)
            # Had any of them waited for the judge, its burning would be over by now.
            assert both.live.fed() == []

    asyncio.run(check())
