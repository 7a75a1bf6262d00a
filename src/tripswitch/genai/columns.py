"""Settled calls, requests and scores, until they become columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np

from tripswitch.genai.harms import harms_of
from tripswitch.model.calls import Calls, Score
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope, ScopeColumn
from tripswitch.model.settled import Settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.genai.appraisal import Appraised
    from tripswitch.genai.call_index import CallRef
    from tripswitch.genai.prices import PriceTable
    from tripswitch.genai.settling import Settling
    from tripswitch.genai.sightings import CallFacts
    from tripswitch.model.calls import (
        CostSource,
        ErrorClass,
        Eval,
        FloatColumn,
        Guardrail,
        IntColumn,
        Text,
        ToolExecution,
    )

_T = TypeVar("_T")

# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__

# Whether an answer refuses, who says so, and of what kind the refusal is: nobody says anything.
_UNSAID: Final[tuple[bool | None, Text, Text]] = (None, None, None)


class _Columns(NamedTuple):
    """What is said of calls, a list with one element a call for each thing said.

    Up to ``is_chat`` they are as in `Calls`. ``outer_start`` and ``outer_end`` are those of the
    request's outside, or of the call where that was not seen;
    ``outcome`` is the error that the request ends with if this is its last call.
    """

    trace_id: list[str]
    span_id: list[str]
    parent_span_id: list[Text]
    response_id: list[Text]
    route: list[Text]
    prompt_name: list[Text]
    prompt_version: list[Text]
    cohort: list[Text]
    provider: list[Text]
    prompt_label: list[Text]
    tenant: list[Text]
    session: list[Text]
    user: list[Text]
    request_model: list[Text]
    response_model: list[Text]
    start: list[int]
    end: list[int]
    ttft: list[float]
    input_tokens: list[float]
    output_tokens: list[float]
    cached_tokens: list[float]
    reasoning_tokens: list[float]
    cost_usd: list[float]
    cost_source: list[CostSource]
    streaming: list[bool]
    finish_reasons: list[list[str]]
    refusal: list[bool | None]
    refusal_source: list[Text]
    refusal_kind: list[Text]
    guardrails: list[Sequence[Guardrail]]
    evals: list[list[Eval]]
    error_type: list[Text]
    error_class: list[ErrorClass | None]
    tools: list[Sequence[ToolExecution]]
    dialect: list[str]
    is_chat: list[bool]
    scope: list[Scope]
    outer_start: list[int]
    outer_end: list[int]
    outcome: list[Text]


class Rows:
    """Collects what is settled; `take` hands it over as columns and starts anew."""

    def __init__(self, prices: PriceTable) -> None:
        self.prices = prices
        self._calls: list[tuple[Any, ...]] = []
        # Of every request the row of its first call, and of the few with more the rows of all.
        self._firsts: list[int] = []
        self._several: dict[int, list[int]] = {}
        self._scores: list[Score] = []

    def add_call(self, call: Settling, said: Appraised) -> int:
        """Add a call and what its evaluations say; return its row, counted since the last time.

        All that is asked of it is read here, where it is at hand.
        """
        span, facts, place = call.span, call.facts, call.place
        route, prompt_name, prompt_version, cohort, _, provider = scope = place.scope
        if facts.is_chat:
            for rubric, score in said.rubrics:
                self._scores.append(
                    _new_tuple(
                        Score,
                        (
                            span.trace_id,
                            span.span_id,
                            scope,
                            place.tenant,
                            rubric,
                            score,
                            span.end,
                            0,
                            "eval_score",
                        ),
                    )
                )
            if call.guardrails or said.pii_leak is not None or said.prompt_injection is not None:
                harms = harms_of(said, call.guardrails)
                self.add_scores((), harms, span.trace_id, span.span_id, call.ref)
        usd, source = self._cost(facts, provider, span.end)
        refusal, refusal_source, refusal_kind = _UNSAID
        if said.refusal is not None or facts.refuses or "refusal" in facts.finish_reasons:
            refusal, refusal_source, refusal_kind = _refusal(facts, said)
        outside = call.entry or span
        error: Text = facts.error_class
        if error is None and (
            (call.entry is not None and call.entry.failed)
            or ("error" in facts.finish_reasons and _is_failure(facts))
        ):
            error = "unknown"
        row = len(self._calls)
        # In the order of `_Columns`.
        self._calls.append(
            (
                span.trace_id,
                span.span_id,
                span.parent_span_id,
                facts.response_id,
                route,
                prompt_name,
                prompt_version,
                cohort,
                provider,
                place.prompt_label,
                place.tenant,
                call.session,
                call.user,
                facts.request_model,
                facts.response_model,
                span.start,
                span.end,
                facts.ttft,
                facts.input_tokens,
                facts.output_tokens,
                facts.cached_tokens,
                facts.reasoning_tokens,
                usd,
                source,
                facts.streaming is True,
                facts.finish_reasons,
                refusal,
                refusal_source,
                refusal_kind,
                call.guardrails,
                said.evals,
                facts.error_type,
                facts.error_class,
                call.tools,
                "" if span.context is None else span.context.dialect,
                facts.is_chat,
                scope,
                outside.start,
                outside.end,
                error,
            )
        )
        return row

    def add_scores(
        self,
        rubrics: Sequence[tuple[str, float]],
        harms: Sequence[tuple[str, float]],
        trace_id: str,
        span_id: str,
        ref: CallRef,
    ) -> None:
        """Add (rubric, score) and (signal, score) of the call ``ref``, settled perhaps long ago."""
        _, scope, tenant, end = ref
        for rubric, score in rubrics:
            self._scores.append(Score(trace_id, span_id, scope, tenant, rubric, score, end))
        for signal, score in harms:
            self._scores.append(Score(trace_id, span_id, scope, tenant, "", score, end, 0, signal))

    def add_request(self, row: int) -> int:
        """Add a request by the row of the first call that served it, and return its number.

        The last of its calls decides its outcome.
        """
        self._firsts.append(row)
        return len(self._firsts) - 1

    def add_to_request(self, number: int, row: int) -> None:
        """Add another call that served a request."""
        self._several.setdefault(number, [self._firsts[number]]).append(row)

    def take(self) -> Settled:
        """Return everything added since the last time."""
        if self._calls:
            columns = _Columns._make(map(list, zip(*self._calls, strict=True)))
            calls = _call_columns(columns)
            requests = (
                _request_columns(self._firsts, self._several, columns, calls)
                if self._firsts
                else Requests()
            )
            settled = Settled(calls, requests, self._scores)
        else:
            settled = Settled(scores=self._scores)
        self._calls, self._scores, self._firsts, self._several = [], [], [], {}
        return settled

    def _cost(self, facts: CallFacts, provider: str | None, end: int) -> tuple[float, CostSource]:
        """Return the cost, and who says so; what a gateway's cache answered costs nothing."""
        if facts.cache_hit:
            return 0.0, "reported"
        if facts.cost_usd == facts.cost_usd:
            return facts.cost_usd, "reported"
        priced = self.prices.cost_usd(
            provider,
            (facts.response_model, facts.request_model),
            end,
            input_tokens=facts.input_tokens,
            output_tokens=facts.output_tokens,
            cached_tokens=facts.cached_tokens,
            cache_write_tokens=facts.cache_write_tokens,
        )
        return priced, "unknown" if priced != priced else "priced"


