"""The judge: the process that reads what was forwarded, judges it and acts.

It takes records from the wire, feeds them to a session, writes what the session commands to the
ledger in one transaction together with the effects it asks for, and only then has the executor
carry them out. Nothing here can reach a sender of telemetry: a fault costs the batch it arose in,
a death costs what had been taken and not finished, and both are counted.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from tripswitch.actions.executor import Executor
from tripswitch.config.loading import load_config, with_reloadable
from tripswitch.config.shown import config_digest
from tripswitch.drive.asked import Asked
from tripswitch.drive.drafting import Drafts
from tripswitch.drive.link import SIGNAL_OF, RecordKind
from tripswitch.drive.logs import configure_logs, place_of
from tripswitch.drive.own_traces import OwnTraces
from tripswitch.drive.recorder import Recorder
from tripswitch.drive.session import Arrival
from tripswitch.errors import ConfigError, LedgerError
from tripswitch.incidents.due import MOST_AWAITED
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_S, rfc3339
from tripswitch.model.incident import RollbackState
from tripswitch.model.messages import Event, EventName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tripswitch.config.model import Config
    from tripswitch.drive.config_edits import ConfigEdits
    from tripswitch.drive.evidence import EvidenceKeeper
    from tripswitch.drive.inbox import Inbox
    from tripswitch.drive.judged import Judged
    from tripswitch.drive.link import Record
    from tripswitch.drive.snapshots import Snapshots
    from tripswitch.model.incident import RollbackPlan
    from tripswitch.model.messages import Command, RollbackOutcome
    from tripswitch.store.ledger import Ledger

HEARTBEAT_S = 1.0

_EXECUTOR_GRACE_S = 3.0

# Twice the longest time that postmortem.publish_within may be, for those resolved late.
_POSTMORTEM_NS = 180 * 24 * NS_PER_HOUR

# Spans of the last calls are worth this much of the time there is to stop.
_OWN_TRACES_S = 1.0

_UNDECIDED = (RollbackState.PLANNED, RollbackState.UNKNOWN, RollbackState.UNDOING)

_log = structlog.get_logger(__name__)

_T = TypeVar("_T")


class Judge:
    """Ties a session, a ledger and an executor together. Raises ConfigError for bad targets."""

    def __init__(
        self,
        config: Config,
        session: Judged,
        ledger: Ledger,
        inbox: Inbox,
        snapshots: Snapshots | None = None,
        evidence: EvidenceKeeper | None = None,
        *,
        approval: Callable[[str, RollbackPlan, str], str] | None = None,
        chart_of: Callable[[str], bytes | None] = lambda _incident_id: None,
    ) -> None:
        self.config = config
        self.session = session
        self._snapshots = snapshots
        self._evidence = evidence
        self._pruned_ns = 0
        self._heard: set[tuple[str, str]] = set()
        self._faults_before = 0
        self._ledger = ledger
        self._inbox = inbox
        self._own_traces = OwnTraces(config.telemetry.otlp)
        self._executor = Executor(
            ledger.outbox,
            config,
            self._take_outcome,
            threads=ledger.threads,
            on_call=self._own_traces.record,
            chart_of=chart_of,
        )
        self._drafts = Drafts(ledger)
        self._recorder = Recorder(
            ledger,
            approval=approval,
            following=[
                *([] if evidence is None else [evidence.follow]),
                self._drafts.follow,
            ],
            on_effects=self._executor.wake,
            on_fault=self._count_fault,
        )
        self.asked = Asked(session, ledger, lambda: self.config, self._record, self._guarded)
        self._consumed = 0
        self.reload_number = 0
        self._reloaded: tuple[float | None, str] = (None, "")
        self._counts = {
            "judge_batches_total": 0,
            "judge_errors_total": 0,
            "judge_requests_total": 0,
            "ledger_pruned_rows_total": 0,
            "config_reloads_total;process=judge": 0,
            "config_reload_failures_total;process=judge": 0,
            "config_last_reload_ok;process=judge": 1,
        }

    def restore(self) -> None:
        """Take up what the last judge left: what it knew, open incidents, outcomes not taken in."""
        self._record([self._config_loaded()])
        if self._snapshots is not None:
            self._snapshots.resume(self.session, time.time_ns())
        incidents = self._ledger.open_incidents()
        after_ns = time.time_ns() - _POSTMORTEM_NS
        resolved = self._ledger.resolved_pages(after_ns, MOST_AWAITED)
        self.session.restore([*resolved, *incidents], self._ledger.past_rollbacks())
        # What follows happens now, not when the first tick or request comes.
        self._record(self.session.advance(time.time_ns()))
        undecided = [
            plan.undo_key if plan.state is RollbackState.UNDOING else plan.key
            for incident in incidents
            for plan in (*incident.rollbacks, incident.rollback)
            if plan is not None and plan.state in _UNDECIDED
        ]
        for outcome in self._ledger.settled_rollbacks(undecided):
            self._take_outcome(outcome)

    @property
    def recorded(self) -> int:
        """How many steps went to the ledger: what is shown changes with them."""
        return self._recorder.steps

    async def run(self, ready: Mapping[str, Any]) -> None:
        """Say that the judge is ready, with what it has to tell; judge until the wire ends it."""
        acting = asyncio.create_task(self._executor.run())
        ticking = asyncio.create_task(self._tick())
        beating = asyncio.create_task(self._beat())
        judging = asyncio.create_task(self._judge_batches())
        keeping = asyncio.create_task(self._keep_snapshots())
        self._inbox.send({"ready": dict(ready), "counters": self.counters()})
        try:
            await asyncio.wait(
                (judging, acting, ticking, beating), return_when=asyncio.FIRST_COMPLETED
            )
            for task in (judging, acting, ticking, beating):
                if task.done():
                    task.result()
        finally:
            for task in (judging, ticking, beating, keeping):
                task.cancel()
            await asyncio.gather(judging, ticking, beating, keeping, return_exceptions=True)
            self._record([])
            if self._snapshots is not None and self._is_sound():
                self._guarded(self._write_last_snapshot)
            if not acting.done():
                await self._executor.close(_EXECUTOR_GRACE_S)
            await asyncio.gather(acting, return_exceptions=True)
            await self._own_traces.stop(_OWN_TRACES_S)

    async def follow(
        self, edits: ConfigEdits, paths: Sequence[Path], environ: Mapping[str, str]
    ) -> None:
        """Take good edits of the files, refuse bad ones in words; the old ones stay in force."""
        async for _ in edits:
            if self.reload(paths, environ):
                configure_logs(self.config.telemetry.log_level, "judge")
            await self._own_traces.reload(self.config.telemetry.otlp, _OWN_TRACES_S)

    def reload(self, paths: Sequence[Path], environ: Mapping[str, str]) -> bool:
        """Read the files again; return whether what they say is in force now."""
        try:
            edited = load_config(paths, environ)
        except ConfigError as error:
            self._counts["config_reload_failures_total;process=judge"] += 1
            self._counts["config_last_reload_ok;process=judge"] = 0
            self.reload_number += 1
            self._reloaded = (time.time(), str(error))
            _log.error("config_refused", problems=str(error), kept="the configuration before it")
            return False
        self.config = with_reloadable(self.config, edited)
        kept = self._guarded(lambda: self.session.reload(self.config))
        self._executor.reload(self.config)
        self._record([self._config_loaded()])
        self._counts["config_reloads_total;process=judge"] += 1
        self._counts["config_last_reload_ok;process=judge"] = 1
        self.reload_number += 1
        self._reloaded = (time.time(), "")
        # Which fields need a restart is said by the wire, once for both.
        if kept is None:
            _log.info("config_reloaded")
        else:
            _log.info("config_reloaded", rows_with_evidence=kept.rows, dropped=kept.dropped)
        return True

    def _config_loaded(self) -> Event:
        detail = f"configuration in force, sha256 {config_digest(self.config)} without its secrets"
        return Event(EventName.CONFIG_LOADED, time.time_ns(), None, detail=detail)

    def last_reload(self) -> dict[str, Any]:
        """Return when the files were last read again, and what was wrong with them, as JSON."""
        at_s, problem = self._reloaded
        at = None if at_s is None else rfc3339(int(at_s * NS_PER_S))
        return {"at": at, "is_ok": not problem, "problem": problem}

    def counters(self) -> dict[str, float]:
        """Return everything this process counts; labels follow a name as ``;label=value``."""
        counts: dict[str, float] = dict(self._guarded(self.session.counters) or {})
        for (name, *values), count in self._executor.figures().items():
            labels = zip(("kind", "target", "result"), values, strict=True)
            counts[name + "".join(f";{label}={value}" for label, value in labels if value)] = count
        for result, count in self._own_traces.results.items():
            counts[f"own_spans_total;result={result}"] = count
        if self._snapshots is not None:
            counts |= self._snapshots.counts
        if self._evidence is not None:
            counts |= self._evidence.counts
        own = self._counts | self.asked.counts | self._recorder.counts | self._drafts.counts
        return counts | own

    async def _judge_batches(self) -> None:
        while batch := await self._inbox.batch():
            self._feed(batch)
            self._consumed += len(batch)
            # Megabytes, which would be kept until the next batch is there.
            del batch
            self._inbox.send({"consumed": self._consumed})
            await asyncio.sleep(0)

    def _feed(self, batch: Sequence[Record]) -> None:
        arrivals = []
        for record in batch:
            if record.kind is RecordKind.LOST:
                self._lose(record.lost_requests)
            else:
                signal = SIGNAL_OF[record.kind]
                arrivals.append(Arrival(record.body, record.received_ns, signal))
        if not arrivals:
            return
        if self._evidence is not None:
            self._evidence.take(arrivals, self.config.evidence)
        self._counts["judge_batches_total"] += 1
        self._counts["judge_requests_total"] += len(arrivals)
        commands = self._guarded(lambda: self.session.feed(arrivals))
        if commands is None:
            self._lose(len(arrivals))
            return
        self._record(commands)

    async def _tick(self) -> None:
        while True:
            tick_s = self.config.detect.tick
            await asyncio.sleep(tick_s - time.time() % tick_s)
            self._record(self._guarded(lambda: self.session.advance(time.time_ns())) or [])
            self._hear_overlooked()
            self._guarded(self._prune)

    async def _keep_snapshots(self) -> None:
        if self._snapshots is not None:
            await self._snapshots.keep(
                self.session, self._is_sound, lambda: self.config.detect.tick
            )

    def _prune(self) -> None:
        """Forget what is past its time, once an hour."""
        now_ns = time.time_ns()
        if self._evidence is not None:
            self._evidence.expire(now_ns, self.config.evidence)
        if now_ns - self._pruned_ns < NS_PER_HOUR:
            return
        self._pruned_ns = now_ns
        retain_ns = int(self.config.storage.retain * NS_PER_S)
        self._counts["ledger_pruned_rows_total"] += self._ledger.prune(now_ns - retain_ns)
        if self._evidence is not None:
            self._evidence.prune(now_ns, self.config.evidence)

    def _write_last_snapshot(self) -> None:
        assert self._snapshots is not None
        self._snapshots.write_last(self.session)

    def _is_sound(self) -> bool:
        """Return whether nothing went wrong since this was last asked.

        What a fault left behind should not outlast a restart.
        """
        before, self._faults_before = self._faults_before, self._counts["judge_errors_total"]
        return before == self._faults_before

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self._record([])
            self._inbox.send({"consumed": self._consumed, "counters": self.counters()})

    def _take_outcome(self, outcome: RollbackOutcome) -> None:
        commands = self._guarded(lambda: self.session.outcome(outcome))
        if commands is not None:
            self._heard.add((outcome.key, outcome.state))
            self._record(commands)

    def _hear_overlooked(self) -> None:
        """Take in what became of calls that another process made, or that a fault swallowed."""
        undecided = self._guarded(self.session.undecided) or []
        self._heard = {one for one in self._heard if one[0] in undecided}
        try:
            found = self._ledger.settled_rollbacks(undecided)
        except LedgerError:
            # Counted where it is written to; the next tick asks again.
            return
        for outcome in found:
            # What may or may not have acted stays undecided, and is said once.
            if (outcome.key, outcome.state) not in self._heard:
                self._take_outcome(outcome)

    def _lose(self, requests: int) -> None:
        self._guarded(lambda: self.session.lost(requests))

    def _record(self, commands: Sequence[Command]) -> None:
        self._recorder.record(commands, self.config)

    def _guarded(self, step: Callable[[], _T]) -> _T | None:
        """Return what ``step`` returns; None, counted and logged, when it has a fault."""
        try:
            return step()
        except Exception as error:  # noqa: BLE001 - a fault costs one batch, never the judge
            self._count_fault(error)
            return None

    def _count_fault(self, error: Exception) -> None:
        self._counts["judge_errors_total"] += 1
        _log.error("judge_fault", error=type(error).__name__, place=place_of(error))
