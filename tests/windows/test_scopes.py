"""The registry of scopes: bounded, visibly so, and its rows are reused clean."""

from __future__ import annotations

import numpy as np
import pytest

from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.scope import Scope
from tripswitch.windows.scopes import OVERFLOW, Measure, Scopes

ERROR = Measure("error")
CALLS = Measure("calls")


def arm(number: int) -> Scope:
    return Scope(route="/chat", prompt_version=f"v{number}")


def see(scopes: Scopes, number: int, now_s: int) -> None:
    record = scopes.see(arm(number), now_s * NS_PER_S, found_running=False)
    scopes.row(record, ERROR)
    scopes.row(record, CALLS)


def test_a_scope_keeps_its_record_and_its_rows() -> None:
    scopes = Scopes(10)
    first = scopes.see(arm(1), 5, found_running=True)
    again = scopes.see(arm(1), 9, found_running=False)
    assert again is first
    assert (first.first_seen_ns, first.last_seen_ns, first.found_running) == (5, 9, True)
    assert scopes.row(first, ERROR) == scopes.row(first, ERROR)
    assert scopes.row(first, ERROR) != scopes.row(first, CALLS)
    scopes.see(arm(1), 7, found_running=False)
    assert first.last_seen_ns == 9


def test_newcomers_are_told_once_in_order() -> None:
    scopes = Scopes(10)
    for number in (3, 1, 3, 2):
        scopes.see(arm(number), 0, found_running=False)
    assert [record.scope for record in scopes.take_newcomers()] == [arm(3), arm(1), arm(2)]
    assert scopes.take_newcomers() == []


def test_fifty_thousand_scopes_stay_within_the_bound() -> None:
    bound = 200
    scopes = Scopes(bound)
    for number in range(50_000):
        see(scopes, number, number // 100)
        if number % 1_000 == 999:
            scopes.make_way(set())
        # The overflow scope is the one above the bound.
        assert len(scopes.records) <= bound + 1
    assert scopes.folded_values > 0
    assert scopes.evicted_scopes > 0
    assert scopes.rings.capacity <= 4 * bound
    assert len(scopes.latencies.counts) <= 2 * bound + 64
    seen = scopes.folded_values + scopes.evicted_scopes
    assert seen == pytest.approx(50_000, abs=bound)


def test_a_known_scope_is_found_even_when_full() -> None:
    scopes = Scopes(10)
    for number in range(10):
        see(scopes, number, 0)
    folded = scopes.see(arm(99), 0, found_running=False)
    assert folded.scope == OVERFLOW
    assert scopes.folded_values == 1
    assert scopes.see(arm(3), 0, found_running=False).scope == arm(3)
    assert scopes.folded_values == 1


def test_the_least_recently_seen_make_way_and_pinned_ones_stay() -> None:
    scopes = Scopes(20)
    for number in range(20):
        see(scopes, number, number)
    gone = scopes.make_way({arm(0)})
    assert [record.scope for record in gone] == [arm(1), arm(2)]
    assert arm(0) in scopes.records
    assert scopes.make_way(set()) == []


def test_a_flood_does_not_drive_out_what_was_there_before_it() -> None:
    scopes = Scopes(20)
    see(scopes, 0, 0)
    for number in range(1, 20):
        see(scopes, number, 60)
    see(scopes, 0, 60)
    assert arm(0) not in {record.scope for record in scopes.make_way(set())}


def test_nothing_makes_way_when_everything_is_pinned() -> None:
    scopes = Scopes(10)
    for number in range(10):
        see(scopes, number, 0)
    assert scopes.make_way({arm(number) for number in range(10)}) == []
    assert len(scopes.records) == 10


def test_rows_are_reused_clean() -> None:
    scopes = Scopes(10)
    scopes.rings.advance(NS_PER_MINUTE)
    for number in range(10):
        see(scopes, number, number)
        record = scopes.records[arm(number)]
        row = scopes.row(record, ERROR)
        scopes.rings.add(np.array([row]), np.array([1]), np.array([1.0]))
        scopes.latencies.add(np.array([record.id]), np.array([0.5]))
        scopes.rings.frozen[row] = True
    capacity = scopes.rings.capacity
    gone = scopes.make_way(set())
    assert gone
    rows = {row for record in gone for row in record.series.values()}
    ids = {record.id for record in gone}
    newcomer = scopes.see(arm(50), 99, found_running=False)
    row = scopes.row(newcomer, ERROR)
    assert row in rows
    assert newcomer.id in ids
    assert scopes.rings.window(np.array([row]), "24h").sum() == 0
    assert scopes.rings.take_fresh()[row].sum() == 0
    assert not scopes.rings.frozen[row]
    assert scopes.latencies.total(newcomer.id) == 0
    assert scopes.rings.capacity == capacity
