"""What is said of settled calls, as lists, and the columns of calls and requests made of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from tripswitch.model.calls import Calls
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope, ScopeColumn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


class SettledColumns(NamedTuple):
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


def call_columns(columns: SettledColumns) -> Calls:
    """Return calls as columns."""
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


def request_columns(
    firsts: Sequence[int],
    several: Mapping[int, Sequence[int]],
    columns: SettledColumns,
    calls: Calls,
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
