"""Listeners: ports that are taken, chosen, or on two address families."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest

from tripswitch.errors import ConfigError
from tripswitch.web.health import Health, health_app
from tripswitch.web.listener import Listener, bound_endpoint

APP = health_app(lambda: Health("ready", judge_up=True))


def test_port_0_has_a_number_and_localhost_answers_on_it() -> None:
    async def check() -> None:
        listener = await Listener.start(APP, "localhost:0", "telemetry.health.endpoint")
        assert listener.endpoint.startswith("localhost:")
        assert not listener.endpoint.endswith(":0")
        async with httpx.AsyncClient(trust_env=False) as asking:
            assert (await asking.get(f"http://{listener.endpoint}/live")).status_code == 200
        await listener.stop()

    asyncio.run(check())


def test_a_taken_port_is_an_error_that_names_the_field() -> None:
    async def check() -> None:
        first = await Listener.start(APP, "127.0.0.1:0", "telemetry.health.endpoint")
        with pytest.raises(ConfigError, match=r"telemetry\.metrics\.endpoint.*in use"):
            await Listener.start(APP, first.endpoint, "telemetry.metrics.endpoint")
        await first.stop()
        again = await Listener.start(APP, first.endpoint, "telemetry.health.endpoint")
        await again.stop()

    asyncio.run(check())


def test_signals_stay_with_the_process() -> None:
    async def check() -> None:
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        listener = await Listener.start(APP, "127.0.0.1:0", "telemetry.health.endpoint")
        assert before == {number: signal.getsignal(number) for number in before}
        await listener.stop()

    asyncio.run(check())


@pytest.mark.parametrize(
    ("endpoint", "bound"), [("[::1]:0", "[::1]:7"), ("localhost:0", "localhost:7"), (":0", ":7")]
)
def test_a_bound_endpoint_keeps_its_host(endpoint: str, bound: str) -> None:
    assert bound_endpoint(endpoint, 7) == bound
