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
        n, s, means = n.take(active), total[1:].take(found.first), found.means
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


class _PairTerms(NamedTuple):
    """By what some pairs are weighed, the first M of N of means.

    The tolerance of means is a ``share`` (2, M) of what is usual and so many ``points`` (2, M).
    """

    share: Floats
    points: Floats
    mirrored: npt.NDArray[np.bool_]
    odds: Floats

    @classmethod
    def of(cls, roster: Roster, rows: Rows, means: int) -> _PairTerms:
        rule = rules_of(roster.kind[rows])
        is_ratio, none = _IS_RATIO[rule[:means]], np.zeros(means)
        return cls(
            share=np.array([np.where(is_ratio, TOKEN_TOLERANCE, 0.0), none]),
            points=np.array([np.where(is_ratio, 0.0, SCORE_TOLERANCE), none]),
            mirrored=roster.mirrored[rows[means:]],
            odds=ODDS_OF_RULE[rule[means:]],
        )

    def at(self, of_means: Rows, of_rates: Rows) -> _PairTerms:
        """Return those of some of the pairs."""
        return _PairTerms(
            self.share.take(of_means, axis=1),
            self.points.take(of_means, axis=1),
            self.mirrored.take(of_rates),
            self.odds.take(of_rates, axis=0),
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
    terms: _PairTerms
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
            terms=_PairTerms.of(roster, rows, means),
            effect=effect[:, None],
            places=_places(roster, ("page_control", "look_control"), rows),
            inject=inject,
            cap=cap,
        )

    def weighed(self, roster: Roster, rings: Rings, fresh: Floats) -> _Step:
        """Return the step of all rows; what found nothing to be paired with waits on."""
        # All slots at once, and those of a row side by side.
        strata = roster.pending.transpose(2, 1, 3, 0).reshape(STRATA + 1, -1)
        slots = list(rings.taken_slots)
        oldest = (rings.now_minute + 1) % STRATA
        is_left = oldest not in slots and bool(strata[oldest].any())
        if is_left:
            slots = sorted([*slots, oldest])
        waiting, places = self._waiting(strata, fresh, slots)
        if oldest in slots:
            unpaired = self._unpaired(waiting, slots.index(oldest))
            if len(unpaired):
                if STRATA not in slots:
                    slots.append(STRATA)
                    carried, of_carry = self._waiting(strata, fresh, [STRATA])
                    waiting = np.concatenate([waiting, carried], axis=2)
                    places = np.concatenate([places, of_carry], axis=2)
                # What stayed unpaired for two minutes is carried on, before its slot is used again.
                left = waiting[:, :, slots.index(oldest)]
                waiting[:, unpaired, slots.index(STRATA)] += left[:, unpaired]
                left[:, unpaired] = 0.0
            elif is_left and not rings.taken_slots:
                slots = []
        if not slots:
            return _Step(self.places, np.zeros((2, len(self.rows), BETS)), self.inject, self.cap)
        gain = self._pair(roster, waiting)
        gain /= self.effect
        strata.put(places, waiting)
        return _Step(self.places, gain, self.inject, self.cap)

    def _waiting(self, strata: Floats, fresh: Floats, slots: list[int]) -> tuple[Floats, Rows]:
        """Return what waits to be paired, (6, N, slots), and where it lies in ``strata``."""
        at = np.array(slots, dtype=np.int64)
        places = self.pending[:, :, None] + strata.shape[1] * at
        waiting = strata.take(places)
        waiting += fresh.reshape(-1).take(self.first[:, :, None] + fresh[0].size * at)
        return waiting, places

    @staticmethod
    def _unpaired(waiting: Floats, at: int) -> Rows:
        """Return of which rows only one of both is there in the slot ``at``."""
        return np.asarray(((waiting[0, :, at] > 0) != (waiting[3, :, at] > 0)).nonzero()[0])

    def _pair(self, roster: Roster, waiting: Floats) -> Floats:
        """Weigh what is there of both, (2, N, K), and take it out; note what the control did.

        A slot is weighed against what the control did before it, in those before it too.
        """
        size, slots = waiting.shape[1:]
        n, s = waiting[::3] > 0
        both = n & s
        known = np.empty((2, size, slots + 1))
        known[0, :, 0] = roster.control_n.take(self.rows)
        known[1, :, 0] = roster.control_s.take(self.rows)
        np.multiply(waiting[3:5], both, out=known[:, :, 1:])
        np.add.accumulate(known, axis=2, out=known)
        n, s = known[:, :, -1] * np.where(known[0, :, -1] > _CONTROL_MEMORY, 0.5, 1.0)
        roster.control_n.put(self.rows, n)
        roster.control_s.put(self.rows, s)
        flat, (n, s) = waiting.reshape(6, -1), known[:, :, :-1].reshape(2, -1)
        paired = both.reshape(-1)
        gain = np.empty((2, size, BETS))
        for first in range(0, size, _BLOCK):
            some = slice(first * slots, (first + _BLOCK) * slots)
            each = self._weighed_pairs(first, slots, flat[:, some], n[some], s[some], paired[some])
            by_slot = each.reshape(2, -1, slots, BETS)
            found = gain[:, first : first + _BLOCK]
            found[:] = by_slot[:, :, 0]
            for slot in range(1, slots):
                found += by_slot[:, :, slot]
        waiting *= ~both
        return gain

    def _weighed_pairs(
        self,
        first: int,
        slots: int,
        pairs: Floats,
        n: Floats,
        s: Floats,
        paired: npt.NDArray[np.bool_],
    ) -> Floats:
        """Return the increments of the rows from ``first`` on, each in all ``slots``, (2, B, K).

        ``pairs`` (6, B) are what waits, ``n`` and ``s`` what the control had before.
        """
        at, terms = paired.nonzero()[0], self.terms
        means, is_whole = self.means * slots, len(at) == len(paired)
        if not is_whole:
            pairs, n, s = pairs.take(at, axis=1), n.take(at), s.take(at)
        if len(at) < len(self.rows) or slots > 1:
            row = first + at // slots
            means = int(row.searchsorted(self.means))
            terms = terms.at(row[:means], row[means:] - self.means)
        centre = np.where(n > 0, s / np.maximum(n, 1.0), 0.5)
        found = np.empty((2, len(centre), BETS))
        n, s, q = pairs.reshape(2, 3, -1).transpose(1, 0, 2)
        if means:
            middle = centre[:means]
            tolerance = terms.share * middle
            tolerance += terms.points
            of_means = n[:, :means], s[:, :means], q[:, :means]
            found[:, :means] = mean_of_pairs(*of_means, middle, tolerance)
        if means < len(centre):
            n, middle = n[:, means:], centre[means:]
            events = events_of(n, s[:, means:], terms.mirrored)
            usual = np.where(terms.mirrored, 1 - middle, middle)
            found[:, means:] = rate_of_pairs(n, events, usual, odds=terms.odds)
        if is_whole:
            return found
        each = np.zeros((2, len(paired), BETS))
        each[:, at] = found
        return each


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
