"""Scores as they come from judges: many ones, a few zeros, a soft middle; and how they go bad.

The law has few atoms, so that a bucket of any size is drawn exactly, as one Poisson count an atom,
and its sums of badness and of squares follow without an approximation. Badness is ``1 - score``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tripswitch.windows.rings import Floats

ATOMS: Final[Floats] = np.array([0.0, 0.06, 0.14, 0.24, 0.36, 0.5, 0.68, 1.0])
"""Badness: 0 is a perfect score, 1 a zero, between them the soft middle."""

WEIGHTS: Final[Floats] = np.array([0.60, 0.044, 0.064, 0.075, 0.082, 0.066, 0.019, 0.05])
"""Chance of each atom of good traffic: 60 % ones, 5 % zeros; mean score 0.845, sd 0.26."""

MEAN: Final = float(ATOMS @ WEIGHTS)
_SQUARES: Final[Floats] = ATOMS * ATOMS

# Up to here a drop is perfect answers that become half right, which leaves the spread as it is; a
# deeper one adds answers that are all wrong.
_MOST_SOFT: Final = 0.15
_SOFT: Final[Floats] = np.concatenate([[0.0], WEIGHTS[1:-1], [0.0]])
_SOFTER: Final[Floats] = (_SOFT / _SOFT.sum() - np.eye(len(ATOMS))[0]) / float(
    _SOFT @ ATOMS / _SOFT.sum()
)
_SOFTEST: Final[Floats] = WEIGHTS + _MOST_SOFT * _SOFTER
_ALL_BAD: Final[Floats] = np.eye(len(ATOMS))[-1]


def weights(drop: Floats) -> Floats:
    """Return the chance of each atom where the mean score is lower by ``drop``, shape (..., K).

    ``drop`` is a difference of means, -0.1 to 0.69; below 0 the traffic is better than usual.
    """
    soft = np.minimum(drop, _MOST_SOFT)[..., None]
    deeper = np.maximum(drop - _MOST_SOFT, 0.0)[..., None] / (1 - MEAN - _MOST_SOFT)
    return np.asarray((1 - deeper) * (WEIGHTS + soft * _SOFTER) + deeper * _ALL_BAD)


def buckets(rng: np.random.Generator, expected: Floats, drop: Floats, alike: Floats) -> Floats:
    """Return (n, sum, sum of squares) of badness a stream, shape (S, 3).

    ``expected`` (S,) is the mean count of a bucket; ``alike`` (S,) scores share one outcome.
    """
    counts = rng.poisson((expected / alike)[:, None] * weights(drop)) * alike[:, None]
    return np.stack([counts.sum(axis=-1), counts @ ATOMS, counts @ _SQUARES], axis=-1)


def rates(rng: np.random.Generator, expected: Floats, share: Floats, alike: Floats) -> Floats:
    """Return (n, events, events) a stream where ``share`` (S,) are events, shape (S, 3)."""
    events = rng.poisson(expected / alike * share) * alike
    others = rng.poisson(expected / alike * (1 - share)) * alike
    return np.stack([events + others, events, events], axis=-1)
