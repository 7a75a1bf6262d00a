"""What a call's own span says of tokens and cost, and what of it is not to be believed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tripswitch.genai.facts import SpanFacts
    from tripswitch.genai.sightings import CallFacts
    from tripswitch.genai.sketches import Sketch


def read_usage(facts: SpanFacts, call: CallFacts, provider: str | None) -> None:
    """Put the token counts and the reported cost into ``call``, NaN where nothing is said."""
    if facts.plan.shows_plain_usage:
        call.input_tokens = facts.tokens("input_tokens")
        call.output_tokens = facts.tokens("output_tokens")
    else:
        _read_parts(facts, call, provider)
    if not (call.is_chat and call.input_tokens > 0):
        _drop_empty_counts(call)
    if facts.has("counted_text_tokens"):
        _drop_estimate(facts, call)


def _read_parts(facts: SpanFacts, call: CallFacts, provider: str | None) -> None:
    """Read token counts of which some are parts of others, and the cost."""
    rows = facts.plan.rows
    apart = facts.plan.counts_apart or facts.counts_apart("cached_tokens")
    # What is not there is NaN already.
    if "cached_tokens" in rows:
        call.input_tokens, call.cached_tokens = _whole_and_part(
            facts, "input_tokens", "cached_tokens", apart=apart
        )
    else:
        call.input_tokens = facts.tokens("input_tokens")
    if "reasoning_tokens" in rows:
        call.output_tokens, call.reasoning_tokens = _whole_and_part(
            facts, "output_tokens", "reasoning_tokens"
        )
    else:
        call.output_tokens = facts.tokens("output_tokens")
    if "cache_write_tokens" in rows:
        call.cache_write_tokens = _some(facts.tokens("cache_write_tokens"))
        if apart and call.cache_write_tokens > 0:
            call.input_tokens += call.cache_write_tokens
    if "total_tokens" in rows:
        total = facts.tokens("total_tokens")
        if math.isnan(call.input_tokens) and total >= call.output_tokens:
            call.input_tokens = total - call.output_tokens
        _add_parts(call, total, thinks_apart=(provider or "").startswith("gcp."))
    if facts.plan.shows_cost:
        call.cost_usd = facts.cost_usd()


def _add_parts(call: CallFacts, total: float, *, thinks_apart: bool) -> None:
    """Add what was cached to the input and what was thought to the output, if ``total`` says so.

    A total that only adds up with them says that they are counted apart. Google's models count
    apart what they think (``thinks_apart``), and some pass on the total alone. Who takes another's
    model for one of these counts twice what was thought, and its total does not.
    """
    missing = total - call.input_tokens - call.output_tokens
    if missing < 0 and -missing == call.reasoning_tokens and not thinks_apart:
        call.output_tokens = total - call.input_tokens
    if not missing > 0:
        return
    cached = sum(part for part in (call.cached_tokens, call.cache_write_tokens) if part == part)
    thought = 0.0 if math.isnan(call.reasoning_tokens) else call.reasoning_tokens
    for more_in, more_out in ((cached, 0.0), (0.0, thought), (cached, thought)):
        if more_in + more_out == missing:
            call.input_tokens += more_in
            call.output_tokens += more_out
            return
    if thinks_apart and call.is_chat and math.isnan(call.reasoning_tokens):
        call.output_tokens += missing


def _drop_empty_counts(call: CallFacts) -> None:
    if not call.is_chat and call.output_tokens == 0:
        call.output_tokens = math.nan
    if call.input_tokens == 0 and not call.output_tokens > 0:
        # No model reads nothing: zeros stand where the provider sent no usage.
        call.input_tokens = call.output_tokens = math.nan
    if call.cost_usd == 0 and math.isnan(call.input_tokens):
        call.cost_usd = math.nan


def _drop_estimate(facts: SpanFacts, call: CallFacts) -> None:
    counted = facts.number("counted_text_tokens")
    call.is_estimated = (
        counted > 0
        and counted == call.output_tokens
        and not any(isinstance(value, dict) for value in facts.values("input_breakdown"))
    )
    if call.is_estimated:
        # The stream broke off: the library counted what it had and made up how it finished.
        _forget_usage(facts, call)
        call.finish_reasons = []


def drop_made_up_usage(facts: SpanFacts, sketch: Sketch, call: CallFacts) -> None:
    """Drop what stands in the usage of ``call``, a stream, though its provider did not tell."""
    if facts.plan.lacks_proof and call.is_chat:
        # The library counted the text it saw.
        _forget_usage(facts, call)
    # Its streams begin with a count of 0 or 1, and this one broke off before the real one came.
    least = 0 if call.finish_reasons else 1
    if call.output_tokens <= least and sketch.context.provider == "anthropic":
        call.output_tokens = math.nan


def _forget_usage(facts: SpanFacts, call: CallFacts) -> None:
    facts.reject("estimated_usage")
    call.input_tokens = call.output_tokens = call.cost_usd = math.nan
    call.cached_tokens = call.reasoning_tokens = math.nan


def _whole_and_part(
    facts: SpanFacts, whole: str, part: str, *, apart: bool = False
) -> tuple[float, float]:
    """Return a token count and the share of it that ``part`` counts; a share of 0 is none.

    The conventions include the part in the whole; who reports a larger part counts it ``apart``,
    and some are known to.
    """
    total, of_which = facts.tokens(whole), _some(facts.tokens(part))
    if of_which > total or (apart and of_which > 0):
        total += of_which
    return total, of_which


def _some(count: float) -> float:
    return count if count > 0 else math.nan
