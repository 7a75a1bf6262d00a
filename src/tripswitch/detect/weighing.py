"""Weighing: what arrived since the last tick, against every row's nulls and its control.

What does not hang on the arrivals - nulls, caps, where things lie - is worked out once for as long
as rows and references stay what they are, mostly for a minute. A tick then takes what arrived, and
one step of the evidence serves all detectors. Rows are held with the kinds of means first, so that
each kernel has a stretch of its own. What has a shape (2, ...) is of the page and of the look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.baseline import Baseline
from tripswitch.detect.evidence import MINUTES_A_MONTH
from tripswitch.detect.kernels import BETS, MeanNull, RateNull, mean_of_pairs, rate_of_pairs
from tripswitch.detect.nulls import (
    IS_MEAN,
    ODDS_OF_RULE,
    SCORE_TOLERANCE,
    TOKEN_TOLERANCE,
    events_of,
    null_means,
)
from tripswitch.detect.roster import DETECTORS, NONE, Roster
from tripswitch.detect.signals import Rule, among, rules_of
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.windows.rings import STRATA, Floats, Rings, Rows

PREVIOUS: Final = 1
OWN: Final = 2

_CONTROL_MEMORY: Final = 5000.0
_IS_LEAKS: Final = among(Rule.LEAKS)
_IS_RATIO: Final = among(Rule.RATIO)
# Rows paired at a time, so that what is between two arrays stays in the cache.
_BLOCK: Final = 4096


class _Step(NamedTuple):
    """What some rows gain in one tick: ``increments`` (2, N, K), the others (2, N).

    ``places`` are their rows in the evidence of all detectors.
    """

    places: Rows
    increments: Floats
    inject: Floats
    cap: Floats


class Weighing:
    """What arrives, weighed for as long as rows and references stay what they are."""

    def __init__(
        self,
        roster: Roster,
        rings: Rings,
        rows: Rows,
        base: Baseline,
        control_effect: Floats,
        detect: Detect,
    ) -> None:
        self._roster = roster
        self._rings = rings
        self._tick_minutes = detect.tick * NS_PER_S / NS_PER_MINUTE
        judged, has_control = roster.judged[rows], roster.control[rows] != NONE
        # What must be rare is weighed by itself too: that the control leaks as much is no comfort.
        weighed = ((base.samples > 0) & ~has_control) | roster.is_absolute[rows]
        alone = _means_first(roster, rows, weighed & judged)
        self._own = _Own.of(roster, rows, alone, base, detect) if len(alone) else None
        compared = _means_first(roster, rows, has_control & judged)
        self._pairs = None
        if len(compared):
            effect = control_effect[compared]
            self._pairs = _Pairs.of(roster, rows[compared], effect, detect)

    def step(self, fresh: Floats, now_ns: int) -> None:
        """Weigh one tick's arrivals, ``fresh`` (5, S, 3) as the rings hold them by slot."""
        slots = self._rings.taken_slots
        steps = []
        if self._own is not None and slots:
            total = fresh[slots[0]]
            for slot in slots[1:]:
                total = total + fresh[slot]
            steps += self._own.weighed(total.reshape(-1))
        if self._pairs is not None:
            steps.append(self._pairs.weighed(self._roster, self._rings, fresh))
        if steps:
            self._roster.evidence.step(
                np.concatenate([step.places.reshape(-1) for step in steps]),
                np.concatenate([step.increments.reshape(-1, BETS) for step in steps]),
                inject=np.concatenate([step.inject.reshape(-1) for step in steps]),
                cap=np.concatenate([step.cap.reshape(-1) for step in steps]),
                tick_minutes=self._tick_minutes,
                now_ns=now_ns,
            )


