"""Values of signals as people read them: in the signal's own unit, never with false precision."""

from __future__ import annotations

import math

from tripswitch.model.clocktext import NS_PER_MINUTE, rfc3339
from tripswitch.model.drift import Unit

UNIT_NAMES: dict[Unit, str] = {
    "score": "score, 0 to 1",
    "share": "share, %",
    "tokens": "tokens by successful request",
    "usd": "US dollars by successful request",
    "calls_per_minute": "calls a minute",
}


def value_text(value: float, unit: Unit) -> str:
    """Return a value with its unit.

    >>> value_text(0.8123, "score"), value_text(0.224, "share"), value_text(1234.4, "tokens")
    ('0.812', '22.4 %', '1,234')
    """
    if not math.isfinite(value):
        return "unknown"
    match unit:
        case "score":
            return f"{value:.3f}"
        case "share":
            return f"{100 * value:.2g} %" if abs(value) < 0.01 else f"{100 * value:.1f} %"
        case "usd":
            return f"${value:.3g}" if abs(value) < 1 else f"${value:,.2f}"
        case _:
            return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def difference_text(value: float, usual: float, unit: Unit) -> str:
    """Return by how much ``value`` is off ``usual``, in words.

    >>> difference_text(0.81, 0.9, "score"), difference_text(300, 200, "tokens")
    ('down 9.0 points', 'up 50 %')
    """
    way = "up" if value >= usual else "down"
    if unit in ("score", "share"):
        return f"{way} {100 * abs(value - usual):.1f} points"
    if usual <= 0 or not math.isfinite(value / usual):
        return f"{way} from {value_text(usual, unit)} to {value_text(value, unit)}"
    return f"{way} {100 * abs(value / usual - 1):.0f} %"


def unit_of(signal: str) -> Unit:
    """Return the unit of a signal by its name, for incidents without a series."""
    match signal:
        case "eval_score":
            return "score"
        case "tokens_per_success":
            return "tokens"
        case "cost_per_success":
            return "usd"
        case "traffic_drop" | "telemetry_lost":
            return "calls_per_minute"
        case _:
            return "share"


def signal_text(name: str) -> str:
    """Return a signal's name, with its rubric or tool, in words.

    >>> signal_text("eval_score:faithfulness"), signal_text("p99_latency")
    ('faithfulness', 'slow requests')
    """
    signal, _, rubric = name.partition(":")
    match signal:
        case "eval_score" if rubric:
            return rubric
        case "p99_latency":
            return "slow requests"
        case "ttft_p99":
            return "slow first tokens"
        case "tool_latency":
            return f"slow runs of {rubric}"
        case "tool_errors":
            return f"errors of {rubric}"
        case _:
            return f"{rubric} {signal}".strip().replace("_", " ")


def clock_text(time_ns: int, *, seconds: bool = True) -> str:
    """Return the time of day in UTC.

    >>> clock_text(1_795_485_401_647_041_178)
    '01:16:41'
    """
    return rfc3339(time_ns)[11 : 19 if seconds else 16]


def day_text(time_ns: int) -> str:
    """Return the date in UTC.

    >>> day_text(1_795_485_401_647_041_178)
    '2026-11-24'
    """
    return rfc3339(time_ns)[:10]


def moment_text(time_ns: int) -> str:
    """Return date and time in UTC.

    >>> moment_text(1_795_485_401_647_041_178)
    '2026-11-24 01:16:41 UTC'
    """
    return f"{day_text(time_ns)} {clock_text(time_ns)} UTC"


def lasted_text(duration_ns: int) -> str:
    """Return a duration with minutes and seconds, days where it is long.

    >>> lasted_text(190 * 10**9), lasted_text(65 * 60 * 10**9)
    ('3 min 10 s', '1 h 5 min')
    """
    seconds = max(0, round(duration_ns / 10**9))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((at for at, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count) or "0 s"


def minute_ns(minute: float) -> int:
    """Return the time of a minute counted from the epoch."""
    return int(minute * NS_PER_MINUTE)
