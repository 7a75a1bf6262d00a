"""The signals under test, and how buckets of each are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from bench.detect import scores
from bench.detect.traffic import Signal

from tripswitch.detect.signals import (
    ERROR,
    REFUSAL,
    SLOW,
    TOKENS,
    TOKENS_OF_SUCCESS,
    TOKENS_RAW,
    eval_measure,
)
from tripswitch.windows.rings import Floats


def _scores(
    rng: np.random.Generator, expected: Floats, drop: Floats, alike: Floats
) -> Sequence[Floats]:
    return [scores.buckets(rng, expected, drop, alike)]


def _rates(
    rng: np.random.Generator, expected: Floats, share: Floats, alike: Floats
) -> Sequence[Floats]:
    return [scores.rates(rng, expected, share, alike)]


SCORE: Final = Signal((eval_measure("faithfulness"),), _scores)
REFUSALS: Final = Signal((REFUSAL,), _rates)
ERRORS: Final = Signal((ERROR,), _rates)
SLOWNESS: Final = Signal((SLOW,), _rates)

# Latency is lognormal: most requests take about the usual time, the p99 is four times that.
_LATENCY_SIGMA: Final = 0.6
_Z99: Final = 2.326


def slow_share(multiple: float) -> float:
    """Return the share beyond twice the usual p99 where every request takes ``multiple`` as long.

    The yardstick is taken as exact; what its own error costs is not in these figures.
    """
    z = _Z99 + math.log(2 / multiple) / _LATENCY_SIGMA
    return 0.5 * math.erfc(z / math.sqrt(2))


# Tokens of a request: lognormal with a heavy tail; 5 % of the requests do not succeed.
_TOKENS_MEDIAN: Final = 400.0
_TOKENS_SIGMA: Final = 0.9
_SUCCESS: Final = 0.95
_CAP: Final = _TOKENS_MEDIAN * math.exp(_TOKENS_SIGMA * _Z99)
_TAIL: Final = _Z99 - _TOKENS_SIGMA
# The mean of what is at most the cap, by success.
_USUAL: Final = (
    _TOKENS_MEDIAN * math.exp(_TOKENS_SIGMA**2 / 2) * 0.5 * math.erfc(-_TAIL / math.sqrt(2))
    + _CAP * 0.01
) / _SUCCESS


def _tokens(
    rng: np.random.Generator, expected: Floats, more: Floats, alike: Floats
) -> Sequence[Floats]:
    """Draw requests one by one; ``more`` is how much above usual their tokens are, 0.5 for half."""
    sessions = rng.poisson(expected / alike)
    size = int(sessions.sum())
    stream = np.repeat(np.arange(len(expected)), sessions)
    tokens = _TOKENS_MEDIAN * np.exp(_TOKENS_SIGMA * rng.standard_normal(size))
    tokens = np.round(tokens * (1 + more[stream])).astype(np.float64)
    success = rng.random(size) < _SUCCESS
    badness = (np.minimum(tokens, _CAP) + np.where(success, 0.0, _USUAL)) / (_CAP + _USUAL)

    def bucket(values: Floats, counted: Floats) -> Floats:
        columns = (counted, counted * values, counted * values * values)
        sums = [np.bincount(stream, column, minlength=len(expected)) for column in columns]
        return np.asarray(np.stack(sums, axis=-1) * alike[:, None])

    every: Floats = np.ones(size)
    succeeded = success.astype(np.float64)
    return [bucket(badness, every), bucket(tokens, every), bucket(tokens, succeeded)]


TOKEN_COUNTS: Final = Signal((TOKENS, TOKENS_RAW, TOKENS_OF_SUCCESS), _tokens)
