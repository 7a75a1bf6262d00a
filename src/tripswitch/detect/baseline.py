"""Baselines: what the same traffic looked like when it was well, and how surely that is known.

A baseline used as if it were exactly known is the commonest way to build a false-alarm machine,
so every baseline carries the standard error of its mean, and nulls are guarded by three of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tripswitch.windows.rings import Floats, Rings, Rows

GUARD_STANDARD_ERRORS: Final = 3.0
_FEWEST_SHRINK_SAMPLES: Final = 200.0
_MOST_DESIGN_EFFECT: Final = 20.0
_FEWEST_BLOCKS: Final = 5.0


@dataclass(slots=True)
class Baseline:
    """Baselines as columns: samples, mean of y, its standard error, variance of y, design effect.

    ``samples`` is 0 where there is none.
    """

    samples: Floats
    mean: Floats
    standard_error: Floats
    variance: Floats
    design_effect: Floats

    def at(self, rows: Rows) -> Baseline:
        """Return the baselines at some positions."""
        return Baseline(
            self.samples[rows],
            self.mean[rows],
            self.standard_error[rows],
            self.variance[rows],
            self.design_effect[rows],
        )

    def guarded_mean(self) -> Floats:
        """Return the mean plus three standard errors, at most 1."""
        return np.minimum(self.mean + GUARD_STANDARD_ERRORS * self.standard_error, 1.0)


def from_moments(moments: Floats) -> Baseline:
    """Return baselines from moment rows (see `windows.rings`), shape (R, 6).

    The standard error comes from blocks, so that sessions and slow drift count, and is never
    smaller than independent samples would give. The design effect is clipped to 1..20; with fewer
    than five blocks it cannot be learnt and is 1.
    """
    n, s, q, ss, sn, nn = (moments[..., column] for column in range(6))
    some = n > 0
    safe = np.where(some, n, 1.0)
    mean = np.where(some, s / safe, 0.0)
    variance = np.maximum(np.where(some, q / safe - mean * mean, 0.0), 0.0)
    between = np.maximum(ss - 2 * mean * sn + mean * mean * nn, 0.0)
    within = np.maximum(n * variance, 1e-12)
    known = _blocks(moments) >= _FEWEST_BLOCKS
    effect = np.where(known, np.clip(between / within, 1.0, _MOST_DESIGN_EFFECT), 1.0)
    independent = np.sqrt(variance / safe)
    error = np.maximum(np.sqrt(between) / safe, independent)
    return Baseline(n, mean, error, variance, effect)


def _blocks(moments: Floats) -> Floats:
    """Return how many blocks of one size would be as many as stand behind each moment row."""
    n, nn = moments[..., 0], moments[..., 5]
    return np.asarray(np.where(nn > 0, n * n / np.where(nn > 0, nn, 1.0), 0.0))


def own_history(rings: Rings, rows: Rows, now_hour: int, fewest: int) -> Baseline:
    """Return each series' own past: the same hour of day shrunk to the whole, where it is known.

    The whole is the hour-of-day table once it holds five times ``fewest`` samples, before that the
    moments of the last hours, which lag by 15 minutes. An hour is believed as far as hours differ
    by more than chance (`_shrink_samples`).
    """
    base = from_moments(rings.lately(rows))
    whole = rings.learnt(rows)
    settled = (whole[:, 0] >= 5 * fewest).nonzero()[0]
    if len(settled):
        known = whole[settled]
        longer = from_moments(known)
        longer.design_effect = base.design_effect[settled]
        hour = rings.learnt_at(rows[settled], now_hour % 24)
        of_whole = _shrink_samples(longer, known[:, 5])
        base.samples[settled] = longer.samples
        base.mean[settled] = (hour[:, 1] + of_whole * longer.mean) / (hour[:, 0] + of_whole)
        base.standard_error[settled] = longer.standard_error
        base.variance[settled] = longer.variance
    return base


def _shrink_samples(base: Baseline, nn: Floats) -> Floats:
    """Return how many samples at the whole's mean an hour's own are weighed with.

    It is the variance of one sample over that between hours, which is what is left of the blocks'
    when sampling (with the design effect) is taken off; ``nn`` are the squared counts of the
    blocks. Where hours do not differ, one of them is the whole seen through less data: taken as it
    is, its error would move every window's estimate for an hour, and no window's own error knows
    of it.
    """
    noise = base.variance * base.design_effect
    between = (base.samples * base.standard_error) ** 2 - base.samples * noise
    # At most so many that the whole alone is left.
    apart = np.maximum(between / np.maximum(nn, 1.0), 1e-12)
    return np.asarray(np.maximum(noise / apart, _FEWEST_SHRINK_SAMPLES))


def of_version_before(rings: Rings, rows: Rows) -> Baseline:
    """Return all that is known of each series, the last minutes too, as it stops to be the latest.

    Hours are taken where they hold more samples than the fading minutes do: in thin traffic the
    minutes of a few hours know a mean less surely than the drop that is to be found. Either way it
    is the minutes that say how calls hang together.
    """
    by_hour = rings.known_hours(rows)
    minutes, hours = from_moments(rings.history(rows)), from_moments(by_hour)
    longer = (hours.samples > minutes.samples) & (_blocks(by_hour) >= _FEWEST_BLOCKS)
    return Baseline(
        samples=np.where(longer, hours.samples, minutes.samples),
        mean=np.where(longer, hours.mean, minutes.mean),
        standard_error=np.where(longer, hours.standard_error, minutes.standard_error),
        variance=np.where(longer, hours.variance, minutes.variance),
        design_effect=minutes.design_effect,
    )


def ratio_of(raw: Floats, of_success: Floats) -> tuple[Floats, Floats]:
    """Return what is spent by success, and its standard error, from moments of the raw series."""
    n, s, q = raw[:, 0], raw[:, 1], raw[:, 2]
    successes = of_success[:, 0]
    known = (successes > 0) & (n > 0)
    safe_n, safe = np.where(known, n, 1.0), np.where(known, successes, 1.0)
    ratio = np.where(known, s / safe, 0.0)
    variance = np.maximum(q / safe_n - (s / safe_n) ** 2, 0.0)
    return ratio, np.where(known, np.sqrt(variance * safe_n) / safe, 0.0)
