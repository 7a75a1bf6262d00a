"""The wire as the configuration makes it: both protocols, TLS, tokens, the spool, the stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.otlp.certificates import Authority
from tests.otlp.http_upstream import HttpAnswer, HttpUpstream
from tests.otlp.raw_http import post
from tests.otlp.relay import client, send, until
from tests.otlp.upstream import Upstream
from tripswitch.config.model import Config
from tripswitch.drive.wire import Wire
from tripswitch.errors import ConfigError
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# A judge that never becomes ready and ends with the link; the wire is the same without one.
NO_JUDGE = (
    sys.executable,
    "-c",
    "import socket, sys; socket.socket(fileno=int(sys.argv[-1])).recv(1)",
)
TOKEN = "a-token-that-nobody-else-has"


def settings(folder: Path, **parts: Any) -> dict[str, Any]:
    """Return the content of a configuration file on free ports."""
    protocols = {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}
    return {
        "receivers": {"otlp": {"protocols": protocols}},
        "storage": {"directory": str(folder / "state")},
        "telemetry": {name: {"endpoint": "127.0.0.1:0"} for name in ("metrics", "health")},
        **parts,
    }


@contextlib.asynccontextmanager
async def running(content: dict[str, Any]) -> AsyncIterator[Wire]:
    """Run a wire without a judge."""
    wire = Wire(Config.model_validate(content), NO_JUDGE)
    await wire.start()
    try:
        yield wire
    finally:
        await wire.stop()


async def metrics(wire: Wire) -> dict[str, float]:
    """Return every sample of the metrics page, by name and label values."""
    async with httpx.AsyncClient(trust_env=False) as asking:
        page = (await asking.get(f"http://{wire.endpoints['metrics']}/metrics")).text
    return {
        ".".join([sample.name.removeprefix("tripswitch_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def waiting(wire: Wire) -> int:
    """Return how many requests wait on disk."""
    assert wire.spool is not None
    return wire.spool.figures().records


def test_requests_of_both_protocols_are_counted_apart(tmp_path: Path) -> None:
    async def check() -> None:
        async with HttpUpstream() as upstream:
            exporters = {"otlp_http": {"endpoint": upstream.url, "headers": {"X-Tenant": "us"}}}
            async with running(settings(tmp_path, exporters=exporters)) as wire:
                await post(f"http://{wire.endpoints['otlp_http']}", "/v1/logs", b"x")
                async with client(wire.endpoints["otlp_grpc"]) as channel:
                    await send(channel, TRACES_METHOD, b"yy")
                numbers = await metrics(wire)
                assert numbers["receiver_requests_total.accepted.http.logs"] == 1
                assert numbers["receiver_requests_total.accepted.grpc.traces"] == 1
                assert numbers["receiver_requests_total.spooled.http.traces"] == 0
                assert numbers["exporter_requests_total.sent.http.logs"] == 1
                assert numbers["exporter_responses_total.200"] == 2
                assert numbers["exporter_sent_bytes_total"] == 3
                assert numbers["exporter_queue_size"] == 0
                assert numbers["exporter_queue_capacity_bytes"] == 1 << 30
                assert numbers["receiver_max_in_flight_requests.http"] == 64
            assert {got.target for got in upstream.got} == {"/v1/logs", "/v1/traces"}
            assert {got.header("x-tenant") for got in upstream.got} == {"us"}

    asyncio.run(check())


def test_what_waits_on_disk_at_the_stop_goes_out_after_the_next_start(tmp_path: Path) -> None:
    async def check() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        content = settings(tmp_path, exporters={"otlp_grpc": {"endpoint": endpoint}})
        async with running(content) as wire:
            url = f"http://{wire.endpoints['otlp_http']}"
            for number in range(5):
                assert (await post(url, "/v1/traces", b"%d" % number)).status == 200
            numbers = await metrics(wire)
            assert numbers["exporter_queue_size"] == 5
            assert numbers["exporter_queue_oldest_age_seconds"] > 0
            assert numbers["receiver_requests_total.spooled.http.traces"] == 5
        # Also where nothing new is kept any more.
        for mode in ("upstream", "upstream-or-disk"):
            async with (
                Upstream(endpoint=endpoint) as upstream,
                running(content | {"forward": {"acknowledge": mode}}) as wire,
            ):
                await until(lambda: waiting(wire) == 0)
                if mode == "upstream":
                    assert sorted(got.body for got in upstream.got) == [
                        b"%d" % number for number in range(5)
                    ]

    asyncio.run(check())


def test_without_a_disk_there_is_none(tmp_path: Path) -> None:
    async def check() -> None:
        content = settings(tmp_path, forward={"acknowledge": "upstream"})
        async with running(content) as wire:
            assert wire.spool is None
            assert "exporter_queue_size" not in await metrics(wire)
            assert not (tmp_path / "state" / "spool").exists()

    asyncio.run(check())


def test_tls_and_tokens_come_from_the_file_and_stay_out_of_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def check() -> None:
        authority = Authority(tmp_path)
        cert_file, key_file = authority.issue("server")
        token_file = tmp_path / "token"
        token_file.write_text(TOKEN + "\n")
        tls = {"cert_file": cert_file, "key_file": key_file}
        context = authority.server_context()
        async with HttpUpstream(tls=context) as upstream:
            content = settings(
                tmp_path,
                exporters={
                    "otlp_http": {
                        "endpoint": f"{upstream.url}/otel",
                        "headers": {"authorization": f"Bearer upstream-{TOKEN}"},
                        "tls": {"ca_file": authority.ca_file},
                    }
                },
            )
            protocols = content["receivers"]["otlp"]["protocols"]
            protocols["grpc"] |= {"tls": tls, "auth": {"bearer_token": TOKEN}}
            protocols["http"] |= {"tls": tls, "auth": {"bearer_token_file": str(token_file)}}
            async with running(content) as wire:
                url = f"https://{wire.endpoints['otlp_http']}"
                ours = authority.client_context()
                assert (await post(url, "/v1/traces", b"x", tls=ours)).status == 401
                sent = (("authorization", f"Bearer {TOKEN}"),)
                assert (await post(url, "/v1/traces", b"x", headers=sent, tls=ours)).status == 200
                credentials = grpc.ssl_channel_credentials(
                    await asyncio.to_thread(Path(authority.ca_file).read_bytes)
                )
                address = wire.endpoints["otlp_grpc"]
                async with grpc.aio.secure_channel(address, credentials) as channel:
                    with pytest.raises(grpc.aio.AioRpcError) as refusal:
                        await send(channel, TRACES_METHOD, b"x")
                    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
                    await send(channel, TRACES_METHOD, b"x", sent)
            assert [got.target for got in upstream.got] == ["/otel/v1/traces"] * 2
            assert {got.header("authorization") for got in upstream.got} == {
                f"Bearer upstream-{TOKEN}"
            }
            assert TOKEN not in repr(Config.model_validate(content))

    asyncio.run(check())
    said = capsys.readouterr()
    assert TOKEN not in said.out + said.err


def test_a_stop_lets_requests_of_both_protocols_finish(tmp_path: Path) -> None:
    async def check() -> None:
        hold = asyncio.Event()
        answer = HttpAnswer(hold=hold)
        async with HttpUpstream(lambda _got: answer) as upstream:
            content = settings(
                tmp_path,
                exporters={"otlp_http": {"endpoint": upstream.url}},
                forward={"acknowledge": "upstream", "grace": "20s"},
            )
            wire = Wire(Config.model_validate(content), NO_JUDGE)
            await wire.start()
            url = f"http://{wire.endpoints['otlp_http']}"
            async with client(wire.endpoints["otlp_grpc"]) as channel:
                under_way = [
                    asyncio.create_task(send(channel, TRACES_METHOD, b"grpc")),
                    asyncio.create_task(post(url, "/v1/traces", b"http")),
                ]
                await until(lambda: len(upstream.got) == 2)
                stopping = asyncio.create_task(wire.stop())
                await until(lambda: wire.health().state == "stopping")
                hold.set()
                over_grpc, over_http = await asyncio.gather(*under_way)
                await stopping
            assert over_grpc == b""
            assert getattr(over_http, "status", None) == 200

    asyncio.run(check())


def test_a_taken_http_port_and_a_missing_certificate_end_in_words(tmp_path: Path) -> None:
    async def check() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            content = settings(tmp_path)
            http = content["receivers"]["otlp"]["protocols"]["http"]
            http["endpoint"] = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(ConfigError, match=r"protocols\.http\.endpoint"):
                await Wire(Config.model_validate(content), NO_JUDGE).start()
        content = settings(tmp_path)
        http = content["receivers"]["otlp"]["protocols"]["http"]
        http["tls"] = {"cert_file": str(tmp_path / "gone.crt"), "key_file": "gone.key"}
        with pytest.raises(ConfigError, match=r"protocols\.http\.tls.*gone\.crt"):
            await Wire(Config.model_validate(content), NO_JUDGE).start()

    asyncio.run(check())


def test_word_of_where_it_runs_is_left_once_the_disk_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tripswitch.drive.wire._WRITE_AGAIN_S", 0.01)

    async def check() -> None:
        # In the way of the file that is written first.
        (tmp_path / "state" / "run.json.new").mkdir(parents=True)
        async with running(settings(tmp_path)):
            assert not (tmp_path / "state" / "run.json").exists()
            (tmp_path / "state" / "run.json.new").rmdir()
            await until((tmp_path / "state" / "run.json").exists)

    asyncio.run(check())
