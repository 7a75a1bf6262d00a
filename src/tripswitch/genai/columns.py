"""Settled calls, requests and scores, until they become columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from tripswitch.genai.harms import harms_of
from tripswitch.genai.prices import cost_usd
from tripswitch.genai.settling import let_go
from tripswitch.model.calls import Calls, Score
from tripswitch.model.requests import Requests
from tripswitch.model.scope import ScopeColumn
from tripswitch.model.settled import Settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.appraisal import Appraised
    from tripswitch.genai.call_index import CallRef
    from tripswitch.genai.prices import PriceTable
    from tripswitch.genai.settling import Settling
    from tripswitch.genai.sightings import CallFacts
    from tripswitch.model.calls import CostSource, FloatColumn, IntColumn, Text

# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__

# Whether an answer refuses, who says so, and of what kind the refusal is: nobody says anything.
_UNSAID: Final = (None, None, None)


class Rows:
    """Collects what is settled; `take` hands it over as columns and starts anew."""

    def __init__(self, prices: PriceTable) -> None:
        self.prices = prices
        self._calls: list[Settling] = []
        self._appraised: list[Appraised] = []
        self._requests: list[Sequence[int]] = []
        self._scores: list[Score] = []

    def add_calls(self, calls: Sequence[Settling], appraised: Sequence[Appraised]) -> None:
        """Add calls, each with what its evaluations say."""
        self._calls += calls
        self._appraised += appraised
        scores = self._scores
        for call, said in zip(calls, appraised, strict=True):
            if not (said.evals or call.guardrails) or not call.facts.is_chat:
                continue
            span, place = call.span, call.place
            for rubric, score in said.rubrics:
                scores.append(
                    _new_tuple(
                        Score,
                        (
                            span.trace_id,
                            span.span_id,
                            place.scope,
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

    def add_request(self, rows: Sequence[int]) -> None:
        """Add the request that the calls at ``rows``, counted since the last time, served.

        The last of them decides its outcome.
        """
        self._requests.append(rows)

    def take(self) -> Settled:
        """Return everything added since the last time."""
        settled = Settled(scores=self._scores)
        if self._calls:
            settled.calls = self._call_columns()
        if self._requests:
            settled.requests = _request_columns(self._requests, self._calls, settled.calls)
        let_go(self._calls)
        self._calls, self._appraised, self._requests, self._scores = [], [], [], []
        return settled

    def _call_columns(self) -> Calls:
        calls, appraised = self._calls, self._appraised
        spans = [call.span for call in calls]
        facts = [call.facts for call in calls]
        places = [call.place for call in calls]
        refusals = [
            _UNSAID
            if said.refusal is None and not fact.refuses and "refusal" not in fact.finish_reasons
            else _refusal(fact, said)
            for fact, said in zip(facts, appraised, strict=True)
        ]
        refusal, refusal_source, refusal_kind = map(list, zip(*refusals, strict=True))
        scopes = [place.scope for place in places]
        route, prompt_name, prompt_version, cohort, _, provider = map(
            list, zip(*scopes, strict=True)
        )
        costs = [
            self._cost(fact, of, span.end)
            for fact, of, span in zip(facts, provider, spans, strict=True)
        ]
        return Calls(
            trace_id=[span.trace_id for span in spans],
            span_id=[span.span_id for span in spans],
            parent_span_id=[span.parent_span_id for span in spans],
            response_id=[fact.response_id for fact in facts],
            start=_ints([span.start for span in spans]),
            end=_ints([span.end for span in spans]),
            ttft=_floats([fact.ttft for fact in facts]),
            route=route,
            prompt_name=prompt_name,
            prompt_version=prompt_version,
            prompt_label=[place.prompt_label for place in places],
            cohort=cohort,
            tenant=[place.tenant for place in places],
            session=[call.session for call in calls],
            user=[call.user for call in calls],
            provider=provider,
            request_model=[fact.request_model for fact in facts],
            response_model=[fact.response_model for fact in facts],
            input_tokens=_floats([fact.input_tokens for fact in facts]),
            output_tokens=_floats([fact.output_tokens for fact in facts]),
            cached_tokens=_floats([fact.cached_tokens for fact in facts]),
            reasoning_tokens=_floats([fact.reasoning_tokens for fact in facts]),
            cost_usd=_floats([cost_usd for cost_usd, _ in costs]),
            cost_source=[source for _, source in costs],
            streaming=[fact.streaming is True for fact in facts],
            finish_reasons=[fact.finish_reasons for fact in facts],
            refusal=refusal,
            refusal_source=refusal_source,
            refusal_kind=refusal_kind,
            guardrails=[call.guardrails for call in calls],
            evals=[said.evals for said in appraised],
            error_type=[fact.error_type for fact in facts],
            error_class=[fact.error_class for fact in facts],
            tools=[call.tools for call in calls],
            dialect=["" if span.context is None else span.context.dialect for span in spans],
            is_chat=[fact.is_chat for fact in facts],
            request_index=np.zeros(len(calls), dtype=np.int64),
            scopes=ScopeColumn.of(scopes),
        )

    def _cost(self, facts: CallFacts, provider: str | None, end: int) -> tuple[float, CostSource]:
        """Return the cost, and who says so; what a gateway's cache answered costs nothing."""
        if facts.cache_hit:
            return 0.0, "reported"
        if facts.cost_usd == facts.cost_usd:
            return facts.cost_usd, "reported"
        priced = cost_usd(
            self.prices.rate(provider, (facts.response_model, facts.request_model), end),
            facts.input_tokens,
            facts.output_tokens,
            facts.cached_tokens,
            facts.cache_write_tokens,
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


def _request_columns(
    requests: Sequence[Sequence[int]], settled: Sequence[Settling], calls: Calls
) -> Requests:
    """Return requests, each the rows of the calls that served it, as columns."""
    sizes = list(map(len, requests))
    # Most requests are one call each.
    several = [number for number, size in enumerate(sizes) if size > 1] if max(sizes) > 1 else []
    lasts = [rows[0] for rows in requests]
    for number in several:
        lasts[number] = _last(requests[number], settled)
    # Where every call is a request of its own, they are the same rows.
    is_same = lasts == list(range(len(settled)))
    attempts = settled if is_same else [settled[row] for row in lasts]
    outsides = [call.entry or call.span for call in attempts]
    start = _ints([outside.start for outside in outsides])
    end = _ints([outside.end for outside in outsides])
    error_class: list[Text] = [
        call.facts.error_class
        or (
            "unknown"
            if (call.entry is not None and call.entry.failed)
            or ("error" in call.facts.finish_reasons and _is_failure(call.facts))
            else None
        )
        for call in attempts
    ]
    failed = [error is not None for error in error_class]
    at = _ints(lasts)
    cost_usd = calls.cost_usd[at]
    said_in, said_out = calls.input_tokens[at], calls.output_tokens[at]
    # As `_said_sum` of the two.
    tokens = said_in + said_out
    unsaid = tokens != tokens
    if unsaid.any():
        tokens = np.where(unsaid, np.where(np.isnan(said_in), said_out, said_in), tokens)
    for number in several:
        rows = requests[number]
        cost_usd[number] = _said_sum([float(calls.cost_usd[row]) for row in rows])
        tokens[number] = _said_sum(
            [
                float(column[row])
                for row in rows
                for column in (calls.input_tokens, calls.output_tokens)
            ]
        )
        if settled[lasts[number]].entry is None:
            start[number] = min(settled[row].span.start for row in rows)
            end[number] = max(settled[row].span.end for row in rows)
    refusals = calls.refusal if is_same else [calls.refusal[row] for row in lasts]
    refusal = [refused is True for refused in refusals]
    return Requests(
        trace_id=[call.span.trace_id for call in attempts],
        scope=[call.place.scope for call in attempts],
        tenant=[call.place.tenant for call in attempts],
        end=end,
        latency=np.maximum(0, end - start) / 1e9,
        tokens=tokens,
        cost_usd=cost_usd,
        calls=_ints(sizes),
        error=failed,
        error_class=error_class,
        refusal=refusal,
        success=[not (bad or refused) for bad, refused in zip(failed, refusal, strict=True)],
        request_index=np.zeros(len(requests), dtype=np.int64),
        scopes=calls.scopes if is_same else None,
    )


def _is_failure(facts: CallFacts) -> bool:
    """Return whether "error" is the only reason to have finished, and was one."""
    return set(facts.finish_reasons) == {"error"} and not facts.lacks_reason


def _last(rows: Sequence[int], settled: Sequence[Settling]) -> int:
    return max(rows, key=lambda row: (settled[row].span.end, settled[row].span.span_id))


def _said_sum(numbers: Sequence[float]) -> float:
    """Return the sum of what was said; NaN when nothing was."""
    said = [number for number in numbers if number == number]
    return sum(said) if said else math.nan


def _ints(numbers: Sequence[int]) -> IntColumn:
    return np.array(numbers, dtype=np.int64)


def _floats(numbers: Sequence[float]) -> FloatColumn:
    return np.array(numbers, dtype=np.float64)
