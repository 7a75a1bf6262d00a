"""The LiteLLM configuration file: single settings change, comments and keys stay where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.actions.rollback.kinds import ask, asking, carried_out, planned, section_of
from tripswitch.actions.attempt import Attempt, AttemptState

CANARY: dict[str, Any] = {"path": "cohort", "scope": {"cohort": "canary"}}
TEXT = """\
# ours
model_list:
  - model_name: chat   # the canary
    litellm_params:
      model: openai/a
      api_key: sk-secret
      tags: [canary]   # who gets it
      weight: 90
    model_info: {id: d18, prompt_version: v18}
  - model_name: chat
    litellm_params:
      model: azure/a
      tags:
      - "default"
    model_info:
      id: d17
      prompt_version: v17
  - {model_name: chat, litellm_params: {model: openai/b}, model_info: {id: d16}}
general_settings:
  master_key: sk-master
"""
FIRST = "    litellm_params:\n      model: openai/a"
SECOND = """\
    litellm_params:
      model: azure/a
      tags:
      - "default"
"""
ALL = "    litellm_params: &all\n      model: openai/a"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "config.yaml"
    made.write_text(TEXT, encoding="utf-8")
    return made


def section(path: Path, **fields: Any) -> Any:
    return section_of({"type": "litellm_file", "path": str(path), **fields})


def done(path: Path, wanted: Any, **fields: Any) -> tuple[Attempt, str]:
    return ask(section(path, **fields), lambda one: carried_out(one, wanted))


def setting(path: Path, name: str) -> list[Any]:
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))["model_list"]
    return [each["litellm_params"].get(name) for each in listed]


def test_a_cohorts_tag_moves_in_one_replacement_and_comes_back(path: Path) -> None:
    wanted = asking("v18", "v17", **CANARY)
    attempt, kept = done(path, wanted)
    assert attempt.state is AttemptState.DONE, attempt.detail
    assert "restarted" in attempt.detail
    assert setting(path, "tags") == [[], ["default", "canary"], None]
    text = path.read_text(encoding="utf-8")
    assert "# ours" in text
    assert "tags: []   # who gets it" in text
    assert "nothing was sent" in done(path, wanted)[0].detail
    undo = asking("v17", "v18", undoes="rb-1", kept=kept, **CANARY)
    assert done(path, undo)[0].state is AttemptState.DONE
    assert setting(path, "tags") == [["canary"], ["default"], None]
    assert "nothing was sent" in done(path, undo)[0].detail


@pytest.mark.parametrize(
    ("path_", "before", "after"),
    [("prompt_version", "v18", "v17"), ("provider_failover", "openai/a", "azure")],
)
def test_the_weight_goes_to_the_good_side(path: Path, path_: str, before: str, after: str) -> None:
    attempt, kept = done(path, asking(before, after, path=path_))
    assert attempt.state is AttemptState.DONE, attempt.detail
    assert setting(path, "weight") == [0, 90, None]
    undo = asking(after, before, path=path_, undoes="rb-1", kept=kept)
    assert done(path, undo)[0].state is AttemptState.DONE
    assert setting(path, "weight") == [90, None, None]


def test_without_any_weight_all_but_the_bad_side_go_on_serving(path: Path) -> None:
    path.write_text(TEXT.replace("      weight: 90\n", ""), encoding="utf-8")
    attempt, _ = done(path, asking("v18", "v17"))
    assert attempt.state is AttemptState.DONE, attempt.detail
    assert setting(path, "weight") == [0, 1, 1]


def test_the_dry_run_names_the_settings_and_shows_no_key(path: Path) -> None:
    call = ask(section(path), lambda one: planned(one, asking("v18", "v17", **CANARY)))
    (request,) = call.requests
    assert request.shown.splitlines() == [
        'deployment d17: tags ["default"] -> ["default", "canary"]',
        'deployment d18: tags ["canary"] -> []',
    ]
    assert "sk-" not in repr(call)
    assert path.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _: "[]", "no YAML mapping"),
        (lambda _: "a: [", "no YAML that can be read"),
        (lambda _: "a: 1", "no model_list"),
        (lambda text: text.replace("v17", "v9").replace("d17", "d9"), 'stands for "v17"'),
        (lambda text: text.replace("[canary]", "[beta]"), "a person moved it"),
        (
            lambda text: text.replace(SECOND, "    litellm_params: *all\n").replace(FIRST, ALL),
            "single settings cannot be changed",
        ),
    ],
)
def test_what_cannot_be_changed_safely_is_refused_in_words(
    path: Path, change: Any, words: str
) -> None:
    path.write_text(change(TEXT), encoding="utf-8")
    before = path.read_bytes()
    attempt, _ = done(path, asking("v18", "v17", **CANARY))
    assert attempt.state is AttemptState.FAILED
    assert words in attempt.detail
    assert path.read_bytes() == before


def test_another_model_name_is_left_alone(path: Path) -> None:
    attempt, _ = done(path, asking("v18", "v17"), model_group="other")
    assert 'no deployment of "other"' in attempt.detail


def test_another_writer_between_plan_and_write_is_not_overwritten(path: Path) -> None:
    def edited() -> None:
        path.write_text(TEXT + "# a person's\n", encoding="utf-8")

    async def raced(target: Any) -> Any:
        call = await target.plan(asking("v18", "v17"))
        edited()
        return await target.apply(call, lambda: None)

    assert ask(section(path), raced).state is AttemptState.RETRY
    assert path.read_text(encoding="utf-8").endswith("# a person's\n")


def test_an_undo_leaves_alone_what_was_edited_since(path: Path) -> None:
    _, kept = done(path, asking("v18", "v17"))
    text = path.read_text(encoding="utf-8").replace("weight: 90", "weight: 40")
    path.write_text(text, encoding="utf-8")
    attempt, _ = done(path, asking("v17", "v18", undoes="rb-1", kept=kept))
    assert "left alone" in attempt.detail
    assert path.read_text(encoding="utf-8") == text


def test_probe_says_what_is_wrong(path: Path) -> None:
    assert ask(section(path), lambda one: one.probe()).usable
    path.write_text("[]", encoding="utf-8")
    assert ask(section(path), lambda one: one.probe()).usable is False
    path.unlink()
    assert "No such file" in ask(section(path), lambda one: one.probe()).detail
