"""Figures of the reference, `detection.md` sections 4, 8 and 9, as they stand there.

Medians in minutes by (judged values a minute, change); its page tables were measured without
`sure`, except section 4, which says what `sure` costs.
"""

from __future__ import annotations

from typing import Final

Medians = dict[tuple[float, float], float]

HISTORY_PAGE: Final[Medians] = {
    (3, 0.05): 812,
    (30, 0.05): 81,
    (300, 0.05): 23,
    (2880, 0.05): 23,
    (3, 0.09): 255,
    (30, 0.09): 27,
    (300, 0.09): 18,
    (2880, 0.09): 19,
    (3, 0.15): 104,
    (30, 0.15): 12,
    (300, 0.15): 10,
    (2880, 0.15): 10,
}
HISTORY_LOOK: Final[Medians] = {
    (3, 0.02): 2450,
    (30, 0.02): 207,
    (300, 0.02): 26,
    (3, 0.03): 1070,
    (30, 0.03): 95,
    (300, 0.03): 20,
}
START_PAGE: Final[Medians] = {
    (3, 0.05): 449,
    (3, 0.09): 137,
    (30, 0.05): 100,
    (30, 0.055): 67,
    (30, 0.06): 59,
    (30, 0.07): 49,
    (30, 0.09): 16,
    (30, 0.15): 18,
}
"""Section 9 with a start budget; of section 4 what it has with `sure` and 9 has not."""

CANARY_PAGE: Final[Medians] = {
    (3, 0.05): 395,
    (3, 0.09): 129,
    (3, 0.15): 55,
    (13, 0.05): 76,
    (13, 0.09): 27,
    (13, 0.15): 13,
    (12, 0.05): 91,
    (12, 0.09): 34,
    (12, 0.15): 15,
}
"""At 12 a minute the control has 99 times as much, as one percent of 200 a second has."""

CANARY_REFUSAL: Final[Medians] = {
    (3, 0.05): 145,
    (3, 0.18): 22,
    (13, 0.05): 31,
    (13, 0.18): 8,
    (12, 0.05): 36,
    (12, 0.18): 9,
}

OTHERS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "refusal": {"4 -> 9 %": (34, 70), "4 -> 14 %": (12, 20), "4 -> 22 %": (7, 8)},
    "error": {"1 -> 3 %": (96, 162), "1 -> 6 %": (19, 28), "1 -> 20 %": (6, 7)},
    "slow": {"p99 x 2": (98, 0), "p99 x 3": (10, 0), "p99 x 5": (5, 0)},
    "tokens": {"x 1.3": (67, 136), "x 1.5": (39, 113), "x 2": (19, 22), "x 3": (17, 19)},
}
"""Median and p95, 0 where it is not told."""

LOOKS: Final = {("refusal", "4 -> 9 %"), ("tokens", "x 1.3")}
"""Where the reference's figure is that of a look: by itself five points of refusals do not page."""
