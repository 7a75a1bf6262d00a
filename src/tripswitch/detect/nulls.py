"""Nulls and increments: what "all is well" means for each kind, and what a bucket says against it.

A page tests against the null plus a tolerance, an investigation against the null without it; both
are guarded by three standard errors of the baseline. The tolerances decide how small a lasting
change is called normal: one point of a score, half a point of refusals, a half more errors, five
percent of tokens.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.detect.baseline import GUARD_STANDARD_ERRORS, Baseline
from tripswitch.detect.kernels import (
    BETS,
    ODDS,
    RARE_ODDS,
    mean_one_sample,
    mean_two_sample,
    rate_one_sample,
    rate_two_sample,
)
from tripswitch.detect.signals import Rule, among, rules_of
from tripswitch.windows.rings import Floats, Rows

SCORE_TOLERANCE: Final = 0.01
REFUSAL_TOLERANCE: Final = 0.005
ERROR_MULTIPLE: Final = 1.5
SLOW_FLOOR: Final = 0.003
SLOW_MULTIPLE: Final = 2.0
TOKEN_TOLERANCE: Final = 0.05
RARE_MULTIPLE: Final = 2.0

_IS_MEAN: Final = among(Rule.SCORE, Rule.RATIO)
_IS_RATIO: Final = among(Rule.RATIO)
# The odds ratios bet on, by rule: what must be rare changes by larger factors.
_ODDS: Final[Floats] = np.where(among(Rule.LEAKS, Rule.SUCCESSES)[:, None], RARE_ODDS, ODDS)


def mirror(stats: Floats, mirrored: npt.NDArray[np.bool_]) -> Floats:
    """Return (n, s, q) of ``1 - y`` where ``mirrored`` holds; the last axis is (n, s, q)."""
    n, s, q = stats[..., 0], stats[..., 1], stats[..., 2]
    turned = np.stack([n, n - s, n - 2 * s + q], axis=-1)
    return np.where(mirrored.reshape((-1, *[1] * (stats.ndim - 1))), turned, stats)


def null_means(
    kind: Rows, base: Baseline, usual_share: Floats | float = 0.0
) -> tuple[Floats, Floats]:
    """Return the nulls (page, look) of the one-sample tests, in units of the judged y.

    ``usual_share`` is what is always normal of what must be rare.

    ``base`` is the baseline of y itself; mirrored kinds are turned here. A rate that was never
    seen to happen is taken as one event in the baseline, not as impossible.
    """
    is_known = (base.samples > 0) & (base.mean > 0)
    n = np.maximum(base.samples, 1.0)
    smoothed = (base.mean * n + 1.0) / (n + 1.0)
    rate_error = np.sqrt(np.maximum(smoothed * (1 - smoothed), 0.0) / n * base.design_effect)
    guard = GUARD_STANDARD_ERRORS * np.maximum(base.standard_error, rate_error)
    upper = smoothed + guard
    falling = 1 - base.mean + guard
    mean_guard = base.mean + GUARD_STANDARD_ERRORS * base.standard_error
    # What must be rare is not taken for normal because little was seen: only hits that were seen
    # and stand on enough raise the null.
    seen = np.where(is_known, np.minimum(mean_guard, base.mean + guard), 0.0)
    rule = rules_of(kind)
    # In the order of the rules.
    page = np.choose(
        rule,
        [
            mean_guard + SCORE_TOLERANCE,
            (1 + TOKEN_TOLERANCE) * base.mean + GUARD_STANDARD_ERRORS * base.standard_error,
            np.maximum(SLOW_FLOOR, SLOW_MULTIPLE * upper),
            upper + REFUSAL_TOLERANCE,
            falling + REFUSAL_TOLERANCE,
            np.maximum(ERROR_MULTIPLE * smoothed, upper),
            np.maximum(usual_share, seen),
            np.maximum(usual_share, RARE_MULTIPLE * seen),
        ],
    )
    look = np.choose(rule, [mean_guard, mean_guard, page, upper, falling, upper, page, page])
    return np.clip(page, 1e-6, 1.0), np.clip(look, 1e-6, 1.0)


def against_baseline(stats: Floats, null: Floats, kind: Rows) -> Floats:
    """Return the one-sample increments of already mirrored (n, s, q), shape (R, K)."""
    rule = rules_of(kind)
    means, rates = _means_and_rates(rule)
    increments = np.empty((len(rule), BETS))
    n, s, q = stats[means].T
    increments[means] = mean_one_sample(n, s, q, null[means])
    n, s, _ = stats[rates].T
    increments[rates] = rate_one_sample(n, s, np.minimum(null[rates], 1 - 1e-6), _ODDS[rule[rates]])
    return increments


def against_control(
    suspect: Floats,
    control: Floats,
    centre: Floats,
    kind: Rows,
) -> tuple[Floats, Floats]:
    """Return the two-sample increments (page, look) of one stratum, both arms already mirrored."""
    rule = rules_of(kind)
    means, rates = _means_and_rates(rule)
    page, look = np.empty((len(rule), BETS)), np.empty((len(rule), BETS))
    nx, sx, qx = suspect[means].T
    ny, sy, qy = control[means].T
    middle = centre[means]
    tolerance = np.where(_IS_RATIO[rule[means]], TOKEN_TOLERANCE * middle, SCORE_TOLERANCE)
    page[means] = mean_two_sample((nx, sx, qx), (ny, sy, qy), middle, tolerance)
    look[means] = mean_two_sample((nx, sx, qx), (ny, sy, qy), middle, np.zeros_like(tolerance))
    nx, sx, _ = suspect[rates].T
    ny, sy, _ = control[rates].T
    page[rates] = rate_two_sample(nx, sx, ny, sy, centre[rates], _ODDS[rule[rates]])
    look[rates] = page[rates]
    return page, look


def _means_and_rates(rule: Rows) -> tuple[Rows, Rows]:
    """Return the positions that the kernels of means weigh, and those of the Bernoulli kernels."""
    is_mean = _IS_MEAN[rule]
    return is_mean.nonzero()[0], (~is_mean).nonzero()[0]
