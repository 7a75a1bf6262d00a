"""Handing on what is settled: calls as columns, with what their evaluations say, and late scores.

All that is said of a call is read when it is settled, while it is at hand; only filing them, for
what comes late, is done for many at once. Whatever asks what was handed on before has those that
wait be filed first: the order in which things are learnt, filed and listed is that of settling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.genai.appraisal import Appraiser
from tripswitch.genai.call_index import CallIndex, all_mixed
from tripswitch.genai.harms import harms_of
from tripswitch.genai.novelties import Novelties
from tripswitch.genai.past_calls import (
    Filing,
    evaluation_key,
    file_calls,
    find_call,
    said_by,
)
from tripswitch.genai.prices import PriceTable
from tripswitch.genai.seen import Seen
from tripswitch.genai.settled_rows import SettledRows
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

# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__


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
        self._rows = SettledRows(PriceTable(config.prices))
        self._changes: list[Change] = []
        # Of calls taken since `go`: what they are filed by, and how evaluations are known again.
        self._filings: list[Filing] = []
        self._judged: list[int] = []
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
        numbers: dict[str, int] = {}
        for call in calls:
            row = self._add_call(call)
            if call.facts.is_chat:
                entry_id = "" if call.entry is None else call.entry.span_id
                if entry_id in numbers:
                    self._rows.add_to_request(numbers[entry_id], row)
                elif entry_id in trace.served:
                    self.late_calls += 1
                else:
                    numbers[entry_id] = self._rows.add_request(row)
            call.hand_on()
        trace.served += tuple(numbers)

    def _add_call(self, call: Settling) -> int:
        """Take one call, with what its evaluations say; return its row."""
        said = self.appraiser.of_call(call.evaluations)
        if said.guardrails:
            add_guardrail(call, *said.guardrails)
        for name, _, _, source, version, _, _, _, _, _ in call.evaluations:
            self._judged.append(call.key ^ said_by(name, version, source))
        span = call.span
        outer_id = span.span_id if call.entry is None else call.entry.span_id
        self._filings.append(
            _new_tuple(
                Filing,
                (call.key, span.trace_id, outer_id, call.facts.response_id, span.end, call.place),
            )
        )
        self._changes += self.novelties.of_call(call, self._now_ns)
        return self._rows.add_call(call, said)

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
        """Have the calls taken so far be found by what comes late."""
        if not self._filings:
            return
        self.seen.remember(all_mixed(self._judged))
        file_calls(self.index, self._filings, self._now_ns)
        self._judged, self._filings = [], []
        self.novelties.forget_told()

    def take(self) -> Settled:
        """Return everything handed on since the last time."""
        self.go()
        settled = self._rows.take()
        settled.changes, self._changes = self._changes, []
        return settled