@dataclass(slots=True)
class _Own:
    """The rows weighed against a baseline or what is usual, N of them, the first M of means.

    ``first`` are places in the arrivals of all series on one axis, ``mean`` (2, M) and ``rate``
    (2, N - M) the nulls, ``mirrored`` (N - M) says of rates where what did not happen counts.
    """

    means: int
    first: Rows
    mean: MeanNull
    rate: RateNull
    mirrored: npt.NDArray[np.bool_]
    effect: Floats
    places: Rows
    inject: Floats
    cap: Floats

    @classmethod
    def of(cls, roster: Roster, all_rows: Rows, at: Rows, base: Baseline, detect: Detect) -> _Own:
        """Return those at the positions ``at`` of ``all_rows``, which ``base`` is of."""
        rows = all_rows[at]
        kept = base.at(at)
        kind, rule = roster.kind[rows], rules_of(roster.kind[rows])
        means = int(np.count_nonzero(IS_MEAN[rule]))
        nulls = np.array(null_means(kind, kept, roster.usual_share[rows]))
        is_new = roster.own_mode[rows] == PREVIOUS
        spans = detect.bad_minutes
        bad_minutes = np.where(is_new, spans.previous_version, spans.own_history)
        is_previous = roster.seen_start[rows] & is_new
        share = np.where(is_previous, roster.previous_share[rows], 0.0)
        inject, cap = _budgets(roster, rows, share, detect, (bad_minutes, bad_minutes))
        of_rates = np.minimum(nulls[:, means:], 1 - 1e-6)
        return cls(
            means=means,
            first=3 * roster.series[rows],
            mean=MeanNull.of(nulls[:, :means]),
            rate=RateNull.of(of_rates, ODDS_OF_RULE[rule[means:]]),
            mirrored=roster.mirrored[rows[means:]],
            effect=kept.design_effect[:, None],
            places=_places(roster, ("page_own", "look_own"), rows),
            inject=inject,
            cap=cap,
        )

    def weighed(self, total: Floats) -> list[_Step]:
        """Return the step of those that anything arrived for, none where nothing did."""
        n = total.take(self.first)
        active = n.nonzero()[0]
        if not len(active):
            return []
        found = self if len(active) == len(n) else self._some(active)
        n, s, means = n[active], total[1:].take(found.first), found.means
        increments = np.empty((2, len(active), BETS))
        if means:
            q = total[2:].take(found.first[:means])
            increments[:, :means] = found.mean.increments(n[:means], s[:means], q)
        if means < len(active):
            n, s = n[means:], s[means:]
            events = events_of(n, s, found.mirrored)
            increments[:, means:] = found.rate.increments(n, events)
        increments /= found.effect
        return [_Step(found.places, increments, found.inject, found.cap)]

    def _some(self, at: Rows) -> _Own:
        means = int(at.searchsorted(self.means))
        of_means, of_rates = at[:means], at[means:] - self.means
        return _Own(
            means=means,
            first=self.first.take(at),
            mean=MeanNull(
                self.mean.m0.take(of_means, axis=1),
                self.mean.bet.take(of_means, axis=1),
                self.mean.penalty.take(of_means, axis=1),
            ),
            rate=RateNull(
                self.rate.event.take(of_rates, axis=1), self.rate.other.take(of_rates, axis=1)
            ),
            mirrored=self.mirrored.take(of_rates),
            effect=self.effect.take(at, axis=0),
            places=self.places.take(at, axis=1),
            inject=self.inject.take(at, axis=1),
            cap=self.cap.take(at, axis=1),
        )


