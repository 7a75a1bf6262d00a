"""Small drawings as SVG inside a page: sparklines, and courses of several arms on a route.

Shapes carry classes and presentation attributes, never a style of their own, which the policy of
the pages would not allow. No text of a span gets in unescaped, and nothing is told by a drawing
alone: the numbers stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from tripswitch.model.plain_text import plain_line

Points = Sequence[float | None]

_WIDTH, _HEIGHT = 108, 26
_PAD = 3.0

_CHART_WIDTH: Final = 620
_CHART_HEIGHT: Final = 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 128, 10, 24
_MOST_COURSES: Final = 8
DASHES: Final = ("", "6 3", "2 3", "9 3 2 3", "1 4", "12 4", "4 2", "8 2 2 2")
"""How the arms of a chart are told apart besides their colour and their name."""


class Course(NamedTuple):
    """One line of a chart: its name, and a value or None for each slot of time."""

    name: str
    points: Points


def sparkline(points: Points, line: float | None, usual: float | None) -> Markup:
    """Return the last minutes as a small drawing; ``line`` is dashed, ``usual`` dotted."""
    known = [value for value in points if value is not None]
    if not known:
        return Markup('<svg class="spark" aria-hidden="true" viewBox="0 0 108 26"></svg>')
    low, high = _range([*known, *(one for one in (line, usual) if one is not None)])

    def y(value: float) -> float:
        return _HEIGHT - _PAD - (value - low) / (high - low) * (_HEIGHT - 2 * _PAD)

    step = (_WIDTH - 2 * _PAD) / max(len(points) - 1, 1)
    out = [f'<svg class="spark" aria-hidden="true" viewBox="0 0 {_WIDTH} {_HEIGHT}">']
    for value, kind in ((usual, "usual"), (line, "line")):
        if value is not None:
            at = _px(y(value))
            out.append(f'<line class="s-{kind}" x1="0" x2="{_WIDTH}" y1="{at}" y2="{at}"/>')
    for stretch in _stretches(points):
        places = [(_PAD + step * slot, y(value)) for slot, value in stretch]
        out.append(_line(places, "s-course"))
    slot, value = next(
        (slot, value) for slot, value in reversed(list(enumerate(points))) if value is not None
    )
    out.append(
        f'<circle class="s-last" cx="{_px(_PAD + step * slot)}" cy="{_px(y(value))}" r="2"/>'
    )
    out.append("</svg>")
    return Markup("".join(out))  # noqa: S704 - numbers and our own words only


def chart(
    courses: Sequence[Course],
    *,
    unit: str,
    slot_minutes: int,
    label: str,
    line: float | None = None,
) -> Markup:
    """Return a chart of several courses over the same slots, the last one being now.

    ``label`` says in words what is to be seen, for who cannot see it.
    """
    drawn = [one for one in courses if any(value is not None for value in one.points)]
    drawn = drawn[:_MOST_COURSES]
    known = [value for one in drawn for value in one.points if value is not None]
    if not known:
        return Markup('<p class="quiet">Nothing was measured in this span.</p>')
    low, high = _range([*known, *([line] if line is not None else [])], is_share=unit == "share")
    slots = max(len(one.points) for one in drawn)
    step = (_CHART_WIDTH - _LEFT - _RIGHT) / max(slots - 1, 1)
    height = _CHART_HEIGHT - _TOP - _BOTTOM

    def y(value: float) -> float:
        return _TOP + height - (value - low) / (high - low) * height

    right = _CHART_WIDTH - _RIGHT
    out = [
        (
            f'<svg class="chart" role="img" viewBox="0 0 {_CHART_WIDTH} {_CHART_HEIGHT}" '
            f'aria-label="{escape(plain_line(label, 400))}">'
        )
    ]
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        at = _px(y(value))
        out.append(f'<line class="c-grid" x1="{_LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
        out.append(_text(_LEFT - 8, y(value) + 4, value_text(value, unit), "c-axis", "end"))
    for slot in (0, (slots - 1) // 2, slots - 1):
        minutes = (slots - 1 - slot) * slot_minutes
        text = "now" if minutes == 0 else f"-{_span_text(minutes)}"
        out.append(_text(_LEFT + step * slot, _CHART_HEIGHT - 6, text, "c-axis", "middle"))
    if line is not None:
        at = _px(y(line))
        out.append(f'<line class="c-line" x1="{_LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
    ends = []
    for place, one in enumerate(drawn):
        dash = f' stroke-dasharray="{DASHES[place]}"' if DASHES[place] else ""
        for stretch in _stretches(one.points):
            places = [(_LEFT + step * slot, y(value)) for slot, value in stretch]
            out.append(_line(places, f"c-course c-{place}", dash))
        last = next(value for value in reversed(one.points) if value is not None)
        ends.append((y(last), place, one.name))
    if line is not None:
        ends.append((y(line), -1, "page line"))
    for at_y, place, name in _apart(sorted(ends), 14, _TOP + 4, _TOP + height + 4):
        kind = "c-name-line" if place < 0 else f"c-name c-{place}"
        out.append(_text(right + 8, at_y + 4, plain_line(name, 18), kind, "start"))
    out.append("</svg>")
    return Markup("".join(out))  # noqa: S704 - every text went through escape


def value_text(value: float | None, unit: str) -> str:
    """Return a value with its unit, at the precision that people read.

    >>> value_text(0.8123, "score"), value_text(0.0312, "share"), value_text(1234.4, "tokens")
    ('0.812', '3.1 %', '1,234')
    >>> value_text(None, "share"), value_text(0.00214, "usd")
    ('-', '$0.0021')
    """
    if value is None:
        return "-"
    match unit:
        case "score":
            return f"{value:.3f}"
        case "share":
            return f"{100 * value:.1f} %"
        case "usd":
            return f"${value:,.2f}" if abs(value) >= 1 else f"${value:.2g}"
        case _:
            return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3g}"


def _range(values: Sequence[float], *, is_share: bool = False) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.1 * abs(high) or 0.01
    return (max(0.0, low - room) if low >= 0 or is_share else low - room), high + room


def _stretches(points: Points) -> list[list[tuple[int, float]]]:
    found: list[list[tuple[int, float]]] = []
    before = -2
    for slot, value in enumerate(points):
        if value is None:
            continue
        if slot != before + 1:
            found.append([])
        found[-1].append((slot, value))
        before = slot
    return found


def _apart(
    ends: list[tuple[float, int, str]], apart: float, low: float, high: float
) -> list[tuple[float, int, str]]:
    """Return ends with their places moved so that names do not cover each other."""
    placed: list[float] = []
    for at, _, _ in ends:
        placed.append(max(at, low, placed[-1] + apart if placed else low))
    limit = high
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - apart
    return [(at, place, name) for at, (_, place, name) in zip(placed, ends, strict=True)]


def _line(places: Sequence[tuple[float, float]], kind: str, more: str = "") -> str:
    if len(places) == 1:
        (x, y) = places[0]
        return f'<circle class="{kind} dot" cx="{_px(x)}" cy="{_px(y)}" r="1.6"/>'
    path = " ".join(f"{_px(x)},{_px(y)}" for x, y in places)
    return f'<polyline class="{kind}" points="{path}"{more}/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    place = f'x="{_px(x)}" y="{_px(y)}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'


def _span_text(minutes: int) -> str:
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:g} h"


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
