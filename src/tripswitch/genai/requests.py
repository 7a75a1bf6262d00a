"""Putting requests together: the calls of one trace, closed by its root span or by time.

Two rules. A trace's parentless root closes everything that waits under it; a server or consumer
span that has a parent closes the calls that began while it ran, since one trace may pass through
a gateway many times. What happens depends on the order of the OTLP requests and their times, and
never on how they are batched.

Everything is bounded: traces held, calls and entries by trace, and closed traces remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tripswitch.model.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tripswitch.model.calls import Calls, Entry, IntColumn
    from tripswitch.model.scope import Scope

# An agent loop of a thousand calls is a request that never ends: it is closed as it stands.
_MAX_CALLS_BY_TRACE = 1000
_MAX_ENTRIES_BY_TRACE = 32


class _Attempt(NamedTuple):
    """What a request needs to know of one of its calls."""

    end: int
    span_id: str
    start: int
    scope: Scope
    tenant: str | None
    tokens: float
    cost_usd: float
    failed: bool
    error_class: str | None
    refusal: bool


@dataclass(slots=True)
class _Trace:
    """The calls and entries of one trace that wait, until ``deadline_ns`` at most."""

    deadline_ns: int
    attempts: list[_Attempt] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


class _Closed(NamedTuple):
    """A trace that was closed. Calls that began after ``until_ns`` open it again, if not None."""

    forget_ns: int
    until_ns: int | None


class RequestAssembler:
    """Turns calls and entry spans into requests.

    A trace waits ``hold_s`` seconds after its last call for its root. At most ``max_held`` traces
    wait; the oldest is closed to make room. ``late_calls`` counts calls that came after their
    request was closed and belong to none, ``expired`` requests closed without a root, ``evicted``
    those closed to make room.
    """

    def __init__(self, hold_s: float, max_held: int) -> None:
        self._hold_ns = round(hold_s * 1e9)
        self._max_held = max_held
        self._held: OrderedDict[str, _Trace] = OrderedDict()
        # Roots whose calls have not come: most are no GenAI traces, so they never push those out.
        self._roots: OrderedDict[str, _Trace] = OrderedDict()
        self._closed: OrderedDict[str, _Closed] = OrderedDict()
        self._now_ns = 0
        self.late_calls = 0
        self.expired = 0
        self.evicted = 0

    @property
    def held(self) -> int:
        """How many traces with calls wait for their root."""
        return len(self._held)

    def add(self, calls: Calls, entries: Sequence[Entry], now_ns: IntColumn) -> Requests:
        """Take in the calls and entries of some OTLP requests; return the requests they close.

        ``now_ns`` holds the time of each OTLP request by ``request_index``; calls and entries are
        in that order. Of one OTLP request first the calls count, then the entries.
        """
        closing = _Closing()
        rows = _by_request(calls.request_index.tolist(), len(now_ns))
        entry_rows = _by_request([entry.request_index for entry in entries], len(now_ns))
        for call_range, entry_range, now in zip(rows, entry_rows, now_ns.tolist(), strict=True):
            self._advance(now, closing)
            for row in call_range:
                if calls.is_chat[row]:
                    self._add_call(
                        calls.trace_id[row],
                        _attempt(calls, row),
                        closing,
                        alone=calls.parent_span_id[row] is None,
                    )
            for row in entry_range:
                self._add_entry(entries[row], closing)
        return closing.requests()

    def expire(self, now_ns: int) -> Requests:
        """Return the requests whose hold is over at ``now_ns``."""
        closing = _Closing()
        self._advance(now_ns, closing)
        return closing.requests()

    def _advance(self, now_ns: int, closing: _Closing) -> None:
        self._now_ns = now_ns = max(now_ns, self._now_ns)
        while self._held:
            trace_id, trace = next(iter(self._held.items()))
            if trace.deadline_ns > now_ns:
                break
            self.expired += 1
            self._close_unrooted(trace_id, closing)
        while self._roots and next(iter(self._roots.values())).deadline_ns <= now_ns:
            self._roots.popitem(last=False)
        while self._closed and next(iter(self._closed.values())).forget_ns <= now_ns:
            self._closed.popitem(last=False)

    def _add_call(
        self, trace_id: str, attempt: _Attempt, closing: _Closing, *, alone: bool
    ) -> None:
        closed = self._closed.get(trace_id)
        # A call without parent is a request of its own, however many its trace has.
        if closed and not alone and (closed.until_ns is None or attempt.start <= closed.until_ns):
            self.late_calls += 1
            return
        trace = self._held.get(trace_id)
        if trace is None:
            trace = self._roots.pop(trace_id, None) or _Trace(0)
            self._held[trace_id] = trace
        trace.attempts.append(attempt)
        trace.deadline_ns = self._now_ns + self._hold_ns
        self._held.move_to_end(trace_id)
        if alone:
            del self._held[trace_id]
            closing.add(trace_id, trace.attempts, attempt.start, attempt.end)
            self._remember(trace_id, None)
        elif len(trace.attempts) >= _MAX_CALLS_BY_TRACE:
            self.evicted += 1
            self._close_unrooted(trace_id, closing)
        elif len(self._held) > self._max_held:
            self.evicted += 1
            self._close_unrooted(next(iter(self._held)), closing)

    def _add_entry(self, entry: Entry, closing: _Closing) -> None:
        closed = self._closed.get(entry.trace_id)
        if closed and closed.until_ns is None:
            return
        trace = self._held.get(entry.trace_id)
        if trace is None:
            if entry.is_root and not closed:
                self._hold_root(entry)
        elif not entry.is_root:
            if len(trace.entries) < _MAX_ENTRIES_BY_TRACE:
                trace.entries.append(entry)
        elif entry.parent_span_id is None:
            del self._held[entry.trace_id]
            closing.add_under(entry, trace.attempts)
            self._remember(entry.trace_id, None)
        else:
            self._close_during(entry, trace, closing)

    def _close_during(self, entry: Entry, trace: _Trace, closing: _Closing) -> None:
        served = [a for a in trace.attempts if entry.start <= a.start <= entry.end]
        if not served:
            if len(trace.entries) < _MAX_ENTRIES_BY_TRACE:
                trace.entries.append(entry)
            return
        trace.attempts = [a for a in trace.attempts if not entry.start <= a.start <= entry.end]
        if not trace.attempts:
            del self._held[entry.trace_id]
        closing.add_under(entry, served)
        self._remember(entry.trace_id, entry.end)

    def _hold_root(self, entry: Entry) -> None:
        trace = self._roots.get(entry.trace_id)
        if trace is None:
            trace = self._roots[entry.trace_id] = _Trace(self._now_ns + self._hold_ns)
            if len(self._roots) > self._max_held:
                self._roots.popitem(last=False)
        if len(trace.entries) < _MAX_ENTRIES_BY_TRACE:
            trace.entries.append(entry)

    def _close_unrooted(self, trace_id: str, closing: _Closing) -> None:
        trace = self._held.pop(trace_id)
        if trace.entries:
            closing.add_under(_outermost(trace.entries), trace.attempts)
        else:
            attempts = trace.attempts
            closing.add(
                trace_id, attempts, min(a.start for a in attempts), max(a.end for a in attempts)
            )
        self._remember(trace_id, None)

    def _remember(self, trace_id: str, until_ns: int | None) -> None:
        self._closed[trace_id] = _Closed(self._now_ns + self._hold_ns, until_ns)
        self._closed.move_to_end(trace_id)
        if len(self._closed) > self._max_held:
            self._closed.popitem(last=False)


class _Closing:
    """Requests that close in one step, as rows until they become columns."""

    def __init__(self) -> None:
        self._columns = Requests()
        self._end: list[int] = []
        self._latency: list[float] = []
        self._tokens: list[float] = []
        self._cost_usd: list[float] = []
        self._calls: list[int] = []

    def add_under(self, outer: Entry, attempts: list[_Attempt]) -> None:
        """Close ``attempts`` as one request under the entry span ``outer``."""
        self.add(outer.trace_id, attempts, outer.start, outer.end, error=outer.error)

    def add(
        self,
        trace_id: str,
        attempts: list[_Attempt],
        start: int,
        end: int,
        *,
        error: bool = False,
    ) -> None:
        """Close ``attempts`` as one request from ``start`` to ``end``."""
        last = max(attempts, key=lambda attempt: (attempt.end, attempt.span_id))
        failed = last.failed or error
        columns = self._columns
        columns.trace_id.append(trace_id)
        columns.scope.append(last.scope)
        columns.tenant.append(last.tenant)
        columns.error.append(failed)
        columns.error_class.append((last.error_class or "unknown") if failed else None)
        columns.refusal.append(last.refusal)
        columns.success.append(not failed and not last.refusal)
        self._end.append(end)
        self._latency.append(max(0, end - start) / 1e9)
        self._tokens.append(_said_sum([attempt.tokens for attempt in attempts]))
        self._cost_usd.append(_said_sum([attempt.cost_usd for attempt in attempts]))
        self._calls.append(len(attempts))

    def requests(self) -> Requests:
        """Return the closed requests in the order they closed."""
        columns = self._columns
        columns.end = np.array(self._end, dtype=np.int64)
        columns.latency = np.array(self._latency, dtype=np.float64)
        columns.tokens = np.array(self._tokens, dtype=np.float64)
        columns.cost_usd = np.array(self._cost_usd, dtype=np.float64)
        columns.calls = np.array(self._calls, dtype=np.int64)
        return columns


def _attempt(calls: Calls, row: int) -> _Attempt:
    reasons = calls.finish_reasons[row]
    error_class = calls.error_class[row]
    return _Attempt(
        end=int(calls.end[row]),
        span_id=calls.span_id[row],
        start=int(calls.start[row]),
        scope=calls.scope(row),
        tenant=calls.tenant[row],
        tokens=_said_sum([float(calls.input_tokens[row]), float(calls.output_tokens[row])]),
        cost_usd=float(calls.cost_usd[row]),
        failed=error_class is not None or (bool(reasons) and set(reasons) == {"error"}),
        error_class=error_class,
        refusal=calls.refusal[row] is True,
    )


def _said_sum(amounts: list[float]) -> float:
    """Return the sum of what was said; NaN when nothing was."""
    said = [amount for amount in amounts if amount == amount]
    return sum(said) if said else float("nan")


def _outermost(entries: list[Entry]) -> Entry:
    """Return the entry that is inside none of the others; of several the earliest."""
    ids = {entry.span_id for entry in entries}
    tops = [entry for entry in entries if entry.parent_span_id not in ids]
    return min(tops or entries, key=lambda entry: (entry.start, -entry.end, entry.span_id))


def _by_request(request_indices: list[int], requests: int) -> Iterator[range]:
    """Yield, by request, the range of rows that came with it."""
    row = 0
    for request in range(requests):
        first = row
        while row < len(request_indices) and request_indices[row] == request:
            row += 1
        yield range(first, row)
