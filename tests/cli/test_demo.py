"""`tripswitch demo` plays the regression, whole, and says in JSON what was observed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

COMMAND = (sys.executable, "-P", "-m", "tripswitch.cli.app", "demo")


@pytest.mark.timeout(300)
@pytest.mark.matrix
def test_the_story_is_observed_from_rollout_to_recovery() -> None:
    ended = subprocess.run([*COMMAND, "--json"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    assert told["ok"] is True
    assert all(claim["held"] for claim in told["claims"])
    moments = iter(told["timeline"])
    by_name = {
        name: next(moment for moment in moments if moment["event"] == name)
        for name in (
            "change.seen",
            "incident.opened",
            "rollback.planned",
            "gateway.rollback_called",
            "rollback.acknowledged",
            "rollback.confirmed",
            "incident.recovered",
        )
    }
    opened = by_name["incident.opened"]["incident"]
    assert opened["shape"] in ("eval_drift", "guardrail_regression")
    assert opened["scope"]["route"] == "/chat/refund"
    assert opened["scope"]["prompt_version"] == "v18"
    assert opened["scope"]["cohort"] == "canary"
    assert by_name["gateway.rollback_called"]["call"]["answer"]["current"] == "v17"
    assert told["sent"] == told["received"]
    assert told["sent"]["spans"] > 50_000
    assert "incident.recovered" in ended.stderr
    assert set(told["stages"]) >= {"from rollout to notice", "from rollout to recovered"}


def test_when_it_is_terminated_nothing_stays_behind() -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo:
        deadline_s = time.monotonic() + 60
        below: list[psutil.Process] = []
        while len(below) < 4:
            assert time.monotonic() < deadline_s, "the demo's processes did not start"
            time.sleep(0.02)
            below = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGTERM)
        demo.communicate(timeout=60)
        assert demo.returncode == 128 + signal.SIGTERM
    assert not any(process.is_running() for process in below)
