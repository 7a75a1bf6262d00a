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
    opposite = np.negative(x)
    return np.asarray(opposite - np.log1p(opposite))


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
        usual = n * m0
        against = self.bet * (s - usual)[..., None]
        usual *= m0
        spread = q - 2 * m0 * s
        spread += usual
        np.maximum(spread, 0.0, out=spread)
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
    n, s, q = np.array([x, y])[:, :, both].transpose(1, 0, 2)
    increments[both] = mean_of_pairs(n, s, q, centre[both], tolerance[both][None])[0]
    return increments


def mean_of_pairs(n: Floats, s: Floats, q: Floats, centre: Floats, tolerance: Floats) -> Floats:
    """Return what `mean_two_sample` does where no arm is empty, (T, B, K).

    ``n``, ``s`` and ``q`` (2, B) are of the suspect and of the control, ``tolerance`` (T, B) are
    those that are asked about side by side.
    """
    # Each operation is one for both arms: with few rows its cost is that it is made at all.
    weight = n[::-1] / (n[0] + n[1])
    level = np.empty((2, *tolerance.shape))
    shifted = np.add(centre, tolerance, out=level[0])
    np.maximum(shifted, 0.0, out=shifted)
    np.minimum(shifted, 1.0, out=shifted)
    # With the shift clipped, the control's centre moves by the same amount, so that under H0 the
    # two centred means still sum to at most zero.
    np.subtract(shifted, tolerance, out=level[1])
    of_arm = weight[:, None], n[:, None], s[:, None], q[:, None]
    weight, n, s, q = of_arm
    apart = n * level
    np.subtract(s, apart, out=apart)
    apart *= weight
    excess = apart[0] - apart[1]
    spread = 2 * level
    spread *= s
    np.subtract(q, spread, out=spread)
    np.multiply(level, level, out=apart)
    apart *= n
    spread += apart
    spread *= weight * weight
    spread = spread[0] + spread[1]
    np.maximum(spread, 0.0, out=spread)
    np.subtract(1, level[1], out=level[1])
    level *= weight
    bound = np.maximum(level[0], level[1])
    np.maximum(bound, _SMALLEST, out=bound)
    bet: Floats = np.minimum(LAMBDAS, (_SAFE_BET / bound)[..., None])
    penalty = psi(bet * bound[..., None])
    bound *= bound
    penalty /= bound[..., None]
    penalty *= spread[..., None]
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
    n, k = np.array([[nx, ny], [kx, ky]])[:, :, both]
    odds = odds if odds.ndim == 1 else odds[both]
    increments[both] = rate_of_pairs(n, k, control_rate[both], odds=odds)
    return increments


def rate_of_pairs(n: Floats, k: Floats, control_rate: Floats, *, odds: Floats) -> Floats:
    """Return what `rate_two_sample` does where no arm is empty.

    ``n`` and ``k`` (2, B) are of the suspect and of the control.
    """
    rates = np.empty((2, len(control_rate), BETS))
    py = np.minimum(np.maximum(control_rate, 1e-5), 1 - 1e-5)[:, None]
    rates[0], rates[1] = _odds_shift(py, odds), py
    weighed = n[:, :, None] * rates
    pooled = weighed[0] + weighed[1]
    pooled /= (n[0] + n[1])[:, None]
    # By arm what one event says, and what one that is none does.
    said = np.empty((2, 2, *pooled.shape))
    np.divide(rates, pooled, out=said[:, 0])
    np.divide(1 - rates, 1 - pooled, out=said[:, 1])
    np.log(said, out=said)
    said[:, 0] *= k[:, :, None]
    said[:, 1] *= (n - k)[:, :, None]
    # One after the other, as a sum along the first axis is made.
    return np.asarray(np.add.reduce(said.reshape(4, *pooled.shape), axis=0))


def _odds_shift(p: Floats, odds: Floats) -> Floats:
    shifted = odds * p
    shifted /= 1 - p
    shifted /= 1 + shifted
    return np.minimum(np.maximum(shifted, _RATE_LIMIT), 1 - _RATE_LIMIT)
