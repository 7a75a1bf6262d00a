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
from tripswitch.detect.kernels import BETS, MeanNull, RateNull
from tripswitch.detect.nulls import IS_MEAN, ODDS_OF_RULE, events_of, null_means
from tripswitch.detect.pairs import Pairs
from tripswitch.detect.roster import NONE, Roster
from tripswitch.detect.signals import rules_of
from tripswitch.detect.steps import Step, budgets, is_same, places
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.windows.rings import Floats, Rings, Rows

PREVIOUS: Final = 1
OWN: Final = 2


class _Joined(NamedTuple):
    """The places and bounds of some steps, one after the other; ``of`` are the places of each."""

    of: list[Rows]
    places: Rows
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
        self._last: _Joined | None = None
        self._hangs_on = _hangs_on(roster, rows, base)
        self._detect = detect
        self._tick_minutes = detect.tick * NS_PER_S / NS_PER_MINUTE
        judged, has_control = roster.judged[rows], roster.control[rows] != NONE
        # What must be rare is weighed by itself too: that the control leaks as much is no comfort.
        weighed = ((base.samples > 0) & ~has_control) | roster.is_absolute[rows]
        alone = _means_first(roster, rows, weighed & judged)
        self._own = _Own.of(roster, rows, alone, base, detect) if len(alone) else None
        self._compared = compared = _means_first(roster, rows, has_control & judged)
        self._pairs = None
        if len(compared):
            effect = control_effect[compared]
            self._pairs = Pairs.of(roster, rows[compared], effect, detect)

    def renew(
        self, rows: Rows, base: Baseline, control_effect: Floats, detect: Detect
    ) -> Weighing | None:
        """Return this with other numbers of the same references, None where any is another."""
        if detect is not self._detect or _hangs_on(self._roster, rows, base) != self._hangs_on:
            return None
        if self._own is not None:
            self._own.renew(self._roster, base)
        if self._pairs is not None:
            self._pairs.effect = control_effect[self._compared][:, None]
        return self

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
            increments = [step.increments.reshape(-1, BETS) for step in steps]
            joined = self._joined(steps)
            self._roster.evidence.step(
                joined.places,
                np.concatenate(increments),
                inject=joined.inject,
                cap=joined.cap,
                tick_minutes=self._tick_minutes,
                now_ns=now_ns,
            )

    def _joined(self, steps: list[Step]) -> _Joined:
        """Return where all steps lie and what bounds them: mostly the same as at the last tick."""
        known = self._last
        places = [step.places for step in steps]
        if known is None or not is_same(known.of, places):
            known = self._last = _Joined(
                places,
                np.concatenate([step.places.reshape(-1) for step in steps]),
                np.concatenate([step.inject.reshape(-1) for step in steps]),
                np.concatenate([step.cap.reshape(-1) for step in steps]),
            )
        return known


@dataclass(slots=True)
class _Own:
    """The rows weighed against a baseline or what is usual, N of them, the first M of means.

    ``at`` are the positions of their baselines, ``first`` places in the arrivals of all series on
    one axis, ``mean`` (2, M) and ``rate`` (2, N - M) the nulls, ``mirrored`` (N - M) says of rates
    where what did not happen counts.
    """

    rows: Rows
    at: Rows
    means: int
    first: Rows
    mean: MeanNull
    rate: RateNull
    odds: Floats
    mirrored: npt.NDArray[np.bool_]
    effect: Floats
    places: Rows
    inject: Floats
    cap: Floats

    @classmethod
    def of(cls, roster: Roster, all_rows: Rows, at: Rows, base: Baseline, detect: Detect) -> _Own:
        """Return those at the positions ``at`` of ``all_rows``, which ``base`` is of."""
        rows = all_rows[at]
        rule = rules_of(roster.kind[rows])
        means = int(np.count_nonzero(IS_MEAN[rule]))
        is_new = roster.own_mode[rows] == PREVIOUS
        spans = detect.bad_minutes
        bad_minutes = np.where(is_new, spans.previous_version, spans.own_history)
        is_previous = roster.seen_start[rows] & is_new
        share = np.where(is_previous, roster.previous_share[rows], 0.0)
        inject, cap = budgets(roster, rows, share, detect, (bad_minutes, bad_minutes))
        none = np.zeros(0)
        found = cls(
            rows=rows,
            at=at,
            means=means,
            first=3 * roster.series[rows],
            mean=MeanNull.of(none),
            rate=RateNull.of(none),
            odds=ODDS_OF_RULE[rule[means:]],
            mirrored=roster.mirrored[rows[means:]],
            effect=none,
            places=places(roster, ("page_own", "look_own"), rows),
            inject=inject,
            cap=cap,
        )
        found.renew(roster, base)
        return found

    def renew(self, roster: Roster, base: Baseline) -> None:
        """Take other numbers of the same baselines."""
        kept, means = base.at(self.at), self.means
        usual_share = roster.usual_share[self.rows]
        nulls = np.array(null_means(roster.kind[self.rows], kept, usual_share))
        self.mean = MeanNull.of(nulls[:, :means])
        self.rate = RateNull.of(np.minimum(nulls[:, means:], 1 - 1e-6), self.odds)
        self.effect = kept.design_effect[:, None]

    def weighed(self, total: Floats) -> list[Step]:
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
        return [Step(found.places, increments, found.inject, found.cap)]

    def _some(self, at: Rows) -> _Own:
        means = int(at.searchsorted(self.means))
        of_means, of_rates = at[:means], at[means:] - self.means
        return _Own(
            rows=self.rows.take(at),
            at=self.at.take(at),
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
            odds=self.odds.take(of_rates, axis=0),
            mirrored=self.mirrored.take(of_rates),
            effect=self.effect.take(at, axis=0),
            places=self.places.take(at, axis=1),
            inject=self.inject.take(at, axis=1),
            cap=self.cap.take(at, axis=1),
        )


def _hangs_on(roster: Roster, rows: Rows, base: Baseline) -> list[bytes]:
    """Return all that decides how rows are weighed, but for the numbers of what is usual."""
    columns = (
        roster.kind,
        roster.series,
        roster.control,
        roster.own_mode,
        roster.control_share,
        roster.previous_share,
        roster.fewest_events,
        roster.judged,
        roster.mirrored,
        roster.two_sided,
        roster.is_absolute,
        roster.seen_start,
    )
    return [column.tobytes() for column in (rows, base.samples > 0, *columns)]


def _means_first(roster: Roster, rows: Rows, wanted: npt.NDArray[np.bool_]) -> Rows:
    """Return the positions of the wanted ones of ``rows``, kinds of means before those of rates."""
    is_mean = IS_MEAN[rules_of(roster.kind[rows])]
    return np.concatenate([(wanted & is_mean).nonzero()[0], (wanted & ~is_mean).nonzero()[0]])
