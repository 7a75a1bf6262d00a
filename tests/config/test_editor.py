"""An editor completes and checks tripswitch.yaml: by the language server that VS Code's YAML
extension runs, which ``.ci/editor`` fetches, and by the schema's own words where it is not there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.config.language_server import LanguageServer
from tripswitch.config.fields import ROOT
from tripswitch.config.reference import json_schema, schema_text
from tripswitch.config.sample import MODELINE, SCHEMA_FILE, sample_text

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tripswitch"
HEAD = MODELINE + "\n"


@pytest.fixture
def editor(tmp_path: Path) -> Iterator[LanguageServer]:
    found = sorted(CACHE.glob("yaml-language-server-*/node_modules/.bin/yaml-language-server"))
    if not found:
        if os.environ.get("CI"):
            pytest.fail("the YAML language server is not there; run .ci/editor")
        pytest.skip("the YAML language server is not there; run .ci/editor")
    (tmp_path / SCHEMA_FILE).write_text(schema_text(), "utf-8")
    with LanguageServer(found[-1], tmp_path) as server:
        yield server


@pytest.mark.parts
def test_keys_and_values_are_offered(editor: LanguageServer) -> None:
    assert set(editor.completed(HEAD, "top.yaml")) == set(ROOT.field_names())
    assert "min_baseline" in editor.completed(HEAD + "detect:\n  ", "detect.yaml")
    ways = editor.completed(HEAD + "forward:\n  acknowledge: ", "forward.yaml")
    assert ways == ["upstream-or-disk", "upstream", "disk"]
    modes = editor.completed(
        HEAD + "rollback:\n  targets:\n    - type: webhook\n      mode: ", "mode.yaml"
    )
    assert {"observe", "propose", "auto"} <= set(modes)


@pytest.mark.parts
def test_an_entry_is_offered_the_keys_of_its_own_type(editor: LanguageServer) -> None:
    start = HEAD + "rollback:\n  targets:\n    - type: "
    assert {"webhook", "mlflow", "openfeature"} <= set(editor.completed(start, "types.yaml"))
    registry = editor.completed(start + "mlflow\n      ", "registry.yaml")
    assert "label" in registry
    assert "status_url" not in registry
    assert "status_url" in editor.completed(start + "webhook\n      ", "webhook.yaml")


@pytest.mark.parts
def test_a_key_says_what_it_means(editor: LanguageServer) -> None:
    shown = editor.hover(HEAD + "detect:\n  tick: 10s\n", "hover.yaml", 2, 3)
    assert shown.count("How often everything is judged") == 1


@pytest.mark.parts
def test_mistakes_are_underlined_and_what_is_right_is_not(editor: LanguageServer) -> None:
    wrong = (
        HEAD
        + "detct: {}\ndetect:\n  tick: 10\nrollback:\n  targets:\n    - {type: webhook, nme: x}\n"
    )
    found = editor.problems(wrong, "wrong.yaml")
    assert any("detct" in one for one in found)
    assert any("nme" in one for one in found)
    assert len(found) == 3
    assert editor.problems(sample_text(), "tripswitch.yaml") == []
    right = (
        HEAD
        + "detect:\n  tick: ${env:TICK}\n  min_baseline: ${env:FEWEST:-200}\n"
        + "rollback:\n  enabled: ${env:ROLL_BACK}\n"
    )
    assert editor.problems(right, "right.yaml") == []


def test_every_key_says_what_it_means_and_no_other_is_taken() -> None:
    schema = json_schema()
    for name, node in {"": schema, **schema["$defs"]}.items():
        if node.get("type") != "object":
            continue
        assert node["additionalProperties"] is False, name
        for key, field in node["properties"].items():
            of = schema["$defs"].get(field.get("$ref", "").rsplit("/", 1)[-1], field)
            assert field.get("description") or of.get("description"), f"{name}.{key}"


def test_the_kinds_of_an_entry_are_told_apart_by_a_word() -> None:
    definitions = json_schema()["$defs"]

    def kinds(section: str, field: str) -> list[Any]:
        of = definitions[section]["properties"] if section else json_schema()["properties"]
        found = of[field]["items"]["oneOf"]
        return [
            definitions[one["$ref"].rsplit("/", 1)[-1]]["properties"]["type"]["const"]
            for one in found
        ]

    for section, field in (("Rollback", "targets"), ("", "notify")):
        words = kinds(section, field)
        assert len(words) == len(set(words)) > 5
