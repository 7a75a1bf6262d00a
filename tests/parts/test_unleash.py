"""A real Unleash on a real PostgreSQL, read by Unleash's own client."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.parts.places import free_port, own_words, part, serving
from tests.parts.story import Passing, played, undone
from tripswitch.model.scope import Scope

pytestmark = pytest.mark.parts

ADMIN = "*:*.tripswitch-admin"
BACKEND = "default:development.tripswitch-backend"
PLACE = "/api/admin/projects/default/features"

# Prints what a cohort gets: the variant where the feature has some, else on or off.
CLIENT = """
const { startUnleash } = require(process.argv[1] + '/unleash-client');
const [, , url, token, feature, cohort] = process.argv;
startUnleash({ url: url + '/api/', appName: 'reader', customHeaders: { Authorization: token },
  disableMetrics: true }).then((client) => {
  const context = { userId: 'u', cohort, properties: { cohort } };
  const on = client.isEnabled(feature, context);
  const variant = client.getVariant(feature, context);
  console.log(variant.enabled ? variant.name : on ? 'on' : 'off');
  client.destroy();
});
"""


@contextmanager
def postgres(folder: Path) -> Iterator[int]:
    """Run a PostgreSQL of its own; it refuses to run as root, so it runs as its own user there."""
    programs, port = part("postgres"), free_port()
    data = folder / "data"
    lead = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if lead:
        shutil.chown(folder, "postgres")
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    )

    def run(*command: object) -> None:
        words = [*lead, *(str(each) for each in command)]
        subprocess.run(words, check=True, capture_output=True, cwd=folder, timeout=60)

    run(programs / "initdb", "-D", data, "-A", "trust", "-U", "unleash", "-E", "UTF8", "--no-sync")
    control = (programs / "pg_ctl", "-D", data, "-w")
    run(*control, "-l", folder / "postgres.log", "-o", options, "start")
    try:
        run(programs / "createdb", "-h", "127.0.0.1", "-p", port, "-U", "unleash", "unleash")
        yield port
    finally:
        run(*control, "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    modules, port = part("unleash"), free_port()
    folder = Path(os.path.realpath(tmp_path_factory.mktemp("unleash")))
    # PostgreSQL's own user has to get there.
    database = Path("/tmp") / f"tripswitch-postgres-{port}"
    database.mkdir(mode=0o700)
    try:
        with postgres(database) as database_port:
            env = {
                "DATABASE_URL": f"postgres://unleash@127.0.0.1:{database_port}/unleash",
                "DATABASE_SSL": "false",
                "HTTP_HOST": "127.0.0.1",
                "HTTP_PORT": str(port),
                "CHECK_VERSION": "false",
                "SEND_TELEMETRY": "false",
                "INIT_ADMIN_API_TOKENS": ADMIN,
                "INIT_BACKEND_API_TOKENS": BACKEND,
            }
            command = ["node", modules / "unleash-server" / "dist" / "server.js"]
            with serving(command, f"http://127.0.0.1:{port}/health", folder, env):
                yield f"http://127.0.0.1:{port}"
    finally:
        shutil.rmtree(database)


def made(url: str, name: str, **strategy: Any) -> None:
    """Make a feature that is on in development, with one strategy for the canary."""
    constraint = {"contextName": "cohort", "operator": "IN", "values": ["canary"]}
    parameters = {"rollout": "100", "stickiness": "default", "groupId": name}
    with httpx.Client(base_url=url, headers={"authorization": ADMIN}) as admin:
        place = f"{PLACE}/{name}/environments/development"
        for path, body in (
            (PLACE, {"name": name, "type": "release"}),
            (
                f"{place}/strategies",
                {
                    "name": "flexibleRollout",
                    "constraints": [constraint],
                    "parameters": parameters,
                    **strategy,
                },
            ),
            (f"{place}/on", {}),
        ):
            assert admin.post(path, json=body).is_success


def got(url: str, feature: str, cohort: str) -> str:
    """Return what Unleash's own client gives a cohort."""
    return own_words(["node", "-e", CLIENT, part("unleash"), url, BACKEND, feature, cohort])


def comes_to(url: str, feature: str, cohort: str, wanted: str) -> bool:
    """Return whether Unleash's client gets ``wanted`` in the end: it reads a copy that lags."""
    until_s = time.monotonic() + _LONGEST_LAG_S
    while got(url, feature, cohort) != wanted:
        if time.monotonic() > until_s:
            return False
    return True


def entry(url: str, **fields: str) -> dict[str, Any]:
    return {"type": "unleash", "url": url, "token": ADMIN, "environment": "development", **fields}


_LONGEST_LAG_S = 30.0
POINTER = Scope("/chat/refund", "refund-bot", None, "canary")
CANARY = {"path": "cohort", "scope": {"cohort": "canary"}}


def test_the_cohort_gets_v17_afterwards_and_v18_when_undone(url: str, tmp_path: Path) -> None:
    weights = [
        {"name": "v17", "weight": 0, "weightType": "fix", "stickiness": "default"},
        {"name": "v18", "weight": 1000, "weightType": "variable", "stickiness": "default"},
    ]
    made(url, "refund-bot", variants=weights)
    assert comes_to(url, "refund-bot", "canary", "v18")
    with Passing(url) as passing:
        outcome = played(tmp_path, entry(passing.url), POINTER, "cohort")
        assert outcome.state == "acknowledged", outcome.detail
        assert comes_to(url, "refund-bot", "canary", "v17")
        assert len(passing.writes) == 1
        outcome = undone(tmp_path, entry(passing.url), **CANARY)
        assert outcome.state == "acknowledged", outcome.detail
        assert comes_to(url, "refund-bot", "canary", "v18")
        assert len(passing.writes) == 2


def test_the_gate_of_v18_is_closed_for_the_cohort(url: str, tmp_path: Path) -> None:
    made(url, "gate-v18")
    assert comes_to(url, "gate-v18", "canary", "on")
    assert comes_to(url, "gate-v18", "control", "off")
    with Passing(url) as passing:
        gated = entry(passing.url, feature="gate-{from}")
        outcome = played(tmp_path, gated, POINTER, "cohort")
        assert outcome.state == "acknowledged", outcome.detail
        assert comes_to(url, "gate-v18", "canary", "off")
        assert undone(tmp_path, gated, **CANARY).state == "acknowledged"
        assert comes_to(url, "gate-v18", "canary", "on")
        assert len(passing.writes) == 2


def test_the_gate_of_v18_is_closed_for_everybody(url: str, tmp_path: Path) -> None:
    made(url, "all-v18")
    with Passing(url) as passing:
        gated = entry(passing.url, feature="all-{from}")
        outcome = played(tmp_path, gated, Scope("/chat/refund", "refund-bot"), "prompt_version")
        assert outcome.state == "acknowledged", outcome.detail
        assert comes_to(url, "all-v18", "canary", "off")
        assert len(passing.writes) == 1
