"""The judge: at every tick, weigh what arrived and decide which scopes regressed.

Two locks on one door: the point rule (the threshold a person set, on a rolling window) and the
evidence rule (an e-detector, valid however often it is looked at). A concurrent control is the
reference where there is one, the version before where the version is new, the scope's own guarded
past otherwise. A tick is a fixed number of array operations over all rows of the `Roster`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.baseline import Baseline, from_moments, own_history, ratio_of
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.decision import NOTHING, PAGE, Decision, decide
from tripswitch.detect.evidence import MINUTES_A_MONTH
from tripswitch.detect.nulls import against_baseline, against_control, mirror, null_means
from tripswitch.detect.point_rule import WINDOWS
from tripswitch.detect.roster import NONE, SUSPICIOUS, Roster
from tripswitch.detect.signals import Rule, among, rules_of
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S
from tripswitch.windows.rings import STRATA, Floats, Rows
from tripswitch.windows.scopes import Scopes

_CONTROL_MEMORY: Final = 5000.0
_IS_LEAKS: Final = among(Rule.LEAKS)


class Judge:
    """Evidence, baselines and decisions over the series of `Scopes`."""

    def __init__(self, scopes: Scopes, roster: Roster, comparisons: Comparisons) -> None:
        self.scopes = scopes
        self.roster = roster
        self.comparisons = comparisons
        self.own: Baseline = from_moments(np.zeros((0, 6)))
        self.own_ratio: Floats = np.zeros(0)
        self.own_ratio_error: Floats = np.zeros(0)
        self.control_effect: Floats = np.zeros(0)
        self.incident_rows: set[int] = set()

    def tick(
        self, now_ns: int, detect: Detect, *, minute_crossed: bool, is_lossy: bool
    ) -> tuple[Rows, Decision]:
        """Weigh what arrived since the last tick; return all rows and what is decided of each.

        ``is_lossy`` says that too much of this tick's telemetry was lost: its arrivals then add
        nothing to the evidence.
        """
        roster, rings = self.roster, self.scopes.rings
        rollups = self.comparisons.rollups
        rollups.refresh(now_ns, detect)
        rows = roster.rows()
        fresh = rings.take_fresh()
        rollups.feed(fresh)
        if minute_crossed or len(self.own.samples) != len(rows):
            self._refresh(rows, now_ns, detect)
        base = self.baseline(rows, detect)
        if not is_lossy and len(rows):
            self._weigh_own(rows, base, fresh, now_ns, detect)
            self._weigh_control(rows, fresh, now_ns, detect)
        if minute_crossed:
            # What came in before the boundary belongs to the minute that ends there.
            for detector in roster.detectors.values():
                detector.close_minute()
        decision = decide(self, rows, base, detect, minute_crossed=minute_crossed)
        # What is too little to judge a member by is enough to see which of them changed.
        own, before = self.own, roster.previous_samples[rows]
        choices = [base.samples > 0, before > own.samples]
        rollups.compare(
            rows,
            np.select(choices, [base.samples, before], own.samples),
            np.select(choices, [base.mean, roster.previous_mean[rows]], own.mean),
        )
        self._doubt_rollups(rows, decision, now_ns, minute_crossed=minute_crossed)
        return rows, decision

    def _doubt_rollups(
        self, rows: Rows, decision: Decision, now_ns: int, *, minute_crossed: bool
    ) -> None:
        """Take back what roll-ups show and their members do not; forget what is over.

        A member that was bad alone has left its evidence there, which nobody's recovery drops.
        """
        rollups, roster = self.comparisons.rollups, self.roster
        if not rollups.known:
            return
        for index in np.flatnonzero(decision.level > NOTHING).tolist():
            row = int(rows[index])
            rollup = rollups.of(roster.scopes[row])
            if rollup is None:
                continue
            is_page = decision.level[index] == PAGE
            line = float((roster.line_page if is_page else roster.line_look)[row])
            window = WINDOWS[int(decision.window[index])]
            if not rollups.is_shown(rollup, row, window, line):
                decision.level[index] = NOTHING
        if not minute_crossed:
            return
        over = decision.reading.estimate < np.minimum(roster.line_look, roster.line_page)[rows] / 2
        for name in ("page_own", "look_own"):
            detector = roster.detectors[name]
            for index in np.flatnonzero(over & (detector.evidence(rows) >= 1)).tolist():
                row = int(rows[index])
                if rollups.of(roster.scopes[row]) is not None:
                    detector.start(row, 0.0, now_ns)

    def baseline(self, rows: Rows, detect: Detect) -> Baseline:
        """Return what each row without control is compared with: the version before or its past.

        ``samples`` is 0 where neither holds enough.
        """
        roster = self.roster
        previous = roster.previous_samples[rows] >= detect.min_baseline
        own = self.own.samples >= detect.min_baseline
        samples = np.where(previous, roster.previous_samples[rows], self.own.samples)
        return Baseline(
            samples=np.where(previous | own, samples, 0.0),
            mean=np.where(previous, roster.previous_mean[rows], self.own.mean),
            standard_error=np.where(previous, roster.previous_error[rows], self.own.standard_error),
            variance=self.own.variance,
            design_effect=np.where(previous, roster.previous_effect[rows], self.own.design_effect),
        )

    def ratio_baseline(self, rows: Rows, detect: Detect) -> tuple[Floats, Floats]:
        """Return what is spent by success, and its standard error, that go with `baseline`."""
        previous = self.roster.previous_samples[rows] >= detect.min_baseline
        return (
            np.where(previous, self.roster.previous_ratio[rows], self.own_ratio),
            np.where(previous, self.roster.previous_ratio_error[rows], self.own_ratio_error),
        )

    def has_previous(self, rows: Rows, detect: Detect) -> npt.NDArray[np.bool_]:
        """Return where the version before is the baseline."""
        enough = self.roster.previous_samples[rows] >= detect.min_baseline
        return np.asarray(enough & (self.roster.control[rows] == NONE))

    def _refresh(self, rows: Rows, now_ns: int, detect: Detect) -> None:
        roster, rings = self.roster, self.scopes.rings
        self.comparisons.refresh(now_ns, detect)
        series = roster.series[rows]
        self.own = own_history(rings, series, now_ns // NS_PER_HOUR, detect.min_baseline)
        raw = rings.moments[np.maximum(roster.raw[rows], 0)]
        of_success = rings.moments[np.maximum(roster.of_success[rows], 0)]
        self.own_ratio, self.own_ratio_error = ratio_of(raw, of_success)
        # The control is not the suspect: its last minutes may say how its calls hang together, and
        # in its first quarter of an hour nothing else does.
        self.control_effect = np.ones(len(rows))
        compared = (roster.control[rows] != NONE).nonzero()[0]
        control = rings.history(roster.control[rows[compared]])
        self.control_effect[compared] = from_moments(control).design_effect
        self._freeze(rows)

    def _freeze(self, rows: Rows) -> None:
        """Stop suspect series from teaching their own baseline."""
        roster, rings = self.roster, self.scopes.rings
        suspicious = np.zeros(len(rows), dtype=np.bool_)
        for detector in roster.detectors.values():
            suspicious |= detector.evidence(rows) >= SUSPICIOUS
        suspicious |= np.isin(rows, np.fromiter(self.incident_rows, dtype=np.int64))
        rings.frozen[:] = False
        for columns in (roster.series, roster.raw, roster.of_success):
            held = columns[rows[suspicious]]
            rings.frozen[held[held >= 0]] = True

    def _weigh_own(
        self, rows: Rows, base: Baseline, fresh: Floats, now_ns: int, detect: Detect
    ) -> None:
        roster = self.roster
        judged, alone = roster.judged[rows], roster.control[rows] == NONE
        has_base = (base.samples > 0) & alone & judged
        self._restart_changed(rows, has_base, now_ns, detect)
        arrived = fresh[roster.series[rows]].sum(axis=1)
        # What must be rare is weighed by itself too: that the control leaks as much is no comfort.
        weighed = has_base | (roster.is_absolute[rows] & judged)
        active = weighed & (arrived[:, 0] > 0)
        if not active.any():
            return
        chosen = rows[active]
        kept = Baseline(
            base.samples[active],
            base.mean[active],
            base.standard_error[active],
            base.variance[active],
            base.design_effect[active],
        )
        stats = mirror(arrived[active], roster.mirrored[chosen])
        null_page, null_look = null_means(roster.kind[chosen], kept, roster.usual_share[chosen])
        effect = kept.design_effect[:, None]
        is_new = roster.own_mode[chosen] == _PREVIOUS
        bad_minutes = np.where(
            is_new, detect.bad_minutes.previous_version, detect.bad_minutes.own_history
        )
        is_previous = roster.seen_start[chosen] & is_new
        share = np.where(is_previous, roster.previous_share[chosen], 0.0)
        budget = _Budget(roster, chosen, share, detect)
        for name, null, alpha, start in (
            ("page_own", null_page, detect.alpha_page, detect.alpha_start),
            ("look_own", null_look, detect.alpha_investigate, detect.alpha_investigate),
        ):
            increments = against_baseline(stats, null, roster.kind[chosen]) / effect
            inject, cap = budget.of(alpha, start, bad_minutes)
            self._step(name, chosen, increments, inject, cap, now_ns, detect)

    def _weigh_control(self, rows: Rows, fresh: Floats, now_ns: int, detect: Detect) -> None:
        roster = self.roster
        compared = (roster.control[rows] != NONE) & roster.judged[rows]
        if not compared.any():
            return
        chosen = rows[compared]
        # Whole rows are taken some times faster than they are indexed.
        pending = _taken(roster.pending, chosen)
        pending[:, 0] += _taken(fresh, roster.series[chosen])
        pending[:, 1] += _taken(fresh, roster.control[chosen])
        self._close_stratum(pending)
        mirrored, kind = roster.mirrored[chosen], roster.kind[chosen]
        page = np.zeros((len(chosen), 6))
        look = np.zeros((len(chosen), 6))
        for stratum in range(STRATA + 1):
            paired = (pending[:, 0, stratum, 0] > 0) & (pending[:, 1, stratum, 0] > 0)
            if not paired.any():
                continue
            known = roster.control_n[chosen] > 0
            centre = np.where(
                known, roster.control_s[chosen] / np.maximum(roster.control_n[chosen], 1.0), 0.5
            )
            turned = np.where(mirrored, 1 - centre, centre)
            suspect = mirror(pending[:, 0, stratum], mirrored)
            control = mirror(pending[:, 1, stratum], mirrored)
            gain_page, gain_look = against_control(suspect, control, turned, kind)
            page += gain_page * paired[:, None]
            look += gain_look * paired[:, None]
            counted = pending[:, 1, stratum, :2] * paired[:, None]
            roster.control_n[chosen] += counted[:, 0]
            roster.control_s[chosen] += counted[:, 1]
            pending[:, :, stratum] *= ~paired[:, None, None]
        roster.pending[chosen] = pending
        full = roster.control_n[chosen] > _CONTROL_MEMORY
        roster.control_n[chosen[full]] /= 2
        roster.control_s[chosen[full]] /= 2
        effect = self.control_effect[compared][:, None]
        share = np.where(roster.seen_start[chosen], roster.control_share[chosen], 0.0)
        spans, budget = detect.bad_minutes, _Budget(roster, chosen, share, detect)
        looks, pages = detect.alpha_investigate, detect.alpha_page
        for name, gain, alpha, start, bad_minutes in (
            ("page_control", page, pages, detect.alpha_start, spans.concurrent_control),
            ("look_control", look, looks, looks, spans.concurrent_control_look),
        ):
            inject, cap = budget.of(alpha, start, bad_minutes)
            self._step(name, chosen, gain / effect, inject, cap, now_ns, detect)

    def _close_stratum(self, pending: Floats) -> None:
        """Move what stayed unpaired for two minutes to the carry, before its slot is used again.

        The slot of the minute that will open next is the one of the oldest open minute.
        """
        oldest = (self.scopes.rings.now_minute + 1) % STRATA
        left = pending[:, :, oldest, 0] > 0
        unpaired = np.flatnonzero(left[:, 0] != left[:, 1])
        pending[unpaired, :, STRATA] += pending[unpaired, :, oldest]
        pending[unpaired, :, oldest] = 0.0

    def _step(
        self,
        name: str,
        rows: Rows,
        increments: Floats,
        inject: Floats,
        cap: Floats,
        now_ns: int,
        detect: Detect,
    ) -> None:
        self.roster.detectors[name].step(
            rows,
            increments,
            inject=inject,
            cap=cap,
            tick_minutes=detect.tick * NS_PER_S / NS_PER_MINUTE,
            now_ns=now_ns,
        )

    def _restart_changed(
        self, rows: Rows, has_base: npt.NDArray[np.bool_], now_ns: int, detect: Detect
    ) -> None:
        """Start the one-sample evidence anew where the baseline is another one than before."""
        roster = self.roster
        previous = roster.previous_samples[rows] >= detect.min_baseline
        mode = np.where(has_base, np.where(previous, _PREVIOUS, _OWN), NONE)
        # With or without a reference, what must be rare is weighed against the same.
        mode = np.where(roster.is_absolute[rows], _OWN, mode)
        for index in np.flatnonzero(mode != roster.own_mode[rows]):
            row = int(rows[index])
            is_start = mode[index] == _PREVIOUS and bool(roster.seen_start[row])
            share = 0.5 if roster.two_sided[row] else 1.0
            if is_start:
                begun = roster.previous_share[row]
                roster.previous_share[row] = 1.0 if begun == 0 else begun / 2
            share *= roster.previous_share[row] if is_start else 0.0
            roster.detectors["page_own"].start(row, share * detect.alpha_start, now_ns)
            roster.detectors["look_own"].start(row, share * detect.alpha_investigate, now_ns)
            roster.own_mode[row] = mode[index]


def _taken(array: Floats, rows: Rows) -> Floats:
    """Return a copy of some rows of an array of any shape."""
    return array.reshape(len(array), -1).take(rows, axis=0).reshape(-1, *array.shape[1:])


_PREVIOUS: Final = 1
_OWN: Final = 2


class _Budget:
    """What the evidence of some rows may gain in a minute, ``share`` of the start budget left."""

    def __init__(self, roster: Roster, rows: Rows, share: Floats, detect: Detect) -> None:
        # A signal looked at in both directions spends half its budget on each.
        self._halves = np.where(roster.two_sided[rows], 0.5, 1.0)
        self._is_leak = _IS_LEAKS[rules_of(roster.kind[rows])]
        self._fewest_events = roster.fewest_events[rows]
        self._alpha_leak = detect.alpha_pii
        self._share = share

    def of(self, alpha: float, start: float, bad_minutes: Rows | int) -> tuple[Floats, Floats]:
        """Return what a minute puts in, and the cap of what its evidence may add."""
        # A leak weighs more than a false page, and so many hits need no more minutes than they are.
        tolerated = np.where(self._is_leak, self._alpha_leak, alpha)
        fewest_minutes = np.where(
            self._is_leak, np.minimum(bad_minutes, self._fewest_events), bad_minutes
        )
        inject = self._halves * tolerated / MINUTES_A_MONTH
        budget = np.maximum(self._halves * start * self._share, inject)
        return inject, np.log(1 / budget) / fewest_minutes
