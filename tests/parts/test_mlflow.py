"""A real `mlflow server`, seeded and read by mlflow's own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.places import free_port, own_words, part, serving
from tests.parts.story import Passing, played, texts, undone
from tripswitch.model.scope import Scope

pytestmark = pytest.mark.parts

CLIENT = """
import sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
if sys.argv[2] == "seed":
    for number in range(1, 19):
        mlflow.genai.register_prompt("refund-bot", f"prompt {number}")
    mlflow.genai.set_prompt_alias("refund-bot", "production", 18)
print(mlflow.genai.load_prompt("prompts:/refund-bot@production", cache_ttl_seconds=0).version)
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = [
        *(part("mlflow") / "bin" / "mlflow", "server", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db"),
        *("--default-artifact-root", "./artifacts"),
    ]
    env = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with serving(command, f"http://127.0.0.1:{port}/health", folder, env):
        yield f"http://127.0.0.1:{port}"


def client(url: str, what: str) -> str:
    python = part("mlflow") / "bin" / "python"
    return own_words([python, "-c", CLIENT, url, what], env={"MLFLOW_DISABLE_TELEMETRY": "true"})


def test_the_alias_is_on_v17_afterwards_and_on_v18_when_undone(url: str, tmp_path: Path) -> None:
    assert client(url, "seed") == "18"
    with Passing(url) as passing:
        entry = {"type": "mlflow", "url": passing.url}
        outcome = played(tmp_path, entry, Scope("/chat/refund", "refund-bot"), "prompt_version")
        assert outcome.state == "acknowledged", outcome.detail
        assert client(url, "read") == "17"
        assert len(passing.writes) == 1
        assert texts(entry, "refund-bot", ("v17", "v18"))[0] == "prompt 17"
        outcome = undone(tmp_path, entry)
        assert outcome.state == "acknowledged", outcome.detail
        assert client(url, "read") == "18"
        assert len(passing.writes) == 2
