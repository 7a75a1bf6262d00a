"""What is explained of traffic and telemetry: the numbers told are those that were counted."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from tests.play import Played, config, play
from tests.test_engine_coming import ARMS, _play_with_known_weeks
from tests.traffic import Arm
from tripswitch.cli.explain_table import show
from tripswitch.detect.explanation import Explanation
from tripswitch.drive.session import Session
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding

THIN = [Arm(0.1, "v1", None)]
REFUND = Scope("/chat/refund", "refund-bot")


def explained(session: Session, scope: Scope, signal: str) -> Explanation:
    found = session.engine.explain(lambda one: one == scope, 50)
    (told,) = (one for _, rows in found.scopes for one in rows if one.verdict.signal == signal)
    return told


@pytest.fixture(scope="module")
def dropped() -> Played:
    def plan(second: float) -> list[Arm]:
        left = 0.1 if second >= 10 * 60 else 1.0
        return [*ARMS[2:], *(Arm(left, arm.version, arm.cohort) for arm in ARMS[:2])]

    return _play_with_known_weeks(plan, 30)


def test_a_drop_is_explained_by_the_calls_that_were_counted(dropped: Played) -> None:
    one = explained(dropped.session, REFUND, "traffic_drop")
    verdict, watch = one.verdict, dropped.session.engine.coming.traffic
    assert verdict.finding is Finding.REGRESSED
    assert one.missing == ()
    assert one.page_line == pytest.approx(0.5)
    minutes = int(verdict.window.split()[0])
    calls, expected = watch._sums(
        watch.rows[REFUND], dropped.session.engine.coming.due_minute, minutes
    )
    assert (verdict.samples, verdict.usual_samples) == (round(calls), round(expected))
    assert verdict.estimate == pytest.approx(1 - calls / expected)
    assert calls < 0.5 * expected
    numbers = [float(text.replace(",", "")) for text in re.findall(r"\d[\d,]*\.?\d*", verdict.why)]
    for told in (round(calls), round(expected), round(100 * calls / expected), 50, minutes):
        assert told in numbers


def test_traffic_as_usual_says_what_a_page_waits_for(dropped: Played) -> None:
    one = explained(dropped.session, Scope("/other", "refund-bot"), "traffic_drop")
    assert one.verdict.finding is Finding.HEALTHY
    assert one.verdict.comparison is Comparison.HISTORY
    assert one.verdict.usual == pytest.approx(60, rel=0.15)
    assert any(text.startswith("a change: down") for text in one.missing)
    assert any(text.startswith("evidence: ") for text in one.missing)
    assert one.page_own < 1
    assert one.outlook.minutes is not None
    assert 3 <= one.outlook.minutes < 10


def test_without_weeks_to_compare_with_nothing_is_claimed() -> None:
    played = play(lambda _: ARMS, 6)
    one = explained(played.session, REFUND, "traffic_drop")
    assert one.verdict.finding is Finding.INSUFFICIENT
    assert one.verdict.comparison is None
    assert one.missing == (
        "a reference: 0 of 2 weeks at this time of the week, and 0 of 240 min compared with them",
    )
    assert one.outlook.minutes is None


def test_telemetry_is_explained_while_it_comes_and_when_it_stays_away() -> None:
    session = Session(config())
    play(lambda _: THIN, 20, session=session)
    young = explained(session, Scope(), "telemetry_lost")
    assert young.verdict.finding is Finding.INSUFFICIENT
    assert any("of 60 min had any" in text for text in young.missing)
    played = play(lambda _: THIN, 66)
    comes = explained(played.session, Scope(), "telemetry_lost")
    assert comes.verdict.finding is Finding.HEALTHY
    assert comes.verdict.usual == pytest.approx(12, rel=0.1)
    assert comes.missing == ("minutes without: 0 of 15",)
    engine = played.session.engine
    engine.advance(engine.now_ns + 7 * NS_PER_MINUTE)
    away = explained(played.session, Scope(), "telemetry_lost")
    assert away.verdict.finding is Finding.TELEMETRY_LOST
    silent = engine.coming.arrivals.silent_minutes
    assert away.verdict.estimate == silent > 0
    assert away.missing == (f"minutes without: {silent} of 15",)
    engine.advance(engine.now_ns + 15 * NS_PER_MINUTE)
    paged = explained(played.session, Scope(), "telemetry_lost")
    assert paged.verdict.finding is Finding.TELEMETRY_LOST
    assert paged.verdict.severity is not None
    assert paged.missing == ()


def test_the_worst_comes_first_and_the_json_and_the_table_hold_it(dropped: Played) -> None:
    found = dropped.session.explain([], 50)
    first = found["scopes"][0]
    assert first["signals"][-1]["signal"] == "traffic_drop"
    assert first["signals"][-1]["severity"] == "page"
    labels = [scope["label"] for scope in found["scopes"]]
    assert "any route" in labels
    console = Console(width=200, record=True, file=StringIO())
    show(found, console)
    text = console.export_text()
    assert re.search(r"traffic_drop \(falling\) .* page .* \d+ /min .* 1\d\d /min .* -50 %", text)
    assert re.search(r"telemetry_lost \(falling\) .* 12 /min .* 15 min", text)
