"""Settled calls, requests and scores, until they become columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from tripswitch.genai.harms import harms_of
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
    from tripswitch.model.calls import CostSource, FloatColumn, IntColumn

# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__


class Rows:
    """Collects what is settled; `take` hands it over as columns and starts anew."""

    def __init__(self, prices: PriceTable) -> None:
        self.prices = prices
        self._calls: list[Settling] = []
        self._appraised: list[Appraised] = []
        self._requests: list[Sequence[Settling]] = []
        self._scores: list[Score] = []

    def add_call(self, call: Settling, appraised: Appraised) -> None:
        """Add a call with what its evaluations say."""
        self._calls.append(call)
        self._appraised.append(appraised)
        if (appraised.rubrics or call.guardrails or appraised.evals) and call.facts.is_chat:
            harms = harms_of(appraised, call.guardrails)
            span = call.span
            self.add_scores(appraised.rubrics, harms, span.trace_id, span.span_id, call.ref)

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
            self._scores.append(
                _new_tuple(
                    Score, (trace_id, span_id, scope, tenant, rubric, score, end, 0, "eval_score")
                )
            )
        for signal, score in harms:
            self._scores.append(Score(trace_id, span_id, scope, tenant, "", score, end, 0, signal))

    def add_request(self, calls: Sequence[Settling]) -> None:
        """Add the request that these calls served; the last of them decides its outcome."""
        self._requests.append(calls)

    def take(self) -> Settled:
        """Return everything added since the last time."""
        settled = Settled(scores=self._scores)
        if self._calls:
            settled.calls = self._call_columns(self._calls, self._appraised)
        if self._requests:
            settled.requests = _request_columns(self._requests)
        self._calls, self._appraised, self._requests, self._scores = [], [], [], []
        return settled

    def _call_columns(self, calls: Sequence[Settling], appraised: Sequence[Appraised]) -> Calls:
        spans = [call.span for call in calls]
        facts = [call.facts for call in calls]
        places = [call.place for call in calls]
        scopes = [place.scope for place in places]
        refusals = [_refusal(call, said) for call, said in zip(calls, appraised, strict=True)]
        costs = [self._cost(call) for call in calls]
        for call, (refusal, _), (cost_usd, _) in zip(calls, refusals, costs, strict=True):
            call.refusal, call.cost_usd = refusal, cost_usd
        return Calls(
            trace_id=[span.trace_id for span in spans],
            span_id=[span.span_id for span in spans],
            parent_span_id=[span.parent_span_id for span in spans],
            response_id=[fact.response_id for fact in facts],
            start=_ints([span.start for span in spans]),
            end=_ints([span.end for span in spans]),
            ttft=_floats([fact.ttft for fact in facts]),
            route=[scope.route for scope in scopes],
            prompt_name=[scope.prompt_name for scope in scopes],
            prompt_version=[scope.prompt_version for scope in scopes],
            prompt_label=[place.prompt_label for place in places],
            cohort=[scope.cohort for scope in scopes],
            tenant=[place.tenant for place in places],
            session=[call.session for call in calls],
            user=[call.user for call in calls],
            provider=[scope.provider for scope in scopes],
            request_model=[fact.request_model for fact in facts],
            response_model=[fact.response_model for fact in facts],
            input_tokens=_floats([fact.input_tokens for fact in facts]),
            output_tokens=_floats([fact.output_tokens for fact in facts]),
            cached_tokens=_floats([fact.cached_tokens for fact in facts]),
            reasoning_tokens=_floats([fact.reasoning_tokens for fact in facts]),
            cost_usd=_floats([cost_usd for cost_usd, _ in costs]),
            cost_source=[source for _, source in costs],
            streaming=[bool(fact.streaming) for fact in facts],
            finish_reasons=[fact.finish_reasons for fact in facts],
            refusal=[refusal for refusal, _ in refusals],
            refusal_source=[source for _, source in refusals],
            refusal_kind=[
                (said.refusal_kind or "unknown") if refusal else None
                for (refusal, _), said in zip(refusals, appraised, strict=True)
            ],
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

    def _cost(self, call: Settling) -> tuple[float, CostSource]:
        """Return the cost, and who says so; what a gateway's cache answered costs nothing."""
        facts = call.facts
        if facts.cache_hit:
            return 0.0, "reported"
        if facts.cost_usd == facts.cost_usd:
            return facts.cost_usd, "reported"
        priced = self.prices.cost_usd(
            call.place.scope.provider,
            (facts.response_model, facts.request_model),
            call.span.end,
            input_tokens=facts.input_tokens,
            output_tokens=facts.output_tokens,
            cached_tokens=facts.cached_tokens,
            cache_write_tokens=facts.cache_write_tokens,
        )
        return priced, "unknown" if priced != priced else "priced"


