"""Writing about an incident from a ledger on disk, and the commands that do it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.actions.rollback.fakes.mlflow import FakeMlflow
from tests.incidents.cases import MINUTE_NS, TRACES, case, signal
from tests.store.samples import NOW_NS, incident, plan
from tripswitch.cli.app import app_of
from tripswitch.config.model import Config
from tripswitch.drive.papers import (
    FILLED_IN,
    find_case,
    keep_filled_in,
    ledger_of,
    read_filled_in,
    templates_of,
    write_postmortem,
)
from tripswitch.errors import ConfigError, TripswitchError
from tripswitch.incidents.postmortem.actions import ActionItem
from tripswitch.model.drift import Drift
from tripswitch.model.incident import IncidentState, RollbackState
from tripswitch.model.messages import Event, EventName
from tripswitch.store.ledger import Ledger

APP = app_of(("comms", "postmortem"))


def fill(folder: Path) -> Path:
    """Record the story's incident in a ledger under ``folder``; return a configuration of it."""
    recovered = incident(
        state=IncidentState.RECOVERED,
        recovered_at_ns=NOW_NS + 15 * MINUTE_NS,
        exemplars=TRACES,
        rollback=plan(state=RollbackState.CONFIRMED),
    )
    with Ledger(folder / "state" / "ledger.sqlite") as ledger:
        for name, after_s in (
            (EventName.INCIDENT_OPENED, 0),
            (EventName.ROLLBACK_ACKNOWLEDGED, 2),
            (EventName.ROLLBACK_CONFIRMED, 60),
            (EventName.INCIDENT_RECOVERED, 900),
        ):
            ledger.record(
                [Event(name, NOW_NS + after_s * 10**9, recovered, detail="it was so")], []
            )
        ledger.record([Drift("inc-1", NOW_NS, (signal(),))], [])
        other = incident(id="inc-2", detected_at_ns=NOW_NS - 1)
        ledger.record([Event(EventName.INCIDENT_OPENED, NOW_NS - 1, other)], [])
    path = folder / "tripswitch.yaml"
    path.write_text(yaml.safe_dump({"storage": {"directory": str(folder / "state")}}), "utf-8")
    return path


def test_a_case_is_found_by_its_id_its_beginning_or_as_the_latest(tmp_path: Path) -> None:
    fill(tmp_path)
    with Ledger(tmp_path / "state" / "ledger.sqlite") as ledger:
        assert find_case(ledger, "inc-1").id == "inc-1"
        assert find_case(ledger, "latest").id == "inc-1"
        for wanted, said in (("inc-", "2 incidents"), ("nope", "no incident"), ("", "no incident")):
            with pytest.raises(TripswitchError, match=said):
                find_case(ledger, wanted)


def test_no_ledger_is_made_where_there_is_none(tmp_path: Path) -> None:
    config = Config.model_validate({"storage": {"directory": str(tmp_path / "nowhere")}})
    with pytest.raises(TripswitchError, match="there is no ledger"), ledger_of(config):
        pass
    assert not (tmp_path / "nowhere").exists()


def test_what_people_filled_in_stays_to_the_byte(tmp_path: Path) -> None:
    write_postmortem(case(), tmp_path, Config())
    path = tmp_path / FILLED_IN
    text = path.read_text("utf-8").replace('owner: ""', "owner: eval-owner  # as agreed", 1)
    path.write_text(text, "utf-8")
    written = write_postmortem(case(), tmp_path, Config())
    assert path.read_text("utf-8") == text
    assert path not in written.files
    assert "eval-owner" in (tmp_path / "postmortem.md").read_text("utf-8")


def test_new_items_are_added_at_the_end_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / FILLED_IN
    path.write_text("# mine\nactions:\n  - key: cases\n    owner: eval-owner\n", "utf-8")
    before = path.read_text("utf-8")
    write_postmortem(case(), tmp_path, Config())
    after = path.read_text("utf-8")
    assert after.startswith(before)
    keys = [one.key for one in read_filled_in(path).actions]
    assert keys[0] == "cases"
    assert {"gate", "canary-share"} <= set(keys)


@pytest.mark.parametrize(
    "text", ["actions: []\n", "actions: [{key: cases}]\n", "actions:\n  - key: a\nlessons: [x]\n"]
)
def test_a_file_of_another_form_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / FILLED_IN
    path.write_text(text, "utf-8")
    item = ActionItem("new", "New", "", "loop", "2026-12-01")
    assert not keep_filled_in(path, "inc-1", read_filled_in(path), [item])
    assert path.read_text("utf-8") == text


def test_a_bad_file_costs_nothing_of_what_was_written(tmp_path: Path) -> None:
    write_postmortem(case(), tmp_path, Config())
    before = (tmp_path / "postmortem.md").read_bytes()
    (tmp_path / FILLED_IN).write_text("actions: {", "utf-8")
    with pytest.raises(ConfigError, match="line 1: not YAML"):
        write_postmortem(case(), tmp_path, Config())
    assert (tmp_path / "postmortem.md").read_bytes() == before


