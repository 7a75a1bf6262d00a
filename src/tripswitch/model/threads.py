"""What each notifier was told of each episode, and under which ids the other side knows it.

`store` keeps the table beside the outbox, `actions` reads and writes it; neither knows the other,
both know this. A *thread* is one episode at one notifier, from its first message to the one that
ends it: the alert of a pager, the thread of a chat, the conversation in a mailbox. A *group* is a
thread of its own that tells of many episodes at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tripswitch.model.outbox import Effect


@dataclass(frozen=True, slots=True)
class Thread:
    """One episode at one notifier.

    ``key`` is the dedup key of the episode or group; ``opened_ns`` and ``told_ns`` are the wall
    times of its first and its last message; ``group`` is the key of the group that tells of it,
    empty while it is told by itself. ``summary`` is its line in that group. ``address`` is where
    its first message went (fields of the configuration, so that an edit does not orphan what is
    open); ``remote`` is what the other side answered, such as a message's id.
    """

    notifier: str
    key: str
    opened_ns: int
    told_ns: int
    is_open: bool = True
    group: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    address: Mapping[str, Any] = field(default_factory=dict)
    remote: Mapping[str, str] = field(default_factory=dict)


class Threads(Protocol):
    """The table of threads. Every method is one durable transaction; `LedgerError` only."""

    def get(self, notifier: str, key: str) -> Thread | None:
        """Return the thread of an episode at a notifier, None when it was never told of it."""

    def put(self, thread: Thread) -> None:
        """Keep a thread as it stands now."""

    def hearing(self, key: str) -> set[str]:
        """Return the notifiers that were told of an episode, or are about to be."""

    def opened_since(self, notifier: str, since_ns: int) -> int:
        """Return how many threads a notifier has opened by themselves from ``since_ns`` on."""

    def open_threads(self, notifier: str) -> list[Thread]:
        """Return what a notifier has open and tells by itself, groups included, oldest first."""

    def open_group(self, notifier: str, prefix: str) -> Thread | None:
        """Return the open thread told last whose key starts with ``prefix``."""

    def waiting(self, notifier: str, limit: int) -> list[Effect]:
        """Return the notifications that wait for a notifier and were not tried, oldest first."""

    def next_of(self, effect: Effect) -> Effect | None:
        """Return the oldest younger notification of the same thread that was not tried yet."""

    def absorb(self, effect: Effect, into: Effect, result: str, now_ns: int) -> bool:
        """Let ``into`` (with its new body) tell what ``effect`` would have.

        False, and nothing changed, when one of them was taken meanwhile.
        """

    def fold(
        self,
        group: Thread,
        threads: Sequence[Thread],
        effects: Sequence[Effect],
        now_ns: int,
        tell: Callable[[Sequence[Thread]], Effect],
    ) -> None:
        """Let one message of ``group`` tell what ``effects`` would have.

        ``threads`` are its members as they stand after them. ``tell`` is given all members and
        returns the message; it takes the place of one that waits untried.
        """
