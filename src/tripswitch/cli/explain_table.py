"""The tables of ``tripswitch explain``: one a route, the worst first; the sentences below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from tripswitch.cli.status import printable
from tripswitch.detect.explanation import minutes_phrase
from tripswitch.detect.signals import ABSOLUTE, SIGNALS, TELEMETRY_LOST, Rule

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: Final = {"page": "bold red", "investigate": "yellow", "healthy": "green"}
_COLUMNS: Final = (
    "scope",
    "signal",
    "verdict",
    "now",
    "usual",
    "samples",
    "line",
    "evidence",
    "takes",
)
_RULES: Final = {signal.name: signal.rule for signal in SIGNALS.values()}
_OF_WIDE: Final = ("samples", "line", "evidence")
_WIDE: Final = 120
_LONGEST_NAME: Final = len("tokens_per_success")
_FEW_SCOPES: Final = 6
"""Up to so many scopes, what each signal waits for is written out."""


def show(found: dict[str, Any], console: Console) -> None:
    """Print what ``/v1/explain`` says."""
    if not found["scopes"]:
        console.print(Text(_nothing(found)))
        return
    routes: dict[str, list[dict[str, Any]]] = {}
    for scope in found["scopes"]:
        routes.setdefault(scope["scope"]["route"] or "any route", []).append(scope)
    in_full = len(found["scopes"]) <= _FEW_SCOPES
    for route, scopes in routes.items():
        console.print(_table(route, scopes, console.width))
        for scope in scopes if in_full else ():
            for signal in scope["signals"]:
                for line in _lines(signal):
                    console.print(Text(printable(line)), soft_wrap=False)
    if found["left_out_scopes"]:
        left = f"{found['left_out_scopes']} of {found['matched_scopes']} scopes are left out"
        console.print(Text(f"{left}; name some, or raise --most"))


def _nothing(found: dict[str, Any]) -> str:
    if found["now"] is None:
        return "nothing was judged yet: no span has come, or the first tick is still to be"
    if found["matched_scopes"]:
        return "no signal of that name"
    if not found["routes"]:
        return "no scope is judged yet"
    routes = ", ".join(printable(route) for route in found["routes"][:10])
    return f"no such scope; the routes are {routes}"


def _table(route: str, scopes: list[dict[str, Any]], width: int) -> Table:
    names = [name for name in _COLUMNS if width >= _WIDE or name not in _OF_WIDE]
    table = Table(title=Text(printable(route)), title_justify="left", expand=False)
    for name in names:
        is_text = name in ("scope", "signal", "verdict")
        table.add_column(
            name,
            justify="left" if is_text else "right",
            overflow="fold",
            min_width=_LONGEST_NAME if name == "signal" else None,
        )
    for scope in scopes:
        label = scope["label"].removeprefix(scope["scope"]["route"] or "any route").strip()
        for number, signal in enumerate(scope["signals"]):
            cells = _cells(signal) | {"scope": label if number == 0 else ""}
            style = _STYLES.get(signal["severity"] or signal["finding"], "")
            table.add_row(
                *(
                    Text(printable(cells[name]), style=style if name == "verdict" else "")
                    for name in names
                )
            )
    return table


def _cells(signal: dict[str, Any]) -> dict[str, str]:
    arrow = {"up": "", "down": " (falling)"}[signal["direction"]]
    name = signal["signal"] + (f":{signal['rubric']}" if signal["rubric"] else arrow)
    against, sees = signal["against"], signal["sees"]
    evidence = signal["evidence"]
    weight = evidence["page_control" if against["comparison"] == "control" else "page_own"]
    return {
        "signal": name,
        "verdict": signal["severity"] or signal["finding"],
        "now": _value(signal, sees["value"]),
        "usual": _value(signal, against["value"]),
        "samples": f"{sees['samples']:,} / {against['samples']:,}",
        "line": _line(signal),
        "evidence": "-" if weight is None else f"{weight:.2g}",
        "takes": minutes_phrase(signal["outlook"]["minutes"]),
    }


def _value(signal: dict[str, Any], value: float | None) -> str:
    if value is None:
        return "-"
    rule = _RULES.get(signal["signal"])
    if rule is None:
        return f"{value:,.3g} /min"
    if rule is Rule.RATIO:
        dollar = "$" if signal["signal"] == "cost_per_success" else ""
        return f"{dollar}{value:,.4g}"
    if rule is Rule.SCORE:
        return f"{100 * value:.1f}"
    # A few in a thousand are many where it has to be rare.
    return f"{100 * value:.3g} %" if rule in ABSOLUTE else f"{100 * value:.1f} %"


def _line(signal: dict[str, Any]) -> str:
    line, rule = signal["line"]["page"], _RULES.get(signal["signal"])
    if line is None:
        return "-"
    if signal["signal"] == TELEMETRY_LOST:
        return f"{line:g} min"
    if rule is None:
        return f"-{100 * line:g} %"
    if rule is Rule.RATIO:
        return f"x {1 + line:g}"
    if rule is Rule.LEAKS:
        return f"{signal['line']['events']} leaks"
    return f"{100 * line:g}" + (" %" if rule in (Rule.SLOW, Rule.SUCCESSES) else " points")


def _lines(signal: dict[str, Any]) -> list[str]:
    """Return the sentence of a signal, and below it what it waits for and what would help."""
    lines = [f"• {signal['why']}"]
    if signal["missing"]:
        lines.append(f"    a page waits for {'; '.join(signal['missing'])}")
        minutes, rate = signal["outlook"]["minutes"], signal["sees"]["per_minute"] or 0.0
        takes = "is not found" if minutes is None else f"takes {minutes_phrase(minutes)}"
        lines.append(f"    a change at the line {takes} at {rate:.3g} samples a minute")
    lines += [f"    would help: {remedy['sentence']}" for remedy in signal["remedies"]]
    return lines
