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

from collections.abc import Sequence
from typing import Final, NamedTuple

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


class MeanNull(NamedTuple):
    """What H0 "the mean badness is at most ``m0``" makes of the bets, until ``m0`` is another.

    ``m0`` has a shape (..., B), ``bet`` and ``penalty`` one more axis, of the bets.
    """

    m0: Floats
    bet: Floats
    penalty: Floats

    @classmethod
    def of(cls, m0: Floats) -> MeanNull:
        """Return what there is to know of ``m0`` before any bucket."""
        m0 = np.clip(m0, _SMALLEST, 1.0)
        bet = np.minimum(LAMBDAS, (_SAFE_BET / m0)[..., None])
        return cls(m0, bet, psi(bet * m0[..., None]) / (m0 * m0)[..., None])

    def increments(self, n: Floats, s: Floats, q: Floats) -> Floats:
        """Return the log-increments against it, shape (..., B, K)."""
        m0 = self.m0
        excess = s - n * m0
        spread = np.maximum(q - 2 * m0 * s + n * m0 * m0, 0.0)
        against = self.bet * excess[..., None]
        against -= self.penalty * spread[..., None]
        return against


class RateNull(NamedTuple):
    """What H0 "the rate of events is at most ``p0``" makes of one event, and of one that is none.

    The logarithms of what the bets say of each, shape (..., B, K).
    """

    event: Floats
    other: Floats

    @classmethod
    def of(cls, p0: Floats, odds: Floats = ODDS) -> RateNull:
        """Return what there is to know of ``p0`` (..., B) before any bucket.

        ``odds`` are the alternatives by odds ratio, shape (K,), or (B, K) for each row its own.
        """
        p0 = np.clip(p0, _RATE_LIMIT, 1 - _RATE_LIMIT)[..., None]
        p1 = _odds_shift(p0, odds)
        return cls(np.log(p1 / p0), np.log((1 - p1) / (1 - p0)))

    def increments(self, n: Floats, k: Floats) -> Floats:
        """Return the log-increments against it, shape (..., B, K)."""
        against = k[..., None] * self.event
        against += (n - k)[..., None] * self.other
        return against


def mean_one_sample(n: Floats, s: Floats, q: Floats, m0: Floats) -> Floats:
    """Return the log-increments against H0: the mean badness is at most ``m0``."""
    return MeanNull.of(m0).increments(n, s, q)


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
    both = ((x[0] > 0) & (y[0] > 0)).nonzero()[0]
    increments = np.zeros((len(centre), BETS))
    of_x, of_y = ([column[both] for column in arm] for arm in (x, y))
    increments[both] = mean_of_pairs(of_x, of_y, centre[both], tolerance[both])
    return increments


def mean_of_pairs(
    x: Sequence[Floats], y: Sequence[Floats], centre: Floats, tolerance: Floats
) -> Floats:
    """Return what `mean_two_sample` does where no arm is empty.

    ``tolerance`` may have axes before that of the rows, and so has what is returned.
    """
    nx, sx, qx = x
    ny, sy, qy = y
    total = nx + ny
    ax, ay = ny / total, nx / total
    shifted = np.minimum(np.maximum(centre + tolerance, 0.0), 1.0)
    # With the shift clipped, the control's centre moves by the same amount, so that under H0 the
    # two centred means still sum to at most zero.
    level = shifted - tolerance
    excess = ax * (sx - nx * shifted) - ay * (sy - ny * level)
    spread = ax**2 * (qx - 2 * shifted * sx + nx * shifted**2) + ay**2 * (
        qy - 2 * level * sy + ny * level**2
    )
    bound = np.maximum(np.maximum(ax * shifted, ay * (1 - level)), _SMALLEST)
    bet = np.minimum(LAMBDAS, (_SAFE_BET / bound)[..., None])
    penalty = psi(bet * bound[..., None])
    penalty /= (bound * bound)[..., None]
    penalty *= np.maximum(spread, 0.0)[..., None]
    bet *= excess[..., None]
    bet -= penalty
    return bet


def rate_one_sample(n: Floats, k: Floats, p0: Floats, odds: Floats = ODDS) -> Floats:
    """Return the log-increments against H0: the rate of events is at most ``p0``.

    ``odds`` as in `RateNull.of`.
    """
    return RateNull.of(p0, odds).increments(n, k)


def rate_two_sample(
    nx: Floats,
    kx: Floats,
    ny: Floats,
    ky: Floats,
    control_rate: Floats,
    odds: Floats = ODDS,
) -> Floats:
    """Return the log-increments against H0: both rates are equal, whatever they are.

    ``control_rate`` is the control's rate before this bucket, ``odds`` as in `RateNull.of`;
    strata with an empty arm give 0.
    """
    both = ((nx > 0) & (ny > 0)).nonzero()[0]
    increments = np.zeros((len(control_rate), BETS))
    parts = [column[both] for column in (nx, kx, ny, ky, control_rate)]
    increments[both] = rate_of_pairs(*parts, odds=odds if odds.ndim == 1 else odds[both])
    return increments


def rate_of_pairs(
    nx: Floats, kx: Floats, ny: Floats, ky: Floats, control_rate: Floats, *, odds: Floats
) -> Floats:
    """Return what `rate_two_sample` does where no arm is empty."""
    py = np.minimum(np.maximum(control_rate, 1e-5), 1 - 1e-5)[:, None]
    px = _odds_shift(py, odds)
    pooled = nx[:, None] * px
    pooled += ny[:, None] * py
    pooled /= (nx + ny)[:, None]
    no_pooled = 1 - pooled
    increments = kx[:, None] * np.log(px / pooled)
    increments += (nx - kx)[:, None] * np.log((1 - px) / no_pooled)
    increments += ky[:, None] * np.log(py / pooled)
    increments += (ny - ky)[:, None] * np.log((1 - py) / no_pooled)
    return increments


def _odds_shift(p: Floats, odds: Floats) -> Floats:
    shifted = odds * p
    shifted /= 1 - p
    shifted /= 1 + shifted
    return np.minimum(np.maximum(shifted, _RATE_LIMIT), 1 - _RATE_LIMIT)
