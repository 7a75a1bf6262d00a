"""The alert rules: what they ask for exists, each says what to do, each has its unit test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stack.names import ROOT, unknown_in
from tests.stack.places import part, said

FOLDER = ROOT / "config/prometheus"
RULES = FOLDER / "tripswitch.rules.yaml"
TESTS = FOLDER / "tripswitch.tests.yaml"


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load(RULES.read_text("utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_every_metric_and_label_they_ask_for_exists() -> None:
    for rule in rules():
        texts = rule["annotations"].values()
        assert unknown_in(rule["expr"], *texts) == set(), rule["alert"]


def test_every_alert_says_what_it_is_what_to_do_and_where_it_is_written() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        notes = rule["annotations"]
        assert set(notes) == {"summary", "description", "runbook"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert len(notes["summary"]) < 120
        assert len(notes["description"]) > 40
        page, _, anchor = notes["runbook"].partition("#")
        assert anchor in headings(ROOT / page), rule["alert"]


def test_every_alert_stands_in_the_page() -> None:
    page = (ROOT / "docs/prometheus.md").read_text("utf-8")
    listed = re.findall(r"^\| `(Tripswitch\w+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(rule["alert"] for rule in rules())


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
    fired = set()
    for case in cases:
        samples = [
            sample["labels"]
            for check in case["promql_expr_test"]
            for sample in check.get("exp_samples", ())
        ]
        (name,) = {re.findall(r'alertname="(\w+)"', labels)[0] for labels in samples}
        fired.add(name)
        watched = {
            instance
            for series in case["input_series"]
            for instance in re.findall(r'instance="(\w+)"', series["series"])
        }
        assert "good" in watched, name
        assert all('instance="good"' not in labels for labels in samples)
    assert fired == {rule["alert"] for rule in rules()}


@pytest.mark.parts
def test_promtool_finds_nothing_wrong() -> None:
    assert f"{len(rules())} rules found" in said(
        [part("prometheus") / "promtool", "check", "rules", RULES]
    )


@pytest.mark.parts
def test_promtool_sees_each_fire_where_it_should_and_nowhere_else() -> None:
    said([part("prometheus") / "promtool", "test", "rules", TESTS], FOLDER)
