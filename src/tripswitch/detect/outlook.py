"""The outlook of a row: how many minutes it would take to page, at the traffic it has.

The minutes are for a change as large as the page line, at today's traffic. Samples that evidence
needs are a multiple of what no test can do without, ``nats / KL`` (Lorden; Lai), where ``nats`` is
``ln(1 / start budget)`` while a start budget is being spent and ``ln(43200 / alpha)`` afterwards,
and KL is ``drop^2 / (2 variance)`` for means and that of two Bernoulli rates else. The multiples
are measured: three for the empirical-Bernstein bets on means, which know no variance, and 1.6 for
the bets on rates. A baseline is guarded by three of its standard errors, which a change has to
exceed first. A control that is smaller than what is compared with it costs as many samples
again, and samples that hang together (`design effect`) count that much less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.baseline import GUARD_STANDARD_ERRORS, from_moments
from tripswitch.detect.decision import Decision
from tripswitch.detect.evidence import MINUTES_A_MONTH
from tripswitch.detect.judge import Judge
from tripswitch.detect.nulls import RARE_MULTIPLE, SLOW_MULTIPLE, null_means
from tripswitch.detect.signals import SIGNALS, Kind, Rule
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.windows.rings import Floats

MEAN_MULTIPLE: Final = 3.0
RATE_MULTIPLE: Final = 1.6

_MINUTES_A_DAY: Final = 1440.0
_ENOUGH_FOR_A_RATE: Final = 30.0
_BASELINE_LAG_MINUTES: Final = 15.0
_FEWEST_FOR_VARIANCE: Final = 10.0
_SMALLEST_RATE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Outlook:
    """What decides how soon a change at the page line is found.

    ``per_minute`` and ``reference_per_minute`` are samples a minute, of today; the second is None
    without a control. ``variance`` is of the badness y of one sample, ``change`` the line in y,
    ``nats`` the evidence that is needed, ``samples`` how many samples that takes, ``minutes`` how
    many minutes, None when it is never at this traffic. ``floor_minutes`` pass at any traffic.
    """

    per_minute: float
    reference_per_minute: float | None
    variance: float
    design_effect: float
    change: float
    nats: float
    samples: float | None
    floor_minutes: float
    minutes: float | None

    def minutes_at(self, per_minute: float) -> float | None:
        """Return the minutes at another number of samples a minute, None for never."""
        if self.samples is None or per_minute <= 0:
            return None
        return max(self.samples / per_minute, self.floor_minutes)


def samples_for_mean(variance: float, change: float, nats: float) -> float | None:
    """Return the samples that a change of a mean takes; None for no change at all."""
    if change <= 0:
        return None
    return MEAN_MULTIPLE * nats * 2 * variance / (change * change)


def samples_for_rate(usual: float, changed: float, nats: float) -> float | None:
    """Return the samples that a change of a rate, both 0..1, takes; None for no change at all."""
    if changed == usual:
        return None
    p0 = min(max(usual, _SMALLEST_RATE), 1 - _SMALLEST_RATE)
    p1 = min(max(changed, 0.0), 1.0)
    divergence = sum(a * math.log(a / b) for a, b in ((p1, p0), (1 - p1, 1 - p0)) if a > 0)
    return RATE_MULTIPLE * nats / divergence if divergence > 1e-12 else None


def per_minute_of(judge: Judge, series: int, first_seen_ns: int) -> float:
    """Return the samples a minute of a series over the last hour, or the last day where few."""
    rings = judge.scopes.rings
    age = max(1.0, rings.now_minute - first_seen_ns // NS_PER_MINUTE)
    found = 0.0
    for window, slot_minutes, slots in (("1h", 15, 4), ("24h", 60, 24)):
        n = float(rings.window(np.array([series]), window)[0, 0])
        begun = (rings.now_minute // slot_minutes - (slots - 1)) * slot_minutes
        found = n / min(max(1.0, rings.now_minute - begun), age)
        if n >= _ENOUGH_FOR_A_RATE:
            break
    return found


def outlook_of(judge: Judge, decision: Decision, index: int, row: int, detect: Detect) -> Outlook:
    """Return the outlook of the row at ``index`` of what was decided last."""
    roster, rings = judge.roster, judge.scopes.rings
    # What must be rare is weighed by itself, whatever serves beside it.
    is_control = bool(decision.is_control[index] and not roster.is_absolute[row])
    series, control = int(roster.series[row]), int(roster.control[row])
    per_minute = per_minute_of(judge, series, roster.first_seen_ns[row])
    reference_per_minute = None
    factor = 1.0
    if is_control:
        reference = roster.references[row]
        record = None if reference is None else judge.scopes.records.get(reference)
        begun_ns = roster.first_seen_ns[row] if record is None else record.first_seen_ns
        reference_per_minute = per_minute_of(judge, control, begun_ns)
        factor = 1 + per_minute / reference_per_minute if reference_per_minute > 0 else math.inf
    effect = _design_effect(judge, decision, index, row)
    mean, variance = _mean_and_variance(rings.window(np.array([series]), "24h")[0])
    nats = nats_of(judge, row, detect, is_control=is_control)
    samples, change = _samples(judge, decision, index, row, mean, variance, nats)
    bad_minutes = detect.bad_minutes
    if is_control:
        floor = float(bad_minutes.concurrent_control)
    elif decision.is_previous[index]:
        floor = float(bad_minutes.previous_version)
    else:
        floor = float(bad_minutes.own_history)
    if SIGNALS[Kind(roster.kind[row])].rule is Rule.LEAKS:
        floor = min(floor, float(roster.fewest_events[row]))
    if not is_control and not roster.is_rate[row]:
        floor = max(floor, detect.alert_window / 60)
    if samples is not None:
        samples = max(samples * effect * factor, float(roster.fewest[row]))
        if math.isinf(samples):
            samples = None
    minutes = None
    if samples is not None and per_minute * _MINUTES_A_DAY >= roster.fewest[row]:
        minutes = max(samples / per_minute, floor)
        if not decision.is_comparable[index]:
            minutes += baseline_minutes(judge, index, per_minute, detect)
    return Outlook(
        per_minute, reference_per_minute, variance, effect, change, nats, samples, floor, minutes
    )


def baseline_minutes(judge: Judge, index: int, per_minute: float, detect: Detect) -> float:
    """Return the minutes until the row's own past is enough to be compared with."""
    held = float(judge.own.samples[index]) if index < len(judge.own.samples) else 0.0
    lacking = max(detect.min_baseline - held, 0.0)
    return lacking / per_minute + _BASELINE_LAG_MINUTES if lacking and per_minute > 0 else 0.0


