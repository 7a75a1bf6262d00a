"""The notification half of the executor: sorts, sends, keeps threads, and minds who fails.

A notifier that fails rests as a whole: one attempt finds out whether it is back, and then all that
waited goes at once, in order. A failing notifier is told of on the others, so that a pager does not
die unnoticed.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from tripswitch.actions import steps
from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.dispatch import NOTIFY_NOT_AFTER_NS
from tripswitch.actions.notify.contract import Keeper, Letter
from tripswitch.actions.notify.health import Health, Wards
from tripswitch.actions.notify.news import (
    NOTIFIER_BACK,
    NOTIFIER_FAILING,
    Verb,
    event_name,
    is_paper,
    news_of,
)
from tripswitch.actions.notify.sorting import Fate, Sorter
from tripswitch.errors import LedgerError
from tripswitch.model.clocktext import NS_PER_S, minutes_text, rfc3339
from tripswitch.model.outbox import Effect, EffectKind, EffectState, Lane
from tripswitch.model.threads import Thread

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from tripswitch.actions.backoff import Pace
    from tripswitch.actions.notify.contract import Sent
    from tripswitch.actions.notify.opening import Notifiers
    from tripswitch.config.model import Config
    from tripswitch.model.outbox import Outbox
    from tripswitch.model.threads import Threads

_LOG = structlog.get_logger(__name__)

_GONE: Final = "the endpoint answered 410 and is not called again before a restart"


class Delivery:
    """Sends notifications for the executor, one at a time for each notifier.

    ``note`` is told of every attempt and of when it began; ``share`` is a random number from 0 to
    1; ``counters`` are the executor's. Methods raise `LedgerError` only before anything was sent.
    """

    def __init__(
        self,
        outbox: Outbox,
        threads: Threads,
        notifiers: Notifiers,
        config: Config,
        *,
        now_ns: Callable[[], int],
        pace: Pace,
        share: Callable[[], float],
        note: Callable[[Effect, Attempt, int], None],
        counters: Counter[tuple[str, str, str, str]],
    ) -> None:
        self._outbox = outbox
        self._threads = threads
        self._notifiers = notifiers
        self._sections = list(config.notify)
        self._now_ns = now_ns
        self._pace = pace
        self._share = share
        self._note = note
        self._counters = counters
        self._sorter = Sorter(threads, config.notifications, counters)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.wards = Wards()

    def reload(self, config: Config) -> None:
        """Take the intervals from a new configuration."""
        self._sorter.settings = config.notifications

    def resting(self, now_ns: int) -> dict[Lane, int]:
        """Return the lanes that are not to be tried yet, and until when, in ns."""
        return {
            (EffectKind.NOTIFY, name): until_ns
            for name, until_ns in self.wards.resting(now_ns).items()
        }

    async def carry_out(self, effect: Effect) -> steps.Step | None:
        """Deal with one notification; None when the ledger knows already what became of it."""
        start_ns = self._now_ns()
        thread = self._threads.get(effect.target, effect.thread) if effect.thread else None
        if start_ns > effect.not_after_ns:
            last = effect.last_result or "not tried"
            return self._lost(effect, f"given up: not delivered in time; last: {last}")
        found = self._sorter.sort(effect, thread, start_ns)
        if not isinstance(found, Fate):
            return found
        if found is Fate.TOLD:
            return None
        is_open = thread is not None and thread.is_open
        address = thread.address if thread is not None and thread.is_open else {}
        notifier = self._notifiers.at(effect.target, address)
        if notifier is None:
            return self._lost(effect, f'no target named "{effect.target}" is configured')
        health = self.wards.of(effect.target)
        if health.is_gone:
            return self._lost(effect, _GONE)
        news = news_of(effect, is_first=not is_open)
        remote = {} if thread is None else thread.remote
        async with self._turns[effect.target]:
            if not self._outbox.begin(effect.key):
                return None
            sent = await notifier.send(Letter(effect, news, remote))
            self._note(effect, sent.attempt, start_ns)
            await self._keep_thread(effect, news.verb, thread, sent)
        pace_s = float(getattr(notifier, "pace_s", 0.0))
        return self._after(effect, sent.attempt, health, pace_s)

    async def keep(self) -> None:
        """Renew what fades and give signs of life, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name in self._notifiers.names:
                notifier = self._notifiers.configured(name)
                if isinstance(notifier, Keeper):
                    group.create_task(self._keep_one(name, notifier))

    async def _keep_one(self, name: str, notifier: Keeper) -> None:
        while True:
            try:
                result = (await self._kept(name, notifier)).state.value
            except LedgerError as error:
                result = "ledger"
                _LOG.warning("notifier.keep_failed", notifier=name, error=error.message)
            except Exception:  # noqa: BLE001 - the next renewal must come all the same
                result = "fault"
                _LOG.exception("notifier.keep_fault", notifier=name)
            self._counters["actions_renewals_total", "", name, result] += 1
            await asyncio.sleep(notifier.keep_every_s)

    async def _kept(self, name: str, notifier: Keeper) -> Attempt:
        # A renewal that is overtaken by the end of its thread would bring it back to life.
        async with self._turns[name]:
            return await notifier.keep(self._threads.open_threads(name))

    async def _keep_thread(
        self, effect: Effect, verb: Verb, thread: Thread | None, sent: Sent
    ) -> None:
        """Write down how the thread stands now, however long the ledger refuses."""
        is_done = sent.attempt.state is AttemptState.DONE
        if not effect.thread or not (is_done or sent.remote is not None):
            return
        now_ns = self._now_ns()
        if thread is None:
            thread = Thread(effect.target, effect.thread, 0, 0, is_open=False)
        if sent.remote is not None:
            thread = replace(thread, remote=sent.remote)
        if is_done and not is_paper(event_name(effect)):
            if not thread.is_open or not thread.told_ns:
                address = self._notifiers.address(effect.target)
                thread = replace(thread, opened_ns=now_ns, address=address, group="")
            thread = replace(thread, is_open=verb is not Verb.RESOLVE, told_ns=now_ns)
        while True:
            try:
                self._threads.put(thread)
            except LedgerError as error:
                self._count_ledger_error(error)
                await asyncio.sleep(self._pace.ledger_retry_s)
            else:
                return

    def _after(self, effect: Effect, attempt: Attempt, health: Health, pace_s: float) -> steps.Step:
        now_ns = self._now_ns()
        if attempt.state is AttemptState.DONE:
            self._worked(effect.target, health, now_ns)
            health.rest_until_ns = now_ns + int(pace_s * NS_PER_S)
            self._counters["actions_notifier_failing", "", effect.target, ""] = 0
            return steps.after_notification(effect, attempt, now_ns=now_ns, wait_s=0.0)
        health.is_gone = health.is_gone or attempt.endpoint_gone
        health.failed(now_ns)
        self._counters["actions_notifier_failing", "", effect.target, ""] = health.failures
        wait_s = self._pace.notify_wait_s(health.failures, self._share())
        wait_s = max(wait_s, attempt.retry_after_s or 0.0)
        is_refused = attempt.state is AttemptState.FAILED
        if not is_refused:
            # A message that is refused for good says nothing of the next one.
            health.rest_until_ns = now_ns + int(wait_s * NS_PER_S)
        failing_ns = now_ns - health.since_ns
        if is_refused or failing_ns >= self._sorter.settings.tell_after * NS_PER_S:
            self._tell_others(effect.target, attempt.detail, health, now_ns)
        return steps.after_notification(effect, attempt, now_ns=now_ns, wait_s=wait_s)

    def _worked(self, name: str, health: Health, now_ns: int) -> None:
        was_down, was_told = health.failures >= 2, health.is_told
        down_ns = now_ns - health.since_ns
        health.worked()
        try:
            if was_down:
                self._outbox.hurry(name, now_ns)
            if was_told:
                words = f"notifier {name} works again, after {minutes_text(down_ns)}"
                self._put_notice(name, NOTIFIER_BACK, words, health.since_ns, now_ns)
        except LedgerError as error:
            # What waits is due later all the same.
            self._count_ledger_error(error)

    def _lost(self, effect: Effect, reason: str) -> steps.Step:
        """End a message that nobody will get, and see that somebody hears of it."""
        now_ns = self._now_ns()
        health = self.wards.of(effect.target)
        health.failed(now_ns)
        self._tell_others(effect.target, reason, health, now_ns)
        return steps.refused(effect, reason)

    def _tell_others(self, name: str, detail: str, health: Health, now_ns: int) -> None:
        self._counters["actions_notifier_failures_total", "", name, ""] += 1
        if health.is_told:
            return
        since = minutes_text(now_ns - health.since_ns)
        words = f"notifier {name} fails since {since}, messages for it wait or are lost: {detail}"
        _LOG.error("notifier.failing", notifier=name, detail=detail)
        try:
            self._put_notice(name, NOTIFIER_FAILING, words, health.since_ns, now_ns)
        except LedgerError as error:
            self._count_ledger_error(error)
            return
        health.is_told = True

    def _put_notice(self, name: str, event: str, words: str, since_ns: int, now_ns: int) -> None:
        others = [one for one in self._seconds(name) if not self.wards.of(one).failures]
        data: dict[str, Any] = {
            "event": event,
            "time": rfc3339(now_ns),
            "detail": words,
            "incident": None,
            "notifier": name,
        }
        thread = f"tripswitch/notifier/{name}"
        self._outbox.put(
            [
                Effect(
                    key=f"nf/{name}/{since_ns}/{event}/{other}",
                    kind=EffectKind.NOTIFY,
                    target=other,
                    type=f"tripswitch.{event}.v1",
                    subject=thread,
                    body=json.dumps(data, separators=(",", ":")),
                    occurred_ns=now_ns,
                    state=EffectState.PENDING,
                    attempts=0,
                    due_ns=now_ns,
                    not_after_ns=now_ns + NOTIFY_NOT_AFTER_NS,
                    thread=thread,
                )
                for other in others
            ]
        )

    def _seconds(self, name: str) -> list[str]:
        """Return who is told that a notifier fails: the on-call's others, else all others.

        It is no page, so a notifier that hears pages only is told where there is no other.
        """
        others = [one for one in self._sections if one.name != name]
        on_call = [one for one in others if not one.roles or "on_call" in one.roles] or others
        quiet = [one for one in on_call if not one.severities or "investigate" in one.severities]
        return [one.name for one in quiet or on_call]

    def _count_ledger_error(self, error: LedgerError) -> None:
        self._counters["actions_ledger_errors_total", "", "", ""] += 1
        _LOG.error("action.ledger_refused", error=error.message, hint=error.hint)
