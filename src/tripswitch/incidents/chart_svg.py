"""Drawing a chart as SVG text: the same chart, the same bytes.

One file that stands alone: no script, no link, no font of its own, colours for light and dark
(`prefers-color-scheme`; what does not know that shows the light ones on their own ground). Every
text is escaped here and nowhere else. Nothing is told by colour alone: lines carry their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from tripswitch.incidents.chart import Chart, ChartPoint, ChartSeries
from tripswitch.incidents.chart_scale import (
    cut,
    lanes,
    minute_ticks,
    round_ticks,
    spread,
    text_width,
)
from tripswitch.incidents.values import UNIT_NAMES, clock_text, day_text, minute_ns, value_text

WIDTH: Final = 960

_LEFT, _RIGHT = 70, 150
_TITLE_PX, _TEXT_PX = 17, 12
_LANES_TOP = 62
_LANE_PX = 17
_PLOT_PX = 260
_GAP_MINUTES: Final = 3
"""A hole in the data wider than this is shown as one."""

_STYLE: Final = """
.ts-g{fill:#ffffff;stroke:#d0d7de}.ts-t,.ts-m{fill:#1f2328}.ts-s,.ts-x{fill:#57606a}
.ts-grid{stroke:#d8dee4;stroke-width:1}.ts-axis{stroke:#8c959f;stroke-width:1}
.ts-arm,.ts-population{stroke:#bc4c00;fill:none;stroke-linejoin:round}
.ts-arm{stroke-width:2.4}.ts-population{stroke-width:1.4;stroke-dasharray:5 3}
.ts-reference{stroke:#0969da;fill:none;stroke-width:1.8;stroke-linejoin:round}
.ts-b-arm{fill:#bc4c00;fill-opacity:.17}.ts-b-reference{fill:#0969da;fill-opacity:.14}
.ts-d-arm{fill:#bc4c00}.ts-d-population{fill:#bc4c00}.ts-d-reference{fill:#0969da}
.ts-l{stroke-width:1.4;fill:none}.ts-l-usual{stroke:#57606a;stroke-dasharray:2 3}
.ts-l-investigate{stroke:#9a6700;stroke-dasharray:7 4}
.ts-l-page{stroke:#cf222e;stroke-dasharray:7 4}
.ts-n-usual{fill:#57606a}.ts-n-investigate{fill:#7d4e00}.ts-n-page{fill:#a40e26}
.ts-k{stroke-width:1.5}.ts-k-change{stroke:#57606a}.ts-k-onset{stroke:#9a6700}
.ts-k-page{stroke:#cf222e}.ts-k-rollback{stroke:#8250df}.ts-k-good{stroke:#1a7f37}
@media (prefers-color-scheme:dark){.ts-g{fill:#0d1117;stroke:#30363d}.ts-t,.ts-m{fill:#e6edf3}
.ts-s,.ts-x{fill:#9198a1}.ts-grid{stroke:#262c36}.ts-axis{stroke:#656c76}
.ts-arm,.ts-population{stroke:#f0883e}.ts-reference{stroke:#58a6ff}
.ts-b-arm{fill:#f0883e;fill-opacity:.22}.ts-b-reference{fill:#58a6ff;fill-opacity:.2}
.ts-d-arm,.ts-d-population{fill:#f0883e}.ts-d-reference{fill:#58a6ff}
.ts-l-usual{stroke:#9198a1}.ts-l-investigate{stroke:#d29922}.ts-l-page{stroke:#f85149}
.ts-n-usual{fill:#9198a1}.ts-n-investigate{fill:#d29922}.ts-n-page{fill:#ff7b72}
.ts-k-change{stroke:#9198a1}.ts-k-onset{stroke:#d29922}.ts-k-page{stroke:#f85149}
.ts-k-rollback{stroke:#a371f7}.ts-k-good{stroke:#3fb950}}
""".strip().replace("\n", "")


class _Plane:
    """From minutes and values to px."""

    def __init__(self, chart: Chart, top: float) -> None:
        minutes = [
            minute
            for one in chart.series
            for point in one.points
            for minute in (point.minute - point.minutes / 2, point.minute + point.minutes / 2)
        ] + [mark.minute for mark in chart.marks]
        self.first, self.last = min(minutes), max(max(minutes), min(minutes) + 1)
        self.top, self.bottom = top, top + _PLOT_PX
        self.low, self.high = _value_range(chart)

    def x(self, minute: float) -> float:
        """Return the place of a time, px."""
        share = (minute - self.first) / (self.last - self.first)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return the place of a value, px; what lies outside is put on the edge."""
        inside = min(max(value, self.low), self.high)
        return self.bottom - (inside - self.low) / (self.high - self.low) * _PLOT_PX


def draw(chart: Chart, *, name: str = "drift") -> str:
    """Return the chart as one SVG element. ``name`` makes its ids unique on a page of several."""
    marks = chart.marks
    texts = [f"{clock_text(minute_ns(mark.minute))} {mark.name}" for mark in marks]
    texts = [cut(text, _TEXT_PX, _RIGHT + 60) for text in texts]
    # Lanes depend on where marks are, and the plot's top on how many lanes there are.
    flat = _Plane(chart, 0)
    starts = [flat.x(mark.minute) for mark in marks]
    chosen = lanes(starts, [text_width(text, _TEXT_PX) + 4 for text in texts], 6)
    top = _LANES_TOP + _LANE_PX * (max(chosen, default=-1) + 1) + 8
    plane = _Plane(chart, top)
    height = round(plane.bottom + 66)
    ids = (f"{name}-title", f"{name}-text")
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" '
            f'aria-labelledby="{escape(ids[0])} {escape(ids[1])}" '
            'font-family="Segoe UI, Helvetica, Arial, DejaVu Sans, sans-serif">'
        ),
        f'<title id="{escape(ids[0])}">{escape(chart.title)}</title>',
        f'<desc id="{escape(ids[1])}">{escape(chart.description)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="ts-g" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        _text(20, 28, cut(chart.title, _TITLE_PX, WIDTH - 40), "ts-t", _TITLE_PX, weight=600),
        _text(20, 48, cut(chart.subtitle, _TEXT_PX, WIDTH - 40), "ts-s"),
    ]
    out += _grid(plane, chart)
    out += _bands(plane, chart.series)
    out += _lines(plane, chart)
    out += [_polylines(plane, one) for one in _back_to_front(chart.series)]
    for mark, text, lane in zip(marks, texts, chosen, strict=True):
        x, y = plane.x(mark.minute), _LANES_TOP + _LANE_PX * lane
        out.append(_segment(x, y, x, plane.bottom, f"ts-k ts-k-{mark.kind}"))
        out.append(_text(x + 4, y + 11, text, "ts-m"))
    out += _legend(plane, chart.series)
    out.append("</svg>\n")
    return "\n".join(out)


def _value_range(chart: Chart) -> tuple[float, float]:
    """Return the lowest and highest value to show, with some room around."""
    values = [line.value for line in chart.lines]
    for one in chart.series:
        for point in one.points:
            values.append(point.value)
            # A band of few values is wide and says little; it may be cut off.
            if one.role != "population" and point.n >= 10:
                values += [point.low, point.high]
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 0.1
    low = max(0.0, low - room) if low >= 0 else low - room
    high += room
    return (low, min(1.0, high)) if chart.unit in ("score", "share") and low < 1 else (low, high)


def _grid(plane: _Plane, chart: Chart) -> list[str]:
    right = WIDTH - _RIGHT
    out = []
    for tick in round_ticks(plane.low, plane.high):
        y = plane.y(tick)
        out.append(_segment(_LEFT, y, right, y, "ts-grid"))
        label = _tick_text(tick, plane, chart)
        out.append(_text(_LEFT - 8, y + 4, label, "ts-x", anchor="end"))
    out.append(_segment(_LEFT, plane.bottom, right, plane.bottom, "ts-axis"))
    for minute in minute_ticks(plane.first, plane.last):
        x = plane.x(minute)
        out.append(_segment(x, plane.bottom, x, plane.bottom + 4, "ts-axis"))
        label = clock_text(minute_ns(minute), seconds=False)
        out.append(_text(x, plane.bottom + 18, label, "ts-x", anchor="middle"))
    first, last = day_text(minute_ns(plane.first)), day_text(minute_ns(plane.last))
    days = first if first == last else f"{first} to {last}"
    out.append(_text(right, plane.bottom + 36, f"UTC, {days}", "ts-x", anchor="end"))
    unit = UNIT_NAMES[chart.unit]
    out.append(
        f'<text class="ts-x" font-size="{_TEXT_PX}" text-anchor="middle" '
        f'transform="translate(16 {_px((plane.top + plane.bottom) / 2)}) rotate(-90)">'
        f"{escape(unit)}</text>"
    )
    return out


def _tick_text(tick: float, plane: _Plane, chart: Chart) -> str:
    if chart.unit == "score":
        return f"{tick:.3f}" if plane.high - plane.low < 0.04 else f"{tick:.2f}"
    if chart.unit == "share":
        return f"{float(f'{100 * tick:.6g}'):g} %"
    return value_text(tick, chart.unit)


def _bands(plane: _Plane, series: Iterable[ChartSeries]) -> list[str]:
    out = []
    for one in series:
        if one.role == "population":
            continue
        for stretch in _stretches(one.points):
            if len(stretch) < 2:
                continue
            above = [(plane.x(point.minute), plane.y(point.high)) for point in stretch]
            below = [(plane.x(point.minute), plane.y(point.low)) for point in reversed(stretch)]
            out.append(f'<polygon class="ts-b-{one.role}" points="{_path([*above, *below])}"/>')
    return out


def _lines(plane: _Plane, chart: Chart) -> list[str]:
    ordered = sorted(chart.lines, key=lambda line: (plane.y(line.value), line.kind))
    wanted = [plane.y(line.value) for line in ordered]
    places = spread(wanted, _TEXT_PX + 3, plane.top, plane.bottom)
    out = []
    right = WIDTH - _RIGHT
    for line, y, place in zip(ordered, wanted, places, strict=True):
        out.append(_segment(_LEFT, y, right, y, f"ts-l ts-l-{line.kind}"))
        out.append(_segment(right, y, right + 10, place, f"ts-l ts-l-{line.kind}"))
        label = cut(line.name, _TEXT_PX, _RIGHT - 20)
        out.append(_text(right + 13, place + 4, label, f"ts-n-{line.kind}"))
    return out


def _polylines(plane: _Plane, one: ChartSeries) -> str:
    drawn = []
    for stretch in _stretches(one.points):
        places = [(plane.x(point.minute), plane.y(point.value)) for point in stretch]
        if len(places) == 1:
            x, y = places[0]
            drawn.append(f'<circle class="ts-d-{one.role}" cx="{_px(x)}" cy="{_px(y)}" r="3"/>')
        else:
            drawn.append(f'<polyline class="ts-{one.role}" points="{_path(places)}"/>')
    return "\n".join(drawn)


def _stretches(points: Sequence[ChartPoint]) -> list[list[ChartPoint]]:
    """Return the points without a hole between them, together."""
    found: list[list[ChartPoint]] = []
    for point in points:
        before = found[-1][-1] if found else None
        reach = 0.0 if before is None else (before.minutes + point.minutes) / 2 + _GAP_MINUTES
        if before is None or point.minute - before.minute > reach:
            found.append([point])
        else:
            found[-1].append(point)
    return found


def _back_to_front(series: Iterable[ChartSeries]) -> list[ChartSeries]:
    order = ("population", "reference", "arm")
    return sorted(series, key=lambda one: order.index(one.role))


def _legend(plane: _Plane, series: Sequence[ChartSeries]) -> list[str]:
    out = []
    x, y = float(_LEFT), plane.bottom + 54
    room = WIDTH - _LEFT - 20 - 44 * len(series)
    widths = [text_width(one.name, _TEXT_PX) for one in series]
    most = room if sum(widths) <= room else room / max(len(series), 1)
    for one in series:
        if one.role != "population":
            out.append(
                f'<rect class="ts-b-{one.role}" x="{_px(x)}" y="{_px(y - 9)}" width="26" '
                'height="10"/>'
            )
        out.append(_segment(x, y - 4, x + 26, y - 4, f"ts-{one.role}"))
        name = cut(one.name, _TEXT_PX, most)
        out.append(_text(x + 32, y, name, "ts-x"))
        x += 44 + text_width(name, _TEXT_PX)
    return out


def _text(
    x: float,
    y: float,
    text: str,
    kind: str,
    size: int = _TEXT_PX,
    *,
    anchor: str = "start",
    weight: int = 400,
) -> str:
    more = "" if anchor == "start" else f' text-anchor="{anchor}"'
    more += "" if weight == 400 else f' font-weight="{weight}"'
    place = f'x="{_px(x)}" y="{_px(y)}" font-size="{size}"'
    return f'<text class="{kind}" {place}{more}>{escape(text)}</text>'


def _segment(x: float, y: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{_px(x)}" y1="{_px(y)}" x2="{_px(x2)}" y2="{_px(y2)}"/>'


def _path(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{_px(x)},{_px(y)}" for x, y in places)


def _px(value: float) -> str:
    """Return a coordinate to a tenth of a px, so that equal charts are equal bytes."""
    return f"{value:.1f}".removesuffix(".0")
