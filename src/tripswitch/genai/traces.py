"""Putting traces together: what was seen of one trace, until it can be settled.

A span may come before or after those above and below it, in any request, once or twice. A trace
is settled at the first tick after its root, or a server's span, has been here for ``linger_s``;
without one, after ``hold_s`` without news. It is remembered for ``hold_s`` more: what comes later
inherits from it and is settled in turn, and what was counted is not counted again. Scores come
minutes later: every settled call stays findable for them in a `CallIndex`.

Everything is bounded, and what a bound costs is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.genai.agenda import Agenda
from tripswitch.genai.appraisal import Appraiser
from tripswitch.genai.call_index import CallIndex, CallRef
from tripswitch.genai.columns import Rows
from tripswitch.genai.family import Places
from tripswitch.genai.harms import harms_of
from tripswitch.genai.held_trace import NEVER, Trace
from tripswitch.genai.novelties import Novelties
from tripswitch.genai.past_calls import evaluation_key, find_call, remember
from tripswitch.genai.prices import PriceTable
from tripswitch.genai.repeats import Tally
from tripswitch.genai.seen import Seen
from tripswitch.genai.settling import (
    Settling,
    add_guardrail,
    add_guardrails,
    add_tools,
    owner_of,
    settle_calls,
)
from tripswitch.genai.sightings import Evaluation, Note, Sighting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.model import Config
    from tripswitch.model.incident import Change
    from tripswitch.model.settled import Settled

_MAX_SPANS_BY_TRACE: Final = 4096
# Held spans cost about 400 bytes each.
_SPANS_BY_TRACE: Final = 10


class TraceBook:
    """All traces that are not done with.

    ``counts`` by name: ``late_calls`` came after their request was handed on; ``expired`` traces
    never had a root; ``evicted`` made room; ``double_counted`` spans repeated a call;
    ``model_judge_calls`` served an evaluator or a guardrail; ``repeated_spans`` came twice;
    ``unjoined_scores`` found no call in time; ``late_scores`` found one that was settled before.
    """

    def __init__(self, config: Config) -> None:
        self._hold_ns = round(config.read.request_hold * 1e9)
        self._linger_ns = round(config.read.request_linger * 1e9)
        self._max_traces = config.read.max_held_traces
        self._flag_keys = config.read.cohort_flags
        self._traces: dict[str, Trace] = {}
        self._agenda = Agenda()
        self._spans = 0
        self._now_ns = 0
        self.seen = Seen()
        self._responses: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[int, Evaluation]]] = {}
        self._tally = Tally()
        self._places = Places()
        self.novelties = Novelties()
        self._changes: list[Change] = []
        self.appraiser = Appraiser(config)
        self.index = CallIndex(
            round(config.read.late_scores * 1e9), config.read.max_remembered_calls
        )
        self.counts: dict[str, int] = dict.fromkeys(
            (
                "late_calls",
                "expired",
                "evicted",
                "repeated_spans",
                "unjoined_scores",
                "late_scores",
                "repeated_scores",
                "late_verdicts",
            ),
            0,
        )
        self._rows = Rows(PriceTable(config.prices))

    @property
    def held(self) -> int:
        """How many traces are held."""
        return len(self._traces)

    def reload(self, config: Config) -> None:
        """Take new settings for what is settled from now on."""
        self._hold_ns = round(config.read.request_hold * 1e9)
        self._linger_ns = round(config.read.request_linger * 1e9)
        self._flag_keys = config.read.cohort_flags
        self.appraiser.reload(config)
        self._rows.prices = PriceTable(config.prices)

    def add(self, items: Sequence[Sighting | Note], now_ns: int) -> None:
        """Take in what one or more requests said; ``now_ns`` never goes back."""
        self._now_ns = max(now_ns, self._now_ns)
        for item in items:
            if isinstance(item, Note):
                self._add_note(item)
            else:
                self._add_span(item)
        while len(self._traces) > self._max_traces or (
            self._spans > _SPANS_BY_TRACE * self._max_traces and self._traces
        ):
            self._evict(next(iter(self._traces.values())))

    def add_evaluation(self, evaluation: Evaluation, now_ns: int) -> None:
        """Take in a score that came by another way than OTLP."""
        self._now_ns = max(now_ns, self._now_ns)
        self._place(evaluation)

    def settle(self, now_ns: int) -> Settled:
        """Return what became settled up to ``now_ns``."""
        self._now_ns = max(now_ns, self._now_ns)
        for trace_id in self._agenda.take(self._now_ns):
            trace = self._traces.get(trace_id)
            if trace is not None and trace.due_ns <= self._now_ns:
                self._look_at(trace)
        self._give_up_waiting()
        self.index.expire(self._now_ns)
        return self._take()

    def flush(self) -> Settled:
        """Settle everything as it stands: a recording ends here."""
        for trace in list(self._traces.values()):
            if not trace.is_settled or trace.is_dirty:
                self._settle(trace, final=True)
        for trace in list(self._traces.values()):
            self._drop(trace)
        for waiting in list(self._waiting.values()):
            self.counts["unjoined_scores"] += len(waiting)
        self._waiting.clear()
        return self._take()

    def _take(self) -> Settled:
        settled = self._rows.take()
        settled.changes, self._changes = self._changes, []
        return settled

    # --- what comes in ----------------------------------------------------------------------------

    def _add_span(self, span: Sighting) -> None:
        trace_id, span_id = span.trace_id, span.span_id
        trace = self._traces.get(trace_id)
        if span.call is not None and not self.seen.is_new(span.key):
            self.counts["repeated_spans"] += 1
            return
        if trace is None:
            trace = self._open(trace_id)
        elif span_id in trace.spans:
            return
        elif len(trace.spans) >= _MAX_SPANS_BY_TRACE:
            self._evict(trace)
            trace = self._open(trace_id)
        trace.spans[span_id] = span
        self._spans += 1
        context = span.context
        if context is not None:
            kind = context.kind
            if kind != "other":
                trace.is_genai = True
                if kind == "tool":
                    trace.has_extras = True
        if span.guardrails:
            trace.has_extras = True
        for evaluation in span.evaluations:
            self._place(evaluation)
        is_root = span.parent_span_id is None or span.is_entry
        # Of spans that come together the later ones change nothing, unless they are the outside.
        if is_root or trace.last_ns != self._now_ns or trace.due_ns == 0 or trace.is_settled:
            self._touch(trace, is_root=is_root)

    def _add_note(self, note: Note) -> None:
        if note.evaluation is not None:
            self._place(note.evaluation)
            return
        if note.trace_id is None:
            return
        trace = self._traces.get(note.trace_id) or self._open(note.trace_id)
        if not trace.notes:
            trace.notes = [note]
        elif len(trace.notes) < _MAX_SPANS_BY_TRACE:
            trace.notes.append(note)
        self._touch(trace, is_root=False)

    def _place(self, evaluation: Evaluation) -> None:
        """Hold an evaluation by the trace it names, or by the answer; or join it to a past call."""
        trace_id = evaluation.target_trace_id
        if trace_id is not None:
            trace = self._traces.get(trace_id)
            if trace is None:
                ref = find_call(self.index, evaluation)
                if ref is not None:
                    self._join_late(evaluation, ref)
                    return
                trace = self._open(trace_id)
            if not trace.evaluations:
                trace.evaluations = [evaluation]
            elif len(trace.evaluations) < _MAX_SPANS_BY_TRACE:
                trace.evaluations.append(evaluation)
            if trace.last_ns != self._now_ns or trace.due_ns == 0 or trace.is_settled:
                self._touch(trace, is_root=False)
            return
        if evaluation.response_id is None:
            self.counts["unjoined_scores"] += 1
            return
        ref = find_call(self.index, evaluation)
        if ref is not None:
            self._join_late(evaluation, ref)
        elif len(self._waiting) < self._max_traces:
            self._waiting.setdefault(evaluation.response_id, []).append((self._now_ns, evaluation))
        else:
            self.counts["unjoined_scores"] += 1

    def _open(self, trace_id: str) -> Trace:
        trace = self._traces[trace_id] = Trace(trace_id, self._now_ns)
        return trace

    def _touch(self, trace: Trace, *, is_root: bool) -> None:
        now_ns = trace.last_ns = self._now_ns
        if is_root or trace.is_settled:
            if now_ns < trace.rooted_ns:
                trace.rooted_ns = now_ns
            trace.is_dirty = True
        due_ns = min(now_ns + self._hold_ns, trace.rooted_ns + self._linger_ns)
        if trace.due_ns == 0 or due_ns < trace.due_ns:
            self._push(trace, due_ns)

    def _push(self, trace: Trace, due_ns: int) -> None:
        trace.due_ns = due_ns
        self._agenda.put(trace.trace_id, due_ns)

    # --- what becomes of it -----------------------------------------------------------------------

    def _look_at(self, trace: Trace) -> None:
        quiet_ns = trace.last_ns + self._hold_ns
        is_over = quiet_ns <= self._now_ns
        if trace.is_settled and not trace.is_dirty:
            if is_over:
                self._drop(trace)
            else:
                self._push(trace, quiet_ns)
            return
        if not is_over and trace.rooted_ns + self._linger_ns > self._now_ns:
            self._push(trace, min(trace.rooted_ns + self._linger_ns, quiet_ns))
            return
        if not trace.is_genai and not trace.evaluations:
            # Ordinary traffic: nothing to settle, nothing to remember.
            self._drop(trace)
            return
        if is_over and trace.rooted_ns == NEVER and not trace.is_settled:
            self.counts["expired"] += 1
        self._settle(trace, final=is_over)
        if is_over:
            self._drop(trace)
            return
        trace.rooted_ns = NEVER
        trace.is_settled = True
        trace.is_dirty = False
        self._push(trace, quiet_ns)

    def _evict(self, trace: Trace) -> None:
        if trace.is_genai and (not trace.is_settled or trace.is_dirty):
            self.counts["evicted"] += 1
            self._settle(trace, final=True)
        self._drop(trace)

    def _drop(self, trace: Trace) -> None:
        self.counts["unjoined_scores"] += len(trace.evaluations)
        self._spans -= len(trace.spans)
        del self._traces[trace.trace_id]

    def _settle(self, trace: Trace, *, final: bool) -> None:
        calls = settle_calls(
            trace.spans, self._tally, self._places, self._flag_keys, trace.notes, final=final
        )
        calls = [call for call in calls if self._is_first_of_answer(call)]
        known = [*trace.calls, *calls] if trace.calls else calls
        if known and trace.has_extras:
            add_tools(known, trace.spans)
            self.counts["late_verdicts"] += add_guardrails(known, trace.spans)
        for note in trace.notes if known else ():
            if note.guardrails:
                owner = owner_of(note.span_id, known, trace.spans)
                if owner is not None and not owner.is_handed_on:
                    add_guardrail(owner, *note.guardrails)
        left: list[Evaluation] = []
        for evaluation in trace.evaluations:
            owner = owner_of(evaluation.target_span_id, known, trace.spans)
            if owner is None and final and known:
                owner = known[-1]
            if owner is None:
                ref = find_call(self.index, evaluation) if final else None
                if ref is not None:
                    self._join_late(evaluation, ref)
                else:
                    left.append(evaluation)
            elif owner.is_handed_on:
                self._join_late(evaluation, owner.ref)
            else:
                owner.evaluations.append(evaluation)
        trace.evaluations = left
        self._emit(trace, calls)
        trace.calls = known
        for call in calls if self._waiting else ():
            waiting = self._waiting.pop(call.facts.response_id or "", None)
            for _, evaluation in waiting or ():
                self._join_late(evaluation, call.ref)

    def _is_first_of_answer(self, call: Settling) -> bool:
        """Return False for a second span of one answer, which another instrumentation made."""
        response_id = call.facts.response_id
        if response_id is None or call.facts.error_class is not None:
            return True
        key = call.key
        first = self._responses.setdefault(response_id, key)
        if len(self._responses) > self._max_traces:
            del self._responses[next(iter(self._responses))]
        if first == key:
            return True
        self._tally.double += 1
        return False

    def _emit(self, trace: Trace, calls: list[Settling]) -> None:
        groups: dict[str, list[Settling]] = {}
        for call in calls:
            appraised = self.appraiser.of_call(call.evaluations)
            if appraised.guardrails:
                add_guardrail(call, *appraised.guardrails)
            self._rows.add_call(call, appraised)
            call.is_handed_on = True
            changes = self.novelties.of_call(call, self._now_ns)
            if changes:
                self._changes += changes
            remember(self.index, call, self._now_ns)
            for evaluation in call.evaluations:
                self.seen.is_new(evaluation_key(call.key, evaluation))
            if call.facts.is_chat:
                entry_id = "" if call.entry is None else call.entry.span_id
                groups.setdefault(entry_id, []).append(call)
        for entry_id, members in groups.items():
            if entry_id in trace.served:
                self.counts["late_calls"] += len(members)
                continue
            trace.served = {*trace.served, entry_id}
            self._rows.add_request(members)

    def _join_late(self, evaluation: Evaluation, ref: CallRef) -> None:
        if not self.seen.is_new(evaluation_key(ref.key, evaluation)):
            self.counts["repeated_scores"] += 1
            return
        self.counts["late_scores"] += 1
        appraised = self.appraiser.of_call([evaluation])
        self.counts["late_verdicts"] += len(appraised.guardrails)
        self._rows.add_scores(
            appraised.rubrics,
            harms_of(appraised, appraised.guardrails),
            evaluation.target_trace_id or "",
            evaluation.target_span_id or "",
            ref,
        )

    def _give_up_waiting(self) -> None:
        while self._waiting:
            response_id, waiting = next(iter(self._waiting.items()))
            if waiting[0][0] + self._hold_ns > self._now_ns:
                return
            self.counts["unjoined_scores"] += len(waiting)
            del self._waiting[response_id]

    def counters(self) -> dict[str, int]:
        """Return every count by name."""
        return {
            **self.counts,
            "double_counted": self._tally.double,
            "ignored_changes": self.novelties.ignored,
            "model_judge_calls": self._tally.judged_by_model,
        }
