"""Dashboard and rules on a real Prometheus that scrapes a real, running tripswitch."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.genai.spans import CHAT, SpanOf, request_of
from tests.otlp.relay import client, send
from tests.parts.places import free_port
from tests.stack.example import Started, started
from tests.stack.names import documented, metrics_in
from tests.stack.places import part
from tests.stack.test_dashboard import queries
from tests.stack.test_rules import FOLDER, rules
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

pytestmark = pytest.mark.parts

_MADE_OF = {
    "$job": ".*",
    "$instance": ".*",
    "$__rate_interval": "10s",
    "$__range": "10s",
}


@contextlib.contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Run a Prometheus with our rules that scrapes ``target`` every second; give its address."""
    address = f"127.0.0.1:{free_port()}"
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(FOLDER / "tripswitch.rules.yaml")],
        "scrape_configs": [{"job_name": "tripswitch", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    with (folder / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(
            (
                part("prometheus") / "prometheus",
                f"--config.file={folder}/prometheus.yaml",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address={address}",
            ),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield f"http://{address}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


async def asked(asking: httpx.AsyncClient, expression: str) -> list[Any]:
    """Return the samples of an expression; fail where Prometheus refuses or warns of it."""
    answer = await asking.get("/api/v1/query", params={"query": expression})
    content = answer.json()
    assert content["status"] == "success", f"{expression}: {content}"
    assert not content.get("warnings"), f"{expression}: {content}"
    found: list[Any] = content["data"]["result"]
    return found


def filled(expression: str) -> str:
    """Return an expression with Grafana's variables replaced."""
    for variable, value in _MADE_OF.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


async def _traffic(example: Started) -> None:
    async with client(example.live.endpoint) as channel:
        for number in itertools.count(1):
            await send(channel, TRACES_METHOD, request_of(SpanOf(CHAT, trace=number)))
            await asyncio.sleep(0.2)


def test_every_expression_is_answered_and_a_healthy_sidecar_alarms_nobody(tmp_path: Path) -> None:
    async def check() -> None:
        async with started("plain-sdk", tmp_path) as example:
            target = example.live.run_file["endpoints"]["metrics"]
            sending = asyncio.create_task(_traffic(example))
            try:
                with prometheus(tmp_path, target) as address:
                    async with httpx.AsyncClient(base_url=address, trust_env=False) as asking:
                        await _look(example, asking)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(check())


async def _look(example: Started, asking: httpx.AsyncClient) -> None:
    async def is_scraped() -> bool:
        with contextlib.suppress(httpx.TransportError):
            ready = await asking.get("/-/ready")
            if ready.status_code == 200:
                # Rates need two scrapes with something between them.
                return bool(await asked(asking, "rate(tripswitch_reader_spans_total[10s]) > 0"))
        return False

    async with asyncio.timeout(60):
        while not await is_scraped():  # noqa: ASYNC110 - another program's state
            await asyncio.sleep(0.2)

    page = example.live.get("metrics", "/metrics").text
    served = set(re.findall(r"^(tripswitch_\w+)(?:\{| )", page, re.MULTILINE))
    assert served <= set(documented())
    answered = 0
    for expression, _ in queries():
        if expression.startswith("label_values("):
            continue
        found = await asked(asking, filled(expression))
        # What has a label comes only with the first event; a comparison may hold for nothing.
        if metrics_in(expression) <= served and " > " not in expression:
            assert found, expression
            answered += 1
    assert answered > 80

    for rule in rules():
        await asked(asking, rule["expr"])
    groups = (await asking.get("/api/v1/rules")).json()["data"]["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert len(loaded) == len(rules())
    assert {rule["name"] for rule in loaded if rule["health"] == "err"} == set()
    # Some are pending: calls are settled later than spans, and at first there was nothing at all.
    assert {rule["name"] for rule in loaded if rule["state"] == "firing"} == set()
