"""What a call costs that does not say it: tokens times the price of its model.

A model is looked for under every name it may be listed by: as it came; without a gateway's prefix,
a region, a build; without a date at its end. Of the rows that fit, the one that says most of the
name holds, so an exact name before a pattern and a dated name before the family's; then the one for
the call's provider, then the one that began last. A user's own rows come before all shipped ones.

What is in no table has no price, and its cost stays unknown: a model is never priced as its
relative. Neither is one that runs on somebody's own machines priced as its maker would.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from tripswitch.genai.spellings import folded
from tripswitch.genai.spellings import provider as provider_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tripswitch.config.prices_section import ModelPrice, Prices

# What tokens of a model cost: of the input, of the output, read from a cache, written to one.
# Taken from a model of settings, whose fields take long to read.
_Rate = tuple[float, float | None, float, float]

_MILLION: Final = 1e6
# Names of models a sender writes; an application has a few.
_MAX_REMEMBERED: Final = 4096
_LONGEST_NAME: Final = 256
_DAY_NS: Final = 86_400 * 10**9

_ROUTE_WORDS: Final = """
    anthropic azure azure_ai bedrock chat cohere cohere_chat converse deepseek gemini google groq
    invoke litellm_proxy mistral models moonshot openai openrouter publishers responses vertex
    vertex_ai x-ai xai
"""
# What may stand before a slash without changing the price: a maker, a cloud, a gateway's word.
_ROUTES: Final = frozenset(_ROUTE_WORDS.split())
_OWN_WORDS: Final = """
    hosted_vllm huggingface huggingface_hub llama_cpp llamafile lm_studio lmstudio localai ollama
    ollama_chat sglang text_generation_inference tgi triton vllm xinference
