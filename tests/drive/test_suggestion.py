"""Suggested lines and budgets: they keep the promise, and say what they cost."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from tests.cli.test_run import tripswitch
from tests.play import BAD
from tests.traffic import Arm, Behaviour, Tool, requests
from tripswitch.cli.suggestion_text import show_suggestion, suggestion_json
from tripswitch.config.loading import load_config
from tripswitch.config.model import Config
from tripswitch.drive.replay import replay
from tripswitch.drive.suggestion import TUNED, Suggestion, suggest
from tripswitch.errors import ConfigError

USUAL = Behaviour(ttft_s=0.3, cost_usd=0.01, leaks=0.0, tools=(Tool("search"),))


def plan(second: float) -> list[Arm]:
    """Small cohorts, whose rates stray far, and nothing wrong; a version that changes."""
    version = "v18" if second > 40 * 60 else "v17"
    return [Arm(0.5, "v17", "control", USUAL), Arm(0.25, version, "canary", USUAL)]


def recorded(folder: Path, minutes: float, seed: int = 5, *, bad: bool = False) -> Path:
    """Write a recording of one request every twenty seconds, several joined in a file."""
    folder.mkdir()

    def arms(second: float) -> list[Arm]:
        return [*plan(second)[:1], Arm(0.5, "v18", "canary", BAD)] if bad else plan(second)

    bodies = list(requests(arms, minutes, seed=seed, step_s=20))
    for first in range(0, len(bodies), 30):
        (folder / f"{first:05}.binpb").write_bytes(b"".join(bodies[first : first + 1]))
        for number, body in enumerate(bodies[first + 1 : first + 30], first + 1):
            (folder / f"{number:05}.binpb").write_bytes(body)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("suggest") / "calm", 105)


@pytest.fixture(scope="module")
def one_a_month(files: Path) -> Suggestion:
    return suggest(Config(), [files], 1.0)


def test_budgets_keep_the_promise_by_the_guarantee_of_the_evidence(
    one_a_month: Suggestion,
) -> None:
    spent = one_a_month.rows * one_a_month.alpha_page
    spent += one_a_month.starts_a_month * one_a_month.alpha_start
    assert 0.9 < spent <= 1.0
    assert one_a_month.starts_a_month > 0
    assert one_a_month.alpha_investigate > one_a_month.alpha_page


def test_lines_are_reached_no_more_often_than_promised(one_a_month: Suggestion) -> None:
    assert {one.signal for one in one_a_month.signals} == set(TUNED)
    assert sum(one.suggested_a_month for one in one_a_month.signals) <= 1.0
    for one in one_a_month.signals:
        assert one.suggested_page >= one.page
        assert one.suggested_page == max(one.page, one.lowest_page)
        if one.suggested_investigate is not None and one.investigate is not None:
            assert one.investigate <= one.suggested_investigate <= one.suggested_page
        assert one.decided_by.startswith("/chat/refund")
    refusals = next(one for one in one_a_month.signals if one.signal == "refusal_rate")
    # Ten points of refusals are a few refusals more, with so little traffic.
    assert refusals.a_month > refusals.suggested_a_month
    assert refusals.suggested_page > 10


def test_fewer_false_pages_never_mean_lower_lines_or_larger_budgets(
    files: Path, one_a_month: Suggestion
) -> None:
    strict = suggest(Config(), [files], 0.1)
    assert strict.alpha_page < one_a_month.alpha_page / 5
    assert strict.alpha_start < one_a_month.alpha_start / 5
    for fewer, more in zip(strict.signals, one_a_month.signals, strict=True):
        assert fewer.signal == more.signal
        assert fewer.suggested_page >= more.suggested_page


def test_delays_are_told_for_the_lines_as_they_are_and_as_suggested(
    one_a_month: Suggestion,
) -> None:
    for one in one_a_month.signals:
        assert one.busiest_minutes is not None
        assert one.suggested_busiest_minutes is not None
        # With a larger budget or a larger change it is never later, line by line.
        assert one.suggested_busiest_minutes <= one.busiest_minutes * 1.001


def test_what_is_suggested_is_a_configuration_that_stays_silent(
    files: Path, one_a_month: Suggestion, tmp_path: Path
) -> None:
    pasted = tmp_path / "tripswitch.yaml"
    pasted.write_text(yaml.safe_dump(one_a_month.settings()))
    config = load_config([pasted], {})
    assert config.detect.alpha_page == one_a_month.alpha_page
    # On the recording, and on another hour of the same traffic.
    for traffic in (files, recorded(tmp_path / "other", 60, seed=6)):
        events = {event.name.value for event in replay(config, [traffic])}
        assert events <= {"change.seen"}


@pytest.mark.matrix
def test_the_time_of_incidents_is_left_out_unless_nothing_was_wrong(tmp_path: Path) -> None:
    files = recorded(tmp_path / "bad", 90, bad=True)
    told = suggest(Config(), [files], 1.0, all_healthy=True)
    assert not any("incidents" in remark for remark in told.remarks)
    with pytest.raises(ConfigError, match="too short"):
        # All that was recorded after the baseline is an incident.
        suggest(Config(), [files], 1.0)


def test_it_is_printed_as_a_table_as_yaml_and_as_json(files: Path, one_a_month: Suggestion) -> None:
    told = tripswitch("replay", str(files), "--suggest", "--false-pages-a-month", "1", "--json")
    assert told.returncode == 0, told.stderr
    # The same recording gives the same suggestion, in another process too.
    assert json.loads(told.stdout) == json.loads(json.dumps(suggestion_json(one_a_month)))
    people = Console(width=200, record=True, file=StringIO())
    assert yaml.safe_load(show_suggestion(one_a_month, people)) == one_a_month.settings()
    table = people.export_text()
    assert "for 1 false pages a month, from 105 min recorded" in table
    assert "a first guess" in table
    for one in one_a_month.signals:
        assert f"{one.page:g} -> {one.suggested_page:g}" in table


def test_a_recording_that_is_too_short_says_so(tmp_path: Path) -> None:
    files = recorded(tmp_path / "short", 5)
    done = tripswitch("replay", str(files), "--suggest")
    assert done.returncode == 2
    assert "too short to suggest anything from" in done.stderr
