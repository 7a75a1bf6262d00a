"""Writes what the engine commands to the ledger, with the effects it asks for, in one transaction.

The engine does not say a thing twice, so what the ledger refuses is kept for the next try. What
follows from what was recorded (sealed evidence, drafted updates) is recorded after it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from tripswitch.actions.dispatch import effects_of
from tripswitch.errors import LedgerError
from tripswitch.model.drift import Drift
from tripswitch.model.messages import Rollback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tripswitch.config.model import Config
    from tripswitch.model.incident import RollbackPlan
    from tripswitch.model.messages import Command
    from tripswitch.model.outbox import Effect
    from tripswitch.store.ledger import Ledger

    Following = Callable[[Sequence[Command], Config], Sequence[Command]]

# Commands that wait for a ledger that cannot be written; an incident makes about ten.
MOST_UNRECORDED: Final = 10_000

_log = structlog.get_logger(__name__)


class Recorder:
    """The way into the ledger. ``counts`` are for the metrics page, ``steps`` counts what changed.

    ``following`` are asked what follows from what was recorded; ``on_effects`` is told that there
    is something to carry out, ``on_fault`` of a fault of ours.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        approval: Callable[[str, RollbackPlan, str], str] | None,
        following: Sequence[Following],
        on_effects: Callable[[], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._ledger = ledger
        self._approval = approval
        self._following = following
        self._on_effects = on_effects
        self._on_fault = on_fault
        self._waiting: list[Command] = []
        self._asked_ns: dict[str, int] = {}
        self.steps = 0
        self.counts = {
            "ledger_errors_total": 0,
            "ledger_dropped_commands_total": 0,
            "ledger_unrecorded_commands": 0,
        }

    def record(self, commands: Sequence[Command], config: Config) -> None:
        """Write ``commands`` down, after those that could not be written before."""
        self._waiting.extend(commands)
        for command in commands:
            if isinstance(command, Rollback):
                self._asked_ns.setdefault(command.key, time.time_ns())
        self.steps += bool(commands)
        if self._waiting:
            recorded = self._written(config)
            for follow in self._following if recorded else ():
                self.record(self._asked(follow, recorded, config), config)
        self.counts["ledger_unrecorded_commands"] = len(self._waiting)

    def _written(self, config: Config) -> list[Command]:
        """Write what waits; return it, empty when the ledger refused."""
        try:
            self._write(self._waiting, config)
        except LedgerError as error:
            self._refused(error)
            return []
        except Exception as error:  # noqa: BLE001 - one bad command must not block all later ones
            self._on_fault(error)
            return self._written_singly(config)
        recorded, self._waiting = self._waiting, []
        self._asked_ns.clear()
        return recorded

    def _written_singly(self, config: Config) -> list[Command]:
        """Write what waits one by one, so that a bad command costs itself alone."""
        recorded: list[Command] = []
        while self._waiting:
            command = self._waiting[0]
            try:
                self._write([command], config)
            except LedgerError as error:
                self._refused(error)
                return recorded
            except Exception as error:  # noqa: BLE001 - as above
                self._on_fault(error)
                self.counts["ledger_dropped_commands_total"] += 1
            else:
                recorded.append(command)
            del self._waiting[0]
        self._asked_ns.clear()
        return recorded

    def _write(self, commands: Sequence[Command], config: Config) -> None:
        now_ns = time.time_ns()
        effects = [
            self._in_time(effect, now_ns)
            for effect in effects_of(commands, config, now_ns, self._ledger.threads, self._approval)
        ]
        self._ledger.record(commands, effects)
        if effects:
            self._on_effects()

    def _in_time(self, effect: Effect, now_ns: int) -> Effect:
        """Return a rollback that is given up as soon as if the ledger had taken it at once.

        What was right when it was decided may be wrong when a ledger is writable again.
        """
        late_ns = max(0, now_ns - self._asked_ns.get(effect.key, now_ns))
        return replace(effect, not_after_ns=effect.not_after_ns - late_ns) if late_ns else effect

    def _refused(self, error: LedgerError) -> None:
        """Keep what waits for the next try, within a bound that no rollback falls to."""
        self.counts["ledger_errors_total"] += 1
        _log.error("ledger_refused", waiting=len(self._waiting), error=str(error))
        # Series come again with the next look at the rings, and are the largest by far.
        said: list[Command] = [one for one in self._waiting if not isinstance(one, Drift)]
        excess = max(0, len(said) - MOST_UNRECORDED)
        self.counts["ledger_dropped_commands_total"] += excess
        rollbacks = [one for one in said[:excess] if isinstance(one, Rollback)]
        self._waiting = [*rollbacks, *said[excess:]]

    def _asked(
        self, follow: Following, recorded: Sequence[Command], config: Config
    ) -> Sequence[Command]:
        try:
            return follow(recorded, config)
        except Exception as error:  # noqa: BLE001 - a fault costs what follows, never the judge
            self._on_fault(error)
            return []
