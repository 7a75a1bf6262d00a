"""What ``tripswitch drill`` prints: the answer first, then how it went, who hears, what moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tripswitch.model.plain_text import plain_line

if TYPE_CHECKING:
    from rich.console import Console

_STEPS: Final = {
    "noticed": "noticed",
    "page": "somebody is paged",
    "rollback_proposed_or_called": "a rollback is planned",
    "rollback_called": "it is called",
    "traffic_back": "the traffic is back",
    "recovered": "recovered, proven in the spans",
}
_MOST_NEWS: Final = 6
_MOST_CHARS: Final = 2000


def show(found: dict[str, Any]) -> None:
    """Print a report of `drive.drill.finding`."""
    from rich.console import Console

    console = Console()
    scenario = found["scenario"]
    _say(console, "DRILL, on simulated time: " + scenario["sentence"])
    _say(console)
    if found["ok"]:
        _say(console, f"OK: it would go as {_asked(found)}", "bold green")
    else:
        _say(console, f"NO: it would not go as {_asked(found)}", "bold red")
        for problem in found["problems"]:
            _say(console, f"  - {problem}")
    _steps(console, found["minutes"])
    _incidents(console, found["incidents"])
    _told(console, found["notifications"])
    _rollbacks(console, found["rollbacks"])
    _quiet(console, found["quiet"])
    _say(console, "\nTaken for granted", "bold")
    for sentence in found["assumed"]:
        _say(console, f"  - {sentence}")
    if found["sent"]:
        _say(console, "\nTest messages, really sent", "bold")
        for one in found["sent"]:
            _say(console, f"  {one['notifier']}: {one['event']}: {one['state']} {one['detail']}")


def _asked(found: dict[str, Any]) -> str:
    words = {
        "noticed": "asked: it is noticed",
        "page": "asked: somebody is paged",
        "propose": "asked: somebody is paged, and a rollback is made or proposed",
        "auto": "asked: somebody is paged, and a rollback goes by itself",
    }
    expected = found["expected"]
    return f"{words[expected['what']]} ({expected['because']})"


def _steps(console: Console, minutes: dict[str, float | None]) -> None:
    _say(console, "\nMinutes after it went bad", "bold")
    for name, words in _STEPS.items():
        value = minutes[name]
        _say(console, f"  {'never' if value is None else f'{value:.1f}':>7}  {words}")
    _say(console, f"  {minutes['played']:>7.1f}  the drill ended")


def _incidents(console: Console, incidents: list[dict[str, Any]]) -> None:
    for incident in incidents:
        _say(console, f"\n{incident['shape']}, {incident['severity']}", "bold")
        _say(console, f"  {incident['why']}")


def _told(console: Console, notifications: list[dict[str, Any]]) -> None:
    _say(console, "\nWho would hear what", "bold")
    if not notifications:
        _say(console, "  nobody: notify is empty")
    for one in notifications:
        roles = ", ".join(one["roles"]) or "hears everything"
        _say(console, f"  {one['notifier']} ({one['type']}; {roles})")
        heard = one["heard"]
        if not heard:
            _say(console, "    nothing")
        for news in heard[:_MOST_NEWS]:
            veiled = ", without its details" if news["veiled"] else ""
            severity = f", {news['severity']}" if news["severity"] else ""
            _say(console, f"    {news['minute']:>6.1f}  {news['event']}{severity}{veiled}")
        if len(heard) > _MOST_NEWS:
            _say(console, f"            and {len(heard) - _MOST_NEWS} more")


def _rollbacks(console: Console, rollbacks: list[dict[str, Any]]) -> None:
    _say(console, "\nWhat would be rolled back", "bold")
    if not rollbacks:
        _say(console, "  nothing")
    for one in rollbacks:
        _say(
            console,
            f"  {one['minute']:>6.1f}  {one['path']}: {one['from']} to {one['to']} by "
            f"{one['target']}, {one['blast_radius']}, mode {one['mode']}, {one['state']}",
        )
        for reason in one["held_back_by"]:
            _say(console, f"          held back: {reason}")
        request = one["request"]
        heads = {"planned": "the literal request, sent to nobody"}
        _say(console, f"          {heads.get(request['state'], request['state'])}:")
        for line in request["text"].splitlines():
            _say(console, f"            {line}")


def _quiet(console: Console, quiet: list[dict[str, Any]]) -> None:
    if not quiet:
        return
    _say(console, "\nWhy nobody would be paged", "bold")
    for one in quiet:
        _say(console, f"  - {one['why']}")
        for missing in one["missing"]:
            _say(console, f"      a page waits for {missing}")
        for remedy in one["remedies"]:
            _say(console, f"      would help: {remedy}")


def _say(console: Console, text: str = "", style: str = "") -> None:
    """Print a line; a line break may stand before it, nothing else may steer the terminal."""
    from rich.text import Text

    if text.startswith("\n"):
        console.print()
        text = text[1:]
    indent = text[: len(text) - len(text.lstrip(" "))]
    console.print(Text(indent + plain_line(text, _MOST_CHARS), style=style), soft_wrap=True)
