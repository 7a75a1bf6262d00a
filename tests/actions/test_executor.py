"""The executor calls each effect under one id, never a rollback twice, and forgets none."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.actions.receiver import CUT, HANG, OK, Answer, Receiver, closed_url, says
from tests.actions.workshop import ONCE, config, running, until
from tests.store.samples import effect, event, notification, plan
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.executor import Executor
from tripswitch.config.model import Config
from tripswitch.errors import ConfigError, LedgerError
from tripswitch.model.messages import EventName, Notify, Rollback, RollbackOutcome
from tripswitch.model.outbox import EffectState
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tripswitch.actions.call import Call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


def states(ledger: Ledger) -> dict[str, str]:
    return {row["key"]: row["state"] for row in ledger._database.read("SELECT * FROM outbox")}


def an_hour_later() -> int:
    return time.time_ns() + 3600 * 10**9


async def run_until_told(
    ledger: Ledger, settings: Any, outcomes: list[RollbackOutcome], count: int = 1
) -> Executor:
    async with running(ledger.outbox, settings, outcomes) as executor:
        await until(lambda: len(outcomes) >= count)
    return executor


def test_three_times_500_is_one_id_four_times_and_one_acknowledgement(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    no = Answer(500)
    with Receiver(no, no, no, says(action_id="rb-1")) as receiver:
        settings = config(gateway=receiver.url)
        commands = [Rollback("rb-1", plan(), event())]
        ledger.record(commands, effects_of(commands, settings, time.time_ns()))
        executor = asyncio.run(run_until_told(ledger, settings, outcomes))
    assert [post.id for post in receiver.posts] == ["rb-1"] * 4
    assert len({post.body for post in receiver.posts}) == 1
    assert [post.verify()["id"] for post in receiver.posts] == ["rb-1"] * 4
    assert outcomes == [RollbackOutcome("rb-1", "acknowledged", "confirmed by the receiver")]
    assert ledger.settled_rollbacks(["rb-1"]) == outcomes
    counted = executor.counters
    assert counted["actions_attempts_total", "rollback", "gateway", "retry"] == 3
    assert counted["actions_attempts_total", "rollback", "gateway", "done"] == 1
    assert counted["actions_settled_total", "rollback", "gateway", "done"] == 1


def test_every_attempt_is_told_with_its_answer_and_nothing_of_its_content(ledger: Ledger) -> None:
    calls: list[Call] = []
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1"), notification("n-1", target="pager")])

    async def story(settings: Any) -> None:
        async with running(ledger.outbox, settings, outcomes, on_call=calls.append):
            await until(lambda: len(calls) == 5)

    with Receiver(Answer(500), Answer(504), OK) as receiver, Receiver(Answer(410)) as pager:
        receiver.status = lambda _: says(state="unknown")
        asyncio.run(
            story(config(gateway=receiver.url, status=receiver.status_url, pager=pager.url))
        )
    told = [(call.action, call.attempt, call.state, call.status, call.is_error) for call in calls]
    assert ("notify", 1, "failed", 410, True) in told
    assert [each for each in told if each[0] != "notify"] == [
        ("rollback", 1, "retry", 500, True),
        ("rollback", 2, "unknown", 504, True),
        ("read_back", 1, "not_applied", 200, False),
        ("rollback", 3, "done", 200, False),
    ]
    assert {call.key for call in calls} == {"rb-1", "n-1"}
    assert {call.target for call in calls} == {"gateway", "pager"}
    assert all(0 < call.start_ns <= call.end_ns for call in calls)


def test_what_waits_and_the_kill_switch_are_told_as_they_stand(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1"), notification("n-1", target="pager")])
    notify = ("actions_waiting", "notify", "", "")
    rollback = ("actions_waiting", "rollback", "", "")
    switch = ("actions_rollback_enabled", "", "", "")

    async def story(pager: str) -> None:
        settings = config(gateway=closed_url(), pager=pager)
        async with running(ledger.outbox, settings, outcomes, pace=ONCE) as executor:
            await until(lambda: executor.figures()[notify] == 0 and executor.counters.total() > 1)
            now = executor.figures()
            assert (now[rollback], now[switch]) == (1, 1)
            assert rollback not in executor.counters
            executor.reload(Config.model_validate({"rollback": {"enabled": False}}))
            assert executor.figures()[switch] == 0

    with Receiver() as pager:
        asyncio.run(story(pager.url))


def test_a_target_that_is_down_gets_the_call_when_it_is_back(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1")])

    async def story() -> None:
        settings = config(gateway=closed_url())
        async with running(ledger.outbox, settings, outcomes, pace=ONCE) as executor:
            await until(
                lambda: executor.counters["actions_attempts_total", "rollback", "gateway", "retry"]
            )
        with Receiver() as receiver:
            settings = config(gateway=receiver.url)
            async with running(ledger.outbox, settings, outcomes, an_hour_later):
                await until(lambda: outcomes)
            assert len(receiver.posts) == 1

    asyncio.run(story())
    assert [one.state for one in outcomes] == ["acknowledged"]


@pytest.mark.parametrize(
    ("answer", "timeout_s"), [(HANG, 0.2), (CUT, 10.0), (Answer(504), 10.0), (Answer(408), 10.0)]
)
def test_a_call_that_may_have_acted_is_not_made_again(
    ledger: Ledger, answer: Answer, timeout_s: float
) -> None:
    outcomes: list[RollbackOutcome] = []
    # The second rollback shows that the lane went on after the first was left alone.
    ledger.outbox.put([effect("rb-1"), effect("rb-2")])
    with Receiver(answer) as receiver:
        settings = config(gateway=receiver.url, timeout_s=timeout_s)
        asyncio.run(run_until_told(ledger, settings, outcomes, 2))
        asyncio.run(stay_a_while(ledger, settings, outcomes))
        assert [post.id for post in receiver.posts] == ["rb-1", "rb-2"]
    assert [(one.key, one.state) for one in outcomes] == [
        ("rb-1", "unknown"),
        ("rb-2", "acknowledged"),
    ]
    assert ledger.settled_rollbacks(["rb-1"])[0].state == "unknown"


async def stay_a_while(ledger: Ledger, settings: Any, outcomes: list[RollbackOutcome]) -> None:
    """Start again, and end once a notification put last has been dealt with."""
    ledger.outbox.put([notification("last", target="nobody")])
    async with running(ledger.outbox, settings, outcomes):
        await until(lambda: states(ledger)["last"] == "failed")


def test_a_lost_answer_is_read_back_and_found_applied(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1")])
    with Receiver(HANG) as receiver:
        receiver.status = lambda _: says(state="applied")
        settings = config(gateway=receiver.url, status=receiver.status_url, timeout_s=0.3)
        asyncio.run(run_until_told(ledger, settings, outcomes))
        assert len(receiver.posts) == 1
        assert len(receiver.gets) == 1
    assert [(one.state, one.detail) for one in outcomes] == [
        ("acknowledged", "read back: status_url says applied")
    ]


@pytest.mark.parametrize("said", ["unknown", "not_applied"])
def test_a_lost_request_that_did_not_arrive_goes_again_under_its_key(
    ledger: Ledger, said: str
) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1")])
    with Receiver(CUT, OK) as receiver:
        receiver.status = lambda _: says(state=said)
        settings = config(gateway=receiver.url, status=receiver.status_url)
        asyncio.run(run_until_told(ledger, settings, outcomes))
    assert [post.id for post in receiver.posts] == ["rb-1", "rb-1"]
    assert [one.state for one in outcomes] == ["acknowledged"]


def test_while_nobody_answers_the_question_unknown_is_told_once_and_asked_on(
    ledger: Ledger,
) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1")])
    with Receiver(CUT) as receiver:
        silent = [Answer(500)] * 3
        receiver.status = lambda _: silent.pop() if silent else says(state="applied")
        settings = config(gateway=receiver.url, status=receiver.status_url)
        asyncio.run(run_until_told(ledger, settings, outcomes, 2))
        assert (len(receiver.posts), len(receiver.gets)) == (1, 4)
    assert [one.state for one in outcomes] == ["unknown", "acknowledged"]


def test_asking_ends_with_the_time_allowed(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    jump_ns = [0]
    ledger.outbox.put([effect("rb-1", not_after_ns=time.time_ns() + 1800 * 10**9)])

    def an_hour_later(_: str) -> Answer:
        jump_ns[0] = 3600 * 10**9
        return Answer(500)

    async def story() -> None:
        async with running(ledger.outbox, settings, outcomes, lambda: time.time_ns() + jump_ns[0]):
            await until(lambda: ledger.settled_rollbacks(["rb-1"]))

    with Receiver(CUT) as receiver:
        receiver.status = an_hour_later
        settings = config(gateway=receiver.url, status=receiver.status_url)
        asyncio.run(story())
        assert (len(receiver.posts), len(receiver.gets)) == (1, 1)
    assert [one.state for one in outcomes] == ["unknown"]


@pytest.mark.parametrize(
    "answer", [Answer(400), Answer(404), Answer(302, headers={"Location": "/"})]
)
def test_a_refusal_is_final(ledger: Ledger, answer: Answer) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1")])
    with Receiver(answer) as receiver:
        asyncio.run(run_until_told(ledger, config(gateway=receiver.url), outcomes))
        assert len(receiver.posts) == 1
    assert [one.state for one in outcomes] == ["failed"]


def test_an_endpoint_that_is_gone_gets_no_more_calls_until_a_restart(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1"), effect("rb-2")])
    with Receiver(Answer(410)) as receiver:
        settings = config(gateway=receiver.url)
        asyncio.run(run_until_told(ledger, settings, outcomes, 2))
        assert len(receiver.posts) == 1
        ledger.outbox.put([effect("rb-3")])
        asyncio.run(run_until_told(ledger, settings, outcomes, 3))
        assert len(receiver.posts) == 2
    assert [one.state for one in outcomes] == ["failed", "failed", "acknowledged"]


def test_a_rollback_that_is_too_late_is_given_up_unsent(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1", not_after_ns=time.time_ns() - 1)])
    with Receiver() as receiver:
        asyncio.run(run_until_told(ledger, config(gateway=receiver.url), outcomes))
        assert not receiver.posts
    assert outcomes[0].state == "failed"
    assert "given up" in outcomes[0].detail


def test_the_kill_switch_holds_between_two_attempts(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1"), notification("n1")])

    async def story() -> None:
        with Receiver(then=Answer(500)) as receiver, Receiver() as pager:
            settings = config(gateway=receiver.url, pager=pager.url)
            off = settings.model_copy(
                update={"rollback": settings.rollback.model_copy(update={"enabled": False})}
            )
            async with running(ledger.outbox, settings, outcomes) as executor:
                await until(lambda: receiver.posts)
                executor.reload(off)
                await until(lambda: outcomes)
                sent = len(receiver.posts)
                ledger.outbox.put([effect("rb-2"), notification("n2")])
                executor.wake()
                await until(lambda: len(outcomes) == 2 and len(pager.posts) == 2)
                assert len(receiver.posts) == sent

    asyncio.run(story())
    assert [(one.key, one.state) for one in outcomes] == [("rb-1", "failed"), ("rb-2", "failed")]
    assert "kill switch" in outcomes[0].detail


def test_a_rollback_for_a_target_that_left_the_config_fails_by_name(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1", target="gone")])
    asyncio.run(run_until_told(ledger, config(), outcomes))
    assert outcomes == [RollbackOutcome("rb-1", "failed", 'no target named "gone" is configured')]


def test_a_dead_notifier_delays_neither_the_rollback_nor_another_notifier(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []

    async def story() -> None:
        with Receiver(then=HANG) as dead, Receiver() as chat, Receiver() as gateway:
            settings = config(gateway=gateway.url, dead=dead.url, chat=chat.url, timeout_s=60.0)
            commands: list[Any] = [Notify(f"n{n}", event(id=f"inc-{n}")) for n in range(10)]
            commands.append(Rollback("rb-1", plan(), event()))
            effects = effects_of(commands, settings, time.time_ns())
            ledger.record(commands, effects)
            async with running(ledger.outbox, settings, outcomes):
                await until(lambda: dead.posts and len(chat.posts) == 10 and outcomes)
                # The dead one still has its first call, whose time-out is a minute.
                assert len(dead.posts) == 1
                assert len(gateway.posts) == 1

    asyncio.run(story())
    assert outcomes[0].state == "acknowledged"


def test_notifications_arrive_in_order_and_under_their_ids_whatever_fails(ledger: Ledger) -> None:
    names = [
        EventName.INCIDENT_OPENED,
        EventName.ROLLBACK_PLANNED,
        EventName.INCIDENT_RECOVERED,
        EventName.INCIDENT_RESOLVED,
    ]
    no = Answer(503)
    with Receiver(no, CUT, OK, Answer(502)) as pager:
        settings = config(pager=pager.url)
        commands = [Notify(f"inc-1/{name.value}", event(name)) for name in names]
        ledger.record(commands, effects_of(commands, settings, time.time_ns()))

        async def story() -> None:
            async with running(ledger.outbox, settings, []):
                await until(lambda: set(states(ledger).values()) == {"done"})

        asyncio.run(story())
    told = [post.verify()["data"]["event"] for post in pager.posts]
    assert told == [names[0]] * 3 + [names[1]] * 2 + names[2:]
    by_event = {post.event["data"]["event"]: post.id for post in pager.posts}
    assert len(set(by_event.values())) == 4
    assert [post.id for post in pager.posts] == [by_event[name] for name in told]


def test_two_executors_on_one_ledger_send_each_effect_once(path: Path) -> None:
    outcomes: list[RollbackOutcome] = []
    keys = [f"rb-{number}" for number in range(15)]

    async def story() -> list[str]:
        with Receiver() as receiver, Ledger(path) as one, Ledger(path) as two:
            settings = config(gateway=receiver.url)
            one.outbox.put([effect(key) for key in keys])
            async with (
                running(one.outbox, settings, outcomes),
                running(two.outbox, settings, outcomes),
            ):
                await until(lambda: len(outcomes) >= len(keys))
            return [post.id for post in receiver.posts]

    assert sorted(asyncio.run(story())) == sorted(keys)
    assert sorted(one.key for one in outcomes) == sorted(keys)


def test_an_executor_takes_over_from_one_that_died(path: Path) -> None:
    outcomes: list[RollbackOutcome] = []

    async def story() -> None:
        with Receiver() as receiver, Ledger(path) as alive:
            receiver.status = lambda _: says(state="unknown")
            settings = config(gateway=receiver.url, status=receiver.status_url)
            dying = Ledger(path)
            dying.outbox.put([effect("rb-1")])
            assert dying.outbox.begin("rb-1")
            async with running(alive.outbox, settings, outcomes) as executor:
                await until(lambda: executor._recovered_ns is not None)
                assert not outcomes
                dying.close()
                await until(lambda: outcomes)
                assert executor.counters["actions_recovered_total", "", "", ""] == 1
            assert len(receiver.posts) == 1

    asyncio.run(story())
    assert outcomes[0].state == "acknowledged"


def test_while_the_ledger_refuses_nothing_is_sent_and_no_answer_is_lost(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1")])
    outbox = ledger.outbox
    begin, finish = outbox.begin, outbox.finish
    refusals = {"begin": 2, "finish": 2}

    def refusing(name: str) -> None:
        if refusals[name]:
            refusals[name] -= 1
            raise LedgerError("the disk is full")

    class FullDisk:
        """The real outbox, on a disk that is full for a while."""

        def __getattr__(self, name: str) -> Any:
            return getattr(outbox, name)

        def begin(self, key: str) -> bool:
            refusing("begin")
            assert not receiver.posts
            return begin(key)

        def finish(self, key: str, state: EffectState, result: str, now_ns: int) -> bool:
            refusing("finish")
            return finish(key, state, result, now_ns)

    async def story() -> None:
        async with running(FullDisk(), settings, outcomes) as executor:
            await until(lambda: outcomes)
            assert executor.counters["actions_ledger_errors_total", "", "", ""] == 4

    with Receiver() as receiver:
        settings = config(gateway=receiver.url)
        asyncio.run(story())
        assert len(receiver.posts) == 1
    assert [one.state for one in outcomes] == ["acknowledged"]


def test_a_fault_in_one_lane_leaves_the_others_running(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    # A body that is no JSON cannot come from effects_of; it stands for any fault of ours.
    ledger.outbox.put([effect("rb-1", body="{"), notification("n1"), notification("n2")])

    async def story() -> None:
        with Receiver() as gateway, Receiver() as pager:
            settings = config(gateway=gateway.url, pager=pager.url)
            async with running(ledger.outbox, settings, outcomes) as executor:
                await until(lambda: len(pager.posts) == 2 and outcomes)
                assert executor.counters["actions_faults_total", "rollback", "gateway", ""] == 1
            assert not gateway.posts

    asyncio.run(story())
    assert [one.state for one in outcomes] == ["unknown"]


def test_close_lets_a_call_under_way_finish(ledger: Ledger) -> None:
    outcomes: list[RollbackOutcome] = []
    ledger.outbox.put([effect("rb-1")])

    async def story() -> None:
        loop = asyncio.get_running_loop()
        closing = asyncio.Event()
        slow = Answer(first=lambda: (loop.call_soon_threadsafe(closing.set), None)[1])
        with Receiver(slow) as receiver:
            settings = config(gateway=receiver.url)
            executor = Executor(ledger.outbox, settings, outcomes.append, threads=ledger.threads)
            task = asyncio.create_task(executor.run())
            await closing.wait()
            await executor.close(grace_s=20.0)
            await task

    asyncio.run(story())
    assert [one.state for one in outcomes] == ["acknowledged"]


def test_an_executor_with_an_unusable_target_does_not_start(ledger: Ledger) -> None:
    with pytest.raises(ConfigError, match="gateway"):
        Executor(ledger.outbox, config(gateway="nowhere"), lambda _: None, threads=ledger.threads)


def test_the_source_stays_the_same_over_a_restart(path: Path) -> None:
    with Receiver(Answer(500), OK) as receiver:
        settings = config(gateway=receiver.url)
        for wanted in (1, 2):
            with Ledger(path) as ledger:
                ledger.outbox.put([effect("rb-1")])

                async def story(outbox: Any = ledger.outbox, count: int = wanted) -> None:
                    clock = time.time_ns if count == 1 else an_hour_later
                    async with running(outbox, settings, [], clock, pace=ONCE) as executor:
                        # Until the answer is on disk too: cut off before, it would be unknown.
                        await until(lambda: executor.counters.total() and not executor._lanes)

                asyncio.run(story())
    assert len({post.body for post in receiver.posts}) == 1
    assert json.loads(receiver.posts[0].body)["source"].startswith("/tripswitch/")
