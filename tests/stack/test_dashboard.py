"""The Grafana dashboard: what it asks for exists, and what it should show is there."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stack.names import ROOT, documented, metrics_in, unknown_in
from tests.stack.places import part, said

FILE = ROOT / "config/grafana/tripswitch.json"

# What nobody looks at over time: it is in the alert rules or on tripswitch's own pages.
LEFT_OUT = {
    "tripswitch_actions_notifier_failures_total",  # actions_notifier_failing says how it stands
    "tripswitch_api_changes_total",
    "tripswitch_api_instructions_total",
    "tripswitch_evidence_recent_bytes",
    "tripswitch_evidence_removed_total",
    "tripswitch_evidence_sealed_total",
    "tripswitch_ledger_pruned_rows_total",
    "tripswitch_reader_remembered_calls",
    "tripswitch_receiver_restarts_total",
    "tripswitch_snapshot_bytes",
    "tripswitch_snapshot_left_out",
    "tripswitch_snapshots_written_total",
    "tripswitch_spool_appended_bytes_total",
    "tripswitch_spool_dead_letter_bytes",
    "tripswitch_spool_fsyncs_total",
    "tripswitch_spool_segments",
    "tripswitch_tap_dropped_bytes_total",
    "tripswitch_tap_offered_requests_total",
    "tripswitch_tap_queued_requests",
}


def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return content


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    """Return every expression with what is shown of it: panels', variables', annotations'."""
    found = [
        (target["expr"], target["legendFormat"])
        for panel in panels()
        for target in panel["targets"]
    ]
    variables = [
        (variable["definition"], "")
        for variable in dashboard()["templating"]["list"]
        if variable["type"] == "query"
    ]
    starts = [
        (annotation["expr"], annotation["titleFormat"])
        for annotation in dashboard()["annotations"]["list"]
        if "expr" in annotation
    ]
    return [*found, *variables, *starts]


def test_every_metric_and_label_it_asks_for_exists() -> None:
    assert len(queries()) > 100
    assert {
        expr: unknown_in(expr, shown) for expr, shown in queries() if unknown_in(expr, shown)
    } == {}


def test_a_metric_or_label_that_does_not_exist_is_found() -> None:
    expr = 'sum by (color) (rate(tripswitch_reader_dreams_total{job="a",mood!="b"}[5m]))'
    assert unknown_in(expr, "{{taste}}") == {
        "tripswitch_reader_dreams_total",
        "color",
        "mood",
        "taste",
    }


def test_every_metric_is_shown_or_left_out_on_purpose() -> None:
    shown = set().union(*(metrics_in(expr) for expr, _ in queries()))
    assert set(documented()) - shown == LEFT_OUT


def test_every_panel_says_what_it_is_and_asks_the_chosen_prometheus() -> None:
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            selectors = target["expr"].count("tripswitch_")
            assert target["expr"].count('job=~"$job",instance=~"$instance"') == selectors


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    all_panels = dashboard()["panels"]
    assert len({panel["id"] for panel in all_panels}) == len(all_panels)
    taken: set[tuple[int, int]] = set()
    for panel in all_panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = set(
            itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
        )
        assert not taken & cells, panel["title"]
        taken |= cells


def test_the_rows_are_those_of_the_way_of_the_data() -> None:
    assert [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"] == [
        "Is it fine?",
        "Forwarding",
        "Spool",
        "Judge and tap",
        "Understanding",
        "Detection",
        "Actions and notifiers",
        "About itself",
    ]


@pytest.mark.parts
def test_grafanas_own_schema_has_every_field_of_it() -> None:
    said([part("dashboard"), FILE])


def _first(content: dict[str, Any], kind: str) -> Any:
    return next(panel for panel in content["panels"] if panel["type"] == kind)


@pytest.mark.parts
def test_grafanas_own_schema_refuses_what_it_does_not_have(tmp_path: Path) -> None:
    spoilers: list[Callable[[Any], Any]] = [
        lambda one: one.update(colour="red"),
        lambda one: _first(one, "stat")["options"].update(graphMode=7),
        lambda one: _first(one, "stat")["options"].pop("reduceOptions"),
        lambda one: _first(one, "stat")["targets"][0].update(expression="up"),
        lambda one: _first(one, "stat")["targets"][0].pop("expr"),
        lambda one: _first(one, "timeseries")["fieldConfig"]["defaults"]["custom"].update(with_=1),
        lambda one: one["templating"]["list"][0].update(kind="source"),
    ]
    for number, spoil in enumerate(spoilers):
        spoilt = dashboard()
        spoil(spoilt)
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(spoilt), "utf-8")
        done = subprocess.run([part("dashboard"), file], check=False, capture_output=True)
        assert done.returncode == 1, number
        assert done.stderr
