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
from tripswitch.genai.family import Places
from tripswitch.genai.handover import Handover
from tripswitch.genai.held_trace import MAX_SPANS_BY_TRACE, NEVER, Trace
from tripswitch.genai.repeats import Tally
from tripswitch.genai.settling import (
    Settling,
    add_guardrail,
    add_guardrails,
    add_tools,
    owner_of,
    settle_calls,
)
from tripswitch.genai.sightings import Evaluation, Note, Sighting, identify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.model import Config
    from tripswitch.model.settled import Settled

# Held spans cost about 400 bytes each.
_SPANS_BY_TRACE: Final = 10


class TraceBook:
    """All traces that are not done with.

    ``counts`` by name: ``expired`` traces never had a root; ``evicted`` made room;
    ``repeated_spans`` came twice; ``unjoined_scores`` found no call in time. `counters` has more:
    ``double_counted`` spans repeated a call, ``model_judge_calls`` served an evaluator or a
    guardrail.
    """

    def __init__(self, config: Config) -> None:
        self._hold_ns = round(config.read.request_hold * 1e9)
        self._linger_ns = round(config.read.request_linger * 1e9)
        self._max_traces = config.read.max_held_traces
        self._flag_keys = config.read.cohort_flags
        self._traces: dict[str, Trace] = {}
        self._agenda: Agenda[Trace] = Agenda()
        self._spans = 0
        self._now_ns = 0
        self._responses: dict[str, tuple[int, str, int, int]] = {}
        self._waiting: dict[str, list[tuple[int, Evaluation]]] = {}
        self._tally = Tally()
        self._places = Places()
        self.handover = Handover(config)
        self.appraiser = self.handover.appraiser
        self.index = self.handover.index
        self.counts: dict[str, int] = dict.fromkeys(
            ("expired", "evicted", "repeated_spans", "unjoined_scores"), 0
        )

    @property
    def held(self) -> int:
        """How many traces are held."""
        return len(self._traces)

    def reload(self, config: Config) -> None:
        """Take new settings for what is settled from now on."""
        self._hold_ns = round(config.read.request_hold * 1e9)
        self._linger_ns = round(config.read.request_linger * 1e9)
        self._flag_keys = config.read.cohort_flags
        self.handover.reload(config)

    def add(self, items: Sequence[Sighting | Note], now_ns: int) -> None:
        """Take in what one or more requests said; ``now_ns`` never goes back."""
        self._now_ns = max(now_ns, self._now_ns)
        callers = [item for item in items if item.call is not None and isinstance(item, Sighting)]
        identify(callers)
        seen = self.handover.seen
        if not seen.remember_new([span.key for span in callers]):
            repeated = {id(span) for span in callers if not seen.is_new(span.key)}
            self.counts["repeated_spans"] += len(repeated)
            items = [item for item in items if id(item) not in repeated]
        self._hold(items)
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
        now_ns = self._now_ns = max(now_ns, self._now_ns)
        over_ns = now_ns - self._hold_ns
        for traces in self._agenda.take(now_ns):
            for trace in traces:
                if trace.due_ns > now_ns:
                    continue
                if trace.is_settled and not trace.is_dirty and trace.last_ns <= over_ns:
                    self._drop(trace)
                else:
                    self._look_at(trace)
        self._give_up_waiting()
        settled = self.handover.take()
        self.index.expire(self._now_ns)
        return settled

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
        return self.handover.take()

    # --- what comes in ----------------------------------------------------------------------------

    def _hold(self, items: Sequence[Sighting | Note]) -> None:
        """Have every item be held by its trace."""
        traces, now_ns = self._traces, self._now_ns
        opened: list[Trace] = []
        held = 0
        trace: Trace | None = None
        for span in items:
            if not isinstance(span, Sighting):
                self._add_note(span)
                continue
            trace_id = span.trace_id
            # Spans of one trace mostly come one after the other.
            if trace is None or trace.trace_id != trace_id:
                trace = traces.get(trace_id)
            if trace is None:
                trace = traces[trace_id] = Trace(trace_id, now_ns)
                opened.append(trace)
            elif span.span_id in trace.spans:
                continue
            elif len(trace.spans) >= MAX_SPANS_BY_TRACE:
                self._evict(trace)
                trace = traces[trace_id] = Trace(trace_id, now_ns)
                opened.append(trace)
            trace.hold(span)
            held += 1
            if span.evaluations:
                self._take_evaluations(span, trace)
            # Of spans that come together the later ones change nothing but where they are outside.
            if span.parent_span_id is None or span.is_entry:
                self._touch(trace, is_root=True)
            elif trace.last_ns != now_ns or trace.is_settled:
                self._touch(trace, is_root=False)
        self._spans += held
        for trace in opened:
            # Where the outside came with the rest it is on the agenda, and for an earlier time.
            if trace.due_ns == 0:
                self._touch(trace, is_root=False)

    def _take_evaluations(self, span: Sighting, trace: Trace) -> None:
        """Have the evaluations of a span be held by the traces they name, mostly its own."""
        for evaluation in span.evaluations:
            if evaluation.target_trace_id == trace.trace_id:
                trace.judge(evaluation)
            else:
                self._place(evaluation)
        # They are there now.
        span.evaluations = ()

    def _add_note(self, note: Note) -> None:
        if note.evaluation is not None:
            self._place(note.evaluation)
            return
        if note.trace_id is None:
            return
        trace = self._traces.get(note.trace_id) or self._open(note.trace_id)
        if note.flag is not None:
            trace.has_flags = True
        if not trace.notes:
            trace.notes = [note]
        elif len(trace.notes) < MAX_SPANS_BY_TRACE:
            trace.notes.append(note)
        self._touch(trace, is_root=False)

    def _place(self, evaluation: Evaluation) -> None:
        """Hold an evaluation by the trace it names, or by the answer; or join it to a past call."""
        trace_id = evaluation.target_trace_id
        if trace_id is not None:
            trace = self._traces.get(trace_id)
            if trace is None:
                ref = self.handover.find(evaluation)
                if ref is not None:
                    self.handover.join_late(evaluation, ref)
                    return
                trace = self._open(trace_id)
            self._put(evaluation, trace)
            return
        if evaluation.response_id is None:
            self.counts["unjoined_scores"] += 1
            return
        ref = self.handover.find(evaluation)
        if ref is not None:
            self.handover.join_late(evaluation, ref)
        elif len(self._waiting) < self._max_traces:
            self._waiting.setdefault(evaluation.response_id, []).append((self._now_ns, evaluation))
        else:
            self.counts["unjoined_scores"] += 1

    def _put(self, evaluation: Evaluation, trace: Trace) -> None:
        trace.judge(evaluation)
        if trace.last_ns != self._now_ns or trace.due_ns == 0 or trace.is_settled:
            self._touch(trace, is_root=False)

    def _open(self, trace_id: str) -> Trace:
        trace = self._traces[trace_id] = Trace(trace_id, self._now_ns)
        return trace

    def _touch(self, trace: Trace, *, is_root: bool) -> None:
        now_ns = trace.last_ns = self._now_ns
        if is_root or trace.is_settled:
            if now_ns < trace.rooted_ns:
                trace.rooted_ns = now_ns
            trace.is_dirty = True
        due_ns = now_ns + self._hold_ns
        lingered_ns = trace.rooted_ns + self._linger_ns
        if lingered_ns < due_ns:
            due_ns = lingered_ns
        if trace.due_ns == 0 or due_ns < trace.due_ns:
            self._push(trace, due_ns)

    def _push(self, trace: Trace, due_ns: int) -> None:
        trace.due_ns = due_ns
        if due_ns == trace.listed_ns and due_ns > self._now_ns:
            # It is there still, from before a root brought it forward.
            return
        if due_ns > trace.listed_ns:
            trace.listed_ns = due_ns
        self._agenda.put(trace, due_ns)

    # --- what becomes of it -----------------------------------------------------------------------

    def _look_at(self, trace: Trace) -> None:
        quiet_ns = trace.last_ns + self._hold_ns
        is_over = quiet_ns <= self._now_ns
        if trace.is_settled and not trace.is_dirty:
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
            # No tick may come for a while, and meanwhile it is to be known as counted.
            self.handover.go()
        self._drop(trace)

    def _drop(self, trace: Trace) -> None:
        if trace.evaluations:
            self.counts["unjoined_scores"] += len(trace.evaluations)
        self._spans -= len(trace.spans)
        del self._traces[trace.trace_id]
        trace.due_ns = NEVER
        if trace.listed_ns > self._now_ns:
            # On the agenda it stays until then, with nothing in it.
            trace.empty()

    def _settle(self, trace: Trace, *, final: bool) -> None:
        calls = []
        for call in settle_calls(trace, self._tally, self._places, self._flag_keys, final=final):
            if call.facts.response_id is None or self._is_first_of_answer(call):
                calls.append(call)  # noqa: PERF401 - of one, a list is made faster like this
        known = [*trace.calls, *calls] if trace.calls else calls
        if known and trace.has_extras:
            add_tools(known, trace.spans)
            self.handover.late_verdicts += add_guardrails(known, trace.spans)
        for note in trace.notes if known else ():
            if note.guardrails:
                owner = owner_of(note.span_id, known, trace.spans)
                if owner is not None and not owner.is_handed_on:
                    add_guardrail(owner, *note.guardrails)
        if trace.evaluations:
            self._hand_out(trace, known, final=final)
        # Once they are handed on, calls no longer know what their answers were.
        answers = [(call.facts.response_id or "", call) for call in calls] if self._waiting else ()
        self.handover.add(trace, calls, self._now_ns)
        trace.calls = known
        for answer, call in answers:
            waiting = self._waiting.pop(answer, None)
            for _, evaluation in waiting or ():
                self.handover.join_late(evaluation, call.ref)

    def _hand_out(self, trace: Trace, known: Sequence[Settling], *, final: bool) -> None:
        """Give the evaluations of a trace to its calls; it keeps those that have none yet."""
        left: list[Evaluation] = []
        for evaluation in trace.evaluations:
            target = evaluation.target_span_id
            if known and known[-1].span.span_id == target:
                # Most traces have one call, and that is what is judged.
                owner: Settling | None = known[-1]
            else:
                owner = owner_of(target, known, trace.spans)
            if owner is None and final and known:
                owner = known[-1]
            if owner is None:
                ref = self.handover.find(evaluation) if final else None
                if ref is not None:
                    self.handover.join_late(evaluation, ref)
                else:
                    left.append(evaluation)
            elif owner.is_handed_on:
                self.handover.join_late(evaluation, owner.ref)
            else:
                owner.judge(evaluation)
        trace.evaluations = left or ()

    def _is_first_of_answer(self, call: Settling) -> bool:
        """Return False for a second span of one answer, which another instrumentation made.

        One that the same writer tells of at another time is another call: caches repeat an answer
        with its id, and some servers give every answer the same.
        """
        response_id = call.facts.response_id
        assert response_id is not None
        if call.facts.error_class is not None:
            return True
        span, key = call.span, call.key
        writer = "" if span.context is None else span.context.writer
        mine = (key, writer, span.start, span.end)
        first, by, start, end = self._responses.setdefault(response_id, mine)
        if len(self._responses) > self._max_traces:
            del self._responses[next(iter(self._responses))]
        if first == key or (writer and writer == by and (span.end < start or span.start > end)):
            return True
        self._tally.double += 1
        return False

    def _give_up_waiting(self) -> None:
        while self._waiting:
            response_id, waiting = next(iter(self._waiting.items()))
            if waiting[0][0] + self._hold_ns > self._now_ns:
                return
            self.counts["unjoined_scores"] += len(waiting)
            del self._waiting[response_id]

    def counters(self) -> dict[str, int]:
        """Return every count by name."""
        handover = self.handover
        return {
            "late_calls": handover.late_calls,
            **self.counts,
            "late_scores": handover.late_scores,
            "repeated_scores": handover.repeated_scores,
            "late_verdicts": handover.late_verdicts,
            "double_counted": self._tally.double,
            "ignored_changes": handover.novelties.ignored,
            "model_judge_calls": self._tally.judged_by_model,
        }
