"""The charts of docs/how-it-decides.md: ``python -m tests.docs.pictures docs/images``.

One shows the reference story as the engine judges it, tick by tick; the other what the engine's
own estimate says of the minutes that a page takes. Both are plain SVG that is drawn here, with a
background of its own, so that it can be read in light and in dark.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tripswitch.config.model import Config
from tripswitch.detect.outlook import samples_for_mean, samples_for_rate
from tripswitch.drive.demo import story
from tripswitch.drive.demo.example import _played, example_config
from tripswitch.drive.session import Session
from tripswitch.model.messages import Event
from tripswitch.model.scope import Scope

Point = tuple[float, float]
Axis = Callable[[float], float]

WIDTH, LEFT, RIGHT = 900, 96, 24
STYLE = """\
    .panel { fill: #f6f8fa; stroke: #d0d7de; }
    .plot { fill: #ffffff; stroke: #d0d7de; }
    .grid { stroke: #d0d7de; stroke-width: 1; }
    .title { fill: #1f2328; font-size: 15px; font-weight: 600; }
    .note { fill: #57606a; font-size: 13px; }
    .line { stroke: #bc4c00; stroke-width: 1.5; stroke-dasharray: 6 4; fill: none; }
    .mark { stroke: #57606a; stroke-width: 1; stroke-dasharray: 2 3; }
    .one { stroke: #0969da; fill: none; stroke-width: 2.2; }
    .two { stroke: #1a7f37; fill: none; stroke-width: 2.2; stroke-dasharray: 9 4; }
    .three { stroke: #8250df; fill: none; stroke-width: 2.2; stroke-dasharray: 3 3; }
    .four { stroke: #bc4c00; fill: none; stroke-width: 2.2; stroke-dasharray: 12 3 3 3; }
    @media (prefers-color-scheme: dark) {
      .panel { fill: #161b22; stroke: #30363d; }
      .plot { fill: #0d1117; stroke: #30363d; }
      .grid { stroke: #30363d; }
      .title { fill: #f0f6fc; }
      .note { fill: #b1bac4; }
      .line { stroke: #f0883e; }
      .mark { stroke: #8b949e; }
      .one { stroke: #58a6ff; }
      .two { stroke: #3fb950; }
      .three { stroke: #bc8cff; }
      .four { stroke: #f0883e; }
    }
"""


class Tick(NamedTuple):
    """One tick of the canary's refusals: minutes since the release, shares, evidence."""

    minute: float
    canary: float
    control: float
    page: float
    look: float


@dataclass(frozen=True)
class Plot:
    """A rectangle with two axes."""

    x: Axis
    y: Axis
    top: float
    bottom: float

    def frame(self) -> str:
        width, height = WIDTH - LEFT - RIGHT, self.bottom - self.top
        return f'<rect class="plot" x="{LEFT}" y="{self.top}" width="{width}" height="{height}"/>'

    def curve(self, kind: str, points: Iterable[Point]) -> str:
        steps = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f'<polyline class="{kind}" points="{steps}"/>'

    def rows(self, values: Sequence[float], words: Callable[[float], str]) -> list[str]:
        return [
            part
            for value in values
            for part in (
                f'<path class="grid" d="M{LEFT} {self.y(value):.1f}H{WIDTH - RIGHT}"/>',
                text(LEFT - 8, self.y(value) + 4, words(value), anchor="end"),
            )
        ]

    def columns(self, values: Sequence[float], words: Callable[[float], str]) -> list[str]:
        return [
            part
            for value in values
            for part in (
                f'<path class="grid" d="M{self.x(value):.1f} {self.top}V{self.bottom}"/>',
                text(self.x(value), self.bottom + 18, words(value), anchor="middle"),
            )
        ]

    def line(self, value: float) -> str:
        return f'<path class="line" d="M{LEFT} {self.y(value):.1f}H{WIDTH - RIGHT}"/>'


def text(x: float, y: float, words: str, kind: str = "note", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def key(x: float, y: float, kind: str, words: str) -> list[str]:
    return [f'<path class="{kind}" d="M{x} {y}h34"/>', text(x + 42, y + 4, words)]


def linear(low: float, high: float, first: float, last: float) -> Axis:
    return lambda value: first + (value - low) / (high - low) * (last - first)


def logarithmic(low: float, high: float, first: float, last: float) -> Axis:
    axis = linear(math.log(low), math.log(high), first, last)
    return lambda value: axis(math.log(min(max(value, low), high)))


def drawing(title: str, about: str, height: int, parts: Iterable[str]) -> str:
    lines = "\n".join(f"  {part}" for part in parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="title desc" font-family="system-ui, '
        "-apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif\">\n"
        f'  <title id="title">{title}</title>\n  <desc id="desc">{about}</desc>\n'
        f"  <style>\n{STYLE}  </style>\n"
        f'  <rect class="panel" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>'
        f"\n{lines}\n</svg>\n"
    )


def ticks_and_events() -> tuple[list[Tick], dict[str, float]]:
    """Play the reference story; return each tick of v18's refusals and when what happened."""
    session = Session(example_config())
    ticks: list[Tick] = []
    happened: dict[str, float] = {}
    for commands in _played(session):
        for command in commands:
            if isinstance(command, Event):
                happened.setdefault(command.name.value, minute(command.time_ns))
        tick = _tick(session)
        if tick is not None and (not ticks or tick.minute > ticks[-1].minute):
            ticks.append(tick)
        if "rollback.confirmed" in happened:
            break
    return ticks, happened


def minute(time_ns: int) -> float:
    """Return story time in minutes since the release."""
    return (time_ns - story.START_NS) / 60e9 - story.ROLLOUT_S / 60


def _tick(session: Session) -> Tick | None:
    def is_canarys(scope: Scope) -> bool:
        return scope.prompt_version == story.NEW_VERSION and scope.cohort == story.CANARY

    for _, explained in session.engine.explain(is_canarys, 1).scopes:
        for one in explained:
            verdict = one.verdict
            if verdict.signal == "refusal_rate" and verdict.direction == "up":
                numbers = (verdict.value, verdict.usual, one.page_control, one.look_control)
                if all(number is not None and math.isfinite(number) for number in numbers):
                    return Tick(minute(session.engine.now_ns), *map(float, numbers))
    return None


def decision() -> str:
    """Return the chart of one page: the difference above its line, the evidence above its."""
    ticks, happened = ticks_and_events()
    lines = Config().detect.refusal_rate
    end = happened["rollback.confirmed"]
    x = linear(0, end, LEFT, WIDTH - RIGHT)
    upper = Plot(x, linear(0, 0.3, 230, 60), 60, 230)
    low, high = 1e-3, 1e5
    lower = Plot(x, logarithmic(low, high, 460, 290), 290, 460)
    parts = [
        text(LEFT, 44, "Point rule: how far v18 is from the control, refusals", "title"),
        upper.frame(),
        *upper.rows((0, 0.1, 0.2, 0.3), lambda value: f"{value:.0%}"),
        upper.curve("one", ((tick.minute, tick.canary) for tick in ticks)),
        upper.curve("two", ((tick.minute, tick.control) for tick in ticks)),
        upper.curve(
            "line", ((tick.minute, tick.control + lines.page_points / 100) for tick in ticks)
        ),
        *key(WIDTH - 300, 250, "one", "v18, canary"),
        *key(WIDTH - 160, 250, "two", "v17, control"),
        *key(LEFT, 250, "line", f"control and {lines.page_points:g} points: the page line"),
        text(LEFT, 280, "Evidence rule: acts at 1, whenever it is looked at", "title"),
        lower.frame(),
        *lower.rows((0.001, 0.1, 1, 10, 1000, 100_000), lambda value: f"{value:,g}"),
        *lower.columns(range(int(end) + 1), lambda value: f"{value} min" if value else "v18"),
        lower.curve("one", ((tick.minute, tick.page) for tick in ticks)),
        lower.curve("two", ((tick.minute, tick.look) for tick in ticks)),
        lower.line(1.0),
        *key(LEFT, 500, "one", "evidence for a page"),
        *key(LEFT + 220, 500, "two", "evidence for a look"),
    ]
    for name, words in (
        ("incident.opened", "look"),
        ("incident.escalated", "page, rollback"),
        ("rollback.confirmed", "traffic back"),
    ):
        at = x(happened[name])
        parts += [
            f'<path class="mark" d="M{at:.1f} 60V230M{at:.1f} 290V460"/>',
            text(at - 4, 74, words, anchor="end"),
        ]
    about = (
        "Two panels over the minutes since v18 went to the canary. Above, the share of refusals of "
        "v18 is soon more than ten points above that of the control. Below, the evidence for a "
        "look and for a page rises past 1. A look is taken after the first bad minute, a page with "
        "its rollback after the third."
    )
    return drawing("How one page comes about", about, 520, parts)


def minutes() -> str:
    """Return the chart of the minutes that a page takes at so many calls a minute."""
    detect = Config().detect
    nats = math.log(1 / detect.alpha_start)
    fewest = float(detect.bad_minutes.concurrent_control)
    # Scores as simulated in docs/detection.md; a control as large as what is compared with it.
    rate = partial(samples_for_rate, 0.04, nats=nats)
    curves = (
        ("one", "refusals from 4 to 22 %", rate(0.22)),
        ("two", "refusals from 4 to 14 %", rate(0.14)),
        ("three", "scores down 9 points", samples_for_mean(0.26**2, 0.09, nats)),
        ("four", "scores down 5 points", samples_for_mean(0.26**2, 0.05, nats)),
    )
    plot = Plot(
        logarithmic(0.3, 1200, LEFT, WIDTH - RIGHT), logarithmic(1, 10_000, 360, 60), 60, 360
    )
    clocks = {1: "1 min", 3: "3 min", 10: "10 min", 60: "1 h", 360: "6 h", 1440: "1 day"}
    parts = [
        text(LEFT, 40, "Minutes to a page, beside a control of the same size", "title"),
        plot.frame(),
        *plot.rows((1, 3, 10, 60, 360, 1440), lambda value: clocks[int(value)]),
        *plot.columns((1, 10, 100, 1000), lambda value: f"{value:,g}"),
    ]
    paces = [0.3 * 1.06**step for step in range(140) if 0.3 * 1.06**step <= 1200]
    for place, (kind, words, samples) in enumerate(curves):
        assert samples is not None
        parts.append(plot.curve(kind, [(pace, max(2 * samples / pace, fewest)) for pace in paces]))
        parts += key(WIDTH - 260, 90 + 24 * place, kind, words)
    parts.append(text(WIDTH - RIGHT, 405, "calls, or scores, a minute", anchor="end"))
    parts.append(text(LEFT, 405, "Never under three: as many bad minutes must there be."))
    about = (
        "Four falling curves on logarithmic axes. The more calls a minute and the larger the "
        "change, the sooner the page; none is under three minutes."
    )
    return drawing("What a page takes", about, 425, parts)


PICTURES: dict[str, Callable[[], str]] = {"decision.svg": decision, "minutes.svg": minutes}


if __name__ == "__main__":
    for name, drawn in PICTURES.items():
        (Path(sys.argv[1]) / name).write_text(drawn(), encoding="utf-8")
