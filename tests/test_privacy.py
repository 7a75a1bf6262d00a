"""No prompt or completion text outlives its request, and nothing shows or writes it.

The spool is the stated exception: what the upstream has not taken waits there as it came.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.actions.receiver import Receiver
from tests.content import planted
from tests.drive.live_process import Live
from tests.drive.test_session import MARKER, private_bodies
from tests.genai.spans import START_NS
from tests.otlp.relay import until
from tests.otlp.upstream import Upstream
from tests.test_whole import BODIES, events_of, running_program, send_bodies, write_settings
from tests.traffic import value

PATHS = (
    "/v1/status",
    "/v1/telemetry",
    "/v1/incidents",
    "/v1/incidents?limit=100",
    "/v1/events?after=0",
    "/v1/nothing",
)


def with_content(body: bytes) -> bytes:
    """Return a request whose spans carry the marker as content of every dialect."""
    message = ExportTraceServiceRequest.FromString(body)
    content = [KeyValue(key=key, value=value(text)) for key, text in planted(MARKER).items()]
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                span.attributes.extend(content)
                event = span.events.add(name="exception")
                event.attributes.append(KeyValue(key="exception.message", value=value(MARKER)))
                span.status.message = MARKER
    return message.SerializeToString()


def said_by_commands(live: Live) -> str:
    """Return what the commands that ask a running tripswitch print."""
    api = f"http://{live.run_file['endpoints']['api']}"
    said = ""
    for command in (["status", "--json"], ["status"], ["inspect", "--live"]):
        done = subprocess.run(
            [sys.executable, "-m", "tripswitch.cli.app", *command, "--api", api],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr
    return said


def test_the_whole_program_neither_shows_nor_writes_content(tmp_path: Path) -> None:
    bodies = [with_content(body) for body in BODIES]
    assert all(MARKER.encode() in body for body in bodies)

    async def check() -> dict[str, str]:
        found: dict[str, str] = {}
        with Receiver() as gateway, Receiver() as pager:
            async with Upstream() as upstream:
                write_settings(tmp_path, upstream.endpoint, gateway.url, pager.url)
                async with running_program(tmp_path, upstream.endpoint) as live:
                    await send_bodies(live, bodies)
                    await until(lambda: "rollback.acknowledged" in events_of(live), 60)
                    await until(lambda: len(pager.posts) >= 3, 60)
                    assert live.metric("reader_calls_total") > 1000
                    for path in PATHS:
                        found[path] = live.get("api", path).text
                    found["/metrics"] = live.get("metrics", "/metrics").text
                    found["/ready"] = live.get("health", "/ready").text
                    found["commands"] = said_by_commands(live)
                assert [got.body for got in upstream.got] == bodies
        found |= {f"post {at}": str(post) for at, post in enumerate(gateway.posts + pager.posts)}
        return found

    found = asyncio.run(check())
    # The incident is told with what is not content, so that the search is no search of nothing.
    assert "v18" in found["/v1/incidents"]
    assert "gpt-4o-mini" in found["commands"]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"log", "ledger.sqlite"} <= {path.name for path in files}
    found |= {path.name: path.read_bytes().decode("latin-1") for path in files}
    assert [where for where, text in found.items() if MARKER in text] == []


@pytest.mark.parametrize("is_story", [True, False])
def test_no_live_object_holds_content_once_it_was_taken_in(
    tmp_path: Path, *, is_story: bool
) -> None:
    if is_story:
        requests = [(with_content(body), "traces") for body in BODIES[:10]]
    else:
        trace, log = private_bodies()
        requests = [(trace, "traces"), (log, "logs")]
    paths = []
    for at, (body, signal) in enumerate(requests):
        path = tmp_path / f"{START_NS + at * 10**9}-.{signal}"
        path.write_bytes(body)
        paths.append(str(path))
    done = subprocess.run(
        [sys.executable, "-m", "tests.held_objects", MARKER[::-1], *paths],
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert seen["calls"] >= 1
    assert seen["sees_model"]
    assert MARKER not in seen["shown"]
    assert seen["held"] == []
