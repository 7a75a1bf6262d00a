"""Templates: Jinja2 with escaping always on, and every text made a harmless line before that.

What comes from spans is an attacker's to choose. `finalize` passes each value that a template
writes through `plain_line`, which takes out what turns the writing direction, hides or drives, and
bounds the length; autoescape then makes it inert in HTML. A template cannot forget either.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from tripswitch.model.clocktext import NS_PER_S, minutes_text, ns_of
from tripswitch.model.plain_text import plain_line
from tripswitch.web import words
from tripswitch.web.figures import chart, sparkline, value_text

FOLDER: Final = Path(__file__).parent / "templates"
STATIC: Final = Path(__file__).parent / "static"

_MOST_CHARS: Final = 2000
_TRACE_ID: Final = re.compile(r"[0-9a-f]{8,64}")
_WEB: Final = re.compile(r"https?://[^\s\"'<>\\]+")
_MOST_LINK_CHARS: Final = 2000
_MOST_LINES: Final = 200


def environment() -> jinja2.Environment:
    """Return the environment of every page."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters |= {
        "clock": clock,
        "day": day,
        "ago": ago,
        "text": _line,
        "path": lambda value: quote(str(value), safe=""),
        "percent": lambda value: "-" if value is None else f"{100 * value:.0f} %",
        "number": lambda value: "-" if value is None else f"{value:,.0f}",
        "seconds": lambda value: "-" if value is None else _seconds(value),
        "web_link": web_link,
        "lines": lines,
        "log10": lambda value: math.log10(min(max(value, 1e-4), 1e12)),
        "minutes": _minutes,
    }
    env.globals |= {
        "sparkline": sparkline,
        "chart": chart,
        "value_text": value_text,
        "term": words.term,
        "signal_name": words.signal_name,
        "words": words,
    }
    return env


def trace_url(template: str, trace_id: str) -> str:
    """Return the address of a trace in the user's own back end; empty where there is none."""
    if not template or not _TRACE_ID.fullmatch(trace_id):
        return ""
    return web_link(template.replace("{trace_id}", trace_id))


def web_link(text: str) -> str:
    """Return ``text`` where it is an http or https address to link to, else empty."""
    return text if len(text) <= _MOST_LINK_CHARS and _WEB.fullmatch(text) else ""


def lines(text: str) -> Markup:
    """Return a text of several lines, each of them harmless, to stand in a text area."""
    kept = [escape(plain_line(line, _MOST_CHARS)) for line in text.splitlines()[:_MOST_LINES]]
    return Markup("\n").join(kept)


def clock(text: str | None) -> str:
    """Return the time of day of an RFC 3339 time.

    >>> clock("2026-11-24T01:16:41.647Z")
    '01:16:41'
    """
    return "-" if not text else text[11:19]


def day(text: str | None) -> str:
    """Return date and time of an RFC 3339 time, without milliseconds.

    >>> day("2026-11-24T01:16:41.647Z")
    '2026-11-24 01:16:41'
    """
    return "-" if not text else f"{text[:10]} {text[11:19]}"


def ago(text: str | None, now: str | None) -> str:
    """Return how long before ``now`` a time was, in words; empty where either is unknown.

    >>> ago("2026-11-24T01:16:00.000Z", "2026-11-24T01:26:00.000Z")
    '10 min ago'
    """
    if not text or not now:
        return ""
    try:
        passed_ns = ns_of(now) - ns_of(text)
    except ValueError:
        return ""
    if passed_ns < NS_PER_S:
        return "just now"
    days = passed_ns // (86_400 * NS_PER_S)
    return f"{days} days ago" if days >= 2 else f"{minutes_text(passed_ns)} ago"


def _harmless(value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _line(value, _MOST_CHARS)


def _line(value: object, most: int = 120) -> str:
    text = str(value)
    # Most texts are names of a few letters, and there are hundreds on a page.
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    return plain_line(text, most)


def _minutes(value: float | None) -> str:
    if value is None:
        return "never at this traffic"
    if value < 120:
        return f"{max(1, round(value))} min"
    return f"{value / 60:.2g} h" if value < 48 * 60 else f"{value / 1440:.2g} days"


def _seconds(value: float) -> str:
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s"