def _request_columns(requests: Sequence[Sequence[Settling]]) -> Requests:
    """Return requests, each the calls that served it, as columns."""
    lasts = [calls[0] if len(calls) == 1 else _last(calls) for calls in requests]
    facts = [last.facts for last in lasts]
    cost_usd = _floats([last.cost_usd for last in lasts])
    said_in = _floats([fact.input_tokens for fact in facts])
    said_out = _floats([fact.output_tokens for fact in facts])
    start, end = _ints([_started(last) for last in lasts]), _ints([_ended(last) for last in lasts])
    # As `_said_sum` of the two.
    tokens = np.where(
        np.isnan(said_in), said_out, np.where(np.isnan(said_out), said_in, said_in + said_out)
    )
    for row, calls in enumerate(requests):
        if len(calls) == 1:
            continue
        cost_usd[row] = _said_sum([call.cost_usd for call in calls])
        tokens[row] = _said_sum(
            [
                count
                for call in calls
                for count in (call.facts.input_tokens, call.facts.output_tokens)
            ]
        )
        if lasts[row].entry is None:
            start[row] = min(call.span.start for call in calls)
            end[row] = max(call.span.end for call in calls)
    error = [_failed(last) for last in lasts]
    refusal = [last.refusal is True for last in lasts]
    return Requests(
        trace_id=[last.span.trace_id for last in lasts],
        scope=[last.place.scope for last in lasts],
        tenant=[last.place.tenant for last in lasts],
        end=end,
        latency=np.maximum(0, end - start) / 1e9,
        tokens=tokens,
        cost_usd=cost_usd,
        calls=_ints([len(calls) for calls in requests]),
        error=error,
        error_class=[
            (fact.error_class or "unknown") if failed else None
            for fact, failed in zip(facts, error, strict=True)
        ],
        refusal=refusal,
        success=[
            not failed and not refused for failed, refused in zip(error, refusal, strict=True)
        ],
        request_index=np.zeros(len(requests), dtype=np.int64),
    )


def _last(calls: Sequence[Settling]) -> Settling:
    return max(calls, key=lambda call: (call.span.end, call.span.span_id))


def _started(last: Settling) -> int:
    return last.span.start if last.entry is None else last.entry.start


def _ended(last: Settling) -> int:
    return last.span.end if last.entry is None else last.entry.end


def _failed(last: Settling) -> bool:
    """Return whether the request of this last call failed."""
    if last.facts.error_class is not None or (last.entry is not None and last.entry.failed):
        return True
    reasons = last.facts.finish_reasons
    return set(reasons) == {"error"} and not last.facts.lacks_reason


def _refusal(call: Settling, appraised: Appraised) -> tuple[bool | None, str | None]:
    """Return whether the answer refuses, and who says so."""
    if "refusal" in call.facts.finish_reasons:
        return True, "provider"
    if call.facts.refuses:
        return True, "content_part"
    return appraised.refusal, None if appraised.refusal is None else "eval"


def _said_sum(numbers: Sequence[float]) -> float:
    """Return the sum of what was said; NaN when nothing was."""
    said = [number for number in numbers if number == number]
    return sum(said) if said else math.nan


def _ints(numbers: Sequence[int]) -> IntColumn:
    return np.array(numbers, dtype=np.int64)


def _floats(numbers: Sequence[float]) -> FloatColumn:
    return np.array(numbers, dtype=np.float64)