@dataclass(slots=True)
class _Pairs:
    """The rows weighed against a control, N of them, the first M of means.

    ``first`` (6, N) are places in one slot's arrivals on one axis, n, s and q of the row and then
    of its control, ``pending`` (6, N) those in one stratum of what waits to be paired.
    """

    rows: Rows
    means: int
    first: Rows
    pending: Rows
    is_ratio: npt.NDArray[np.bool_]
    odds: Floats
    mirrored: npt.NDArray[np.bool_]
    effect: Floats
    places: Rows
    inject: Floats
    cap: Floats

    @classmethod
    def of(cls, roster: Roster, rows: Rows, effect: Floats, detect: Detect) -> _Pairs:
        """Return ``rows``, whose controls have so much of a design ``effect``."""
        rule = rules_of(roster.kind[rows])
        means = int(np.count_nonzero(IS_MEAN[rule]))
        columns = np.arange(3)[:, None]
        share = np.where(roster.seen_start[rows], roster.control_share[rows], 0.0)
        spans = detect.bad_minutes
        minutes = spans.concurrent_control, spans.concurrent_control_look
        inject, cap = _budgets(roster, rows, share, detect, minutes)
        return cls(
            rows=rows,
            means=means,
            first=np.concatenate(
                [3 * roster.series[rows] + columns, 3 * roster.control[rows] + columns]
            ),
            pending=np.arange(6)[:, None] * len(roster.pending) + rows,
            is_ratio=_IS_RATIO[rule[:means]],
            odds=ODDS_OF_RULE[rule[means:]],
            mirrored=roster.mirrored[rows[means:]],
            effect=effect[:, None],
            places=_places(roster, ("page_control", "look_control"), rows),
            inject=inject,
            cap=cap,
        )

    def weighed(self, roster: Roster, rings: Rings, fresh: Floats) -> _Step:
        """Return the step of all rows; what found nothing to be paired with waits on."""
        strata = roster.pending.transpose(2, 1, 3, 0).reshape(STRATA + 1, -1)
        waiting: dict[int, Floats] = {}
        for slot in rings.taken_slots:
            waiting[slot] = strata[slot].take(self.pending)
            waiting[slot] += fresh[slot].reshape(-1).take(self.first)
        self._close_stratum(waiting, strata, (rings.now_minute + 1) % STRATA)
        gain = np.zeros((2, len(self.rows), BETS))
        if waiting:
            n, s = roster.control_n.take(self.rows), roster.control_s.take(self.rows)
            for slot in sorted(waiting):
                self._pair(waiting[slot], n, s, gain)
                strata[slot].put(self.pending, waiting[slot])
            full = n > _CONTROL_MEMORY
            roster.control_n[self.rows] = np.where(full, n / 2, n)
            roster.control_s[self.rows] = np.where(full, s / 2, s)
            gain /= self.effect
        return _Step(self.places, gain, self.inject, self.cap)

    def _close_stratum(self, waiting: dict[int, Floats], strata: Floats, oldest: int) -> None:
        """Move what stayed unpaired for two minutes to the carry, before its slot is used again.

        The slot of the minute that will open next is the one of the oldest open minute.
        """
        left = waiting.get(oldest)
        if left is None:
            if not strata[oldest].any():
                return
            left = strata[oldest].take(self.pending)
        unpaired = ((left[0] > 0) != (left[3] > 0)).nonzero()[0]
        if len(unpaired):
            if STRATA not in waiting:
                waiting[STRATA] = strata[STRATA].take(self.pending)
            waiting[STRATA][:, unpaired] += left[:, unpaired]
            left[:, unpaired] = 0.0
            waiting[oldest] = left

    def _pair(self, waiting: Floats, n: Floats, s: Floats, gain: Floats) -> None:
        """Weigh what of a stratum is there of both, and take it out; note what the control did."""
        paired = ((waiting[0] > 0) & (waiting[3] > 0)).nonzero()[0]
        for first in range(0, len(paired), _BLOCK):
            at = paired[first : first + _BLOCK]
            means = int(at.searchsorted(self.means))
            of_means, of_rates = at[:means], at[means:]
            pairs, known_n = waiting.take(at, axis=1), n.take(at)
            centre = np.where(known_n > 0, s.take(at) / np.maximum(known_n, 1.0), 0.5)
            if means:
                middle = centre[:means]
                tolerance = np.zeros((2, means))
                tolerance[0] = np.where(
                    self.is_ratio.take(of_means), TOKEN_TOLERANCE * middle, SCORE_TOLERANCE
                )
                x, y = pairs[:3, :means], pairs[3:, :means]
                gain[:, of_means] += mean_of_pairs(x, y, middle, tolerance)
            if means < len(at):
                own = of_rates - self.means
                mirrored = self.mirrored.take(own)
                nx, sx, _, ny, sy, _ = pairs[:, means:]
                gain[:, of_rates] += rate_of_pairs(
                    nx,
                    events_of(nx, sx, mirrored),
                    ny,
                    events_of(ny, sy, mirrored),
                    np.where(mirrored, 1 - centre[means:], centre[means:]),
                    odds=self.odds.take(own, axis=0),
                )
            n[at] = known_n + pairs[3]
            s[at] += pairs[4]
        waiting[:, paired] = 0.0


def _budgets(
    roster: Roster,
    rows: Rows,
    share: Floats,
    detect: Detect,
    bad_minutes: tuple[Rows | int, Rows | int],
) -> tuple[Floats, Floats]:
    """Return what a minute puts into the evidence of ``rows``, and the cap of what it may add.

    Both (2, N), of the page and of the look, as ``bad_minutes`` is: how many a crossing must span.
    ``share`` of the start budget is left.
    """
    # A signal looked at in both directions spends half its budget on each.
    halves = np.where(roster.two_sided[rows], 0.5, 1.0)
    is_leak, fewest_events = _IS_LEAKS[rules_of(roster.kind[rows])], roster.fewest_events[rows]
    looks = detect.alpha_investigate
    inject, cap = np.empty((2, len(rows))), np.empty((2, len(rows)))
    for at, (alpha, start) in enumerate(((detect.alpha_page, detect.alpha_start), (looks, looks))):
        minutes = bad_minutes[at]
        # A leak weighs more than a false page, and so many hits need no more minutes than they are.
        tolerated = np.where(is_leak, detect.alpha_pii, alpha)
        fewest_minutes = np.where(is_leak, np.minimum(minutes, fewest_events), minutes)
        inject[at] = halves * tolerated / MINUTES_A_MONTH
        budget = np.maximum(halves * start * share, inject[at])
        cap[at] = np.log(1 / budget) / fewest_minutes
    return inject, cap


def _means_first(roster: Roster, rows: Rows, wanted: npt.NDArray[np.bool_]) -> Rows:
    """Return the positions of the wanted ones of ``rows``, kinds of means before those of rates."""
    is_mean = IS_MEAN[rules_of(roster.kind[rows])]
    return np.concatenate([(wanted & is_mean).nonzero()[0], (wanted & ~is_mean).nonzero()[0]])


def _places(roster: Roster, names: tuple[str, ...], rows: Rows) -> Rows:
    """Return where ``rows`` of some detectors lie in the evidence of all, (len(names), N)."""
    return np.array([DETECTORS.index(name) * len(roster.kind) + rows for name in names])
