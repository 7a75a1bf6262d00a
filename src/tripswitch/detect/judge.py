"""The judge: at every tick, weigh what arrived and decide which scopes regressed.

Two locks on one door: the point rule (the threshold a person set, on a rolling window) and the
evidence rule (an e-detector, valid however often it is looked at). A concurrent control is the
reference where there is one, the version before where the version is new, the scope's own guarded
past otherwise. A tick is a fixed number of array operations over all rows of the `Roster`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.baseline import Baseline, from_moments, own_history, ratio_of
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.decision import NOTHING, PAGE, Decision, decide
from tripswitch.detect.point_rule import WINDOWS
from tripswitch.detect.roster import NONE, SUSPICIOUS, Roster
from tripswitch.detect.terms import Terms
from tripswitch.detect.weighing import OWN, PREVIOUS, Weighing
from tripswitch.model.clocktext import NS_PER_HOUR
from tripswitch.windows.rings import Floats, Rows, by_slot
from tripswitch.windows.scopes import Scopes


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
        self._terms: Terms | None = None
        self._weighing: Weighing | None = None
        self._weighed_by: Terms | None = None
        self._terms_from: tuple[int, Baseline, Detect] | None = None

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
        terms = self._terms_of(rows, detect)
        if not is_lossy and len(rows):
            weighing = self._weighing
            if weighing is None or self._weighed_by is not terms:
                self._restart_changed(rows, terms.base, now_ns, detect)
                given = rows, terms.base, self.control_effect, detect
                weighing = weighing and weighing.renew(*given)
                self._weighing = weighing = weighing or Weighing(roster, rings, *given)
                self._weighed_by = terms
            weighing.step(by_slot(fresh), now_ns)
        if minute_crossed:
            # What came in before the boundary belongs to the minute that ends there.
            roster.evidence.close_minute()
        decision = decide(self, terms, detect, minute_crossed=minute_crossed)
        self._doubt_rollups(rows, decision, now_ns, minute_crossed=minute_crossed)
        return rows, decision

    def _terms_of(self, rows: Rows, detect: Detect) -> Terms:
        """Return by what the rows are decided, which is the same from one minute to the next."""
        roster, own = self.roster, self.own
        if self._terms is not None and self._terms_from is not None:
            revision, of_own, by_detect = self._terms_from
            if revision == roster.revision and of_own is own and by_detect is detect:
                return self._terms
        base = self.baseline(rows, detect)
        self._terms_from = roster.revision, own, detect
        self._terms = Terms.of(self, rows, base, detect, self._terms)
        # What is too little to judge a member by is enough to see which of them changed.
        before = roster.previous_samples[rows]
        is_based, is_longer = base.samples > 0, before > own.samples
        of_before = roster.previous_mean[rows]
        self.comparisons.rollups.compare(
            rows,
            np.where(is_based, base.samples, np.where(is_longer, before, own.samples)),
            np.where(is_based, base.mean, np.where(is_longer, of_before, own.mean)),
        )
        return self._terms

    def _doubt_rollups(
        self, rows: Rows, decision: Decision, now_ns: int, *, minute_crossed: bool
    ) -> None:
        """Take back what roll-ups show and their members do not; forget what is over.

        A member that was bad alone has left its evidence there, which nobody's recovery drops.
        """
        rollups, roster = self.comparisons.rollups, self.roster
        if not rollups.known:
            return
        for index in [] if decision.is_quiet else np.flatnonzero(decision.level > NOTHING).tolist():
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
        for name in ("page_own", "look_own"):
            detector = roster.detectors[name]
            loud = (detector.evidence(rows) >= 1).nonzero()[0]
            if not len(loud):
                continue
            lines = np.minimum(roster.line_look, roster.line_page)[rows[loud]]
            over = loud[decision.reading.estimate[loud] < lines / 2]
            for row in rows[over].tolist():
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
        self.own_ratio, self.own_ratio_error = np.zeros(len(rows)), np.zeros(len(rows))
        spent = (roster.of_success[rows] >= 0).nonzero()[0]
        raw = rings.lately(np.maximum(roster.raw[rows[spent]], 0))
        of_success = rings.lately(roster.of_success[rows[spent]])
        self.own_ratio[spent], self.own_ratio_error[spent] = ratio_of(raw, of_success)
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
        places = np.arange(len(roster.detectors))[:, None] * len(roster.kind) + rows
        evidence = roster.evidence.evidence(places.reshape(-1)).reshape(places.shape)
        suspicious = np.logical_or.reduce(evidence >= SUSPICIOUS, axis=0)
        if self.incident_rows:
            suspicious |= np.isin(rows, np.fromiter(self.incident_rows, dtype=np.int64))
        rings.frozen[:] = False
        for columns in (roster.series, roster.raw, roster.of_success):
            held = columns[rows[suspicious]]
            rings.frozen[held[held >= 0]] = True

    def _restart_changed(self, rows: Rows, base: Baseline, now_ns: int, detect: Detect) -> None:
        """Start the one-sample evidence anew where the baseline is another one than before."""
        roster = self.roster
        alone = roster.control[rows] == NONE
        has_base = (base.samples > 0) & alone & roster.judged[rows]
        previous = roster.previous_samples[rows] >= detect.min_baseline
        mode = np.where(has_base, np.where(previous, PREVIOUS, OWN), NONE)
        # With or without a reference, what must be rare is weighed against the same.
        mode = np.where(roster.is_absolute[rows], OWN, mode)
        for index in np.flatnonzero(mode != roster.own_mode[rows]):
            row = int(rows[index])
            is_start = mode[index] == PREVIOUS and bool(roster.seen_start[row])
            share = 0.5 if roster.two_sided[row] else 1.0
            if is_start:
                begun = roster.previous_share[row]
                roster.previous_share[row] = 1.0 if begun == 0 else begun / 2
            share *= roster.previous_share[row] if is_start else 0.0
            roster.detectors["page_own"].start(row, share * detect.alpha_start, now_ns)
            roster.detectors["look_own"].start(row, share * detect.alpha_investigate, now_ns)
            roster.own_mode[row] = mode[index]
