"""The summary answers when, what, why, which traces, what was called, what came back."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from tests.drive.demo.samples import EVENTS as HAPPENED
from tests.drive.demo.samples import TRACES, healthy, incident, regression
from tripswitch.drive.demo.summary import print_summary
from tripswitch.drive.demo.timeline import Observed


def summary(seen: Observed) -> str:
    written = StringIO()
    print_summary(seen, Console(file=written, width=160))
    return written.getvalue()


def test_it_tells_the_whole_incident() -> None:
    said = summary(regression())
    for fact in (
        "began 16:30:10, noticed 16:31:00",
        "guardrail_regression on /chat/refund v18 canary",
        "refusals are up 18 points",
        *TRACES,
        "POST /rollback: v18 to v17",
        "rb_1",
        '200 {"action_id": "rb_1", "state": "applied", "current": "v17"}',
        "all 14 claims were observed",
    ):
        assert fact in said
    assert "NO " not in said


def test_it_says_which_claim_was_not_observed() -> None:
    seen = regression()
    seen.received = {}
    said = summary(seen)
    assert "NO   every span and byte sent arrived upstream unchanged" in said
    assert "received nothing" in said
    assert "1 of 14 claims were not observed" in said


def test_without_an_incident_there_is_none_to_tell() -> None:
    said = summary(healthy())
    assert "The incident" not in said
    assert "all 10 claims were observed" in said


def test_what_spans_say_is_shown_as_text() -> None:
    bent = incident(why="[red]\x1b[2J")
    seen = regression([each | {"incident": each["incident"] and bent} for each in HAPPENED])
    assert "[red]?[2J" in summary(seen)
