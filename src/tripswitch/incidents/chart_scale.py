"""Where things go on a chart: round numbers on the axes, labels that do not cover each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

# Of a font's size; what common sans serif fonts need at most on average, DejaVu included.
_CHAR_WIDTH: Final = 0.62

_MINUTE_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)


def text_width(text: str, font_px: float) -> float:
    """Return about how wide a text is, px; wide scripts count twice."""
    cells = sum(2 if ord(char) >= 0x1100 else 1 for char in text)
    return cells * _CHAR_WIDTH * font_px


def cut(text: str, font_px: float, most_px: float) -> str:
    """Return ``text``, cut with an ellipsis where it would be wider than ``most_px``."""
    if text_width(text, font_px) <= most_px:
        return text
    kept = text
    while kept and text_width(kept + "…", font_px) > most_px:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def round_step(span: float, most: int) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that fits ``span`` at most ``most`` times.

    >>> round_step(0.3, 6), round_step(100, 5)
    (0.05, 20.0)
    """
    if span <= 0 or not math.isfinite(span):
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    # A hair of room, or a span of just five steps asks for the next wider one.
    return next(
        float(f"{step * power:.12g}")
        for step in (1, 2, 5, 10, 20)
        if span / (step * power) <= most + 1e-9
    )


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round values from the first at or above ``low`` to the last at or below ``high``."""
    step = round_step(high - low, most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def minute_ticks(first: float, last: float, most: int = 9) -> list[int]:
    """Return full minutes (from the epoch) to label on the time axis, at most about ``most``."""
    span = max(last - first, 1.0)
    step = next((step for step in _MINUTE_STEPS if span / step <= most), None)
    if step is None:
        step = 1440 * math.ceil(span / 1440 / most)
    return list(range(math.ceil(first / step) * step, math.floor(last) + 1, step))


def lanes(starts: Sequence[float], widths: Sequence[float], gap: float) -> list[int]:
    """Return a lane for each label, so that neither labels nor their lines cross a label.

    Labels start at ``starts`` (ascending) and extend to the right; the line of each goes down from
    its own lane. So a later label must be below every earlier one that reaches over its start.
    """
    chosen: list[int] = []
    for at, start in enumerate(starts):
        covering = [
            chosen[before] for before in range(at) if starts[before] + widths[before] + gap > start
        ]
        chosen.append(max(covering, default=-1) + 1)
    return chosen


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Return places as near to ``wanted`` (ascending) as possible that are ``apart`` px.

    All lie between ``low`` and ``high`` if there is room for them.
    """
    placed: list[float] = []
    for place in wanted:
        placed.append(max(place, low, placed[-1] + apart) if placed else max(place, low))
    limit = high
    for at in range(len(placed) - 1, -1, -1):
        placed[at] = min(placed[at], limit)
        limit = placed[at] - apart
    return placed
