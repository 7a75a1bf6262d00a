"""What a call costs that does not say it: tokens times the price of its model.

A model is looked up by its exact name; then without a gateway's prefix, a region, a build and a
date; then by pattern. What is in no table has no price, and its cost stays unknown.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tripswitch.config.prices_section import ModelPrice, Prices

_MILLION: Final = 1e6
# Names of models a sender writes; an application has a few.
_MAX_REMEMBERED: Final = 4096
_DAY_NS: Final = 86_400 * 10**9

# What stands around a model's name: a region, a vendor, a build, a date.
_REGION = re.compile(r"^(us|eu|apac|global|us-gov|jp|au|ca)\.")
_VENDOR = re.compile(r"^(anthropic|meta|amazon|mistral|cohere|ai21|deepseek|openai|google|qwen)\.")
_BUILD = re.compile(r"(-v\d+)?(:\d+)?$")
_DATE = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3})$|-latest$|-preview$|@default$")


class PriceTable:
    """The prices of `Prices`, those of a user first."""

    def __init__(self, prices: Prices) -> None:
        self._rows: Sequence[ModelPrice] = (*prices.own, *prices.models) if prices.enabled else ()
        self._found: dict[tuple[str | None, str, int], ModelPrice | None] = {}

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
        """Return the cost in US dollars; NaN where the model or its tokens are not known.

        The first of ``models`` that has a price counts. Cached and written tokens are part of the
        input, reasoning part of the output; NaN means none. Without output tokens (an embedding)
        the input alone is priced, when the price of output is 0.
        """
        price = next(
            (found for model in models if model and (found := self.price(provider, model, at_ns))),
            None,
        )
        if price is None or input_tokens != input_tokens:
            return math.nan
        if output_tokens != output_tokens:
            if price.output > 0:
                return math.nan
            output_tokens = 0.0
        cached = cached_tokens if cached_tokens > 0 else 0.0
        written = cache_write_tokens if cache_write_tokens > 0 else 0.0
        plain = max(0.0, input_tokens - cached - written)
        return (
            plain * price.input
            + cached * (price.input if price.cached_input is None else price.cached_input)
            + written * (price.input if price.cache_write is None else price.cache_write)
            + output_tokens * price.output
        ) / _MILLION

    def price(self, provider: str | None, model: str, at_ns: int) -> ModelPrice | None:
        """Return the price that holds for a model on the day of ``at_ns``; None without one."""
        key = (provider, model, at_ns // _DAY_NS)
        if key not in self._found:
            if len(self._found) >= _MAX_REMEMBERED:
                self._found.clear()
            self._found[key] = self._look_up(provider, model, at_ns)
        return self._found[key]

    def _look_up(self, provider: str | None, model: str, at_ns: int) -> ModelPrice | None:
        day = datetime.fromtimestamp(at_ns / 1e9, UTC).date().isoformat()
        for name in spellings(model):
            fitting = [
                row
                for row in self._rows
                if row.since <= day
                and row.provider in ("", provider)
                and (row.model == name or fnmatchcase(name, row.model))
            ]
            if fitting:
                exact = [row for row in fitting if row.model == name]
                # The first listed of those that began last.
                return max(exact or fitting, key=lambda row: row.since)
        return None


def spellings(model: str) -> Iterator[str]:
    """Yield the names a model may be listed under, the exact one first.

    >>> list(spellings("us.anthropic.claude-3-5-sonnet-20241022-v2:0"))[-1]
    'claude-3-5-sonnet'
    >>> list(spellings("openai/gpt-4o-mini-2024-07-18"))[-1]
    'gpt-4o-mini'
    """
    yield model
    name = model.strip().lower().rpartition("/")[2]
    if name.startswith("ft:"):
        name = name.split(":")[1]
    seen = {model}
    name = _VENDOR.sub("", _REGION.sub("", name))
    for shorter in (name, _BUILD.sub("", name), _DATE.sub("", _BUILD.sub("", name))):
        if shorter and shorter not in seen:
            seen.add(shorter)
            yield shorter
