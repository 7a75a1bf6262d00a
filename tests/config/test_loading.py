"""Loading: defaults, merging, routes, the environment, and what a reload may change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr

from tripswitch.config import loading
from tripswitch.config.detect_sections import Signals
from tripswitch.config.loading import (
    MAX_FILE_BYTES,
    load,
    load_config,
    reloadable_difference,
    with_reloadable,
)
from tripswitch.config.model import Config
from tripswitch.config.problems import InvalidConfig, Problem
from tripswitch.config.target_sections import WebhookTarget
from tripswitch.errors import ConfigError

NO_ENV: Mapping[str, str] = {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, text: str, name: str = "tripswitch.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def problems_of(folder: Path, text: str, environ: Mapping[str, str] = NO_ENV) -> list[Problem]:
    with pytest.raises(InvalidConfig) as caught:
        load_config([write(folder, text)], environ)
    return caught.value.problems


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "detect:\nnotify:\n", "\ufeff{}"])
def test_nothing_said_means_the_defaults(folder: Path, text: str) -> None:
    # The shipped prices are the one thing that is not in the model.
    shipped = load_config([], NO_ENV).prices
    assert len(shipped.models) > 50
    defaults = Config(prices=shipped)
    assert load_config([write(folder, text)], NO_ENV) == defaults
    assert load_config([], NO_ENV) == defaults


def test_a_token_of_the_api_leaves_it_where_it_listens(folder: Path) -> None:
    text = "telemetry: {api: {auth: {bearer_token: abcdefghijklmnop}}}"
    assert load_config([write(folder, text)], NO_ENV).telemetry.api.endpoint == "127.0.0.1:8317"


def test_later_files_win_key_by_key_and_lists_as_a_whole(folder: Path) -> None:
    one = write(folder, "detect: {tick: 5s, control_cohorts: [a, b], min_baseline: 300}", "1.yaml")
    two = write(folder, "detect:\n  tick: 20s\n  control_cohorts: [c]\nread:\n", "2.yaml")
    detect = load_config([one, two], NO_ENV).detect
    assert (detect.tick, detect.control_cohorts, detect.min_baseline) == (20, ["c"], 300)


def test_a_route_keeps_what_the_file_says_where_it_says_nothing(folder: Path) -> None:
    text = """
detect:
  eval_score: {investigate_points: 3, min_scores: 70}
  routes:
    /chat/refund:
      eval_score: {page_points: 4}
    /plain:
"""
    detect = load_config([write(folder, text)], NO_ENV).detect
    refund = detect.for_route("/chat/refund")
    assert (refund.eval_score.investigate_points, refund.eval_score.page_points) == (3, 4)
    assert refund.eval_score.min_scores == 70
    assert refund.error_rate == Signals().error_rate
    assert detect.for_route("/plain").eval_score == detect.eval_score
    assert detect.for_route("/other") is detect


def test_an_override_reaches_the_routes_too(folder: Path) -> None:
    file = write(folder, "detect: {routes: {/r: {eval_score: {min_scores: 9}}}}")
    environ = {"TRIPSWITCH_DETECT__EVAL_SCORE__PAGE_POINTS": "7"}
    lines = load_config([file], environ).detect.for_route("/r").eval_score
    assert (lines.page_points, lines.min_scores) == (7, 9)


def test_a_shared_line_that_is_wrong_is_told_once(folder: Path) -> None:
    text = "detect:\n  eval_score:\n    page_points: 500\n  routes: {/a: {}, /b: {}}\n"
    (problem,) = problems_of(folder, text)
    assert (problem.dotted_path, problem.line) == ("detect.eval_score.page_points", 3)


def test_references_are_filled_in(folder: Path) -> None:
    text = """
tap: {max_bytes: "${env:SIZE}"}
windows: {max_scopes: "${env:UNSET:-500}"}
incidents:
  exemplars: ${env:COUNT}
  quiet_period: ${env:MINUTES}m
storage:
  directory: $$HOME/${env:EMPTY:-state}
read:
  user_hash_key: ${env:COUNT}
