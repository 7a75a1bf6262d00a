"""Threads: kept, found, folded and forgotten, each in one transaction or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.samples import NOW_NS, notification
from tripswitch.model.outbox import Effect, EffectState
from tripswitch.model.threads import Thread
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ONE = Thread("chat", "k1", NOW_NS, NOW_NS + 1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def waiting(key: str, thread: str, **changes: Any) -> Effect:
    return notification(key, target="chat", thread=thread, **changes)


def states(ledger: Ledger) -> dict[str, str]:
    return {row["key"]: row["state"] for row in ledger._database.read("SELECT * FROM outbox")}


def test_a_thread_is_found_as_it_was_put_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    full = replace(
        ONE,
        is_open=False,
        group="g",
        summary={"label": "é"},
        address={"type": "slack", "to": ["a"]},
        remote={"ts": "1"},
    )
    with Ledger(path) as ledger:
        assert ledger.threads.get("chat", "k1") is None
        ledger.threads.put(ONE)
        ledger.threads.put(full)
    with Ledger(path) as ledger:
        assert ledger.threads.get("chat", "k1") == full
        assert ledger.threads.get("other", "k1") is None


def test_who_hears_of_an_episode_was_told_or_is_about_to_be(ledger: Ledger) -> None:
    ledger.threads.put(ONE)
    ledger.threads.put(replace(ONE, notifier="closed", is_open=False))
    ledger.outbox.put([notification("n1", target="pager", thread="k1")])
    ledger.outbox.put([notification("n2", target="elsewhere", thread="k2")])
    assert ledger.threads.hearing("k1") == {"chat", "pager"}
    ledger.outbox.finish("n1", EffectState.DONE, "", NOW_NS)
    assert ledger.threads.hearing("k1") == {"chat"}


def test_what_a_notifier_opened_by_itself_is_counted(ledger: Ledger) -> None:
    ledger.threads.put(ONE)
    ledger.threads.put(replace(ONE, key="k2", opened_ns=NOW_NS - 10))
    ledger.threads.put(replace(ONE, key="k3", group="g"))
    ledger.threads.put(replace(ONE, key="k4", is_open=False))
    assert ledger.threads.opened_since("chat", NOW_NS) == 2
    assert [thread.key for thread in ledger.threads.open_threads("chat")] == ["k2", "k1"]
    assert ledger.threads.open_group("chat", "k") == ONE
    assert ledger.threads.open_group("chat", "g/") is None


def test_one_message_takes_over_what_another_would_have_told(ledger: Ledger) -> None:
    old, new = waiting("n1", "k1"), waiting("n2", "k1")
    ledger.outbox.put([old, new, waiting("n3", "k2")])
    assert ledger.threads.next_of(old) == new
    assert ledger.threads.next_of(new) is None
    assert ledger.threads.absorb(old, replace(new, body="{}"), "told with n2", NOW_NS)
    assert states(ledger) == {"n1": "done", "n2": "pending", "n3": "pending"}
    assert next(effect.body for effect in ledger.threads.waiting("chat", 9)) == "{}"


def test_a_message_that_was_taken_takes_over_nothing(ledger: Ledger) -> None:
    old, new = waiting("n1", "k1"), waiting("n2", "k1")
    ledger.outbox.put([old, new])
    assert ledger.outbox.begin("n2")
    assert not ledger.threads.absorb(old, replace(new, body="{}"), "", NOW_NS)
    assert states(ledger) == {"n1": "pending", "n2": "sending"}


def test_a_fold_is_whole_or_not_at_all(ledger: Ledger) -> None:
    told = [waiting(f"n{number}", f"k{number}") for number in range(3)]
    ledger.outbox.put(told)
    group = Thread("chat", "g", NOW_NS, 0)
    members = [replace(ONE, key=f"k{number}", group="g") for number in range(3)]

    def fails(_: Sequence[Thread]) -> Effect:
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="a fault"):
        ledger.threads.fold(group, members, told, NOW_NS, fails)
    assert set(states(ledger).values()) == {"pending"}
    assert ledger.threads.get("chat", "g") is None

    def tell(found: Sequence[Thread]) -> Effect:
        keys = [thread.key for thread in found]
        return waiting(f"m{len(keys)}", "g", body=f'"{keys}"', due_ns=NOW_NS + len(keys))

    ledger.threads.fold(group, members[:2], told[:2], NOW_NS, tell)
    ledger.threads.fold(group, members[2:], told[2:], NOW_NS, tell)
    assert states(ledger) == {"n0": "done", "n1": "done", "n2": "done", "m2": "pending"}
    (message,) = ledger.threads.waiting("chat", 9)
    assert "k2" in message.body, "a message that waits untried is brought up to date"
    assert message.due_ns == NOW_NS + 2
    assert ledger.outbox.begin("m2")
    ledger.threads.fold(group, [], [], NOW_NS, tell)
    assert states(ledger)["m3"] == "pending"


def test_effects_of_one_thread_wait_for_each_other_and_for_no_other(ledger: Ledger) -> None:
    first, second = waiting("n1", "k1"), waiting("n2", "k1")
    other = waiting("n3", "k2")
    assert first.subject == other.subject
    ledger.outbox.put([first])
    ledger.outbox.retry_at("n1", EffectState.PENDING, NOW_NS + 100, "later")
    ledger.outbox.put([other])
    assert [one.key for one in ledger.outbox.due(NOW_NS, 9)] == ["n3"]
    ledger.outbox.put([second])
    assert [one.key for one in ledger.outbox.due(NOW_NS, 9)] == ["n1"], "news make it due"


def test_hurrying_is_for_one_notifier(ledger: Ledger) -> None:
    ledger.outbox.put([waiting("n1", "k1"), notification("n2", target="pager", thread="k1")])
    for key in ("n1", "n2"):
        ledger.outbox.retry_at(key, EffectState.PENDING, NOW_NS + 100, "down")
    assert ledger.outbox.hurry("chat", NOW_NS) == 1
    assert [one.key for one in ledger.outbox.due(NOW_NS, 9)] == ["n1"]


def test_threads_that_ended_are_forgotten_and_open_ones_are_not(ledger: Ledger) -> None:
    ledger.threads.put(ONE)
    ledger.threads.put(replace(ONE, key="k2", is_open=False))
    ledger.prune(NOW_NS + 10)
    assert ledger.threads.get("chat", "k1") is not None
    assert ledger.threads.get("chat", "k2") is None