def test_a_registry_may_know_the_prompts(tmp_path: Path) -> None:
    with FakeMlflow() as fake:
        target = {"type": "mlflow", "url": fake.url, "token": "mlflow-token"}
        config = Config.model_validate({"rollback": {"targets": [target]}})
        written = write_postmortem(case(), tmp_path, config, prompts_from_registry=True)
        assert written.prompts == ""
        assert "+text 18" in (tmp_path / "postmortem.md").read_text("utf-8")
        # Nothing is asked where nobody wants it, and nothing was moved.
        before = len(fake.asked)
        write_postmortem(case(), tmp_path, config)
        assert len(fake.asked) == before
        assert fake.writes == []
        assert "+text 18" not in (tmp_path / "postmortem.md").read_text("utf-8")


def test_a_postmortem_without_the_prompts_says_why(tmp_path: Path) -> None:
    written = write_postmortem(case(), tmp_path, Config(), prompts_from_registry=True)
    assert written.prompts == "no rollback target is a prompt registry"


def test_an_operators_templates_stand_in_for_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "resolved.consumer.txt.j2").write_text("Over.", "utf-8")
    texts = templates_of("comms", str(tmp_path))
    assert texts["resolved.consumer.txt.j2"] == "Over."
    assert len(texts) == 8
    (tmp_path / "resolvd.consumer.txt.j2").write_text("Over.", "utf-8")
    with pytest.raises(ConfigError, match=r"nothing uses resolvd\.consumer"):
        templates_of("comms", str(tmp_path))
    with pytest.raises(ConfigError, match="is no folder"):
        templates_of("comms", str(tmp_path / "nowhere"))


def test_postmortem_writes_documents_and_final_needs_owners(tmp_path: Path) -> None:
    config, out = fill(tmp_path), tmp_path / "out"
    base = ["postmortem", "latest", "--config", str(config), "--out", str(out)]
    runner = CliRunner()
    done = runner.invoke(APP, [*base, "--final"])
    assert done.exit_code == 1
    assert "cases: without an owner" in done.stderr
    folder = out / "inc-1"
    assert [path.name for path in folder.iterdir()] == [FILLED_IN]
    filled = (folder / FILLED_IN).read_text("utf-8").replace('owner: ""', "owner: eval-owner")
    (folder / FILLED_IN).write_text(filled, "utf-8")
    done = runner.invoke(APP, [*base, "--final"])
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["drift.png", "drift.svg", FILLED_IN, "postmortem.html", "postmortem.md"]
    assert "Final. Written by tripswitch" in (folder / "postmortem.md").read_text("utf-8")
    assert (folder / "drift.png").read_bytes().startswith(b"\x89PNG")


def test_postmortem_takes_both_prompts_or_none(tmp_path: Path) -> None:
    config = fill(tmp_path)
    done = CliRunner().invoke(
        APP, ["postmortem", "latest", "--config", str(config), "--prompt-before", str(config)]
    )
    assert done.exit_code == 2


def test_comms_prints_a_draft_for_each_audience(tmp_path: Path) -> None:
    config = fill(tmp_path)
    runner = CliRunner()
    done = runner.invoke(APP, ["comms", "latest", "--config", str(config)])
    assert done.exit_code == 0, done.output
    assert "# resolved, for engineering: a draft, held for a person" in done.stdout
    assert "# only to: acme" in done.stdout
    assert "The problem with the assistant is over." in done.stdout
    done = runner.invoke(
        APP,
        [
            *("comms", "inc-1", "--config", str(config), "--json"),
            *("--audience", "consumer", "--state", "monitoring"),
        ],
    )
    (made,) = json.loads(done.stdout)["drafts"]
    assert (made["audience"], made["state"], made["held"]) == ("consumer", "monitoring", True)
    assert made["tell"] == ["acme"]


def test_comms_checks_a_persons_text(tmp_path: Path) -> None:
    config, text = fill(tmp_path), tmp_path / "update.txt"
    runner = CliRunner()
    command = ["comms", "latest", "--config", str(config), "--check", str(text)]
    text.write_text("We are back on v17.", "utf-8")
    assert runner.invoke(APP, command).exit_code == 0
    text.write_text("It was probably v19.", "utf-8")
    done = runner.invoke(APP, command)
    assert done.exit_code == 1
    assert 'held: says more than is known: "probably"' in done.stdout


def test_an_open_incident_without_series_has_a_postmortem_too(tmp_path: Path) -> None:
    of = replace(case(recovered_at_ns=None), drift=())
    written = write_postmortem(of, tmp_path, Config(), with_html=False)
    assert [path.name for path in written.files] == [FILLED_IN, "postmortem.md"]
    assert "not over" in (tmp_path / "postmortem.md").read_text("utf-8")
