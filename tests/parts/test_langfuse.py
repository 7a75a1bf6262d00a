"""Langfuse's own SDK against the fake: the fake is not only our opinion, and caches are seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.actions.rollback.fakes.registries import FakeLangfuse
from tests.parts.places import own_words, part
from tests.parts.story import played, texts, undone
from tripswitch.model.scope import Scope

pytestmark = pytest.mark.parts

# Prints the version that the label stands at, as the SDK sees it.
CLIENT = """
import sys
from langfuse import Langfuse
client = Langfuse(public_key="pk-1", secret_key="sk-1", host=sys.argv[1], tracing_enabled=False)
found = client.get_prompt("folder/refund-bot", label="production", cache_ttl_seconds=0)
if sys.argv[2] == "move":
    client.update_prompt(name="folder/refund-bot", version=16, new_labels=["production"])
    found = client.get_prompt("folder/refund-bot", label="production", cache_ttl_seconds=0)
print(found.version)
"""


def client(url: str, what: str = "read") -> str:
    return own_words([part("langfuse") / "bin" / "python", "-c", CLIENT, url, what])


def test_the_label_is_on_v17_afterwards_and_on_v18_when_undone(tmp_path: Path) -> None:
    with FakeLangfuse() as fake:
        assert client(fake.url) == "18"
        entry = {"type": "langfuse", "url": fake.url, "public_key": "pk-1", "secret_key": "sk-1"}
        pointer = Scope("/chat/refund", "folder/refund-bot")
        outcome = played(tmp_path, entry, pointer, "prompt_version")
        assert outcome.state == "acknowledged", outcome.detail
        assert client(fake.url) == "17"
        assert len(fake.writes) == 1
        assert texts(entry, "folder/refund-bot", ("17", "18")) == ("text 17", "text 18")
        ours = fake.writes[0]
        scope = {"prompt_name": "folder/refund-bot"}
        assert undone(tmp_path, entry, scope=scope).state == "acknowledged"
        assert client(fake.url) == "18"
        # The SDK moves a label by the very request that the target sends.
        assert client(fake.url, "move") == "16"
        theirs = fake.writes[-1]
        assert (theirs.method, theirs.data) == (ours.method, ours.data)
        assert theirs.segments[:-1] == ours.segments[:-1]
