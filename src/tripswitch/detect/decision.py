"""The decision: both locks together, for every row at once.

    page, scores and tokens:  evidence AND sure AND still, and
        fast  against a concurrent control, or without one at twice the line for as many minutes as
              a page must span there, or
        slow  at half the line or more for the whole alert window
    look, scores: evidence AND estimate >= line, at half the line or more for the alert window
    page, rates:  evidence AND estimate >= line with enough samples and events; leaks also from
                  enough traces
    refusals:     at their page line, or at the investigate line when another signal of the scope
                  has evidence too

*still* stops a page for something that is already over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.nulls import SLOW_MULTIPLE
from tripswitch.detect.point_rule import (
    Flags,
    Reading,
    sure_window,
    whole_window,
)
from tripswitch.detect.reader import Chosen
from tripswitch.detect.roster import NONE, Roster
from tripswitch.detect.signals import Rule, among, rules_of
from tripswitch.detect.terms import Terms
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.windows.rings import Floats, Rows

if TYPE_CHECKING:
    from tripswitch.detect.judge import Judge

NOTHING: Final = 0
LOOK: Final = 1
PAGE: Final = 2

_RECENT_SAMPLES: Final = 10.0
_FAST_LINES: Final = 2.0

_IS_SCORE: Final = among(Rule.SCORE)
_IS_SLOW: Final = among(Rule.SLOW)
_IS_ERRORS: Final = among(Rule.ERRORS)
_IS_ABOUT_REFUSALS: Final = among(Rule.RISE, Rule.FALL)


@dataclass(slots=True)
class Decision:
    """What is decided of each row, with the numbers that decided, as columns.

    ``level`` is NOTHING, LOOK or PAGE; ``window`` indexes `point_rule.WINDOWS`, -1 where no window
    holds enough; ``is_comparable`` says that there is a reference at all.
    """

    level: Rows
    chosen: Chosen
    evidence: Floats
    is_control: Flags
    is_previous: Flags
    is_comparable: Flags
    is_quiet: bool = True
    """Nothing was decided of any row."""

    @property
    def reading(self) -> Reading:
        """Return what the windows show that decided."""
        return self.chosen.reading

    @property
    def window(self) -> Rows:
        """Return by row which window decided."""
        return self.chosen.window


@dataclass(slots=True)
class _Seen:
    """What is seen of every row at one tick; arrays as long as ``rows``."""

    judge: Judge
    detect: Detect
    terms: Terms
    chosen: Reading
    window: Rows
    page_evidence: Floats

    @property
    def rows(self) -> Rows:
        """Return all rows."""
        return self.terms.rows

    def enough(self, at: Rows) -> Flags:
        """Return which of some rows stand on enough samples and events."""
        roster, rows = self.judge.roster, self.rows[at]
        events = self.chosen.events[at] >= roster.fewest_events[rows]
        samples = self.chosen.samples[at] >= roster.fewest[rows]
        return np.asarray(samples & (roster.mirrored[rows] | events))


def decide(judge: Judge, terms: Terms, detect: Detect, *, minute_crossed: bool) -> Decision:
    """Decide every row of ``terms``; at minute boundaries also count how long lines were held.

    Most rows have no evidence, and then nothing more is read.
    """
    roster, rows, read = judge.roster, terms.rows, terms.reader
    chosen = read.choose()
    readable = terms.is_comparable & (chosen.window >= 0)
    if minute_crossed:
        recent = read.recent(chosen)
        estimate = np.where(readable, chosen.reading.estimate, 0.0)
        _count_minutes(judge, rows, readable, estimate, recent)
    found, size = roster.evidence.evidence(terms.evidence), len(rows)
    decision = Decision(
        level=np.full(size, NOTHING),
        chosen=chosen,
        evidence=found[:size].copy(),
        is_control=terms.by_control,
        is_previous=terms.is_previous,
        is_comparable=terms.is_comparable,
    )
    loud = found >= 1
    if loud.any():
        if len(terms.rare):
            decision.is_control = terms.by_control.copy()
            decision.is_control[terms.rare] = loud[2 * size :]
        suspects = (readable & loud[:size]).nonzero()[0]
        curious = (readable & loud[size : 2 * size]).nonzero()[0]
        _act(judge, terms, detect, decision, suspects, curious, found[: 2 * size].reshape(2, -1))
    return decision


def _act(
    judge: Judge,
    terms: Terms,
    detect: Detect,
    decision: Decision,
    suspects: Rows,
    curious: Rows,
    evidence: Floats,
) -> None:
    """Decide the rows that have evidence, ``suspects`` of a page and ``curious`` of a look.

    ``evidence`` (2, N) is of all rows, of the page and of the look.
    """
    if not len(suspects) and not len(curious):
        return
    seen = _Seen(judge, detect, terms, decision.reading, decision.window, evidence[0])
    over = decision.reading.estimate[curious] >= terms.line_look[curious]
    curious = curious[over]
    if len(curious):
        looked = curious[_look(seen, curious)]
        decision.is_quiet &= not len(looked)
        decision.level[looked] = LOOK
        decision.evidence[looked] = evidence[1, looked]
    if len(suspects):
        paged = suspects[_page(seen, suspects)]
        decision.is_quiet &= not len(paged)
        decision.level[paged] = PAGE
        decision.evidence[paged] = evidence[0, paged]


def _look(seen: _Seen, at: Rows) -> Flags:
    """Return which of the rows ``at``, over their line with evidence, are worth a look."""
    roster, rows = seen.judge.roster, seen.rows[at]
    held = ~_IS_SCORE[rules_of(roster.kind[rows])] | (
        roster.held_look[rows] >= seen.detect.alert_window / 60
    )
    many = seen.chosen.samples[at] >= roster.fewest_look[rows]
    return np.asarray(held & many & (~roster.is_rate[rows] | seen.enough(at)))


def _page(seen: _Seen, at: Rows) -> Flags:
    """Return which of the rows ``at``, all with evidence, page.

    Where a sure window decided, the reading and its window become those.
    """
    roster, rows = seen.judge.roster, seen.rows[at]
    is_control, is_rate = seen.terms.is_control[at], roster.is_rate[rows]
    page_line, look_line = roster.line_page[rows], roster.line_look[rows]
    reading = seen.chosen.at(at)
    recent = seen.terms.reader("5m", at)
    # With too few of either arm in five minutes nothing says that it is over.
    unknown = (recent.samples < _RECENT_SAMPLES) | (
        is_control & (recent.usual_samples < _RECENT_SAMPLES)
    )
    still = (recent.estimate >= page_line / 2) | unknown

    firm, surest = sure_window(
        lambda window, some: seen.terms.reader(window, at[some]),
        page_line,
        roster.fewest[rows],
        is_control,
        whole_windows(seen.judge, rows),
    )
    bad_minutes = np.where(
        seen.judge.has_previous(rows, seen.detect),
        seen.detect.bad_minutes.previous_version,
        seen.detect.bad_minutes.own_history,
    )
    fast = is_control | (
        (reading.estimate >= _FAST_LINES * page_line) & (roster.held_recent[rows] >= bad_minutes)
    )
    slow = roster.held_half[rows] >= seen.detect.alert_window / 60
    by_mean = ~is_rate & (surest >= 0) & still & (fast | slow)

    enough = seen.enough(at)
    # A leak is no less of one for being over.
    by_rate = enough & (still | roster.is_absolute[rows]) & _over_rate_line(roster, rows, reading)
    by_rate &= _from_enough_traces(seen, rows)
    joined = _is_about_refusals(roster, rows)
    joined &= enough & (reading.estimate >= look_line)
    joined &= (recent.estimate >= look_line / 2) | unknown
    joined &= _others_with_evidence(seen, rows)

    # What is told of a page is the window that decided it.
    seen.chosen.put(at[by_mean], firm.at(by_mean))
    seen.window[at[by_mean]] = surest[by_mean]
    return np.asarray(by_mean | (is_rate & (by_rate | joined)))


def whole_windows(judge: Judge, rows: Rows) -> Rows:
    """Return by row the window that holds all of it, -1 for none or where its start is unknown."""
    roster, now_minute = judge.roster, judge.scopes.rings.now_minute
    ages = [now_minute - roster.first_seen_ns[row] // NS_PER_MINUTE for row in rows.tolist()]
    return np.where(roster.seen_start[rows], whole_window(np.array(ages, dtype=np.int64)), NONE)


def _count_minutes(
    judge: Judge, rows: Rows, readable: Flags, estimate: Floats, recent: Reading
) -> None:
    roster = judge.roster
    page_line, look_line = roster.line_page[rows], roster.line_look[rows]
    for name, holds in (
        ("held_half", estimate >= page_line / 2),
        ("held_look", estimate >= look_line / 2),
        ("held_recent", recent.estimate >= page_line),
    ):
        column: Floats = getattr(roster, name)
        column[rows] = np.where(readable & holds, column[rows] + 1, 0.0)


def _over_rate_line(roster: Roster, rows: Rows, reading: Reading) -> Flags:
    """Return where a rate is over its line.

    Errors need the multiple too. Slow is a share, and twice that of the reference: what control
    and canary share is not the canary's.
    """
    rule, page_line = rules_of(roster.kind[rows]), roster.line_page[rows]
    difference = reading.estimate >= page_line
    errors = difference & (reading.value >= roster.multiple[rows] * reading.usual)
    share = (reading.value >= page_line) & (reading.value >= SLOW_MULTIPLE * reading.usual)
    over = np.where(_IS_ERRORS[rule], errors, np.where(_IS_SLOW[rule], share, difference))
    return np.asarray(np.where(roster.is_absolute[rows], reading.value >= page_line, over))


def _from_enough_traces(seen: _Seen, rows: Rows) -> Flags:
    """Return where the last day's events come from as many traces as are wanted."""
    roster = seen.judge.roster
    wanted = roster.fewest_traces[rows]
    enough = wanted <= 0
    asked = (~enough).nonzero()[0]
    if len(asked):
        traces = seen.judge.scopes.rings.window(roster.raw[rows[asked]], "24h")[:, 1]
        enough[asked] = traces >= wanted[asked]
    return np.asarray(enough)


def _is_about_refusals(roster: Roster, rows: Rows) -> Flags:
    return np.asarray(_IS_ABOUT_REFUSALS[rules_of(roster.kind[rows])])


def _others_with_evidence(seen: _Seen, rows: Rows) -> Flags:
    """Return where the same scope has evidence in a signal that is not about refusals."""
    roster = seen.judge.roster
    loud_rows = seen.rows[seen.page_evidence >= 1]
    others = loud_rows[~_is_about_refusals(roster, loud_rows)]
    loud = {roster.scopes[row] for row in others.tolist()}
    return np.array([roster.scopes[row] in loud for row in rows.tolist()])
