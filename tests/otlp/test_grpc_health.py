"""Health over gRPC: per service, watched, and before anybody is turned away."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.otlp.relay import client, relay
from tests.otlp.upstream import Upstream
from tripswitch.otlp.grpc_health import SERVICES
from tripswitch.otlp.tokens import BearerTokens

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def test_the_server_and_every_otlp_service_are_serving_without_a_token() -> None:
    async def check() -> None:
        assert "opentelemetry.proto.collector.trace.v1.TraceService" in SERVICES
        tokens = BearerTokens("right", "", "auth")
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, tokens=tokens) as between,
            client(between.endpoint) as channel,
        ):
            health: Any = health_pb2_grpc.HealthStub(channel)
            for service in ("", *SERVICES):
                answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
                assert answer.status == SERVING
            with pytest.raises(grpc.aio.AioRpcError) as unknown:
                await health.Check(health_pb2.HealthCheckRequest(service="some.Service"))
            assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
            assert upstream.got == []
            assert between.pipeline.outcomes() == {}

    asyncio.run(check())


def test_who_watches_hears_of_the_end_before_it_comes() -> None:
    async def check() -> None:
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint) as between,
            client(between.endpoint) as channel,
        ):
            health: Any = health_pb2_grpc.HealthStub(channel)
            unknown = health.Watch(health_pb2.HealthCheckRequest(service="x"), timeout=30)
            assert (await unknown.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            watching = health.Watch(health_pb2.HealthCheckRequest(service=""), timeout=30)
            assert (await watching.read()).status == SERVING
            # Nothing else is under way: only a watch that is held on to would take the grace.
            stopping = asyncio.create_task(between.receiver.stop(100))
            assert (await watching.read()).status == NOT_SERVING
            await asyncio.wait_for(stopping, 20)

    asyncio.run(check())
