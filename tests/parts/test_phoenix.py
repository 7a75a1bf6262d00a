"""A real `phoenix serve`, seeded and read by Phoenix's own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.places import free_port, own_words, part, serving
from tests.parts.story import Passing, played, texts, undone
from tripswitch.model.scope import Scope

pytestmark = pytest.mark.parts

# Prints which version, counted from the first, the tag stands at.
CLIENT = """
import sys
from phoenix.client import Client
from phoenix.client.types import PromptVersion
client = Client(base_url=sys.argv[1])
if sys.argv[2] == "seed":
    for name in ("another", "refund-bot"):
        for number in range(1, 19):
            text = [{"role": "user", "content": f"prompt {number}"}]
            made = client.prompts.create(
                name=name, version=PromptVersion(text, model_name="m", model_provider="OPENAI")
            )
    client.prompts.tags.create(prompt_version_id=made.id, name="production")
found = client.prompts.get(prompt_identifier="refund-bot", tag="production")
print(found.format().messages[0]["content"])
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("phoenix")
    port = free_port()
    env = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    command = [part("phoenix") / "bin" / "phoenix", "serve"]
    with serving(command, f"http://127.0.0.1:{port}/healthz", folder, env):
        yield f"http://127.0.0.1:{port}"


def client(url: str, what: str) -> str:
    return own_words([part("phoenix") / "bin" / "python", "-c", CLIENT, url, what])


def test_the_tag_is_on_v17_afterwards_and_on_v18_when_undone(url: str, tmp_path: Path) -> None:
    assert client(url, "seed") == "prompt 18"
    with Passing(url) as passing:
        entry = {"type": "phoenix", "url": passing.url}
        outcome = played(tmp_path, entry, Scope("/chat/refund", "refund-bot"), "prompt_version")
        assert outcome.state == "acknowledged", outcome.detail
        assert client(url, "read") == "prompt 17"
        assert len(passing.writes) == 1
        assert texts(entry, "refund-bot", ("v17", "v18"))[0] == "[user]\nprompt 17"
        outcome = undone(tmp_path, entry)
        assert outcome.state == "acknowledged", outcome.detail
        assert client(url, "read") == "prompt 18"
        assert len(passing.writes) == 2
