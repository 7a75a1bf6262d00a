"""What is shown is what was seen, and nothing shown can steer the terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from tests.drive.demo.samples import BEGAN_S, EVENTS, event, gateway, incident, regression, take
from tripswitch.drive.demo import story
from tripswitch.drive.demo.timeline import Observed
from tripswitch.drive.demo.view import LiveView, PlainView, arms, safe

HOSTILE = "[bold red]\x1b[2J\x07 owned\nnext"


def console(*, is_terminal: bool = False) -> Console:
    return Console(file=StringIO(), force_terminal=is_terminal, width=160, height=50)


def written(to: Console) -> str:
    assert isinstance(to.file, StringIO)
    return to.file.getvalue()


def test_markup_and_control_characters_are_only_text() -> None:
    to = console()
    to.print(safe(HOSTILE))
    assert written(to) == "[bold red]?[2J? owned?next\n"


def test_plain_lines_come_once_each() -> None:
    to = console()
    seen = Observed(story.STORIES["regression"], 1, BEGAN_S)
    with PlainView(to, seen.told) as view:
        for count in range(len(EVENTS)):
            take(seen, EVENTS[count : count + 1], gateway(), 1709.0)
            view(seen)
            view(seen)
    lines = written(to).splitlines()
    assert len(lines) == 1 + len(seen.timeline)
    assert lines[3] == "incident.opened: 16:31:00 incident.opened happened"


def test_the_live_view_shows_the_arms_and_the_latest_moments() -> None:
    to = console(is_terminal=True)
    seen = regression()
    with LiveView(to, seen.told) as view:
        view(seen)
    shown = written(to)
    assert "story time 16:48:30" in shown
    assert "90.0 points" in shown
    assert "regressed" in shown
    assert " 7.5 " in shown
    assert "gateway.rollback_called" in shown


@pytest.mark.parametrize("view_class", [PlainView, LiveView])
def test_a_hostile_span_shows_as_text(view_class: type[PlainView | LiveView]) -> None:
    to = console(is_terminal=view_class is LiveView)
    seen = Observed(story.STORIES["regression"], 1, BEGAN_S)
    hostile = event("incident.opened", 660, incident()) | {"detail": HOSTILE}
    with view_class(to, seen.told) as view:
        take(seen, [hostile], gateway(), 660)
        view(seen)
    assert "[bold red]?[2J? owned?next" in written(to)
    assert "\x1b[2J" not in written(to)


def test_an_arm_without_traffic_has_no_verdict() -> None:
    to = console()
    seen = regression()
    seen.status["scopes"][1]["calls_15m"] = 0
    to.print(arms(seen))
    assert "no traffic" in written(to)
    assert "regressed" not in written(to)
