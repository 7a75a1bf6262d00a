"""The chart: right numbers in the right place, labels apart, harmless, the same bytes again."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.incidents.cases import MINUTE_NS, NOW_MINUTE, case, points, signal
from tests.store.samples import NOW_NS, SCOPE
from tripswitch.incidents.case import Case
from tripswitch.incidents.chart import chart_of
from tripswitch.incidents.chart_png import png_of
from tripswitch.incidents.chart_scale import (
    cut,
    lanes,
    minute_ticks,
    round_ticks,
    spread,
    text_width,
)
from tripswitch.incidents.chart_svg import WIDTH, draw
from tripswitch.model.drift import DriftSeries
from tripswitch.model.scope import Scope

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\x1b[31m\u202e&\"'\n# x" + "y" * 2000


def drawn(of: Case, name: str | None = None) -> ET.Element:
    chart = chart_of(of, name)
    assert chart is not None
    return ET.fromstring(draw(chart))


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def boxes(root: ET.Element) -> list[tuple[float, float, float, float, str]]:
    """Return where each text is: left, right, top, bottom."""
    found = []
    for element in root.iter(f"{SVG}text"):
        if "x" not in element.attrib:
            continue
        size = float(element.attrib["font-size"])
        width = text_width(element.text or "", size)
        x, y = float(element.attrib["x"]), float(element.attrib["y"])
        left = x - {"end": width, "middle": width / 2}.get(element.get("text-anchor", ""), 0)
        found.append((left, left + width, y - 0.8 * size, y + 0.2 * size, element.text or ""))
    return found


def overlaps(root: ET.Element) -> list[tuple[str, str]]:
    places = boxes(root)
    return [
        (one[4], other[4])
        for at, one in enumerate(places)
        for other in places[at + 1 :]
        if one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
    ]


def test_shows_series_lines_and_marks_with_their_times() -> None:
    root = drawn(case())
    said = texts(root)
    assert said[0] == "faithfulness on /chat/refund refund-bot v18 cohort canary"
    assert "usual 0.900" in said
    assert "investigate 0.880" in said
    assert "page 0.850" in said
    assert "01:54:41 onset" in said or any(text.endswith(" onset") for text in said)
    marks = [text.partition(" ")[2] for text in said if re.match(r"\d\d:\d\d:\d\d ", text)]
    assert marks == ["v18 seen", "onset", "page", "rollback", "back on v17", "recovered"]
    kinds = [line.attrib["class"] for line in root.iter(f"{SVG}polyline")]
    assert sorted(kinds) == ["ts-arm", "ts-population", "ts-reference"]
    assert len(list(root.iter(f"{SVG}polygon"))) == 2


def test_has_a_name_and_words_for_who_cannot_see_it() -> None:
    root = drawn(case())
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert title is not None
    assert desc is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert "Line page 0.850." in (desc.text or "")
    assert "recovered: 2026-11-24" in (desc.text or "")


def test_same_case_same_bytes() -> None:
    first, second = chart_of(case()), chart_of(case())
    assert first is not None
    assert second is not None
    assert draw(first) == draw(second)


def test_values_are_in_the_signals_unit() -> None:
    tokens = signal("tokens_per_success", unit="tokens", usual=400.0, good=400.0, bad=640.0)
    said = texts(drawn(case(tokens, signal="tokens_per_success", rubric=None)))
    assert "tokens by successful request" in said
    assert "usual 400" in said
    refusals = texts(drawn(case(), "refusal_rate"))
    assert "page 9.0 %" in refusals
    assert "share, %" in refusals


@pytest.mark.parametrize("bad_minutes", [1, 2, 5, 40, 200])
@pytest.mark.parametrize("after", [1, 16, 120])
def test_labels_do_not_cover_each_other(bad_minutes: int, after: int) -> None:
    one = signal(bad_minutes=bad_minutes, after=after)
    back_ns = NOW_NS + (bad_minutes + after) * MINUTE_NS
    root = drawn(case(one, recovered_at_ns=back_ns, resolved_at_ns=back_ns + 10**9))
    assert overlaps(root) == []
    assert all(right <= WIDTH for _, right, _, _, _ in boxes(root))


def test_lines_close_together_keep_their_labels_apart() -> None:
    close = replace(signal(), investigate=0.899, page=0.898)
    assert overlaps(drawn(case(close))) == []


def test_a_hole_in_the_data_is_shown_as_one() -> None:
    whole, holed = signal(), signal()
    late = points(NOW_MINUTE + 30, [0.9, 0.9])
    population = replace(holed.series[1], points=holed.series[1].points + late)
    holed = replace(holed, series=(holed.series[0], population, holed.series[2]))
    ended = NOW_NS + 40 * MINUTE_NS

    def lines(of: Case) -> int:
        found = drawn(of).iter(f"{SVG}polyline")
        return sum(1 for line in found if line.attrib["class"] == "ts-population")

    assert lines(case(whole, recovered_at_ns=ended)) == 1
    assert lines(case(holed, recovered_at_ns=ended)) == 2


def test_one_minute_is_a_dot() -> None:
    single = replace(signal(), series=(DriftSeries("arm", SCOPE, points(NOW_MINUTE, [0.8])),))
    root = drawn(case(single))
    assert len(list(root.iter(f"{SVG}circle"))) == 1


def test_without_a_series_there_is_no_chart() -> None:
    assert chart_of(case(), "no_such_signal") is None
    assert chart_of(case(replace(signal(), series=()))) is None


def test_names_cannot_break_out() -> None:
    scope = Scope(*[HOSTILE] * 6)
    one = signal(f"eval_score:{HOSTILE}", scope=scope)
    of = case(one, scope=scope, rubric=HOSTILE, signals=(f"eval_score:{HOSTILE}",))
    root = drawn(of)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "desc", "style", "rect", "text", "line", "polyline", "polygon", "circle")
    }
    assert len(draw(chart_of(of) or pytest.fail("no chart"))) < 40_000
    assert overlaps(root) == []


@given(st.lists(st.floats(0, 1000), max_size=12), st.lists(st.floats(1, 200), min_size=12))
def test_no_line_of_a_mark_crosses_a_label(starts: list[float], widths: list[float]) -> None:
    ordered = sorted(starts)
    chosen = lanes(ordered, widths[: len(ordered)], 6)
    for at, start in enumerate(ordered):
        for before in range(at):
            if ordered[before] + widths[before] > start:
                assert chosen[at] > chosen[before]


@given(st.lists(st.floats(0, 300), min_size=1, max_size=4))
def test_labels_spread_to_be_apart(wanted: list[float]) -> None:
    placed = spread(sorted(wanted), 15, 0, 300)
    assert all(later - before >= 15 - 1e-9 for before, later in pairwise(placed))
    assert min(placed) >= -1e-9
    assert max(placed) <= 300


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    ticks = round_ticks(low, low + span)
    assert 1 <= len(ticks) <= 7
    assert all(low - span * 1e-6 <= tick <= low + span * (1 + 1e-6) for tick in ticks)


@given(st.integers(0, 10**8), st.integers(0, 10**6))
def test_minutes_to_label_are_few(first: int, span: int) -> None:
    ticks = minute_ticks(first, first + span)
    assert len(ticks) <= 10
    assert all(first <= tick <= first + span for tick in ticks)


def test_a_name_that_is_cut_fits() -> None:
    assert cut("short", 12, 100) == "short"
    assert text_width(cut("退款" * 100, 12, 100), 12) <= 100


def test_becomes_a_png_with_something_on_it() -> None:
    chart = chart_of(case())
    assert chart is not None
    png = png_of(draw(chart))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(png[16:20], "big") == 2 * WIDTH
    assert len(png) > 10_000