def nats_of(judge: Judge, row: int, detect: Detect, *, is_control: bool) -> float:
    """Return the evidence, in nats, that lies between the budget of a row and a page."""
    roster = judge.roster
    half = 0.5 if roster.two_sided[row] else 1.0
    share = float((roster.control_share if is_control else roster.previous_share)[row])
    if roster.seen_start[row] and share > 0:
        return math.log(1 / min(half * share * detect.alpha_start, 1.0))
    is_leak = SIGNALS[Kind(roster.kind[row])].rule is Rule.LEAKS
    alpha = detect.alpha_pii if is_leak else detect.alpha_page
    return math.log(MINUTES_A_MONTH / (half * alpha))


def _samples(
    judge: Judge,
    decision: Decision,
    index: int,
    row: int,
    mean: float,
    variance: float,
    nats: float,
) -> tuple[float | None, float]:
    """Return the samples without design effect, and the change in y that they are for."""
    roster = judge.roster
    rule, line = SIGNALS[Kind(roster.kind[row])].rule, float(roster.line_page[row])
    if roster.is_absolute[row]:
        return _samples_of_rare(judge, decision, index, row, nats)
    usual = float(decision.reading.usual[index]) if decision.is_comparable[index] else mean
    if not roster.is_rate[row]:
        # The line of a ratio is a share of what is usual, in linearised y as in tokens.
        change = line if rule is Rule.SCORE else line * mean
        guard = GUARD_STANDARD_ERRORS * _baseline_error(judge, decision, index, row)
        return samples_for_mean(variance, change - guard, nats), change
    if roster.mirrored[row]:
        if usual < line:
            return None, line
        return samples_for_rate(usual, usual - line, nats), line
    if rule is Rule.SLOW:
        # The line is the share itself of what is slow, and twice that of the reference.
        changed = max(line, SLOW_MULTIPLE * usual)
    else:
        changed = max(usual + line, float(roster.multiple[row]) * usual)
    null = usual
    if decision.is_comparable[index] and not decision.is_control[index]:
        null = _null_of(judge, decision, index, row, usual)
    if changed <= null:
        return None, changed - usual
    return samples_for_rate(null, changed, nats), changed - usual


