"""Which message goes now, which waits, and which is told by another: floods and mere numbers.

Two things turn alarms into noise. Many incidents at once: a notifier opens a few by themselves, and
what comes beyond them within the same minute is told by one message that lists it and is kept up
to date. New numbers without a new state: they wait, and are told by the next message of their
incident when one comes first. Nothing is dropped by either: what a message takes over from others
stands in it, or in the list and the counts of its group.
"""

from __future__ import annotations

import json
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from tripswitch.actions.notify import groups
from tripswitch.actions.notify.news import NUMBERS, event_name, is_paper, may_open
from tripswitch.actions.steps import Step
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.outbox import EffectState
from tripswitch.model.plain_text import cut
from tripswitch.model.threads import Thread

if TYPE_CHECKING:
    from collections import Counter

    from tripswitch.config.notifications_section import Notifications
    from tripswitch.model.outbox import Effect
    from tripswitch.model.threads import Threads


class Fate(Enum):
    """What is to become of a message, where it is not put off or ended."""

    GO = "it is to be sent now"
    TOLD = "another message tells it, and the ledger has that already"


_MOST_FOLDED_AT_ONCE: Final = 5_000
_MOST_EARLIER: Final = 20
_MOST_EARLIER_CHARS: Final = 300


class Sorter:
    """Sorts what waits for the notifiers. Raises `LedgerError` when the ledger refuses.

    ``counters`` counts what was told by another message.
    """

    def __init__(
        self,
        threads: Threads,
        settings: Notifications,
        counters: Counter[tuple[str, str, str, str]],
    ) -> None:
        self.settings = settings
        self._threads = threads
        self._counters = counters

    def sort(self, effect: Effect, thread: Thread | None, now_ns: int) -> Step | Fate:
        """Return the fate of a message, or the step that puts it off or ends it unsent."""
        event = event_name(effect)
        if not effect.thread.startswith("tripswitch/") or is_paper(event) or _is_ours(effect):
            return Fate.GO
        if thread is not None and thread.is_open:
            if thread.group:
                return Fate.TOLD if self._folded(effect, now_ns) else Fate.GO
            return self._numbers(effect, thread, now_ns) if event == NUMBERS else Fate.GO
        if not may_open(event):
            return Step(EffectState.DONE, None, "nothing to send: its episode was not told here")
        if effect.attempts == 0 and self._is_flood(effect.target, now_ns):
            return Fate.TOLD if self._folded(effect, now_ns) else Fate.GO
        return Fate.GO

    def _numbers(self, effect: Effect, thread: Thread, now_ns: int) -> Step | Fate:
        later = self._threads.next_of(effect)
        if later is not None and effect.attempts == 0:
            into = replace(later, body=_with_earlier(later, effect))
            if self._threads.absorb(effect, into, f"told with {later.key}", now_ns):
                self._counters["actions_told_together_total", "", effect.target, "update"] += 1
                return Fate.TOLD
        due_ns = thread.told_ns + int(self.settings.update_interval * NS_PER_S)
        if now_ns < due_ns:
            return Step(EffectState.PENDING, due_ns, "waits: new numbers, but no new state")
        return Fate.GO

    def _is_flood(self, notifier: str, now_ns: int) -> bool:
        since_ns = now_ns - int(self.settings.flood_window * NS_PER_S)
        if self._threads.opened_since(notifier, since_ns + 1) >= self.settings.flood_opens:
            return True
        group = self._threads.open_group(notifier, groups.PREFIX)
        return group is not None and group.summary["joined_ns"] > since_ns

    def _folded(self, first: Effect, now_ns: int) -> bool:
        """Fold all that waits and belongs into a group, ``first`` among it; False when it is gone.

        Members join the group that is growing; what is told of a member goes to its own group.
        """
        by_group: dict[str, tuple[Thread, dict[str, Thread], list[Effect]]] = {}
        known: dict[str, Thread] = {}
        joined: set[str] = set()
        growing: Thread | None = None
        is_flood = self._is_flood(first.target, now_ns)
        for effect in self._threads.waiting(first.target, _MOST_FOLDED_AT_ONCE):
            event = event_name(effect)
            if not effect.thread or is_paper(event) or _is_ours(effect):
                continue
            thread = known.get(effect.thread) or self._threads.get(first.target, effect.thread)
            if thread is None or not thread.is_open:
                if not may_open(event) or not is_flood:
                    continue
                growing = growing or self._growing(first, now_ns)
                thread = Thread(first.target, effect.thread, now_ns, now_ns, group=growing.key)
                joined.add(growing.key)
            if not thread.group:
                continue
            thread = replace(
                thread,
                is_open=event != "incident.resolved",
                told_ns=now_ns,
                summary=groups.summary_of(effect),
            )
            known[effect.thread] = thread
            if thread.group not in by_group:
                group = self._threads.get(first.target, thread.group) or growing
                assert group is not None
                by_group[thread.group] = (group, {}, [])
            by_group[thread.group][1][effect.thread] = thread
            by_group[thread.group][2].append(effect)
        for key, (group, members, effects) in by_group.items():
            self._fold(group, list(members.values()), effects, now_ns, is_joined=key in joined)
        return any(first.key == one.key for _, _, effects in by_group.values() for one in effects)

    def _fold(
        self,
        group: Thread,
        members: list[Thread],
        effects: list[Effect],
        now_ns: int,
        *,
        is_joined: bool,
    ) -> None:
        settings = self.settings
        if is_joined:
            group = replace(group, is_open=True, summary={"joined_ns": now_ns})
        if not group.told_ns:
            due_ns = now_ns + int(settings.group_wait * NS_PER_S)
        else:
            apart_s = settings.flood_window if is_joined else settings.update_interval
            due_ns = max(now_ns, group.told_ns + int(apart_s * NS_PER_S))
        not_after_ns = max(effect.not_after_ns for effect in effects)

        def tell(all_members: object) -> Effect:
            assert isinstance(all_members, list)
            is_over = all(not member.is_open for member in all_members)
            when_ns = now_ns if is_over and group.told_ns else due_ns
            return groups.group_message(group, all_members, now_ns, when_ns, not_after_ns)

        self._threads.fold(group, members, effects, now_ns, tell)
        self._counters["actions_told_together_total", "", group.notifier, "group"] += len(effects)

    def _growing(self, first: Effect, now_ns: int) -> Thread:
        """Return the group that new members join: the one that grew last, or a new one."""
        since_ns = now_ns - int(self.settings.flood_window * NS_PER_S)
        group = self._threads.open_group(first.target, groups.PREFIX)
        if group is not None and group.summary["joined_ns"] > since_ns:
            return group
        key = groups.group_key(first.target, first)
        return Thread(first.target, key, now_ns, 0, summary={"joined_ns": now_ns})


def _is_ours(effect: Effect) -> bool:
    """Return whether an effect is a message of a group, or about a notifier: never folded."""
    return event_name(effect).startswith(("incidents.", "notifier."))


def _with_earlier(later: Effect, effect: Effect) -> str:
    """Return the body of ``later`` with what ``effect`` would have told before it."""
    data, before = json.loads(later.body), json.loads(effect.body)
    told = [*before.get("earlier", []), before.get("detail") or "", *data.get("earlier", [])]
    data["earlier"] = [cut(one, _MOST_EARLIER_CHARS) for one in told if one][-_MOST_EARLIER:]
    return json.dumps(data, separators=(",", ":"))
