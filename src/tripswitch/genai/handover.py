"""Handing on what is settled: calls as columns, with what their evaluations say, and late scores.

Calls wait until everything that is due was settled and are then handed on together, by columns.
Whatever asks what was handed on before, or adds to it, has those that wait go first: the order in
which things are learnt, filed and listed is that of settling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.genai.appraisal import Appraiser
from tripswitch.genai.call_index import CallIndex
from tripswitch.genai.columns import Rows
from tripswitch.genai.harms import harms_of
from tripswitch.genai.novelties import Novelties
from tripswitch.genai.past_calls import (
    evaluation_key,
    evaluation_keys,
    file_calls,
    find_call,
)
from tripswitch.genai.prices import PriceTable
from tripswitch.genai.seen import Seen
from tripswitch.genai.settling import add_guardrail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.model import Config
    from tripswitch.genai.call_index import CallRef
    from tripswitch.genai.held_trace import Trace
    from tripswitch.genai.settling import Settling
    from tripswitch.genai.sightings import Evaluation
    from tripswitch.model.incident import Change
    from tripswitch.model.settled import Settled


class Handover:
    """Hands on calls, requests, scores and changes, and remembers them for what comes late.

    ``seen`` are the keys of spans and evaluations that were counted, ``index`` finds calls that
    were handed on. ``late_calls`` came after their request was handed on, ``late_scores`` found a
    call that was, ``repeated_scores`` had been counted, ``late_verdicts`` came too late to count.
    """

    def __init__(self, config: Config) -> None:
        self.seen = Seen()
        self.index = CallIndex(
            round(config.read.late_scores * 1e9), config.read.max_remembered_calls
        )
        self.appraiser = Appraiser(config)
        self.novelties = Novelties()
        self.late_calls = 0
        self.late_scores = 0
        self.late_verdicts = 0
        self.repeated_scores = 0
        self._rows = Rows(PriceTable(config.prices))
        self._changes: list[Change] = []
        self._waiting: list[Settling] = []
        # How many calls there are since the last time, those that wait among them.
        self._taken = 0
        self._now_ns = 0

    def reload(self, config: Config) -> None:
        """Take new settings for what is handed on from now on."""
        self.appraiser.reload(config)
        self._rows.prices = PriceTable(config.prices)

    def add(self, trace: Trace, calls: Sequence[Settling], now_ns: int) -> None:
        """Take the calls of a trace that were settled at ``now_ns``, in the order of their ends."""
        if not calls:
            return
        if now_ns != self._now_ns:
            self.go()
            self._now_ns = now_ns
        groups: dict[str, list[int]] = {}
        row = self._taken
        for call in calls:
            call.is_handed_on = True
            if call.facts.is_chat:
                entry_id = "" if call.entry is None else call.entry.span_id
                if entry_id in groups:
                    groups[entry_id].append(row)
                elif entry_id in trace.served:
                    self.late_calls += 1
                else:
                    groups[entry_id] = rows = [row]
                    self._rows.add_request(rows)
            row += 1
        trace.served += tuple(groups)
        self._waiting += calls
        self._taken = row

    def find(self, evaluation: Evaluation) -> CallRef | None:
        """Return the call that was handed on and that an evaluation names."""
        self.go()
        return find_call(self.index, evaluation)

    def join_late(self, evaluation: Evaluation, ref: CallRef) -> None:
        """Take an evaluation of a call that was handed on before."""
        self.go()
        if not self.seen.is_new(evaluation_key(ref.key, evaluation)):
            self.repeated_scores += 1
            return
        self.late_scores += 1
        appraised = self.appraiser.of_call([evaluation])
        self.late_verdicts += len(appraised.guardrails)
        self._rows.add_scores(
            appraised.rubrics,
            harms_of(appraised, appraised.guardrails),
            evaluation.target_trace_id or "",
            evaluation.target_span_id or "",
            ref,
        )

    def go(self) -> None:
        """Hand on the calls that wait."""
        if not self._waiting:
            return
        calls, self._waiting = self._waiting, []
        of_call = self.appraiser.of_call
        appraised = [of_call(call.evaluations) for call in calls]
        for call, said in zip(calls, appraised, strict=True):
            if said.guardrails:
                add_guardrail(call, *said.guardrails)
        self._rows.add_calls(calls, appraised)
        self.seen.remember(evaluation_keys(calls))
        self._changes += self.novelties.of_calls(calls, self._now_ns)
        file_calls(self.index, calls, self._now_ns)

    def take(self) -> Settled:
        """Return everything handed on since the last time."""
        self.go()
        self._taken = 0
        settled = self._rows.take()
        settled.changes, self._changes = self._changes, []
        return settled
