"""Which of the calls, scores and requests of a batch are offered as exemplars, and of what.

Only what is judged is offered: a sender whose clock is off shows no traces and drives out none,
and rubrics beyond those that an arm may have take no room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isfinite
from typing import Final

import numpy as np

from tripswitch.detect.counted import Counted
from tripswitch.detect.signals import SLOW, TTFT
from tripswitch.incidents.contrast import TraceFact, call_facts, value_at
from tripswitch.incidents.exemplars import Offers
from tripswitch.model.calls import Calls, FloatColumn, IntColumn, Text
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores

_LONGEST_FACT: Final = 200
_FACTS_KEPT: Final = 128
_SCOPES_KEPT: Final = 1024


def offers_of(
    calls: Calls,
    scores: Scores,
    requests: Requests,
    counted: Counted,
) -> tuple[Offers, Offers, Offers]:
    """Return what is bad among what was ``counted``: requests, then calls, then scores."""
    of_calls, of_scores, of_requests = counted.kinds
    return (
        _of_requests(requests, counted, of_requests),
        _of_calls(calls, counted, of_calls),
        _of_scores(scores, counted, of_scores),
    )


def _of_requests(requests: Requests, counted: Counted, kind: slice) -> Offers:
    rows = counted.rows[kind]
    latency, tokens, cost = requests.latency[rows], requests.tokens[rows], requests.cost_usd[rows]
    slow_s = counted.limit(SLOW, kind)
    failed = np.array(requests.error, dtype=np.bool_)[rows].nonzero()[0]
    slow = ((latency > slow_s) & (latency > 0)).nonzero()[0]
    long = (tokens > 0).nonzero()[0]
    costly = (cost > 0).nonzero()[0]
    return _offers(
        counted,
        np.concatenate([failed, slow, long, costly]) + kind.start,
        ["error_rate", "p99_latency", "tokens_per_success", "cost_per_success"],
        np.repeat([0, 1, 2, 3], [len(failed), len(slow), len(long), len(costly)]),
        np.concatenate([np.ones(len(failed)), latency[slow], tokens[long], cost[costly]]),
        requests.end,
        requests.trace_id,
        requests.tenant,
        # The longest is often the dearest, too.
        facts=lru_cache(_FACTS_KEPT)(lambda row: _request_facts(requests, row)),
    )


def _of_calls(calls: Calls, counted: Counted, kind: slice) -> Offers:
    rows = counted.rows[kind]
    refused = np.array(calls.refusal, dtype=np.bool_)[rows].nonzero()[0]
    positions, signals, badness = [refused], {"refusal_rate": 0}, [np.ones(len(refused))]
    of_signal = [np.zeros(len(refused), dtype=np.int64)]

    def also(signal: str, at: list[int], how_bad: list[float]) -> None:
        if at:
            positions.append(np.array(at, dtype=np.int64))
            number = signals.setdefault(signal, len(signals))
            of_signal.append(np.full(len(at), number))
            badness.append(np.array(how_bad))

    sorts = {"illegitimate": [], "legitimate": []}  # type: dict[str, list[int]]
    for position in refused.tolist():
        sort = calls.refusal_kind[rows[position]] if calls.refusal_kind else None
        if sort in sorts:
            sorts[sort].append(position)
    for sort, at in sorts.items():
        also(f"refusal_rate:{sort}", at, [1.0] * len(at))
    ttft = calls.ttft[rows] if len(calls.ttft) else np.full(len(rows), np.nan)
    late = (ttft > counted.limit(TTFT, kind)).nonzero()[0]
    also("ttft_p99", late.tolist(), ttft[late].tolist())
    for position, row in enumerate(rows.tolist()) if any(calls.tools) else ():
        for tool in calls.tools[row]:
            if tool.error:
                also(f"tool_errors:{tool.name}", [position], [1.0])
            also(f"tool_latency:{tool.name}", [position], [tool.latency])
    return _offers(
        counted,
        np.concatenate(positions) + kind.start,
        list(signals),
        np.concatenate(of_signal),
        np.concatenate(badness),
        calls.end,
        calls.trace_id,
        calls.tenant,
        calls.session,
        facts=lambda row: call_facts(calls, row),
    )


def _of_scores(scores: Scores, counted: Counted, kind: slice) -> Offers:
    rows = counted.rows[kind]
    badness = 1 - scores.score[rows]
    imperfect = ((badness > 0) & ~counted.refused[kind]).nonzero()[0]
    named = list(zip(scores.signal, scores.rubric, strict=True))
    signals: dict[tuple[str, str], int] = {}
    of_signal = [signals.setdefault(named[row], len(signals)) for row in rows[imperfect].tolist()]
    return _offers(
        counted,
        imperfect + kind.start,
        [f"{signal}:{rubric}" if rubric else signal for signal, rubric in signals],
        np.array(of_signal, dtype=np.int64),
        badness[imperfect],
        scores.end,
        scores.trace_id,
        scores.tenant,
        facts=lambda row: _score_facts(scores, row),
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


def _offers(
    counted: Counted,
    chosen: IntColumn,
    signals: list[str],
    signal: IntColumn,
    badness: FloatColumn,
    end_ns: IntColumn,
    trace_id: Sequence[str],
    tenant: Sequence[Text],
    session: Sequence[Text] | None = None,
    *,
    facts: Callable[[int], tuple[TraceFact, ...]],
) -> Offers:
    codes = counted.codes[chosen]
    arms: dict[Scope, int] = {}
    of_code = np.zeros(len(counted.leaves), dtype=np.int64)
    for code in dict.fromkeys(codes.tolist()):
        leaf = counted.leaves[code]
        assert leaf is not None
        # Leaves may share an arm.
        of_code[code] = arms.setdefault(leaf.arm, len(arms))
    return Offers(
        list(arms),
        signals,
        of_code[codes],
        signal,
        counted.arrival[chosen],
        counted.moment_ns[chosen],
        end_ns[counted.rows[chosen]],
        badness,
        counted.rows[chosen],
        trace_id,
        tenant,
        session,
        facts,
    )
