"""The decision: both locks together, for every row at once.

    page, scores and tokens:  evidence AND sure AND still, and
        fast  against a concurrent control, or at twice the line for five minutes without one, or
        slow  at half the line or more for the whole alert window
    page, rates:  evidence AND estimate >= line with enough samples and events
    refusals:     at their page line, or at the investigate line when another signal of the scope
                  has evidence too

*still* stops a page for something that is already over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tripswitch.config.model import Detect
from tripswitch.detect.baseline import Baseline
from tripswitch.detect.nulls import SLOW_MULTIPLE
from tripswitch.detect.point_rule import (
    Flags,
    Read,
    Reading,
    Reference,
    choose_window,
    read_means,
    read_ratios,
    sure_window,
)
from tripswitch.detect.roster import NONE
from tripswitch.detect.signals import Kind
from tripswitch.windows.rings import Floats, Rows

if TYPE_CHECKING:
    from tripswitch.detect.judge import Judge

NOTHING: Final = 0
LOOK: Final = 1
PAGE: Final = 2

_RECENT_SAMPLES: Final = 10.0
_FAST_LINES: Final = 2.0
_FAST_MINUTES: Final = 5.0


@dataclass(slots=True)
class Decision:
    """What is decided of each row, with the numbers that decided, as columns.

    ``level`` is NOTHING, LOOK or PAGE; ``window`` indexes `point_rule.WINDOWS`, -1 where no window
    holds enough; ``is_comparable`` says that there is a reference at all.
    """

    level: Rows
    reading: Reading
    window: Rows
    evidence: Floats
    is_control: Flags
    is_previous: Flags
    is_comparable: Flags


def decide(judge: Judge, rows: Rows, detect: Detect, *, minute_crossed: bool) -> Decision:
    """Decide every row of ``rows``; at minute boundaries also count how long lines were held."""
    roster = judge.roster
    base = judge.baseline(rows, detect)
    kind = roster.kind[rows]
    is_control = roster.control[rows] != NONE
    comparable = (is_control | (base.samples > 0)) & roster.judged[rows]
    read = _reader(judge, rows, base, detect)
    fewest = roster.fewest[rows]
    chosen, window = choose_window(read, fewest, is_control)
    readable = comparable & (window >= 0)
    page_line, look_line = roster.line_page[rows], roster.line_look[rows]
    estimate = np.where(readable, chosen.estimate, 0.0)

    names = ("page_control", "page_own", "look_control", "look_own")
    page_control, page_own, look_control, look_own = (
        roster.detectors[name].evidence(rows) for name in names
    )
    page_evidence = np.where(is_control, page_control, page_own)
    look_evidence = np.where(is_control, look_control, look_own)
    proven = readable & (page_evidence >= 1)
    # The last minutes and how sure the windows are decide only where there is evidence.
    suspects = proven.nonzero()[0]
    everything = np.arange(len(rows))
    recent = read("5m", everything if minute_crossed else suspects)
    if minute_crossed:
        _count_minutes(judge, rows, readable, estimate, recent)
        recent = recent.at(suspects)
    # With too few of either arm in five minutes nothing says that it is over.
    unknown = (recent.samples < _RECENT_SAMPLES) | (
        is_control[suspects] & (recent.usual_samples < _RECENT_SAMPLES)
    )
    still, still_worth_a_look = np.zeros_like(proven), np.zeros_like(proven)
    still[suspects] = (recent.estimate >= page_line[suspects] / 2) | unknown
    still_worth_a_look[suspects] = (recent.estimate >= look_line[suspects] / 2) | unknown

    firm, surest = sure_window(
        lambda name, at: read(name, suspects[at]),
        page_line[suspects],
        fewest[suspects],
        is_control[suspects],
    )
    sure = np.zeros_like(proven)
    sure[suspects] = surest >= 0
    alert_minutes = detect.alert_window / 60
    fast = is_control | (
        (estimate >= _FAST_LINES * page_line) & (roster.held_recent[rows] >= _FAST_MINUTES)
    )
    slow = roster.held_half[rows] >= alert_minutes
    page_means = proven & sure & still & (fast | slow)

    enough = (chosen.samples >= fewest) & (
        roster.mirrored[rows] | (chosen.events >= roster.fewest_events[rows])
    )
    page_rates = proven & enough & still & _over_rate_line(judge, rows, kind, chosen, page_line)
    is_refusal = (kind == Kind.REFUSAL_UP) | (kind == Kind.REFUSAL_DOWN)
    joined = is_refusal & proven & enough & (estimate >= look_line)
    joined &= still_worth_a_look
    joined &= _others_with_evidence(judge, rows, page_evidence, is_refusal)

    looked = readable & (look_evidence >= 1) & (estimate >= look_line)
    held = (kind != Kind.EVAL) | (roster.held_look[rows] >= alert_minutes)
    look = looked & held & (chosen.samples >= roster.fewest_look[rows])
    look &= ~roster.is_rate[rows] | enough

    page = np.where(roster.is_rate[rows], page_rates | joined, page_means)
    level = np.where(page, PAGE, np.where(look, LOOK, NOTHING))
    # What is told of a page is the window that decided it.
    by_sure = (page & ~roster.is_rate[rows])[suspects]
    chosen.put(suspects[by_sure], firm.at(by_sure))
    window[suspects[by_sure]] = surest[by_sure]
    return Decision(
        level=level,
        reading=chosen,
        window=window,
        evidence=np.where(page, page_evidence, np.where(look, look_evidence, page_evidence)),
        is_control=is_control,
        is_previous=judge.has_previous(rows, detect),
        is_comparable=comparable,
    )


def _reader(judge: Judge, rows: Rows, base: Baseline, detect: Detect) -> Read:
    """Return what reads a window for some of ``rows``, by their positions."""
    roster, rings = judge.roster, judge.scopes.rings
    series, mirrored, control = roster.series[rows], roster.mirrored[rows], roster.control[rows]
    control_effect = judge.control_effect if len(judge.control_effect) == len(rows) else 1.0
    effect = np.where(control != NONE, control_effect, base.design_effect)
    means = Reference(control, base.mean, base.standard_error, base.samples)
    ratio, ratio_error = judge.ratio_baseline(rows, detect)
    ratios = Reference(control, ratio, ratio_error, base.samples)
    is_tokens = roster.kind[rows] == Kind.TOKENS

    def read(window: str, at: Rows) -> Reading:
        reading = read_means(rings, window, series[at], means.at(at), mirrored[at], effect[at])
        tokens = is_tokens[at].nonzero()[0]
        if len(tokens):
            of_tokens = at[tokens]
            chosen = rows[of_tokens]
            by_success = read_ratios(
                rings,
                window,
                np.maximum(roster.raw[chosen], 0),
                np.maximum(roster.of_success[chosen], 0),
                roster.control_raw[chosen],
                roster.control_of_success[chosen],
                ratios.at(of_tokens),
            )
            reading.put(tokens, by_success)
        return reading

    return read


def _count_minutes(
    judge: Judge, rows: Rows, readable: Flags, estimate: Floats, recent: Reading
) -> None:
    roster = judge.roster
    page_line, look_line = roster.line_page[rows], roster.line_look[rows]
    for name, holds in (
        ("held_half", estimate >= page_line / 2),
        ("held_look", estimate >= look_line),
        ("held_recent", recent.estimate >= page_line),
    ):
        column: Floats = getattr(roster, name)
        column[rows] = np.where(readable & holds, column[rows] + 1, 0.0)


def _over_rate_line(
    judge: Judge, rows: Rows, kind: Rows, reading: Reading, page_line: Floats
) -> Flags:
    """Return where a rate is over its line.

    Errors need the multiple too. Slow is a share, and twice that of the reference: what control
    and canary share is not the canary's.
    """
    multiple = judge.roster.multiple[rows]
    difference = reading.estimate >= page_line
    errors = difference & (reading.value >= multiple * reading.usual)
    share = (reading.value >= page_line) & (reading.value >= SLOW_MULTIPLE * reading.usual)
    return np.asarray(
        np.where(kind == Kind.ERROR, errors, np.where(kind == Kind.SLOW, share, difference))
    )


def _others_with_evidence(judge: Judge, rows: Rows, evidence: Floats, is_refusal: Flags) -> Flags:
    """Return where the same scope has evidence in a signal that is not about refusals."""
    scopes = judge.roster.scopes
    loud = {scopes[row] for row in rows[(evidence >= 1) & ~is_refusal]}
    found = np.zeros(len(rows), dtype=np.bool_)
    if loud:
        for index in np.flatnonzero(is_refusal):
            found[index] = scopes[rows[index]] in loud
    return found