"""
# Who answers there runs the model for themselves; a maker's list price says nothing about it.
_OWN_MACHINES: Final = frozenset(_OWN_WORDS.split())

_PATTERN: Final = re.compile(r"\[[^]]*\]|[*?]")
# What stands around a model's name on Bedrock: a region, a maker, a build.
_REGION: Final = re.compile(r"^(us|eu|apac|global|us-gov|jp|au|ca|in)\.")
_MAKER: Final = re.compile(
    r"^(ai21|amazon|anthropic|cohere|deepseek|google|meta|mistral|moonshot|moonshotai|openai|qwen"
    r"|writer|xai|zai)\."
)
_BUILD: Final = re.compile(r"(-v\d+)?(:\d+)?$")
# A date in any of the makers' forms, or a word for the current one.
_DATE: Final = re.compile(
    r"[-@](\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{8}|\d{4}|\d{3})$|-latest$|@(default|latest)$"
)


class _Rows:
    """Rows of prices: those of one name by it, so that a strange name costs little; patterns."""

    def __init__(self, rows: Iterable[ModelPrice]) -> None:
        self._exact: dict[str, list[ModelPrice]] = {}
        self._patterns: list[ModelPrice] = []
        for row in rows:
            if _PATTERN.search(row.model):
                self._patterns.append(row)
            else:
                self._exact.setdefault(row.model, []).append(row)

    def best(self, names: Sequence[str], provider: str | None, day: str) -> ModelPrice | None:
        """Return the row that holds on ``day`` for a model of these names; None without one."""
        fitting = [row for name in names for row in self._exact.get(name, ())]
        fitting += [
            row for row in self._patterns if any(fnmatchcase(name, row.model) for name in names)
        ]
        best: ModelPrice | None = None
        best_rank = (0, False, "")
        for row in fitting:
            wanted = provider_name(row.provider) if row.provider else None
            if row.since > day or wanted not in (None, provider):
                continue
            rank = (_said(row.model), wanted is not None, row.since)
            # Of equals the first listed.
            if best is None or rank > best_rank:
                best, best_rank = row, rank
        return best


class PriceTable:
    """The prices of `Prices`, those of a user first."""

    def __init__(self, prices: Prices) -> None:
        self._own = _Rows(prices.own if prices.enabled else ())
        self._shipped = _Rows(prices.models if prices.enabled else ())
        self._found: dict[tuple[str | None, str, int], ModelPrice | None] = {}
        # Of the models of a call, by provider, models and day.
        self._first: dict[tuple[str | None, tuple[str | None, ...], int], _Rate | None] = {}
        # The day of the last call, by its number, and when it and the next one begin.
        self._day = self._day_ns = self._next_day_ns = 0

    def cost_usd(
        self,
        provider: str | None,
        models: Sequence[str | None],
        at_ns: int,
        *,
        input_tokens: float,
        output_tokens: float,
        cached_tokens: float = math.nan,
        cache_write_tokens: float = math.nan,
    ) -> float:
        """Return the cost in US dollars; NaN where the model, its tokens or a price is not known.

        The first of ``models`` that has a price counts. Cached and written tokens are part of the
        input, reasoning part of the output; NaN means none. What gives no output (an embedding) has
        no price for it.
        """
        # The day alone says which price holds, and to tell which it is takes long.
        if not self._day_ns <= at_ns < self._next_day_ns:
            self._day = at_ns // _DAY_NS
            self._day_ns = self._day * _DAY_NS
            self._next_day_ns = self._day_ns + _DAY_NS
        key = (provider, tuple(models), self._day)
        try:
            rate = self._first[key]
        except KeyError:
            rate = self._rate(key, at_ns)
        if rate is None or input_tokens != input_tokens:
            return math.nan
        of_input, of_output, of_cached, of_written = rate
        if of_output is None:
            if output_tokens > 0:
                return math.nan
            output_usd = 0.0
        else:
            # Without a count the output is unknown, unless it costs nothing anyway.
            output_usd = output_tokens * of_output if of_output > 0 else 0.0
        cached = min(cached_tokens, input_tokens) if cached_tokens > 0 else 0.0
        written = min(cache_write_tokens, input_tokens - cached) if cache_write_tokens > 0 else 0.0
        return (
            (input_tokens - cached - written) * of_input
            + cached * of_cached
            + written * of_written
            + output_usd
        ) / _MILLION

    def _rate(
        self, key: tuple[str | None, tuple[str | None, ...], int], at_ns: int
    ) -> _Rate | None:
        """Return the prices of the first model of ``key`` that has any, and remember them."""
        provider, models, _ = key
        found = (self.price(provider, model, at_ns) for model in models if model)
        price = next((one for one in found if one is not None), None)
        rate: _Rate | None = None
        if price is not None and price.input is not None:
            rate = (
                price.input,
                price.output,
                price.input if price.cached_input is None else price.cached_input,
                price.input if price.cache_write is None else price.cache_write,
            )
        if len(self._first) >= _MAX_REMEMBERED:
            self._first.clear()
        if all(model is None or len(model) <= _LONGEST_NAME for model in models):
            self._first[key] = rate
        return rate

    def price(self, provider: str | None, model: str, at_ns: int) -> ModelPrice | None:
        """Return the price that holds for a model on the day of ``at_ns``; None without one."""
        model = model[:_LONGEST_NAME]
        key = (provider, model, at_ns // _DAY_NS)
        if key not in self._found:
            if len(self._found) >= _MAX_REMEMBERED:
                self._found.clear()
            self._found[key] = self._look_up(provider, model, at_ns)
        return self._found[key]

    def _look_up(self, provider: str | None, model: str, at_ns: int) -> ModelPrice | None:
        day = datetime.fromtimestamp(at_ns / 1e9, UTC).date().isoformat()
        names = list(spellings(model))
        provider = None if provider is None else provider_name(provider)
        if any(_is_on_bedrock(name) for name in names[:-1]):
            provider = "aws.bedrock"
        own = self._own.best(names, provider, day)
        if own is not None or folded(provider or "") in _OWN_MACHINES:
            return own
        return self._shipped.best(names, provider, day)


def spellings(model: str) -> Iterator[str]:
    """Yield the names a model may be listed under, as it came first, the shortest last.

    >>> list(spellings("us.anthropic.claude-3-5-sonnet-20241022-v2:0"))[-1]
    'claude-3-5-sonnet'
    >>> list(spellings("openai/gpt-4o-mini-2024-07-18"))[-1]
    'gpt-4o-mini'
    >>> list(spellings("ft:gpt-4o-2024-08-06:acme::abc"))[-1], list(spellings("ollama/mistral"))
    ('ft:gpt-4o', ['ollama/mistral'])
    """
    yield model
    seen = {model}
    *route, name = model.strip().lower().split("/")
    if not all(part in _ROUTES or part.startswith("arn:") for part in route):
        # Under this name it is somebody else's.
        name = model.strip().lower()
    if name.startswith("ft:"):
        # A fine-tuned model has a price of its own: its base, then whose it is.
        name = ":".join(name.split(":")[:2])
    bare = _BUILD.sub("", _MAKER.sub("", _REGION.sub("", name)))
    undated = _BUILD.sub("", _DATE.sub("", bare))
    # Some write a version with a dot where its maker has a dash: claude-3.5-sonnet.
    dashed = re.sub(r"(?<=\d)\.(?=\d)", "-", undated)
    for shorter in (name, bare, dashed, undated):
        if shorter and shorter not in seen:
            seen.add(shorter)
            yield shorter


def _is_on_bedrock(name: str) -> bool:
    return bool(_REGION.match(name) or _MAKER.match(name))


def _said(pattern: str) -> int:
    """Return how much of a name a pattern says; an exact one says more than any pattern of it."""
    literal = _PATTERN.sub("", pattern)
    return 2 * len(literal) + (literal == pattern)
