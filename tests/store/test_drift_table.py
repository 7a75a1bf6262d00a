"""The ledger puts the stretches of an incident's series together, bounded, and tells the case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.incidents.cases import signal
from tests.store.samples import NOW_NS, effect, event, incident
from tripswitch.model.drift import MOST_POINTS, Drift, DriftSignal
from tripswitch.model.incident import IncidentState
from tripswitch.model.messages import Event, EventName
from tripswitch.store.drift_table import MOST_SIGNALS
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def series_of(ledger: Ledger) -> list[DriftSignal]:
    case = ledger.case("inc-1")
    assert case is not None
    return [DriftSignal.of_json(one) for one in case["drift"]]


def test_a_case_has_the_incident_its_timeline_its_series_and_its_calls(ledger: Ledger) -> None:
    one = signal()
    ledger.record([event(), Drift("inc-1", NOW_NS, (one,))], [effect()])
    case = ledger.case("inc-1")
    assert case is not None
    assert case["incident"] == incident().as_json()
    assert [told["event"] for told in case["events"]] == ["incident.opened"]
    assert series_of(ledger) == [one]
    (call,) = case["calls"]
    assert (call["kind"], call["target"], call["state"]) == ("rollback", "gateway", "pending")
    assert ledger.case("inc-2") is None


def test_stretches_are_put_together_and_stay_bounded(ledger: Ledger) -> None:
    short, long = signal(after=2), signal(after=500)
    ledger.record([event(), Drift("inc-1", NOW_NS, (short,))], [])
    ledger.record([Drift("inc-1", NOW_NS, (long,))], [])
    (kept,) = series_of(ledger)
    population = kept.series[1].points
    assert len(population) <= MOST_POINTS
    assert sum(point.n for point in population) == sum(p.n for p in long.series[1].points)


def test_the_first_stretch_is_bounded_too(ledger: Ledger) -> None:
    ledger.record([event(), Drift("inc-1", NOW_NS, (signal(after=500),))], [])
    assert max(len(one.points) for one in series_of(ledger)[0].series) <= MOST_POINTS


def test_so_many_signals_and_no_more(ledger: Ledger) -> None:
    many = tuple(signal(f"eval_score:{number}") for number in range(MOST_SIGNALS + 5))
    ledger.record([event(), Drift("inc-1", NOW_NS, many)], [])
    assert len(series_of(ledger)) == MOST_SIGNALS


def test_a_rubric_that_is_no_text_is_kept_too(ledger: Ledger) -> None:
    odd = signal("eval_score:\ud800")
    ledger.record([event(), Drift("inc-1", NOW_NS, (odd,))], [])
    ledger.record([Drift("inc-1", NOW_NS, (odd,))], [])
    assert series_of(ledger) == [odd]


def test_series_go_with_their_incident(ledger: Ledger) -> None:
    resolved = incident(state=IncidentState.RESOLVED, resolved_at_ns=NOW_NS)
    ledger.record([Event(EventName.INCIDENT_RESOLVED, NOW_NS, resolved)], [])
    ledger.record([Drift("inc-1", NOW_NS, (signal(),))], [])
    ledger.prune(NOW_NS - 1)
    assert len(series_of(ledger)) == 1
    ledger.prune(NOW_NS + 1)
    assert ledger.case("inc-1") is None
    assert ledger._database.read("SELECT * FROM drift") == []
