"""Tripswitch's own metrics and spans by OTLP: the same names, never in the way, never judged."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.drive.test_wire import metrics, running, settings
from tests.otlp.http_upstream import HttpUpstream
from tests.otlp.relay import client, send, until
from tests.otlp.upstream import Upstream
from tripswitch.actions.call import Call
from tripswitch.config.telemetry_section import OwnOtlp
from tripswitch.drive.metrics_reference import reference_text
from tripswitch.drive.own_metrics import OwnMetrics
from tripswitch.drive.own_sender import OwnSender
from tripswitch.drive.own_traces import OwnTraces
from tripswitch.otlp.grpc_receiver import TRACES_METHOD
from tripswitch.otlp.headers import OWN_TELEMETRY
from tripswitch.web.metrics import Metric, Sample

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a-token-that-nobody-else-has"
CALL = Call("rollback", "gateway", "key-1", 2, "retry", True, 503, 1_000_000_000, 1_500_000_000)


def received(bodies: list[bytes]) -> dict[str, dict[str, Any]]:
    """Return the metrics of the last export: by name, its kind and values by label values."""
    request = ExportMetricsServiceRequest.FromString(bodies[-1])
    found: dict[str, dict[str, Any]] = {}
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data") or ""
                points = getattr(metric, kind).data_points
                found[metric.name] = {
                    "kind": kind,
                    "help": metric.description,
                    "values": {
                        ".".join(pair.value.string_value for pair in point.attributes): (
                            point.as_double
                        )
                        for point in points
                    },
                }
    return found


def spans(body: bytes) -> list[Any]:
    """Return the spans of an export."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def documented() -> set[str]:
    """Return the names of the generated page."""
    rows = (line for line in reference_text().splitlines() if line.startswith("| `"))
    return {row.split("`")[1] for row in rows}


def test_both_exports_have_the_same_names_and_values_and_those_of_the_page(tmp_path: Path) -> None:
    names = documented()

    async def check() -> None:
        async with Upstream() as own, Upstream() as upstream:
            content = settings(tmp_path, exporters={"otlp_grpc": {"endpoint": upstream.endpoint}})
            content["telemetry"]["otlp"] = {
                "endpoint": f"http://{own.endpoint}",
                "interval": "1s",
                "headers": {"authorization": f"Bearer {SECRET}"},
                "resource": {"deployment.environment.name": "tests"},
            }
            async with running(content) as wire:
                async with client(wire.endpoints["otlp_grpc"]) as channel:
                    await send(channel, TRACES_METHOD, b"xyz")
                wire.supervisor.last_counters = {"reader_spans_total": 5}
                await until(
                    lambda: (
                        own.got
                        and "tripswitch_reader_spans_total"
                        in received([got.body for got in own.got])
                    )
                )
                sent = received([got.body for got in own.got])
                page = await metrics(wire)
                labels_less = {f"tripswitch_{name.partition('.')[0]}" for name in page}
                assert set(sent) == labels_less
                assert set(sent) <= names
                for name in ("reader_spans_total", "exporter_sent_bytes_total"):
                    assert sent[f"tripswitch_{name}"]["values"] == {"": page[name]}
                    assert sent[f"tripswitch_{name}"]["kind"] == "sum"
                requests = sent["tripswitch_receiver_requests_total"]["values"]
                assert requests["accepted.grpc.traces"] == 1
                assert sent["tripswitch_tap_queued_bytes"]["kind"] == "gauge"
                assert sent["tripswitch_judge_up"]["help"] == (
                    "1 while a judge is ready, 0 while none is."
                )
            request = ExportMetricsServiceRequest.FromString(own.got[-1].body)
            about = {
                pair.key: pair.value.string_value
                for pair in request.resource_metrics[0].resource.attributes
            }
            assert about["service.name"] == "tripswitch"
            assert about["deployment.environment.name"] == "tests"
            assert dict(own.got[-1].metadata)["authorization"] == f"Bearer {SECRET}"
            # The last export came with the stop.
            assert wire.own_metrics_results()["sent"] == len(own.got)

    asyncio.run(check())


