"""``tripswitch token`` against the real program: a link that signs a browser in once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from typer.testing import CliRunner

from tests.drive.live_process import running
from tripswitch.cli.app import app


def test_a_link_is_printed_that_signs_in_once(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as both:
            api = f"http://{both.live.run_file['endpoints']['api']}"
            state = tmp_path / "state"
            shown = await asyncio.to_thread(
                CliRunner().invoke, app, ["token", "--api", api, "--state", str(state)]
            )
            assert shown.exit_code == 0, shown.output
            link = shown.stdout.strip()
            assert link.startswith(f"{api}/signin?code=")
            fields = {"name": "ada", "code": link.partition("=")[2]}
            async with httpx.AsyncClient(trust_env=False) as client:
                page = await client.get(link)
                assert "lets you in once" in page.text
                first = await client.post(f"{api}/signin", data=fields)
                assert (first.status_code, "tripswitch_session" in first.cookies) == (303, True)
                assert (await client.post(f"{api}/signin", data=fields)).status_code == 401
                assert (await client.get(f"{api}/v1/overview")).json()["status"] == "unknown"

    asyncio.run(check())


def test_without_a_token_it_says_where_to_look(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["token", "--state", str(tmp_path)])
    assert shown.exit_code != 0
    assert "there is no token" in str(shown.exception)
