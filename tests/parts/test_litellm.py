"""A real LiteLLM proxy: its file moves a cohort; its API is refused without a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.actions.rollback.kinds import ask, asking, carried_out, section_of
from tests.parts.places import free_port, part, serving
from tests.parts.story import played, undone
from tests.stack.example import EXAMPLES
from tripswitch.actions.attempt import AttemptState
from tripswitch.model.scope import Scope

pytestmark = pytest.mark.parts

KEY = "sk-tripswitch"
CONFIG = """\
model_list:
  # the canary
  - model_name: refund-bot
    litellm_params:
      model: openai/a
      api_key: none
      mock_response: served by v18
      tags: [canary]
    model_info: {id: d18, prompt_version: v18}
  - model_name: refund-bot
    litellm_params:
      model: openai/a
      api_key: none
      mock_response: served by v17
      tags: ["default"]
    model_info: {id: d17, prompt_version: v17}
router_settings:
  enable_tag_filtering: true
general_settings:
  master_key: sk-tripswitch
"""


@contextmanager
def proxy(config: Path, folder: Path, **variables: str) -> Iterator[str]:
    port = free_port()
    command = [
        *(part("litellm") / "bin" / "litellm", "--config", config),
        *("--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"),
    ]
    url = f"http://127.0.0.1:{port}"
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": KEY, **variables}
    with serving(command, f"{url}/health/liveliness", folder, env):
        yield url


def served(url: str, tag: str) -> str:
    """Return the deployment that answers requests with a tag."""
    answer = httpx.post(
        f"{url}/v1/chat/completions",
        headers={"authorization": f"Bearer {KEY}", "x-litellm-tags": tag},
        json={"model": "refund-bot", "messages": [{"role": "user", "content": "hello"}]},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.headers["x-litellm-model-id"]


def test_the_cohort_is_served_by_v17_after_a_restart_and_the_api_is_refused(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    with proxy(config, tmp_path) as url:
        assert (served(url, "canary"), served(url, "default")) == ("d18", "d17")
        refused = section_of({"type": "litellm", "url": url, "master_key": KEY})
        probe = ask(refused, lambda one: one.probe())
        assert probe.usable is False
        assert "no database" in probe.detail
        wanted = asking("v18", "v17", path="cohort", scope={"cohort": "canary"})
        attempt, _ = ask(refused, lambda one: carried_out(one, wanted))
        assert attempt.state is AttemptState.FAILED
        assert served(url, "canary") == "d18"
    entry = {"type": "litellm_file", "path": str(config)}
    pointer = Scope("/chat/refund", "refund-bot", None, "canary")
    inode = config.stat().st_ino
    outcome = played(tmp_path, entry, pointer, "cohort")
    assert outcome.state == "acknowledged", outcome.detail
    assert config.stat().st_ino != inode
    with proxy(config, tmp_path) as url:
        assert (served(url, "canary"), served(url, "default")) == ("d17", "d17")
    outcome = undone(tmp_path, entry, path="cohort", scope={"cohort": "canary"})
    assert outcome.state == "acknowledged", outcome.detail
    assert 'tags: ["canary"]' in config.read_text(encoding="utf-8")


def test_the_examples_file_starts_and_routes_by_tag_until_it_is_rolled_back(tmp_path: Path) -> None:
    content = yaml.safe_load((EXAMPLES / "litellm/config.yaml").read_text("utf-8"))
    for deployment in content["model_list"]:
        # Nothing leaves this machine, and the callback's SDK is not among LiteLLM's own pins.
        deployment["litellm_params"]["mock_response"] = "hello"
    del content["litellm_settings"]
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(content), "utf-8")
    key = {"OPENAI_API_KEY": "none"}
    with proxy(config, tmp_path, **key) as url:
        assert served(url, "canary") == "refund-bot-v18"
        assert served(url, "control") == "refund-bot-v17"
    target = section_of({"type": "litellm_file", "path": str(config)})
    wanted = asking("v18", "v17", path="cohort", scope={"cohort": "canary"})
    attempt, _ = ask(target, lambda one: carried_out(one, wanted))
    assert attempt.state is AttemptState.DONE, attempt.detail
    with proxy(config, tmp_path, **key) as url:
        assert served(url, "canary") == "refund-bot-v17"