def test_every_documented_name_can_be_sent(tmp_path: Path) -> None:
    names = documented()
    families = [
        Metric(
            name.removeprefix("tripswitch_"),
            "counter" if name.endswith("_total") else "gauge",
            "text",
            (Sample(1.5, (("a", "b"),)),),
        )
        for name in sorted(names)
    ]

    async def check() -> None:
        async with HttpUpstream() as own:
            otlp = OwnOtlp.model_validate({"endpoint": own.url, "protocol": "http/protobuf"})
            sending = OwnMetrics(otlp, lambda: families)
            await until(lambda: own.got)
            await sending.stop(10)
            assert {got.target for got in own.got} == {"/v1/metrics"}
            found = received([got.body for got in own.got])
            assert set(found) == names
            assert all(each["values"] == {"b": 1.5} for each in found.values())

    asyncio.run(check())


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_calls_become_spans_without_secrets(protocol: str) -> None:
    async def check() -> None:
        async with Upstream() as grpc_own, HttpUpstream() as http_own:
            url = f"http://{grpc_own.endpoint}" if protocol == "grpc" else http_own.url
            got: Any = grpc_own.got if protocol == "grpc" else http_own.got
            otlp = OwnOtlp.model_validate({"endpoint": url, "protocol": protocol})
            traces = OwnTraces(otlp)
            traces.record(CALL)
            await until(lambda: got)
            traces.record(CALL._replace(action="notify", state="done", is_error=False, status=None))
            await until(lambda: len(got) == 2)
            await traces.stop(10)
            assert traces.results == {"sent": 2, "failed": 0, "dropped": 0}
            (failed,), (done,) = (spans(each.body) for each in got)
            attributes = {pair.key: pair.value for pair in failed.attributes}
            assert {
                key: value.string_value or value.int_value for key, value in attributes.items()
            } == {
                "tripswitch.action": "rollback",
                "tripswitch.action.target": "gateway",
                "tripswitch.action.idempotency_key": "key-1",
                "tripswitch.action.attempt": 2,
                "tripswitch.action.state": "retry",
                "http.response.status_code": 503,
            }
            assert failed.name == "rollback gateway"
            assert failed.kind == 3
            assert failed.status.code == 2
            assert (failed.start_time_unix_nano, failed.end_time_unix_nano) == (
                1_000_000_000,
                1_500_000_000,
            )
            assert done.status.code == 0
            assert "http.response.status_code" not in {pair.key for pair in done.attributes}

    asyncio.run(check())


def test_what_leads_back_into_tripswitch_is_forwarded_and_not_judged(tmp_path: Path) -> None:
    async def check() -> None:
        async with Upstream() as upstream:
            content = settings(tmp_path, exporters={"otlp_grpc": {"endpoint": upstream.endpoint}})
            async with running(content) as wire:
                own_port = f"http://{wire.endpoints['otlp_grpc']}"
                traces = OwnTraces(OwnOtlp.model_validate({"endpoint": own_port}))
                traces.record(CALL)
                await until(lambda: upstream.got)
                await traces.stop(10)
                assert [span.name for span in spans(upstream.got[0].body)] == ["rollback gateway"]
                assert dict(upstream.got[0].metadata)[OWN_TELEMETRY] == "1"
                assert (wire.pipeline.reading.own, wire.tap.offered_requests) == (1, 0)
                async with client(wire.endpoints["otlp_grpc"]) as channel:
                    await send(channel, TRACES_METHOD, b"of a user")
                assert (wire.pipeline.reading.own, wire.tap.offered_requests) == (1, 1)
                assert (await metrics(wire))["tap_own_requests_total"] == 1

    asyncio.run(check())


def test_an_endpoint_that_never_answers_holds_nobody_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def check() -> None:
        never = threading.Event()

        class Silent:
            def export(self, _items: list[Any]) -> bool:
                never.wait(60)
                raise ValueError(SECRET)

            def close(self) -> None:
                pass

        sender = OwnSender("traces", "http://own", Silent, most_waiting=3)
        for number in range(10):
            sender.offer(number)
        before_s = asyncio.get_running_loop().time()
        await sender.stop(0.05)
        assert asyncio.get_running_loop().time() - before_s < 10
        # One or more may have been taken before the rest came.
        assert sender.results["dropped"] >= 4
        never.set()
        await until(lambda: sender.results["failed"] + sender.results["dropped"] == 10)
        await until(sender._ended.is_set)
        assert sender._thread.daemon

    asyncio.run(check())
    said = capsys.readouterr()
    assert said.out.count("own_telemetry_not_sent") == 1
    assert SECRET not in said.out + said.err


def test_a_dead_endpoint_is_said_once_and_costs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def check() -> None:
        async with Upstream() as upstream:
            content = settings(tmp_path, exporters={"otlp_grpc": {"endpoint": upstream.endpoint}})
            content["telemetry"]["otlp"] = {
                "endpoint": "http://127.0.0.1:9",
                "interval": "1s",
                "timeout": "100ms",
            }
            async with running(content) as wire:
                await until(lambda: wire.own_metrics_results()["failed"] >= 2)
                async with client(wire.endpoints["otlp_grpc"]) as channel:
                    await send(channel, TRACES_METHOD, b"x")
                assert (await metrics(wire))["own_metrics_exports_total.failed"] >= 2

    asyncio.run(check())
    said = capsys.readouterr()
    assert said.out.count("own_telemetry_not_sent") == 1
    assert "Traceback" not in said.out + said.err


def test_another_endpoint_is_taken_while_running() -> None:
    async def check() -> None:
        async with HttpUpstream() as one, HttpUpstream() as other:

            def settings_for(url: str) -> OwnOtlp:
                return OwnOtlp.model_validate({"endpoint": url, "protocol": "http/protobuf"})

            traces = OwnTraces(settings_for(one.url))
            traces.record(CALL)
            await traces.reload(settings_for(one.url), 10)
            await traces.reload(settings_for(other.url), 10)
            traces.record(CALL)
            await until(lambda: one.got and other.got)
            await traces.reload(OwnOtlp(), 10)
            traces.record(CALL)
            assert traces.results == {"sent": 2, "failed": 0, "dropped": 0}
            await traces.stop(1)

    asyncio.run(check())


def test_the_sdk_is_not_imported_where_nothing_is_sent() -> None:
    program = (
        "import sys, tripswitch.drive.live, tripswitch.drive.judge_process\n"
        "raise SystemExit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
