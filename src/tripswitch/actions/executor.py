"""Carries out what stands in the outbox, each effect under its key, none twice, none forgotten.

An effect is taken (`Outbox.begin`, durable) before its target is connected to, a rollback is marked
(`Outbox.mark_leaving`, durable) before its first byte goes, and both are settled after. Each
target has a lane of its own: within a lane one effect at a time, between lanes no waiting, so that
a dead notifier delays neither a rollback nor another notifier. What the engine has to know comes
out as `RollbackOutcome`, after it is on disk.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from tripswitch.actions import steps
from tripswitch.actions.attempt import AttemptState
from tripswitch.actions.backoff import Pace
from tripswitch.actions.call import Call
from tripswitch.actions.carry_out import carry_out, with_kept
from tripswitch.actions.exchange import open_client
from tripswitch.actions.notify.delivery import Delivery
from tripswitch.actions.notify.opening import Means, Notifiers
from tripswitch.actions.rollback.asked import route_of
from tripswitch.actions.targets import open_targets
from tripswitch.errors import LedgerError
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.messages import RollbackOutcome
from tripswitch.model.outbox import (
    RECALLED_NS,
    Effect,
    EffectKind,
    EffectState,
    Lane,
    Outbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.actions.attempt import Attempt
    from tripswitch.config.model import Config
    from tripswitch.model.threads import Threads

_LOG = structlog.get_logger(__name__)

# One lane for each target and notifier; more only come from names that left the configuration.
_MAX_LANES = 256
_SHORTEST_WAIT_S = 0.01


class Executor:
    """Calls targets and notifiers for the effects of ``outbox``; ``threads`` is beside it.

    ``on_outcome`` is told what became of each rollback, on the event loop, after it is recorded;
    "unknown" may be followed by the other two. ``now_ns`` is the wall clock, ``share`` a random
    number from 0 to 1 for the back-off. ``on_call`` is told of every attempt; ``chart_of`` gives
    the chart of an incident as PNG. ``counters`` counts by (metric, kind, target, result).
    Raises `ConfigError` when an address or a secret in ``config`` cannot be used.
    """

    def __init__(
        self,
        outbox: Outbox,
        config: Config,
        on_outcome: Callable[[RollbackOutcome], None],
        now_ns: Callable[[], int] = time.time_ns,
        *,
        threads: Threads,
        pace: Pace | None = None,
        share: Callable[[], float] = random.random,
        on_call: Callable[[Call], None] = lambda _call: None,
        chart_of: Callable[[str], bytes | None] = lambda _incident_id: None,
    ) -> None:
        self.counters: Counter[tuple[str, str, str, str]] = Counter()
        self._outbox = outbox
        self._on_outcome = on_outcome
        self._now_ns = now_ns
        self._pace = pace or Pace()
        self._share = share
        self._on_call = on_call
        self._client = open_client()
        self._targets = open_targets(config, self._client, outbox.instance, now_ns)
        self.delivery = Delivery(
            outbox,
            threads,
            Notifiers(config, Means(self._client, outbox.instance, now_ns, chart_of)),
            config,
            now_ns=now_ns,
            pace=self._pace,
            share=share,
            note=self._note,
            counters=self.counters,
        )
        self._waiting = dict.fromkeys(EffectKind, 0)
        self._settings = config.rollback
        self._gone: set[Lane] = set()
        self._told_unknown: set[str] = set()
        self._read_backs: Counter[str] = Counter()
        self._lanes: dict[Lane, asyncio.Task[None]] = {}
        self._recovered_ns: int | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._grace_s = 0.0
        self._stopped = asyncio.Event()
        self._stopped.set()

    async def run(self) -> None:
        """Carry out effects until `close` is called; what a crash left behind comes first."""
        self._stopped.clear()
        keeping = asyncio.create_task(self.delivery.keep())
        try:
            while not self._closing:
                self._wake.clear()
                wait_s = self._start_due()
                try:
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
                except TimeoutError:
                    continue
            await self._end_lanes(self._grace_s)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._end_lanes(grace_s=0.0)
            await self._client.aclose()
            self._stopped.set()

    def wake(self) -> None:
        """Look at the outbox now: effects have been added. Call it on the event loop's thread."""
        self._wake.set()

    def reload(self, config: Config) -> None:
        """Take the kill switch from a new configuration; it holds from the next attempt on."""
        self._settings = config.rollback
        self.delivery.reload(config)

    def figures(self) -> dict[tuple[str, str, str, str], int]:
        """Return ``counters`` with how things stand now beside them."""
        waiting = {
            ("actions_waiting", kind.value, "", ""): number
            for kind, number in self._waiting.items()
        }
        enabled = {("actions_rollback_enabled", "", "", ""): int(self._settings.enabled)}
        return self.counters | waiting | enabled

    async def close(self, grace_s: float = 5.0) -> None:
        """Start nothing new, let calls under way finish for ``grace_s``, and end `run`.

        A call that is cut off stays ``sending``, and the next start settles it.
        """
        self._grace_s = grace_s
        self._closing = True
        self._wake.set()
        await self._stopped.wait()
        await self._client.aclose()

    def _start_due(self) -> float:
        """Start a task for each free lane with something due; return how long to sleep, in s."""
        now_ns = self._now_ns()
        idle_ns = int(self._pace.idle_s * NS_PER_S)
        try:
            if self._recovered_ns is None or abs(now_ns - self._recovered_ns) >= idle_ns:
                recovered = self._outbox.recover(now_ns)
                self.counters["actions_recovered_total", "", "", ""] += recovered
                self._recovered_ns = now_ns
            resting = self.delivery.resting(now_ns)
            for effect in self._outbox.due(now_ns, _MAX_LANES, {*self._lanes, *resting}):
                lane = (effect.kind, effect.target)
                self._lanes[lane] = asyncio.create_task(self._work(effect, lane))
            next_ns = self._outbox.next_due_ns({*self._lanes, *resting})
            self._waiting = self._outbox.waiting()
        except LedgerError as error:
            self._count_ledger_error(error)
            return self._pace.ledger_retry_s
        next_ns = min([idle_ns + now_ns if next_ns is None else next_ns, *resting.values()])
        return min(max((next_ns - now_ns) / NS_PER_S, _SHORTEST_WAIT_S), self._pace.idle_s)

    async def _work(self, effect: Effect, lane: Lane) -> None:
        try:
            step = await self._carried_out(effect)
            if step is not None:
                await self._settle(effect, step)
        except LedgerError as error:
            # Taking the effect was refused, so nothing has been sent.
            self._count_ledger_error(error)
            due_ns = self._now_ns() + int(self._pace.ledger_retry_s * NS_PER_S)
            await self._settle(effect, steps.Step(effect.state, due_ns, "the ledger refused"))
        except Exception:  # noqa: BLE001 - a fault in one lane must not stop the others
            self.counters["actions_faults_total", effect.kind, effect.target, ""] += 1
            _LOG.exception("action.fault", key=effect.key, target=effect.target)
            await self._settle(effect, self._after_fault(effect))
        finally:
            del self._lanes[lane]
            self._wake.set()

    async def _carried_out(self, effect: Effect) -> steps.Step | None:
        """Try an effect once; None when somebody else has taken it."""
        if effect.kind is EffectKind.NOTIFY:
            return await self.delivery.carry_out(effect)
        if effect.state is EffectState.UNKNOWN:
            return await self._read_back(effect)
        return await self._rolled_back(effect)

    async def _rolled_back(self, effect: Effect) -> steps.Step | None:
        target = self._targets.get(effect.target)
        reason = self._reason_against(effect, configured=target is not None)
        if target is None or reason:
            return steps.refused(effect, reason)
        if not self._outbox.begin(effect.key):
            return None
        start_ns = self._now_ns()
        attempt = await carry_out(target, effect, self._outbox)
        self._note(effect, attempt, start_ns)
        return steps.after_rollback(
            effect,
            attempt,
            now_ns=self._now_ns(),
            wait_s=self._pace.rollback_wait_s(effect.attempts + 1, self._share()),
            read_back=target.can_read_back,
        )

    async def _read_back(self, effect: Effect) -> steps.Step | None:
        target = self._targets.get(effect.target)
        if target is None or not target.can_read_back:
            return steps.unknown_for_good(effect.last_result)
        if not self._outbox.begin_read_back(effect.key):
            return None
        start_ns = self._now_ns()
        snapshot = await target.snapshot(with_kept(effect, self._outbox))
        said = {True: "applied", False: "not_applied", None: "no_answer"}[snapshot.applied]
        self.counters["actions_read_backs_total", effect.kind, effect.target, said] += 1
        _LOG.info("action.read_back", key=effect.key, target=effect.target, said=said)
        self._read_backs[effect.key] += 1
        self._on_call(
            Call(
                "read_back",
                effect.target,
                effect.key,
                self._read_backs[effect.key],
                said,
                snapshot.applied is None,
                snapshot.status,
                start_ns,
                self._now_ns(),
            )
        )
        return steps.after_read_back(
            effect,
            snapshot,
            now_ns=self._now_ns(),
            wait_s=self._pace.rollback_wait_s(self._read_backs[effect.key], self._share()),
        )

    def _reason_against(self, effect: Effect, *, configured: bool) -> str:
        """Return why an effect must not be tried now, empty when it may."""
        if effect.not_after_ns == RECALLED_NS:
            return "recalled before it went: it was decided otherwise meanwhile"
        if self._now_ns() > effect.not_after_ns:
            return f"given up: not delivered in time; last: {effect.last_result or 'not tried'}"
        if effect.kind is EffectKind.ROLLBACK:
            if not self._settings.enabled:
                return "kill switch: rollback.enabled is false"
            if route_of(effect) in self._settings.disabled_routes:
                return "kill switch: rollback.disabled_routes names its route"
        if not configured:
            return f'no target named "{effect.target}" is configured'
        if (effect.kind, effect.target) in self._gone:
            return "the endpoint answered 410 and is not called again before a restart"
        return ""

    def _note(self, effect: Effect, attempt: Attempt, start_ns: int) -> None:
        self._on_call(
            Call(
                "rollback" if effect.kind is EffectKind.ROLLBACK else "notify",
                effect.target,
                effect.key,
                effect.attempts + 1,
                attempt.state.value,
                attempt.state is not AttemptState.DONE,
                attempt.status,
                start_ns,
                self._now_ns(),
            )
        )
        self.counters["actions_attempts_total", effect.kind, effect.target, attempt.state] += 1
        if attempt.endpoint_gone:
            self._gone.add((effect.kind, effect.target))
        _LOG.info(
            "action.attempted",
            key=effect.key,
            kind=effect.kind.value,
            target=effect.target,
            attempt=effect.attempts + 1,
            result=attempt.state.value,
            detail=attempt.detail,
        )

    async def _settle(self, effect: Effect, step: steps.Step) -> None:
        """Record a step, however long the ledger refuses: the answer is known only here."""
        while True:
            try:
                if step.due_ns is None:
                    now_ns = self._now_ns()
                    ours = self._outbox.finish(effect.key, step.state, step.result, now_ns)
                else:
                    ours = self._outbox.retry_at(effect.key, step.state, step.due_ns, step.result)
                break
            except LedgerError as error:
                self._count_ledger_error(error)
                await asyncio.sleep(self._pace.ledger_retry_s)
        if not ours:
            return
        if step.due_ns is None:
            self.counters["actions_settled_total", effect.kind, effect.target, step.state] += 1
        self._tell(effect.key, step)

    def _tell(self, key: str, step: steps.Step) -> None:
        told = key in self._told_unknown
        if step.outcome == "unknown":
            self._told_unknown.add(key)
        if step.due_ns is None:
            self._told_unknown.discard(key)
            del self._read_backs[key]
        if step.outcome is not None and not (step.outcome == "unknown" and told):
            self._on_outcome(RollbackOutcome(key, step.outcome, step.result))

    def _after_fault(self, effect: Effect) -> steps.Step:
        """Return where a fault of ours leaves an effect: a rollback may have been sent."""
        rollback = effect.kind is EffectKind.ROLLBACK
        state = EffectState.UNKNOWN if rollback else EffectState.PENDING
        due_ns = self._now_ns() + int(self._pace.rollback_cap_s * NS_PER_S)
        return steps.Step(state, due_ns, "a fault inside tripswitch; see the log")

    def _count_ledger_error(self, error: LedgerError) -> None:
        self.counters["actions_ledger_errors_total", "", "", ""] += 1
        _LOG.error("action.ledger_refused", error=error.message, hint=error.hint)

    async def _end_lanes(self, grace_s: float) -> None:
        lanes = list(self._lanes.values())
        if lanes and grace_s > 0:
            await asyncio.wait(lanes, timeout=grace_s)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
