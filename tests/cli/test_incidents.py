"""``tripswitch incidents`` against the real program: what people do is done, kept and shown."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.actions.receiver import Receiver
from tests.drive.live_process import Live
from tests.otlp.relay import until
from tests.otlp.upstream import Upstream
from tests.test_whole import BODIES, events_of, running_program, send_bodies, write_settings
from tripswitch.store.evidence import Vault


def incidents(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tripswitch.cli.app", "incidents", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def propose(folder: Path, *, capture: bool) -> None:
    """Let the target of ``folder``'s configuration propose, and switch evidence capture."""
    path = folder / "tripswitch.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["rollback"]["targets"][0]["mode"] = "propose"
    settings["evidence"] = {"enabled": capture}
    path.write_text(yaml.safe_dump(settings))


@pytest.mark.matrix
def test_a_proposal_is_shown_approved_and_closed_from_the_command_line(tmp_path: Path) -> None:
    state = tmp_path / "state"

    async def check(live: Live, gateway: Receiver) -> None:
        api = f"http://{live.run_file['endpoints']['api']}"

        def tell(*arguments: str) -> subprocess.CompletedProcess[str]:
            return incidents(*arguments, "--api", api, "--state", state, "--by", "ada")

        def tell_without_name(*arguments: str) -> subprocess.CompletedProcess[str]:
            return incidents(*arguments, "--api", api, "--state", state)

        await send_bodies(live, BODIES)
        await until(lambda: "rollback.planned" in events_of(live), 60)
        assert gateway.posts == []
        [listed] = json.loads(incidents("list", "--open", "--json", "--api", api).stdout)
        shown = incidents("show", listed["id"], "--api", api).stdout
        assert "our_change: prompt version v18 came" in shown
        assert "cohort v18 to v17 by gateway, proposed: target" not in shown
        assert "missing   the signal back inside its line" in shown
        assert "state     open, began 20" in shown
        assert f"approve (or reject) {listed['id']}" in " ".join(shown.split())

        assert listed["rollback"]["state"] == "proposed"
        rehearsed = tell_without_name("dry-run", listed["id"])
        assert "POST" in rehearsed.stdout
        assert '"from":"v18","to":"v17"' in rehearsed.stdout
        assert gateway.posts == []

        refused = incidents("approve", listed["id"], "--api", api, "--state", tmp_path)
        assert refused.returncode == 2
        assert "a token is needed" in refused.stderr
        approved = tell("approve", listed["id"][:8])
        assert approved.returncode == 0, approved.stderr
        await until(lambda: len(gateway.posts) == 1, 60)
        again = tell("approve", listed["id"])
        assert again.returncode == 2
        assert "nothing to approve" in again.stderr
        assert tell("ack", listed["id"], "--note", "on it").returncode == 0
        assert tell("resolve", listed["id"]).returncode == 2
        closed = tell("resolve", listed["id"], "--fix", "https://git.test/7", "--waive", "a drill")
        assert "incident.resolved" in closed.stdout

        opened = tell("open", "the key is public", "--security", "stolen_keys", "--json")
        security = json.loads(opened.stdout)["incident"]
        assert security["security"]
        await until(lambda: "evidence.sealed" in events_of(live)[-3:], 60)
        assert incidents("verify", "--api", api).stdout.startswith("whole: ")

        vault = Vault(state)
        for incident_id, files in ((listed["id"], "spans.jsonl"), (security["id"], "config.yaml")):
            bundle = vault.bundles(incident_id)[-1]
            assert vault.damage(bundle) == []
            assert (bundle / files).is_file()
        spans = (vault.bundles(listed["id"])[0] / "spans.jsonl").read_text()
        assert all(trace in spans for trace in listed["exemplars"])

    async def play() -> None:
        with Receiver() as gateway:
            async with Upstream() as upstream:
                write_settings(tmp_path, upstream.endpoint, gateway.url)
                propose(tmp_path, capture=True)
                async with running_program(tmp_path, upstream.endpoint) as live:
                    await check(live, gateway)

    asyncio.run(play())
    assert incidents("verify", "--state", state).returncode == 0
    with sqlite3.connect(state / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE events SET body = replace(body, 'ada', 'eve')")
    ledger.close()
    broken = incidents("verify", "--state", state)
    assert broken.returncode == 1
    assert "broken at event" in broken.stdout
