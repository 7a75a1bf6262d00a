"""Which of the calls, scores and requests of a batch are offered as exemplars, and of what.

Only what is judged is offered: a sender whose clock is off shows no traces and drives out none,
and rubrics beyond those that an arm may have take no room.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, chain
from math import isfinite
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from tripswitch.detect.counted import MEASURED, Counted, Flags
from tripswitch.detect.signals import SLOW, TTFT
from tripswitch.incidents.contrast import TraceFact, call_facts, value_at
from tripswitch.model.calls import Calls, FloatColumn, IntColumn, Text, ToolExecution
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores
from tripswitch.windows.scopes import Measure

T = TypeVar("T")

# The kinds of `Counted`.
_CALLS, _SCORES, _REQUESTS = range(3)
_LONGEST_FACT: Final = 200
_FACTS_KEPT: Final = 128
_SCOPES_KEPT: Final = 1024


class Exemplar(NamedTuple):
    """One bad call: its badness, where to find it, and the facts that tell its story."""

    badness: float
    trace_id: str
    tenant: str | None
    session: str | None
    end_ns: int
    facts: tuple[TraceFact, ...] = ()


@dataclass(slots=True)
class Offers:
    """Bad calls as columns of equal length. ``rows`` are positions in the lists that come last.

    ``arm`` and ``signal`` are positions in ``arms``, of which each has an offer, and ``signals``;
    ``moment_ns`` is when it counts, ``arrival`` the index of the OTLP request it came with, and
    ``batch`` that of the batch.
    """

    arms: list[Scope]
    signals: list[str]
    arm: IntColumn
    signal: IntColumn
    arrival: IntColumn
    moment_ns: IntColumn
    end_ns: IntColumn
    badness: FloatColumn
    rows: IntColumn
    trace_id: Sequence[str]
    tenant: Sequence[Text]
    session: Sequence[Text] | None = None
    facts: Callable[[int], tuple[TraceFact, ...]] | None = None
    batch: IntColumn = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.rows)

    def exemplar(self, index: int) -> Exemplar:
        """Return one offer as an object."""
        row = int(self.rows[index])
        return Exemplar(
            float(self.badness[index]),
            self.trace_id[row],
            self.tenant[row],
            None if self.session is None else self.session[row],
            int(self.end_ns[index]),
            () if self.facts is None else self.facts(row),
        )


class Judged(NamedTuple):
    """A batch that was judged: what is in it, and what of that was counted."""

    calls: Calls
    scores: Scores
    requests: Requests
    counted: Counted


def offers_of(batches: Sequence[Judged]) -> tuple[Offers, Offers, Offers]:
    """Return what is bad among what was counted: requests, then calls, then scores."""
    return _of_requests(batches), _of_calls(batches), _of_scores(batches)


class _Rows:
    """What was counted of one kind, batch by batch.

    ``rows`` are positions in the columns of that kind of all batches, one after the other, and
    ``codes`` in ``leaves``.
    """

    def __init__(self, batches: Sequence[Judged], number: int, sizes: list[int]) -> None:
        counted = [batch.counted for batch in batches]
        kinds = [each.kinds[number] for each in counted]
        self.sizes = sizes
        self.firsts = [0, *accumulate(sizes)]
        self.rows = _joined_at([each.rows for each in counted], kinds, self.firsts)
        self.leaves = [leaf for each in counted for leaf in each.leaves]
        first_codes = [0, *accumulate(len(each.leaves) for each in counted)]
        self.codes = _joined_at([each.codes for each in counted], kinds, first_codes)
        self.limits = np.concatenate([each.limits for each in counted], axis=1)
        self.arrival = _joined_at([each.arrival for each in counted], kinds)
        self.moment_ns = _joined_at([each.moment_ns for each in counted], kinds)
        self.refused = np.concatenate(
            [each.refused[kind] for each, kind in zip(counted, kinds, strict=True)]
        )
        self.batch = np.repeat(np.arange(len(kinds)), [kind.stop - kind.start for kind in kinds])

    def limit(self, measure: Measure) -> FloatColumn:
        """Return the limit for each row, as `Counted.limit`."""
        limits: FloatColumn = self.limits[MEASURED.index(measure)]
        return limits.take(self.codes)

    def flags(self, columns: Iterable[Sequence[bool | None]]) -> Flags:
        """Return one column of all batches at the rows."""
        return np.array(list(chain.from_iterable(columns)), dtype=np.bool_).take(self.rows)

    def numbers(self, columns: Iterable[FloatColumn]) -> FloatColumn:
        """Return one column of all batches at the rows; NaN for one that was left out."""
        whole = [
            column if len(column) == size else np.full(size, np.nan)
            for column, size in zip(columns, self.sizes, strict=True)
        ]
        return np.concatenate(whole).take(self.rows)

    def texts(self, columns: Iterable[Sequence[T]]) -> list[T | None]:
        """Return one column of all batches, not only the rows; None for one that was left out."""
        found: list[T | None] = []
        for column, size in zip(columns, self.sizes, strict=True):
            found += column if len(column) == size else [None] * size
        return found

    def place(self, row: int) -> tuple[int, int]:
        """Return the batch of a row, and its position there."""
        batch = bisect_right(self.firsts, row) - 1
        return batch, row - self.firsts[batch]

    def offers(
        self,
        chosen: IntColumn,
        signals: list[str],
        signal: IntColumn,
        badness: FloatColumn,
        end_ns: list[IntColumn],
        **columns: Any,
    ) -> Offers:
        """Return the rows at ``chosen`` as offers, with the texts and facts in ``columns``."""
        codes = self.codes.take(chosen)
        arms: dict[Scope, int] = {}
        of_code = np.zeros(len(self.leaves), dtype=np.int64)
        for code in np.bincount(codes, minlength=len(self.leaves)).nonzero()[0].tolist():
            leaf = self.leaves[code]
            assert leaf is not None
            # Leaves may share an arm.
            of_code[code] = arms.setdefault(leaf.arm, len(arms))
        rows = self.rows.take(chosen)
        return Offers(
            list(arms),
            signals,
            of_code.take(codes),
            signal,
            self.arrival.take(chosen),
            self.moment_ns.take(chosen),
            np.concatenate(end_ns).take(rows),
            badness,
            rows,
            batch=self.batch.take(chosen),
            **columns,
        )


def _joined_at(
    columns: list[IntColumn], kinds: list[slice], firsts: Sequence[int] | None = None
) -> IntColumn:
    """Return a part of each column, one after the other, with the first of its batch added."""
    parts = [column[kind] for column, kind in zip(columns, kinds, strict=True)]
    if firsts is not None:
        parts = [part + first for part, first in zip(parts, firsts, strict=False)]
    return np.concatenate(parts)


def _of_requests(batches: Sequence[Judged]) -> Offers:
    these = [batch.requests for batch in batches]
    rows = _Rows(batches, _REQUESTS, list(map(len, these)))
    latency = rows.numbers(each.latency for each in these)
    tokens = rows.numbers(each.tokens for each in these)
    cost = rows.numbers(each.cost_usd for each in these)
    failed = rows.flags(each.error for each in these).nonzero()[0]
    slow = ((latency > rows.limit(SLOW)) & (latency > 0)).nonzero()[0]
    long = (tokens > 0).nonzero()[0]
    costly = (cost > 0).nonzero()[0]

    # The longest is often the dearest, too.
    @lru_cache(_FACTS_KEPT)
    def facts(row: int) -> tuple[TraceFact, ...]:
        batch, own_row = rows.place(row)
        return _request_facts(these[batch], own_row)

    return rows.offers(
        np.concatenate([failed, slow, long, costly]),
        ["error_rate", "p99_latency", "tokens_per_success", "cost_per_success"],
        np.repeat([0, 1, 2, 3], [len(failed), len(slow), len(long), len(costly)]),
        np.concatenate([np.ones(len(failed)), latency[slow], tokens[long], cost[costly]]),
        [each.end for each in these],
        trace_id=rows.texts(each.trace_id for each in these),
        tenant=rows.texts(each.tenant for each in these),
        facts=facts,
    )


def _of_calls(batches: Sequence[Judged]) -> Offers:
    these = [batch.calls for batch in batches]
    rows = _Rows(batches, _CALLS, list(map(len, these)))
    refused = rows.flags(each.refusal for each in these).nonzero()[0]
    positions, signals, badness = [refused], {"refusal_rate": 0}, [np.ones(len(refused))]
    of_signal = [np.zeros(len(refused), dtype=np.int64)]

    def also(at: IntColumn, named: Sequence[str], how_bad: FloatColumn) -> None:
        positions.append(at)
        numbers = [signals.setdefault(signal, len(signals)) for signal in named]
        of_signal.append(np.array(numbers, dtype=np.int64))
        badness.append(how_bad)

    kinds = rows.texts(each.refusal_kind for each in these)
    sorts = [kinds[row] for row in rows.rows[refused].tolist()]
    for sort in ("illegitimate", "legitimate"):
        some = np.array([each == sort for each in sorts], dtype=np.bool_)
        at = refused[some]
        also(at, [f"refusal_rate:{sort}"] * len(at), np.ones(len(at)))
    ttft = rows.numbers(each.ttft for each in these)
    late = (ttft > rows.limit(TTFT)).nonzero()[0]
    also(late, ["ttft_p99"] * len(late), ttft[late])
    if any(any(each.tools) for each in these):
        tools = rows.texts(each.tools for each in these)
        runs = [
            run
            for position, row in enumerate(rows.rows.tolist())
            for tool in tools[row] or ()
            for run in _of_tool(position, tool)
        ]
        also(
            np.array([position for position, _, _ in runs], dtype=np.int64),
            [signal for _, signal, _ in runs],
            np.array([how_bad for _, _, how_bad in runs], dtype=np.float64),
        )

    def facts(row: int) -> tuple[TraceFact, ...]:
        batch, own_row = rows.place(row)
        return call_facts(these[batch], own_row)

    return rows.offers(
        np.concatenate(positions),
        list(signals),
        np.concatenate(of_signal),
        np.concatenate(badness),
        [each.end for each in these],
        trace_id=rows.texts(each.trace_id for each in these),
        tenant=rows.texts(each.tenant for each in these),
        session=rows.texts(each.session for each in these),
        facts=facts,
    )


def _of_tool(position: int, tool: ToolExecution) -> list[tuple[int, str, float]]:
    slow = (position, f"tool_latency:{tool.name}", tool.latency)
    return [(position, f"tool_errors:{tool.name}", 1.0), slow] if tool.error else [slow]


def _of_scores(batches: Sequence[Judged]) -> Offers:
    these = [batch.scores for batch in batches]
    rows = _Rows(batches, _SCORES, list(map(len, these)))
    badness = 1 - rows.numbers(each.score for each in these)
    imperfect = ((badness > 0) & ~rows.refused).nonzero()[0]
    names = [name for each in these for name in zip(each.signal, each.rubric, strict=True)]
    signals: dict[tuple[str, str], int] = {}
    of_signal = [
        signals.setdefault(names[row], len(signals)) for row in rows.rows[imperfect].tolist()
    ]

    def facts(row: int) -> tuple[TraceFact, ...]:
        batch, own_row = rows.place(row)
        return _score_facts(these[batch], own_row)

    return rows.offers(
        imperfect,
        [f"{signal}:{rubric}" if rubric else signal for signal, rubric in signals],
        np.array(of_signal, dtype=np.int64),
        badness[imperfect],
        [each.end for each in these],
        trace_id=rows.texts(each.trace_id for each in these),
        tenant=rows.texts(each.tenant for each in these),
        facts=facts,
    )


def _request_facts(requests: Requests, row: int) -> tuple[TraceFact, ...]:
    scopes = requests.by_scope()
    found = [*_scope_facts(scopes.distinct[int(scopes.codes[row])])]
    found.append(("request latency", f"{float(requests.latency[row]):.3g} s"))
    for name, column, form in (
        ("request tokens", requests.tokens, ".0f"),
        ("request cost", requests.cost_usd, ".4g"),
    ):
        if len(column) and isfinite(number := float(column[row])):
            found.append((name, format(number, form)))
    if requests.error[row]:
        found.append(("error", (value_at(requests.error_class, row) or "yes")[:_LONGEST_FACT]))
    return tuple(found)


def _score_facts(scores: Scores, row: int) -> tuple[TraceFact, ...]:
    scope = scores.scopes.distinct[int(scores.scopes.codes[row])]
    name = (scores.rubric[row] or scores.signal[row])[:_LONGEST_FACT]
    return (*_scope_facts(scope), ("score", f"{name}: {float(scores.score[row]):.2f}"))


@lru_cache(_SCOPES_KEPT)
def _scope_facts(scope: Scope) -> tuple[TraceFact, ...]:
    named = (
        ("route", scope.route),
        ("prompt", scope.prompt_name),
        ("version", scope.prompt_version),
        ("cohort", scope.cohort),
        ("model", scope.request_model),
        ("provider", scope.provider),
    )
    return tuple([(name, value[:_LONGEST_FACT]) for name, value in named if value])
