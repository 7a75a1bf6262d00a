"""Settled calls, requests and scores, until they become columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tripswitch.genai.columns import SettledColumns, call_columns, request_columns
from tripswitch.genai.harms import harms_of
from tripswitch.model.calls import Score
from tripswitch.model.requests import Requests
from tripswitch.model.settled import Settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.appraisal import Appraised
    from tripswitch.genai.call_index import CallRef
    from tripswitch.genai.prices import PriceTable
    from tripswitch.genai.settling import Settling
    from tripswitch.genai.sightings import CallFacts
    from tripswitch.model.calls import CostSource, Text

# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__

# Whether an answer refuses, who says so, and of what kind the refusal is: nobody says anything.
_UNSAID: Final[tuple[bool | None, Text, Text]] = (None, None, None)


class SettledRows:
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
        # In the order of `SettledColumns`.
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
            columns = SettledColumns._make(map(list, zip(*self._calls, strict=True)))
            calls = call_columns(columns)
            requests = (
                request_columns(self._firsts, self._several, columns, calls)
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