def _samples_of_rare(
    judge: Judge, decision: Decision, index: int, row: int, nats: float
) -> tuple[float | None, float]:
    """Return the same for what must be rare: it is weighed by itself, whatever it is beside.

    The change is to the page line, or to twice what is normal where the line is no higher; as many
    samples are needed as bring the events that a page takes.
    """
    roster = judge.roster
    usual = 0.0
    if index < len(judge.own.samples) and judge.own.samples[index] > 0:
        usual = float(judge.own.mean[index])
    null = _null_of(judge, decision, index, row, usual)
    changed = max(float(roster.line_page[row]), RARE_MULTIPLE * null)
    samples = samples_for_rate(null, changed, nats)
    if samples is not None:
        samples = max(samples, float(roster.fewest_events[row]) / min(changed, 1.0))
    return samples, changed - usual


def _null_of(judge: Judge, decision: Decision, index: int, row: int, usual: float) -> float:
    """Return the rate that is still taken for normal where the own past has ``usual``."""
    roster = judge.roster
    base = from_moments(np.zeros((1, 6)))
    if roster.is_absolute[row]:
        if index < len(judge.own.samples):
            base.samples[0] = judge.own.samples[index]
            base.standard_error[0] = judge.own.standard_error[index]
    else:
        base.samples[0] = decision.reading.usual_samples[index]
        base.standard_error[0] = _baseline_error(judge, decision, index, row)
    base.mean[0] = usual
    kind, usual_share = roster.kind[row : row + 1], roster.usual_share[row : row + 1]
    return float(null_means(kind, base, usual_share)[0][0])


def _baseline_error(judge: Judge, decision: Decision, index: int, row: int) -> float:
    """Return the standard error of what a row is compared with, 0 beside a control."""
    if decision.is_control[index] or not decision.is_comparable[index]:
        return 0.0
    if decision.is_previous[index]:
        return float(judge.roster.previous_error[row])
    return float(judge.own.standard_error[index]) if index < len(judge.own.samples) else 0.0


def _design_effect(judge: Judge, decision: Decision, index: int, row: int) -> float:
    if decision.is_previous[index]:
        return max(1.0, float(judge.roster.previous_effect[row]))
    by_control = decision.is_control[index] and not judge.roster.is_absolute[row]
    effects = judge.control_effect if by_control else judge.own.design_effect
    return float(effects[index]) if index < len(effects) else 1.0


def _mean_and_variance(stats: Floats) -> tuple[float, float]:
    n, s, q = (float(value) for value in stats)
    if n <= 0:
        return 0.0, 0.0
    mean = s / n
    # The variance of few is as often much too small; none with this mean is larger than this.
    most = mean * (1 - mean) if n < _FEWEST_FOR_VARIANCE else 0.0
    return mean, max(q / n - mean * mean, most)
