"""Whatever comes in whatever order, up or down: each thing is told once, in order, or is folded."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.samples import event, incident
from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.backoff import Pace
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.notify.contract import Letter, Sent
from tripswitch.actions.notify.delivery import Delivery
from tripswitch.config.model import Config
from tripswitch.model.incident import IncidentState
from tripswitch.model.messages import EventName, Notify
from tripswitch.model.outbox import EffectState
from tripswitch.store.ledger import Ledger

S_NS = 1_000_000_000
CONFIG = Config.model_validate({"notify": [{"name": "chat"}]})
STEPS = ("incident.updated", "rollback.planned", "rollback.failed", "incident.acknowledged")


class Chat:
    """A notifier that is up or down, and what it was given."""

    def __init__(self) -> None:
        self.is_up = True
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> Sent:
        """Take it or not."""
        if not self.is_up:
            return Sent(Attempt(AttemptState.RETRY, "down"))
        self.letters.append(letter)
        return Sent(Attempt(AttemptState.DONE, "taken"), {"ts": "1"})


class OneChat:
    """The notifiers of a file that has this one."""

    names = ("chat",)

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def at(self, _name: str, _address: Any) -> Chat:
        """Return the one there is."""
        return self._chat

    def address(self, _name: str) -> dict[str, str]:
        """Return what an episode keeps."""
        return {"type": "webhook"}


class Post:
    """Ledger, delivery and a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now_ns = 1_800_000_000 * S_NS
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.chat = Chat()
        self.told: dict[str, list[str]] = defaultdict(list)
        self.delivery = Delivery(
            self.ledger.outbox,
            self.ledger.threads,
            OneChat(self.chat),  # type: ignore[arg-type]
            CONFIG,
            now_ns=lambda: self.now_ns,
            pace=Pace(),
            share=lambda: 0.0,
            note=lambda *_: None,
            counters=Counter(),
        )

    def tell(self, number: int, name: str) -> None:
        """Record one event of one incident."""
        scope = incident().scope._replace(route=f"/r/{number}")
        state = IncidentState.RESOLVED if name == "incident.resolved" else IncidentState.OPEN
        one = event(EventName(name), id=f"inc-{number}", scope=scope, state=state)
        count = len(self.told[f"inc-{number}"])
        detail = f"{number}/{count}"
        self.told[f"inc-{number}"].append(detail)
        one = replace(one, detail=detail, time_ns=self.now_ns)
        notify = Notify(f"nt_{number}_{count}", one)
        effects = effects_of([notify], CONFIG, self.now_ns, self.ledger.threads)
        self.ledger.record([one, notify], effects)

    async def deliver(self) -> None:
        """Carry out what is due, as the executor does."""
        while True:
            resting = self.delivery.resting(self.now_ns)
            due = self.ledger.outbox.due(self.now_ns, 9, resting.keys())
            if not due:
                return
            step = await self.delivery.carry_out(due[0])
            if step is None:
                continue
            if step.due_ns is None:
                self.ledger.outbox.finish(due[0].key, step.state, step.result, self.now_ns)
            else:
                self.ledger.outbox.retry_at(due[0].key, step.state, step.due_ns, step.result)


moves = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from(STEPS), st.integers(0, 90), st.booleans()),
    max_size=40,
)


@settings(max_examples=8, deadline=None)
@given(moves)
def test_each_thing_is_told_once_and_in_order_or_folded(script: list[Any]) -> None:
    play(script)


@pytest.mark.matrix
@pytest.mark.timeout(900)
@settings(max_examples=300, deadline=None)
@given(moves)
def test_each_thing_is_told_once_of_many_more_stories(script: list[Any]) -> None:
    play(script)


def test_a_flood_while_it_is_down_is_told_when_it_is_back() -> None:
    opens = [(number, "rollback.failed", 2, False) for number in range(12)]
    letters = play([*opens, *[(number, "incident.updated", 20, True) for number in range(12)]])
    assert [letter.news.event for letter in letters].count("incidents.grouped") == 1


def play(script: list[Any]) -> list[Letter]:
    """Play a story, look at what came of it, and return what was sent."""
    with tempfile.TemporaryDirectory() as folder:
        post = Post(Path(folder))
        try:
            asyncio.run(_play(post, script))
            _look(post)
            return post.chat.letters
        finally:
            post.ledger.close()


async def _play(post: Post, script: list[Any]) -> None:
    for number, name, seconds, is_up in script:
        if not post.told[f"inc-{number}"]:
            post.tell(number, "incident.opened")
        post.tell(number, name)
        post.chat.is_up = is_up
        await post.deliver()
        post.now_ns += seconds * S_NS
    for number in range(12):
        if post.told[f"inc-{number}"]:
            post.tell(number, "incident.resolved")
    post.chat.is_up = True
    for _ in range(6):
        post.now_ns += 400 * S_NS
        await post.deliver()


def _look(post: Post) -> None:
    """Assert that what was told is what was to be told."""
    rows = post.ledger._database.read("SELECT key, state, last_result, thread FROM outbox")
    assert {row["state"] for row in rows} <= {EffectState.DONE.value}
    folded = {row["key"] for row in rows if row["last_result"].startswith("told with others in")}
    heard: dict[str, list[str]] = defaultdict(list)
    last_of_group: dict[str, Letter] = {}
    for letter in post.chat.letters:
        if letter.news.group:
            last_of_group[letter.news.thread] = letter
            continue
        heard[letter.news.line("id")] += [*letter.news.earlier, letter.news.detail]
    assert len({letter.effect.key for letter in post.chat.letters}) == len(post.chat.letters)
    for name, details in post.told.items():
        number = name.removeprefix("inc-")
        alone = [each for at, each in enumerate(details) if f"nt_{number}_{at}/chat" not in folded]
        assert heard[name] == alone, name
        assert len(alone) in (0, len(details)), "told by itself or in a group, not half of each"
    members = sum(letter.news.group["count"] for letter in last_of_group.values())
    assert members == sum(1 for name, details in post.told.items() if details and not heard[name])
    for letter in last_of_group.values():
        assert set(letter.news.group["states"]) == {"resolved"}
        assert letter.news.event == "incidents.group_resolved"
