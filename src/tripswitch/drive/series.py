"""What a signal of a scope measured over time, in its own unit, as the pages draw it.

The rings hold badness and sums; people read scores, shares, tokens and dollars. A slot in which
nothing was measured is None, never zero.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import CALLS, SIGNALS, Kind, Rule, Signal
from tripswitch.windows.rings import HOURS, MINUTES, QUARTERS, Floats, Rings, Rows
from tripswitch.windows.scopes import ScopeRecord

Span = Literal["15m", "6h", "24h"]
Unit = Literal["score", "share", "tokens", "usd"]

SPANS: Final[dict[Span, tuple[int, int]]] = {
    "15m": (MINUTES, 1),
    "6h": (QUARTERS, 15),
    "24h": (HOURS, 60),
}
"""By span: how many slots it has, and how many minutes one of them takes."""


def unit_of(kind: Kind) -> Unit:
    """Return the unit in which people read a kind's values."""
    match kind:
        case Kind.EVAL:
            return "score"
        case Kind.TOKENS:
            return "tokens"
        case Kind.COST:
            return "usd"
        case _:
            return "share"


def points_of(
    rings: Rings, roster: Roster, rows: Rows, span: Span = "15m"
) -> list[list[float | None]]:
    """Return for each of the roster's ``rows`` its values over ``span``, oldest first."""
    slots = _slots(rings, span)
    ring = _ring(rings, span)
    kinds = roster.kind[rows]
    plain = ring[roster.series[rows]][:, slots]
    raw = ring[np.maximum(roster.raw[rows], 0)][:, slots]
    of_success = ring[np.maximum(roster.of_success[rows], 0)][:, slots]
    found = []
    for at, kind in enumerate(kinds.tolist()):
        signal = SIGNALS[Kind(kind)]
        if signal.rule is Rule.RATIO:
            totals, counts = raw[at, :, 1], of_success[at, :, 0]
        else:
            totals, counts = plain[at, :, 1], plain[at, :, 0]
        found.append(_values(totals, counts, signal))
    return found


def calls_of(rings: Rings, record: ScopeRecord | None, span: Span = "15m") -> list[float]:
    """Return the calls of a scope by slot of ``span``, oldest first; zeros for an unknown one."""
    slots = _slots(rings, span)
    row = None if record is None else record.series.get(CALLS)
    if row is None:
        return [0.0] * len(slots)
    return list(_ring(rings, span)[row, slots, 0].tolist())


def page_line(roster: Roster, row: int, usual: float) -> float | None:
    """Return the line that pages in the signal's own unit, None where there is none.

    ``usual`` is what the value is compared with, in that unit; not finite where it is unknown.
    """
    rule = SIGNALS[Kind(roster.kind[row])].rule
    line, multiple = float(roster.line_page[row]), float(roster.multiple[row])
    if rule in (Rule.LEAKS, Rule.SUCCESSES):
        return _finite(max(line, float(roster.usual_share[row])))
    match rule:
        case Rule.SCORE | Rule.FALL:
            return _finite(usual - line)
        case Rule.RATIO:
            return _finite(usual * (1 + line))
        case Rule.SLOW:
            return _finite(max(line, 2 * usual))
        case Rule.ERRORS:
            return _finite(max(usual + line, multiple * usual))
        case _:
            return _finite(usual + line)


def _values(totals: Floats, counts: Floats, signal: Signal) -> list[float | None]:
    flip = signal.rule is Rule.SCORE
    return [
        None if count <= 0 else round(1 - total / count if flip else total / count, 6)
        for total, count in zip(totals.tolist(), counts.tolist(), strict=True)
    ]


def _slots(rings: Rings, span: Span) -> Rows:
    count, minutes = SPANS[span]
    return np.asarray((rings.now_minute // minutes - np.arange(count - 1, -1, -1)) % count)


def _ring(rings: Rings, span: Span) -> Floats:
    return {"15m": rings.minute, "6h": rings.quarter, "24h": rings.hour}[span]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
