"""Settled calls, requests and scores as rows, until they become columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

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
    from tripswitch.model.calls import CostSource
    from tripswitch.model.scope import Scope

# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__

_INT_COLUMNS = ("start", "end")
_FLOAT_COLUMNS = (
    "ttft",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
)


class Rows:
    """Collects what is settled; `take` hands it over as columns and starts anew."""

    def __init__(self, prices: PriceTable) -> None:
        self.prices = prices
        self._calls: list[tuple[Any, ...]] = []
        self._scopes: list[Scope] = []
        self._requests: list[tuple[Any, ...]] = []
        self._scores: list[Score] = []

    def add_call(self, call: Settling, appraised: Appraised) -> None:
        """Add a call with what its evaluations say."""
        span, facts, inherited = call.span, call.facts, call.inherited
        scope = inherited.scope
        context = span.context
        assert context is not None
        refusal, source = _refusal(call, appraised)
        cost_usd, cost_source = self._cost(call)
        # One value a column, in the order of `Calls`.
        self._calls.append(
            (
                span.trace_id,
                span.span_id,
                span.parent_span_id,
                facts.response_id,
                span.start,
                span.end,
                facts.ttft,
                scope.route,
                scope.prompt_name,
                scope.prompt_version,
                inherited.prompt_label,
                scope.cohort,
                inherited.tenant,
                inherited.session,
                inherited.user,
                scope.provider,
                facts.request_model,
                facts.response_model,
                facts.input_tokens,
                facts.output_tokens,
                facts.cached_tokens,
                facts.reasoning_tokens,
                cost_usd,
                cost_source,
                bool(facts.streaming),
                facts.finish_reasons,
                refusal,
                source,
                (appraised.refusal_kind or "unknown") if refusal else None,
                call.guardrails,
                appraised.evals,
                facts.error_type,
                facts.error_class,
                call.tools,
                context.dialect,
                facts.is_chat,
            )
        )
        self._scopes.append(scope)
        call.refusal, call.cost_usd = refusal, cost_usd
        if facts.is_chat:
            harms = harms_of(appraised, call.guardrails)
            if harms or appraised.rubrics:
                self.add_scores(appraised.rubrics, harms, span.trace_id, span.span_id, call.ref)

    def _cost(self, call: Settling) -> tuple[float, CostSource]:
        """Return the cost, and who says so; what a gateway's cache answered costs nothing."""
        facts = call.facts
        if facts.cache_hit:
            return 0.0, "reported"
        if facts.cost_usd == facts.cost_usd:
            return facts.cost_usd, "reported"
        priced = self.prices.cost_usd(
            call.inherited.scope.provider,
            (facts.response_model, facts.request_model),
            call.span.end,
            input_tokens=facts.input_tokens,
            output_tokens=facts.output_tokens,
            cached_tokens=facts.cached_tokens,
            cache_write_tokens=facts.cache_write_tokens,
        )
        return priced, "unknown" if math.isnan(priced) else "priced"

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
        if len(calls) == 1:
            last = calls[0]
            cost_usd = last.cost_usd
        else:
            last = max(calls, key=lambda call: (call.span.end, call.span.span_id))
            cost_usd = _said_sum([call.cost_usd for call in calls])
        facts = last.facts
        tokens = facts.input_tokens + facts.output_tokens
        if len(calls) > 1 or tokens != tokens:
            tokens = _said_sum(
                [
                    count
                    for call in calls
                    for count in (call.facts.input_tokens, call.facts.output_tokens)
                ]
            )
        entry = last.entry
        start = min(call.span.start for call in calls) if entry is None else entry.start
        end = max(call.span.end for call in calls) if entry is None else entry.end
        entry_failed = entry is not None and entry.failed
        reasons = facts.finish_reasons
        last_failed = facts.error_class is not None or (
            "error" in reasons and set(reasons) == {"error"}
        )
        failed = last_failed or entry_failed
        refusal = last.refusal is True
        self._requests.append(
            (
                last.span.trace_id,
                last.inherited.scope,
                last.inherited.tenant,
                end,
                max(0, end - start) / 1e9,
                tokens,
                cost_usd,
                len(calls),
                failed,
                (facts.error_class or "unknown") if failed else None,
                refusal,
                not failed and not refusal,
            )
        )

    def take(self) -> Settled:
        """Return everything added since the last time."""
        settled = Settled(scores=self._scores)
        if self._calls:
            columns: list[Any] = [list(column) for column in zip(*self._calls, strict=True)]
            settled.calls = Calls(*columns)
            settled.calls.request_index = np.zeros(len(self._calls), dtype=np.int64)
            settled.calls.scopes = ScopeColumn.of(self._scopes)
            for name in _INT_COLUMNS:
                setattr(settled.calls, name, np.array(getattr(settled.calls, name), dtype=np.int64))
            for name in _FLOAT_COLUMNS:
                setattr(
                    settled.calls, name, np.array(getattr(settled.calls, name), dtype=np.float64)
                )
        if self._requests:
            requests = Requests(*[list(column) for column in zip(*self._requests, strict=True)])  # type: ignore[arg-type]
            for name in ("end", "calls"):
                setattr(requests, name, np.array(getattr(requests, name), dtype=np.int64))
            for name in ("latency", "tokens", "cost_usd"):
                setattr(requests, name, np.array(getattr(requests, name), dtype=np.float64))
            requests.request_index = np.zeros(len(self._requests), dtype=np.int64)
            settled.requests = requests
        self._calls, self._scopes, self._requests, self._scores = [], [], [], []
        return settled


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
