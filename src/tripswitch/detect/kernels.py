"""Log-increments of the bets from one bucket: how much one bucket speaks against "all is well".

Each kernel takes sufficient statistics (n, s, q: count, sum, sum of squares of the badness y in
[0, 1], larger is worse) as float64 arrays of one length B and returns an array (B, K), one column
a bet. Several bets run side by side and their e-values are averaged, so that the size of the
change need not be known. No normal approximation, no known variance; validity needs only that the
null's parameters were fixed before the bucket.

Sources: Howard, Ramdas, McAuliffe, Sekhon (Ann. Statist. 2021) for the empirical-Bernstein
supermartingale; Waudby-Smith, Ramdas (JRSS-B 2024) for betting; Turner, Ly, Grunwald (2024) for
the k-sample e-variables of Bernoulli streams.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tripswitch.windows.rings import Floats

BETS: Final = 6
"""Columns of every result; a kernel with fewer bets repeats its last, which stays valid."""

LAMBDAS: Final[Floats] = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
ODDS: Final[Floats] = np.array([1.35, 2.0, 4.0, 12.0, 40.0, 40.0])
RARE_ODDS: Final[Floats] = np.array([2.0, 5.0, 20.0, 80.0, 300.0, 300.0])
"""Of what must be rare: leaks and injections that succeed."""

_SAFE_BET: Final = 0.9  # l * b must stay below 1 or psi is not a number
_SMALLEST: Final = 1e-3
_RATE_LIMIT: Final = 1e-6


def psi(x: Floats) -> Floats:
    """Return ``-ln(1 - x) - x``, the empirical-Bernstein penalty, for 0 <= x < 1."""
    return -np.log1p(-x) - x


def mean_one_sample(n: Floats, s: Floats, q: Floats, m0: Floats) -> Floats:
    """Return the log-increments against H0: the mean badness is at most ``m0``."""
    m0 = np.clip(m0, _SMALLEST, 1.0)
    bet = np.minimum(LAMBDAS[None, :], (_SAFE_BET / m0)[:, None])
    excess = s - n * m0
    spread = np.maximum(q - 2 * m0 * s + n * m0 * m0, 0.0)
    return bet * excess[:, None] - psi(bet * m0[:, None]) / (m0 * m0)[:, None] * spread[:, None]


def mean_two_sample(
    x: tuple[Floats, Floats, Floats],
    y: tuple[Floats, Floats, Floats],
    centre: Floats,
    tolerance: Floats,
) -> Floats:
    """Return the log-increments against H0: mean of ``x`` <= mean of ``y`` + ``tolerance``.

    ``x`` and ``y`` are (n, s, q) of suspect and control in one stratum; where either is empty the
    increment is 0. ``centre`` is the control's mean before this bucket. The weights make the
    common mean cancel exactly, wherever it has moved to; ``tolerance`` may be negative.
    """
    nx, sx, qx = x
    ny, sy, qy = y
    both = (nx > 0) & (ny > 0)
    total = np.where(both, nx + ny, 1.0)
    ax, ay = ny / total, nx / total
    shifted = np.clip(centre + tolerance, 0.0, 1.0)
    # With the shift clipped, the control's centre moves by the same amount, so that under H0 the
    # two centred means still sum to at most zero.
    level = shifted - tolerance
    excess = ax * (sx - nx * shifted) - ay * (sy - ny * level)
    spread = ax**2 * (qx - 2 * shifted * sx + nx * shifted**2) + ay**2 * (
        qy - 2 * level * sy + ny * level**2
    )
    bound = np.maximum.reduce([ax * shifted, ay * (1 - level), np.full_like(ax, _SMALLEST)])
    bet = np.minimum(LAMBDAS[None, :], (_SAFE_BET / bound)[:, None])
    penalty = psi(bet * bound[:, None]) / (bound * bound)[:, None]
    increment = bet * excess[:, None] - penalty * np.maximum(spread, 0.0)[:, None]
    return np.where(both[:, None], increment, 0.0)


def rate_one_sample(n: Floats, k: Floats, p0: Floats, odds: Floats = ODDS) -> Floats:
    """Return the log-increments against H0: the rate of events is at most ``p0``.

    ``odds`` are the alternatives by odds ratio, shape (K,), or (B, K) for each row its own.
    """
    p0 = np.clip(p0, _RATE_LIMIT, 1 - _RATE_LIMIT)[:, None]
    p1 = _odds_shift(p0, odds)
    return k[:, None] * np.log(p1 / p0) + (n - k)[:, None] * np.log((1 - p1) / (1 - p0))


def rate_two_sample(
    nx: Floats,
    kx: Floats,
    ny: Floats,
    ky: Floats,
    control_rate: Floats,
    odds: Floats = ODDS,
) -> Floats:
    """Return the log-increments against H0: both rates are equal, whatever they are.

    ``control_rate`` is the control's rate before this bucket, ``odds`` as in `rate_one_sample`;
    strata with an empty arm give 0.
    """
    both = (nx > 0) & (ny > 0)
    py = np.clip(control_rate, 1e-5, 1 - 1e-5)[:, None]
    px = _odds_shift(py, odds)
    total = np.where(both, nx + ny, 1.0)[:, None]
    pooled = (nx[:, None] * px + ny[:, None] * py) / total
    pooled = np.where(both[:, None], pooled, py)
    increment = (
        kx[:, None] * np.log(px / pooled)
        + (nx - kx)[:, None] * np.log((1 - px) / (1 - pooled))
        + ky[:, None] * np.log(py / pooled)
        + (ny - ky)[:, None] * np.log((1 - py) / (1 - pooled))
    )
    return np.where(both[:, None], increment, 0.0)


def _odds_shift(p: Floats, odds: Floats) -> Floats:
    shifted = odds * p / (1 - p)
    return np.clip(shifted / (1 + shifted), _RATE_LIMIT, 1 - _RATE_LIMIT)
