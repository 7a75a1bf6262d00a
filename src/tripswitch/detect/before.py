"""Already bad at the start: was a slice beyond its line before the version that is blamed?

What was out of range before a change is not proven by it: such a scope is told of like any other,
and nothing acts on it by itself. The slice as the version before served it is held against the same
control, or against its own past where there is none, by the line that a page has.
"""

from __future__ import annotations

import numpy as np

from tripswitch.detect.baseline import from_moments, ratio_of
from tripswitch.detect.nulls import SLOW_MULTIPLE
from tripswitch.detect.roster import NONE, Roster
from tripswitch.detect.signals import RATIOS, SIGNALS, Kind, Rule
from tripswitch.windows.rings import Rings
from tripswitch.windows.scopes import ScopeRecord


def was_beyond_line(
    rings: Rings, roster: Roster, row: int, before: ScopeRecord, control: ScopeRecord | None
) -> bool:
    """Return whether ``before`` was as bad lately as a page of ``row`` takes.

    Lately is the last quarter of an hour, or hour where that has too few samples; with too few of
    that, too, nothing was seen.
    """
    measure, kind = roster.measure(row), Kind(roster.kind[row])
    rule = SIGNALS[kind].rule
    line = float(roster.line_page[row])
    if rule in (Rule.RISE, Rule.FALL):
        # Refusals page from this line on with a second signal.
        line = float(roster.line_look[row])
    series = before.series.get(measure, NONE)
    reference = NONE if control is None else control.series.get(measure, NONE)
    if series == NONE or (control is not None and reference == NONE):
        return False
    for window in ("15m", "1h"):
        n, s, _ = rings.window(np.array([series]), window)[0].tolist()
        if n >= roster.fewest[row]:
            break
    else:
        return False
    seen = s / n
    if roster.is_absolute[row]:
        return bool(seen >= max(line, float(roster.usual_share[row])) and s > 0)
    if rule is Rule.RATIO:
        return _spent_too_much(rings, row, roster, before, control, line, window)
    if control is None:
        base = from_moments(rings.moments[np.array([series])])
        enough, usual = float(base.samples[0]), float(base.mean[0])
    else:
        enough, of_control, _ = rings.window(np.array([reference]), window)[0].tolist()
        usual = of_control / enough if enough else 0.0
    if enough < roster.fewest[row]:
        return False
    if rule is Rule.SLOW:
        return bool(seen >= line and seen >= SLOW_MULTIPLE * usual)
    if SIGNALS[kind].is_mirrored:
        return bool(usual - seen >= line)
    is_multiple = rule is not Rule.ERRORS or seen >= float(roster.multiple[row]) * usual
    return bool(seen - usual >= line and is_multiple)


def _spent_too_much(
    rings: Rings,
    row: int,
    roster: Roster,
    before: ScopeRecord,
    control: ScopeRecord | None,
    line: float,
    window: str,
) -> bool:
    raw, of_success = RATIOS[roster.measure(row)]
    ratios = []
    for record, is_past in ((before, False), (control or before, control is None)):
        rows = [record.series.get(one, NONE) for one in (raw, of_success)]
        if NONE in rows:
            return False
        index = np.array(rows, dtype=np.int64)
        found = rings.moments[index] if is_past else rings.window(index, window)
        ratios.append(float(ratio_of(found[:1], found[1:])[0][0]))
    spent, usual = ratios
    return usual > 0 and spent / usual - 1 >= line
