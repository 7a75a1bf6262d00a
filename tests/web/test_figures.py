"""Small drawings: they show what was measured, break where nothing was, and carry no markup."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.web.figures import Course, chart, sparkline

POINTS = st.lists(st.none() | st.floats(0, 1e9), min_size=1, max_size=24)


@given(POINTS, st.none() | st.floats(0, 1e9), st.none() | st.floats(0, 1e9))
def test_a_sparkline_stays_inside_its_box(
    points: list[float | None], line: float | None, usual: float | None
) -> None:
    drawn = str(sparkline(points, line, usual))
    assert drawn.count("<svg") == drawn.count("</svg>") == 1
    assert "nan" not in drawn
    for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", drawn):
        assert 0 <= float(x) <= 108
        assert 0 <= float(y) <= 26


def test_a_hole_in_the_data_is_a_hole_in_the_line() -> None:
    drawn = str(sparkline([1.0, 2.0, None, 2.0, 3.0], None, None))
    assert drawn.count("<polyline") == 2
    assert "<polyline" not in str(sparkline([None, 1.0, None], None, None))
    assert "circle" not in str(sparkline([None], 1.0, 1.0))


def test_names_are_text_and_arms_differ_by_more_than_colour() -> None:
    courses = [Course(f"<b>v{number}</b>", [0.1 * number, 0.2]) for number in range(10)]
    drawn = str(chart(courses, unit="share", slot_minutes=1, label='"><script>', line=0.5))
    assert "<b>" not in drawn
    assert "<script" not in drawn
    assert drawn.count("<polyline") == 8
    assert len(set(re.findall(r'stroke-dasharray="([^"]+)"', drawn))) == 7
    assert "page line" in drawn


@given(st.lists(POINTS, min_size=1, max_size=9), st.none() | st.floats(0, 1e9))
def test_a_chart_can_be_drawn_of_anything(
    courses: list[list[float | None]], line: float | None
) -> None:
    drawn = str(
        chart(
            [Course(str(number), points) for number, points in enumerate(courses)],
            unit="tokens",
            slot_minutes=15,
            label="all",
            line=line,
        )
    )
    assert "nan" not in drawn
    assert drawn.startswith(("<svg", "<p"))