"""
    environ = {"SIZE": "2MiB", "COUNT": "7", "MINUTES": "5", "EMPTY": ""}
    config = load_config([write(folder, text)], environ)
    assert config.tap.max_bytes == 2 << 20
    assert config.windows.max_scopes == 500
    assert config.incidents.exemplars == 7
    assert config.incidents.quiet_period == 300
    assert config.storage.directory == "$HOME/state"
    assert config.read.user_hash_key.get_secret_value() == "7"


def test_a_filled_in_value_is_not_filled_in_again(folder: Path) -> None:
    file = write(folder, "storage:\n  directory: ${env:A}\n")
    assert load_config([file], {"A": "${env:B}", "B": "x"}).storage.directory == "${env:B}"


def test_an_unset_variable_is_named_with_its_line(folder: Path) -> None:
    (problem,) = problems_of(folder, "\nincidents:\n  exemplars: ${env:NOPE}\n")
    assert (problem.code, problem.line) == ("config.env", 3)
    assert problem.dotted_path == "incidents.exemplars"
    assert "NOPE" in problem.found


@pytest.mark.parametrize("text", ["${NAME}", "${env:}", "${env:A", "a ${env:1A} b"])
def test_a_broken_reference_is_refused(folder: Path, text: str) -> None:
    (problem,) = problems_of(folder, f"storage:\n  directory: '{text}'\n", {"A": "x"})
    assert (problem.code, problem.line) == ("config.env", 2)


def test_the_environment_overrides_the_file(folder: Path) -> None:
    environ = {
        "TRIPSWITCH_DETECT__TICK": "5s",
        "TRIPSWITCH_DETECT__CONTROL_COHORTS": "[a, b]",
        "TRIPSWITCH_FLEET__SINGLE": "true",
        "TRIPSWITCH_STORAGE__DIRECTORY": "#123",
        "TRIPSWITCH_WEBHOOK_SECRET": "no override",
        "UNRELATED__NAME": "1",
    }
    file = write(folder, "detect: {tick: 20s, alert_window: 10m}")
    config = load_config([file], environ)
    assert (config.detect.tick, config.detect.alert_window) == (5, 600)
    assert config.detect.control_cohorts == ["a", "b"]
    assert config.fleet.single
    assert config.storage.directory == "#123"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("TRIPSWITCH_DETECT__TIK", "5s", "config.unknown_key"),
        ("TRIPSWITCH_DETECT__TICK__X", "5s", "config.type"),
        ("TRIPSWITCH_DETECT__TICK", "5", "config.type"),
        ("TRIPSWITCH_DETECT__CONTROL_COHORTS", "[a", "config.syntax"),
        ("TRIPSWITCH_NOTIFY__0__NAME", "x", "config.type"),
        ("TRIPSWITCH___", "x", "config.unknown_key"),
    ],
)
def test_a_wrong_override_is_named(name: str, value: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([], {name: value})
    assert isinstance(caught.value, InvalidConfig)
    (problem,) = caught.value.problems
    assert problem.code == code
    assert name in problem.file
    assert problem.line is None


def test_files_that_cannot_be_read(folder: Path) -> None:
    large = write(folder, "#" * (MAX_FILE_BYTES + 1), "large.yaml")
    latin = folder / "latin.yaml"
    latin.write_bytes(b"storage:\n  directory: caf\xe9\n")
    with pytest.raises(InvalidConfig) as caught:
        load_config([folder / "missing.yaml", folder, large, latin], NO_ENV)
    found = {Path(problem.file).name: problem for problem in caught.value.problems}
    assert found["missing.yaml"].code == "config.file"
    assert found[folder.name].code == "config.file"
    assert found["large.yaml"].code == "config.too_large"
    assert (found["latin.yaml"].code, found["latin.yaml"].line) == ("config.syntax", 2)


def test_warnings_have_their_lines(folder: Path) -> None:
    text = "telemetry:\n  health:\n    endpoint: 0.0.0.0:13133\n"
    warnings = load([write(folder, text)], NO_ENV).warnings
    wide = [each for each in warnings if each.code == "config.wide_bind"]
    assert [(each.dotted_path, each.line) for each in wide] == [("telemetry.health.endpoint", 3)]
    assert {each.file for each in warnings} == {str(folder / "tripswitch.yaml")}


def test_what_needs_a_restart_is_named_and_kept() -> None:
    old = Config()
    new = Config.model_validate(
        {
            "detect": {"tick": "5s", "eval_score": {"page_points": 9}, "routes": {"/r": {}}},
            "rollback": {"targets": [WebhookTarget(url="http://x", secret=SecretStr("s"))]},
            "incidents": {"exemplars": 5},
            "telemetry": {"api": {"endpoint": ""}},
        }
    )
    assert reloadable_difference(old, new) == [
        "detect.tick",
        "rollback.targets",
        "telemetry.api.endpoint",
    ]
    mixed = with_reloadable(old, new)
    assert reloadable_difference(old, mixed) == []
    assert mixed.detect.eval_score.page_points == 9
    assert mixed.detect.routes == new.detect.routes
    assert mixed.incidents.exemplars == 5
    assert mixed.detect.tick == old.detect.tick
    assert reloadable_difference(new, new) == []


def test_shipped_prices_are_read_first_and_refused_like_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, shipped = tmp_path / "tripswitch.yaml", tmp_path / "prices.yaml"
    assert [path.name for path in loading.files_read([own])] == ["prices.yaml", "tripswitch.yaml"]
    monkeypatch.setattr(loading, "shipped_files", lambda: [shipped])
    own.write_text("detect:\n  tick: 5s\n")
    shipped.write_text("prices:\n  models:\n    - {model: m, input: 1}\n")
    assert [row.model for row in load_config([own], {}).prices.models] == ["m"]
    shipped.write_text("prices:\n  models:\n    - {model: m, input: -1}\n")
    with pytest.raises(InvalidConfig) as refused:
        load_config([own], {})
    assert [(each.file, each.line) for each in refused.value.problems] == [(str(shipped), 3)]
