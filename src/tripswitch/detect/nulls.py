"""Nulls: what "all is well" means for each kind.

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
from tripswitch.detect.kernels import ODDS, RARE_ODDS
from tripswitch.detect.signals import Rule, among, rules_of
from tripswitch.windows.rings import Floats, Rows

SCORE_TOLERANCE: Final = 0.01
REFUSAL_TOLERANCE: Final = 0.005
ERROR_MULTIPLE: Final = 1.5
SLOW_FLOOR: Final = 0.003
SLOW_MULTIPLE: Final = 2.0
TOKEN_TOLERANCE: Final = 0.05
RARE_MULTIPLE: Final = 2.0

IS_MEAN: Final = among(Rule.SCORE, Rule.RATIO)
"""By rule whether the kernels of means weigh it, else those of Bernoulli streams."""

# The odds ratios bet on: what must be rare changes by larger factors.
ODDS_OF_RULE: Final[Floats] = np.where(among(Rule.LEAKS, Rule.SUCCESSES)[:, None], RARE_ODDS, ODDS)


def events_of(n: Floats, s: Floats, mirrored: npt.NDArray[np.bool_]) -> Floats:
    """Return how many of ``n`` were what is judged: ``s``, or all others where ``mirrored``."""
    return np.where(mirrored, n - s, s)


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
