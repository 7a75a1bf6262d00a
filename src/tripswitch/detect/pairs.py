"""Pairs: what arrived of a row and of its control in the same minute, against each other.

Where only one of both has arrived it waits, stratum by stratum of minutes, for the other. All
strata of a tick are weighed at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.kernels import BETS, mean_of_pairs, rate_of_pairs
from tripswitch.detect.nulls import (
    IS_MEAN,
    ODDS_OF_RULE,
    SCORE_TOLERANCE,
    TOKEN_TOLERANCE,
    events_of,
)
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import Rule, among, rules_of
from tripswitch.detect.steps import Step, budgets, places
from tripswitch.windows.rings import STRATA, Floats, Rings, Rows

_CONTROL_MEMORY: Final = 5000.0
_IS_RATIO: Final = among(Rule.RATIO)
# Rows paired at a time, so that what is between two arrays stays in the cache.
_BLOCK: Final = 4096


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
class Pairs:
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
    last: tuple[list[int], int, Rows, Rows] | None = None
    """Where the slots of the last tick lie: those of the next are mostly the same."""

    @classmethod
    def of(cls, roster: Roster, rows: Rows, effect: Floats, detect: Detect) -> Pairs:
        """Return ``rows``, whose controls have so much of a design ``effect``."""
        rule = rules_of(roster.kind[rows])
        means = int(np.count_nonzero(IS_MEAN[rule]))
        columns = np.arange(3)[:, None]
        share = np.where(roster.seen_start[rows], roster.control_share[rows], 0.0)
        spans = detect.bad_minutes
        minutes = spans.concurrent_control, spans.concurrent_control_look
        inject, cap = budgets(roster, rows, share, detect, minutes)
        return cls(
            rows=rows,
            means=means,
            first=np.concatenate(
                [3 * roster.series[rows] + columns, 3 * roster.control[rows] + columns]
            ),
            pending=np.arange(6)[:, None] * len(roster.pending) + rows,
            terms=_PairTerms.of(roster, rows, means),
            effect=effect[:, None],
            places=places(roster, ("page_control", "look_control"), rows),
            inject=inject,
            cap=cap,
        )

    def weighed(self, roster: Roster, rings: Rings, fresh: Floats) -> Step:
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
            return Step(self.places, np.zeros((2, len(self.rows), BETS)), self.inject, self.cap)
        gain = self._pair(roster, waiting)
        gain /= self.effect
        strata.put(places, waiting)
        return Step(self.places, gain, self.inject, self.cap)

    def _waiting(self, strata: Floats, fresh: Floats, slots: list[int]) -> tuple[Floats, Rows]:
        """Return what waits to be paired, (6, N, slots), and where it lies in ``strata``."""
        known = self.last
        if known is None or known[:2] != (slots, fresh[0].size):
            at = np.array(slots, dtype=np.int64)
            places = self.pending[:, :, None] + strata.shape[1] * at
            arrived = self.first[:, :, None] + fresh[0].size * at
            known = self.last = list(slots), fresh[0].size, places, arrived
        *_, places, arrived = known
        waiting = strata.take(places)
        waiting += fresh.reshape(-1).take(arrived)
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
        both = np.minimum(waiting[0], waiting[3]) > 0
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
        gains = []
        for first in range(0, size, _BLOCK):
            some = slice(first * slots, (first + _BLOCK) * slots)
            each = self._weighed_pairs(first, slots, flat[:, some], n[some], s[some], paired[some])
            gains.append(each if slots == 1 else _over_slots(each, slots))
        waiting *= ~both
        return gains[0] if len(gains) == 1 else np.concatenate(gains, axis=1)

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


def _over_slots(each: Floats, slots: int) -> Floats:
    """Return the sums of what each row gains in each slot, one slot after the other."""
    by_slot = each.reshape(2, -1, slots, BETS)
    gain = by_slot[:, :, 0] + by_slot[:, :, 1]
    for slot in range(2, slots):
        gain += by_slot[:, :, slot]
    return gain
