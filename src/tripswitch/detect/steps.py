"""Steps: what one tick adds to the evidence of some rows, and how much a minute of it may."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import Final, NamedTuple

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.evidence import MINUTES_A_MONTH
from tripswitch.detect.roster import DETECTORS, Roster
from tripswitch.detect.signals import Rule, among, rules_of
from tripswitch.windows.rings import Floats, Rows

_IS_LEAKS: Final = among(Rule.LEAKS)


class Step(NamedTuple):
    """What some rows gain in one tick: ``increments`` (2, N, K), the others (2, N).

    ``places`` are their rows in the evidence of all detectors.
    """

    places: Rows
    increments: Floats
    inject: Floats
    cap: Floats


def budgets(
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


def places(roster: Roster, names: tuple[str, ...], rows: Rows) -> Rows:
    """Return where ``rows`` of some detectors lie in the evidence of all, (len(names), N)."""
    return np.array([DETECTORS.index(name) * len(roster.kind) + rows for name in names])


def is_same(known: Sequence[object], found: Sequence[object]) -> bool:
    """Return whether these are the very objects that were known."""
    return len(known) == len(found) and all(map(is_, known, found))
