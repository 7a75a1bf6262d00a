"""Incidents as text: whole ids and sentences, however narrow the terminal is."""

from __future__ import annotations

import pytest

from tests.web.desk import watched
from tripswitch.cli.incident_text import show_incidents


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_the_list_shows_each_id_on_a_line_of_its_own(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    found = watched().get("/v1/incidents").json()
    show_incidents(found)
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("inc_")] == [
        each["id"] for each in found
    ]
    for each in found:
        assert each["why"] in " ".join(printed.split())
        assert f" {each['state']}  {each['severity']}" in printed


def test_what_comes_from_telemetry_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    (incident, *_) = watched().get("/v1/incidents").json()
    show_incidents([incident | {"why": "\x1b[2Jgone [bold]x"}])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "?[2Jgone [bold]x" in printed


def test_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show_incidents([])
    assert capsys.readouterr().out == "no incident\n"
