"""One frame of ``tripswitch top``: the head line, what is open, the routes side by side.

Every text that spans wrote is made plain before Rich sees it, and goes in as text, not as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from tripswitch.model.plain_text import plain_line

if TYPE_CHECKING:
    from rich.console import RenderableType

_STATUS: Final = {
    "fine": ("FINE", "bold green"),
    "watch": ("LOOK", "bold yellow"),
    "bad": ("BAD", "bold red"),
    "unknown": ("UNKNOWN", "bold magenta"),
}
_TILES: Final = ("Received", "Judging lag", "Not judged", "Spool", "Dead letters")
_VERDICTS: Final = {
    "page": ("PAGE", "bold red"),
    "investigate": ("look", "yellow"),
    "healthy": ("fine", "green"),
    "insufficient": ("waits", "dim"),
    "telemetry_lost": ("lost", "magenta"),
}
_MOST_INCIDENTS: Final = 10
_MOST_NAME: Final = 48
_MOST_WHY: Final = 400
_GONE_MINUTES: Final = 5
_SIGNAL_WIDTH: Final = 26
_ARM_WIDTH: Final = 30


def render(frame: dict[str, Any], width: int, *, trouble: str = "") -> RenderableType:
    """Return the frame for a terminal of ``width`` columns; ``trouble`` is why it is an old one."""
    parts: list[RenderableType] = [_head(frame), _forwarding(frame["forwarding"])]
    if trouble:
        parts.append(
            Text(f"NO ANSWER, this is what was seen last: {_plain(trouble, 200)}", "bold red")
        )
    if frame["kill_switch"]:
        parts.append(Text("the kill switch is on: nothing is rolled back", style="bold yellow"))
    parts.append(Text())
    parts.append(_incidents(frame["incidents"]))
    for route in frame["routes"]:
        parts += [Text(), _route(route, width)]
    more = frame["total_routes"] - len(frame["routes"])
    if more > 0:
        parts += [Text(), Text(f"and {more} more routes; --most shows more, --find WORDS some")]
    return Group(*parts)


def _head(frame: dict[str, Any]) -> Text:
    word, style = _STATUS.get(frame["status"], ("?", "bold"))
    when = (frame["now"] or "no time yet")[:19].replace("T", " ")
    return Text.assemble(
        ("tripswitch ", "bold"),
        (f" {word} ", f"{style} reverse"),
        f" {_plain(frame['sentence'], 200)}  ",
        (f"{when} UTC" if frame["now"] else when, "dim"),
    )


def _forwarding(forwarding: dict[str, Any]) -> Text:
    if not forwarding["known"]:
        why = _plain(forwarding["problem"] or "not known", 100)
        return Text(f"forwarding: no numbers ({why})", style="yellow")
    line = Text("forwarding: ", style="dim")
    tiles = {tile["name"]: tile for tile in forwarding["tiles"]}
    for number, name in enumerate(name for name in _TILES if name in tiles):
        tile = tiles[name]
        style = {"bad": "bold red", "look": "yellow"}.get(tile["kind"], "")
        line.append(", " if number else "", style="dim")
        line.append(f"{name.lower()} {_plain(tile['value'], 20)}", style=style)
    return line


def _incidents(incidents: list[dict[str, Any]]) -> RenderableType:
    """Return two lines an incident, the most urgent first: what and where, then why."""
    if not incidents:
        return Text("no open incident", style="green")
    text = Text()
    for one in sorted(incidents, key=_urgency)[:_MOST_INCIDENTS]:
        is_loud = one["severity"] == "page" and one["state"] == "open"
        security = " security" if one["security"] else ""
        taken = ", taken" if one["acknowledged"] else ""
        plan = one["rollback"]
        text.append(
            _plain(one["severity"]).upper() + security, style="bold red" if is_loud else "yellow"
        )
        text.append(f" {_plain(one['id'])} ", style="bold")
        text.append(f"{_plain(one['state'])}{taken}, since {_plain(one['onset'])[11:16]}")
        text.append(f", {_where(one['scope'])}")
        if plan is not None:
            text.append(
                f"; rollback {_plain(plan['from'])} to {_plain(plan['to'])}: "
                f"{_plain(plan['state'])}"
            )
        text.append(f"\n  {_plain(one['why'], _MOST_WHY)}\n", style="dim")
    if len(incidents) > _MOST_INCIDENTS:
        text.append(f"and {len(incidents) - _MOST_INCIDENTS} more open incidents\n")
    text.rstrip()
    return text


def _urgency(incident: dict[str, Any]) -> tuple[bool, bool, bool, str]:
    return (
        incident["state"] != "open",
        incident["severity"] != "page",
        incident["acknowledged"] is not None,
        incident["detected_at"],
    )


def _route(route: dict[str, Any], width: int) -> RenderableType:
    title = Text(_plain(route["title"]), style="bold")
    title.append(f"  {route['calls_15m']:,} calls in 15 min", style="dim")
    arms = route.get("arms")
    if arms is None:
        counts = ", ".join(
            f"{count} {_VERDICTS.get(name, (name, ''))[0]}"
            for name, count in route["findings"].items()
            if count
        )
        title.append(f"  {_plain(counts)}")
        return title
    shown = arms[: max(1, (width - _SIGNAL_WIDTH) // _ARM_WIDTH)]
    table = Table(title=title, title_justify="left", title_style="")
    table.add_column("signal", min_width=12, overflow="fold")
    for arm in shown:
        table.add_column(_arm_head(arm), overflow="fold")
    names = sorted({_signal_name(cell) for arm in shown for cell in arm["signals"]})
    for name in names:
        cells = [
            next((cell for cell in arm["signals"] if _signal_name(cell) == name), None)
            for arm in shown
        ]
        table.add_row(
            Text(name),
            *(_cell(cell, is_gone=_is_gone(arm)) for cell, arm in zip(cells, shown, strict=True)),
        )
    left = len(arms) - len(shown) + int(route["more_arms"])
    if left:
        table.caption = f"and {left} more versions or cohorts"
    return table


def _arm_head(arm: dict[str, Any]) -> Text:
    scope = arm["scope"]
    names = [scope["prompt_version"], scope["cohort"]]
    head = Text(" ".join(_plain(name) for name in names if name) or "all of it", style="bold")
    share = arm["share"]
    if share is not None:
        head.append(f" {100 * share:.0f} %", style="dim")
    return head


def _signal_name(cell: dict[str, Any]) -> str:
    rubric = f":{_plain(cell['rubric'])}" if cell["rubric"] else ""
    return _plain(cell["signal"]) + rubric


def _is_gone(arm: dict[str, Any]) -> bool:
    """Return whether nothing of an arm has come lately, so that its verdicts are of before."""
    return not any(arm["traffic"][-_GONE_MINUTES:])


def _cell(cell: dict[str, Any] | None, *, is_gone: bool) -> Text:
    """Return a signal of an arm: its value, its line, its verdict."""
    if cell is None:
        return Text("-", style="dim")
    word, style = _VERDICTS.get(cell["severity"] or cell["finding"], (cell["finding"], ""))
    if is_gone and cell["severity"] is None:
        word, style = "gone", "dim"
    elif cell["finding"] == "healthy" and cell["is_over"]:
        word, style = "over, not proven", "yellow"
    unit = cell["unit"]
    text = Text(_value(cell["value"], unit))
    if cell["line"] is not None:
        text.append(f" / {_value(cell['line'], unit)}", style="dim")
    text.append(f" {_plain(word)}", style=style)
    return text


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    match unit:
        case "score":
            return f"{100 * value:.1f}"
        case "share":
            return f"{100 * value:.3g} %"
        case "usd":
            return f"${value:.4g}"
        case _:
            return f"{value:,.0f}"


def _where(scope: dict[str, str | None]) -> str:
    return " ".join(_plain(value) for value in scope.values() if value) or "everything"


def _plain(text: object, most_chars: int = _MOST_NAME) -> str:
    return plain_line(text, most_chars)