def _refusal(facts: CallFacts, said: Appraised) -> tuple[bool | None, str, str | None]:
    """Return whether an answer refuses, who says so, and of what kind the refusal is."""
    refusal: bool | None = True
    source = "provider"
    if "refusal" not in facts.finish_reasons:
        if facts.refuses:
            source = "content_part"
        else:
            refusal, source = said.refusal, "eval"
    return refusal, source, (said.refusal_kind or "unknown") if refusal else None


def _is_failure(facts: CallFacts) -> bool:
    """Return whether "error" is the only reason to have finished, and was one."""
    return set(facts.finish_reasons) == {"error"} and not facts.lacks_reason


def _call_columns(columns: _Columns) -> Calls:
    return Calls(
        trace_id=columns.trace_id,
        span_id=columns.span_id,
        parent_span_id=columns.parent_span_id,
        response_id=columns.response_id,
        start=_ints(columns.start),
        end=_ints(columns.end),
        ttft=_floats(columns.ttft),
        route=columns.route,
        prompt_name=columns.prompt_name,
        prompt_version=columns.prompt_version,
        prompt_label=columns.prompt_label,
        cohort=columns.cohort,
        tenant=columns.tenant,
        session=columns.session,
        user=columns.user,
        provider=columns.provider,
        request_model=columns.request_model,
        response_model=columns.response_model,
        input_tokens=_floats(columns.input_tokens),
        output_tokens=_floats(columns.output_tokens),
        cached_tokens=_floats(columns.cached_tokens),
        reasoning_tokens=_floats(columns.reasoning_tokens),
        cost_usd=_floats(columns.cost_usd),
        cost_source=columns.cost_source,
        streaming=columns.streaming,
        finish_reasons=columns.finish_reasons,
        refusal=columns.refusal,
        refusal_source=columns.refusal_source,
        refusal_kind=columns.refusal_kind,
        guardrails=columns.guardrails,
        evals=columns.evals,
        error_type=columns.error_type,
        error_class=columns.error_class,
        tools=columns.tools,
        dialect=columns.dialect,
        is_chat=columns.is_chat,
        request_index=np.zeros(len(columns.trace_id), dtype=np.int64),
        scopes=ScopeColumn.of(columns.scope),
    )


