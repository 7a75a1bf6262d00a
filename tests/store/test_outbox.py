"""The outbox gives each effect to one sender, in order, and settles what the dead left behind."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.store.samples import NOW_NS, effect, notification
from tripswitch.model.outbox import EffectKind, EffectState, Outbox
from tripswitch.store.ledger import Ledger
from tripswitch.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with Ledger(path) as ledger:
        yield ledger.outbox


def due_keys(outbox: Outbox, now_ns: int = NOW_NS) -> list[str]:
    return [one.key for one in outbox.due(now_ns, 100)]


def test_an_effect_is_put_once_and_its_first_form_stays(outbox: Outbox) -> None:
    assert outbox.put([effect("a"), effect("a"), effect("b", target="other")]) == 2
    assert outbox.put([effect("a", body="{}")]) == 0
    assert outbox.due(NOW_NS, 100)[0].body == effect("a").body


def test_text_that_sqlite_cannot_store_is_replaced(outbox: Outbox) -> None:
    outbox.put([effect("a", subject="\ud800/v1")])
    assert outbox.due(NOW_NS, 1)[0].subject == "?/v1"


def test_rollbacks_come_first_and_each_lane_gives_its_oldest(outbox: Outbox) -> None:
    outbox.put([notification("n1"), notification("n2", target="chat"), effect("r1"), effect("r2")])
    assert due_keys(outbox) == ["r1", "n1", "n2"]
    busy = [(EffectKind.ROLLBACK, "gateway"), (EffectKind.NOTIFY, "pager")]
    assert [one.key for one in outbox.due(NOW_NS, 100, busy)] == ["n2"]
    assert [one.key for one in outbox.due(NOW_NS, 1)] == ["r1"]


def test_what_has_not_come_to_its_end_waits(outbox: Outbox) -> None:
    assert outbox.waiting() == {EffectKind.NOTIFY: 0, EffectKind.ROLLBACK: 0}
    outbox.put([effect("a"), effect("b"), effect("c"), notification("n", due_ns=NOW_NS + 9)])
    assert outbox.waiting() == {EffectKind.NOTIFY: 1, EffectKind.ROLLBACK: 3}
    for key in "abc":
        outbox.begin(key)
    outbox.finish("a", EffectState.DONE, "ok", NOW_NS)
    outbox.finish("b", EffectState.UNKNOWN, "nobody can say", NOW_NS)
    assert outbox.waiting() == {EffectKind.NOTIFY: 1, EffectKind.ROLLBACK: 1}
    outbox.retry_at("c", EffectState.UNKNOWN, NOW_NS + 5, "504")
    assert outbox.waiting()[EffectKind.ROLLBACK] == 1


def test_nothing_is_due_before_its_time(outbox: Outbox) -> None:
    outbox.put([effect("a", due_ns=NOW_NS + 5), notification("n", due_ns=NOW_NS + 9)])
    assert due_keys(outbox, NOW_NS + 4) == []
    assert outbox.next_due_ns() == NOW_NS + 5
    assert outbox.next_due_ns([(EffectKind.ROLLBACK, "gateway")]) == NOW_NS + 9
    assert due_keys(outbox, NOW_NS + 5) == ["a"]


def test_a_notification_waits_for_older_ones_on_its_subject_only(outbox: Outbox) -> None:
    outbox.put([notification("opened"), notification("resolved"), notification("x", subject="x")])
    outbox.begin("opened")
    assert due_keys(outbox) == ["x"]
    outbox.retry_at("opened", EffectState.PENDING, NOW_NS + 5, "500")
    outbox.finish("x", EffectState.DONE, "ok", NOW_NS)
    assert due_keys(outbox) == []
    assert outbox.next_due_ns() == NOW_NS + 5
    assert due_keys(outbox, NOW_NS + 5) == ["opened"]
    outbox.finish("opened", EffectState.DONE, "ok", NOW_NS)
    assert due_keys(outbox) == ["resolved"]


def test_news_makes_older_news_on_its_subject_due_as_well(outbox: Outbox) -> None:
    outbox.put([notification("opened"), notification("y", subject="y", due_ns=NOW_NS + 50)])
    outbox.begin("opened")
    outbox.retry_at("opened", EffectState.PENDING, NOW_NS + 50, "500")
    assert due_keys(outbox, NOW_NS + 1) == []
    outbox.put([notification("escalated", due_ns=NOW_NS + 1)])
    assert due_keys(outbox, NOW_NS + 1) == ["opened"]
    outbox.put([notification("escalated", due_ns=NOW_NS)])
    assert outbox.due(NOW_NS + 1, 1)[0].due_ns == NOW_NS + 1


def test_one_of_two_senders_wins_each_effect(path: Path) -> None:
    keys = [f"rb-{number}" for number in range(40)]
    with Ledger(path) as one, Ledger(path) as two:
        one.outbox.put([effect(key) for key in keys])

        def begun_by(box: Outbox) -> list[bool]:
            return [box.begin(key) for key in keys]

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(begun_by, (one.outbox, two.outbox), timeout=30)
    assert [a + b for a, b in zip(first, second, strict=True)] == [1] * len(keys)


def test_what_another_sender_holds_cannot_be_settled_or_recovered(path: Path) -> None:
    with Ledger(path) as one, Ledger(path) as two:
        one.outbox.put([effect("a")])
        assert one.outbox.begin("a")
        assert not two.outbox.begin("a")
        assert not two.outbox.begin_read_back("a")
        assert two.outbox.recover(NOW_NS) == 0
        assert not two.outbox.finish("a", EffectState.FAILED, "stale", NOW_NS)
        assert not two.outbox.retry_at("a", EffectState.PENDING, NOW_NS, "stale")
        assert one.outbox.finish("a", EffectState.DONE, "ok", NOW_NS)
        assert not two.outbox.finish("a", EffectState.FAILED, "stale", NOW_NS)
        assert due_keys(two.outbox) == []
        assert one.settled_rollbacks(["a"])[0].state == "acknowledged"


def test_what_a_dead_sender_held_is_settled_by_kind(path: Path) -> None:
    with Ledger(path) as dead:
        dead.outbox.put([effect("r"), notification("n")])
        assert dead.outbox.begin("r")
        assert dead.outbox.mark_leaving("r")
        assert dead.outbox.begin("n")
    with Ledger(path) as ledger:
        assert due_keys(ledger.outbox) == []
        assert not ledger.outbox.mark_leaving("r")
        assert ledger.outbox.recover(NOW_NS + 7) == 2
        rollback, note = ledger.outbox.due(NOW_NS + 7, 10)
        assert (rollback.state, rollback.attempts) == (EffectState.UNKNOWN, 1)
        assert (note.state, note.attempts) == (EffectState.PENDING, 1)
        assert not list(path.parent.glob("*.sender-*"))
        assert not ledger.outbox.begin("r")
        assert ledger.outbox.recover(NOW_NS + 8) == 0


def test_a_rollback_that_had_not_left_at_death_is_pending_again(path: Path) -> None:
    with Ledger(path) as dead:
        dead.outbox.put([effect("r")])
        assert dead.outbox.begin("r")
        assert dead.outbox.mark_leaving("r")
        dead.outbox.retry_at("r", EffectState.PENDING, NOW_NS, "answered 500")
        assert dead.outbox.begin("r")
    with Ledger(path) as ledger:
        assert ledger.outbox.recover(NOW_NS) == 1
        only = ledger.outbox.due(NOW_NS, 10)[0]
        assert (only.state, only.attempts) == (EffectState.PENDING, 2)
        assert ledger.outbox.begin("r")


def test_a_rollback_being_read_back_at_death_is_unknown_again(path: Path) -> None:
    with Ledger(path) as dead:
        dead.outbox.put([effect("r")])
        dead.outbox.begin("r")
        dead.outbox.retry_at("r", EffectState.UNKNOWN, NOW_NS, "no answer")
        assert dead.outbox.begin_read_back("r")
    with Ledger(path) as ledger:
        ledger.outbox.recover(NOW_NS)
        only = ledger.outbox.due(NOW_NS, 10)[0]
        assert (only.state, only.attempts) == (EffectState.UNKNOWN, 1)


def test_unknown_for_good_is_never_due(outbox: Outbox) -> None:
    outbox.put([effect("r")])
    outbox.begin("r")
    outbox.finish("r", EffectState.UNKNOWN, "?", NOW_NS)
    assert due_keys(outbox, 2**63 - 2) == []
    assert outbox.next_due_ns() is None


def test_what_an_undo_needs_is_kept_with_the_mark_and_stays(outbox: Outbox) -> None:
    outbox.put([effect("a")])
    assert outbox.kept("a") == outbox.kept("unknown") == ""
    assert not outbox.mark_leaving("a", "too early")
    outbox.begin("a")
    assert outbox.mark_leaving("a", '{"found": "18"}')
    # A second request of the same attempt, or an attempt that has nothing to add.
    assert outbox.mark_leaving("a")
    assert outbox.kept("a") == '{"found": "18"}'
    outbox.retry_at("a", EffectState.PENDING, NOW_NS, "500")
    assert outbox.due(NOW_NS, 1)[0].kept == '{"found": "18"}'
    outbox.begin("a")
    outbox.mark_leaving("a", "newer")
    outbox.finish("a", EffectState.DONE, "ok", NOW_NS)
    assert outbox.kept("a") == "newer"


def test_an_outbox_of_the_version_before_is_taken_over(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        for statement in MIGRATIONS[0]:
            old.execute(statement)
        old.execute("PRAGMA user_version = 1")
        old.execute(
            """INSERT INTO outbox (key, kind, target, type, subject, body, occurred_ns, state,
               attempts, due_ns, not_after_ns, last_result)
               VALUES ('a', 'rollback', 'gateway', 't', 's', '{}', 1, 'pending', 0, 1, 2, '')"""
        )
        old.commit()
    with Ledger(path) as ledger:
        (waiting,) = ledger.outbox.due(NOW_NS, 1)
    assert (waiting.key, waiting.kept) == ("a", "")
