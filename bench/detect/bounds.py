"""Exact bounds of a share from a count, and quantiles of delays some of which never came."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

_CONFIDENCE: Final = 0.95


def share_bounds(count: int, runs: int) -> tuple[float, float]:
    """Return the 95 % Clopper-Pearson bounds of a share of which ``count`` of ``runs`` were seen.

    With none (or all) seen the bound is one-sided, which for none is the rule of three.
    """
    if runs == 0:
        return 0.0, 1.0
    if count == 0:
        return 0.0, 1 - (1 - _CONFIDENCE) ** (1 / runs)
    if count == runs:
        return (1 - _CONFIDENCE) ** (1 / runs), 1.0
    tail = (1 - _CONFIDENCE) / 2
    lower = _root(lambda p: 1 - _at_most(count - 1, runs, p) - tail)
    upper = _root(lambda p: tail - _at_most(count, runs, p))
    return lower, upper


def rate_bound(count: int, exposure: float) -> float:
    """Return the upper 95 % bound of a Poisson rate of which ``count`` were seen."""
    tail = 1 - _CONFIDENCE if count == 0 else (1 - _CONFIDENCE) / 2

    def too_few(mean: float) -> float:
        terms = (
            math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(count + 1)
        )
        return tail - math.fsum(terms)

    high = count + 10 * math.sqrt(count + 1) + 10
    return _root(too_few, 1e-9, high) / exposure


def quantile(delays: Sequence[float | None], share: float) -> float:
    """Return the delay within which ``share`` were raised, infinite where fewer were at all."""
    known = sorted(math.inf if delay is None else delay for delay in delays)
    return known[max(0, math.ceil(share * len(known)) - 1)]


def _at_most(count: int, runs: int, p: float) -> float:
    """Return the chance of at most ``count`` of ``runs`` at ``p`` each."""
    return math.fsum(
        math.exp(
            math.lgamma(runs + 1)
            - math.lgamma(k + 1)
            - math.lgamma(runs - k + 1)
            + k * math.log(p)
            + (runs - k) * math.log1p(-p)
        )
        for k in range(count + 1)
    )


def _root(rising: Callable[[float], float], low: float = 1e-12, high: float = 1 - 1e-12) -> float:
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return high