def _request_columns(
    firsts: Sequence[int], several: Mapping[int, Sequence[int]], columns: _Columns, calls: Calls
) -> Requests:
    """Return requests as columns, by the first call of each and all of those that have several."""
    sizes = np.ones(len(firsts), dtype=np.int64)
    lasts = list(firsts)
    for number, rows in several.items():
        sizes[number] = len(rows)
        lasts[number] = max(rows, key=lambda row: (columns.end[row], columns.span_id[row]))
    # Often every call is a request of its own, and they are the same rows.
    at = None if lasts == list(range(len(columns.end))) else lasts
    start, end = _ints(_at(columns.outer_start, at)), _ints(_at(columns.outer_end, at))
    cost_usd, said_in, said_out = calls.cost_usd, calls.input_tokens, calls.output_tokens
    if at is not None:
        cost_usd, said_in, said_out = cost_usd[at], said_in[at], said_out[at]
    # As `_said_sum` of the two.
    tokens = said_in + said_out
    unsaid = tokens != tokens
    if unsaid.any():
        tokens = np.where(unsaid, np.where(np.isnan(said_in), said_out, said_in), tokens)
    if several:
        cost_usd = cost_usd.copy()
    for number, rows in several.items():
        cost_usd[number] = _said_sum([float(calls.cost_usd[row]) for row in rows])
        tokens[number] = _said_sum(
            [
                float(column[row])
                for row in rows
                for column in (calls.input_tokens, calls.output_tokens)
            ]
        )
        # Of one outside they are all the same; where that was not seen the calls are all there is.
        start[number] = min(columns.outer_start[row] for row in rows)
        end[number] = max(columns.outer_end[row] for row in rows)
    outcome = _at(columns.outcome, at)
    failed = [error is not None for error in outcome]
    refusal = [refused is True for refused in _at(columns.refusal, at)]
    return Requests(
        trace_id=_at(columns.trace_id, at),
        scope=_at(columns.scope, at),
        tenant=_at(columns.tenant, at),
        end=end,
        latency=np.maximum(0, end - start) / 1e9,
        tokens=tokens,
        cost_usd=cost_usd,
        calls=sizes,
        error=failed,
        error_class=outcome,
        refusal=refusal,
        success=[not (bad or refused) for bad, refused in zip(failed, refusal, strict=True)],
        request_index=np.zeros(len(firsts), dtype=np.int64),
        scopes=calls.scopes if at is None else None,
    )


def _at(column: list[_T], rows: Sequence[int] | None) -> list[_T]:
    """Return what a column has at ``rows``, all of it for None."""
    return column if rows is None else [column[row] for row in rows]


def _said_sum(numbers: Sequence[float]) -> float:
    """Return the sum of what was said; NaN when nothing was."""
    said = [number for number in numbers if number == number]
    return sum(said) if said else math.nan


def _ints(numbers: Sequence[int]) -> IntColumn:
    return np.array(numbers, dtype=np.int64)


def _floats(numbers: Sequence[float]) -> FloatColumn:
    return np.array(numbers, dtype=np.float64)
