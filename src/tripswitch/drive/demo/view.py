"""The demo while it runs: a live view on a terminal, plain lines everywhere else.

Everything goes to standard error; standard output is for the result. Names and sentences come
from spans, so they are shown as text that can steer neither the terminal nor Rich.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from tripswitch.drive.demo import story
from tripswitch.drive.demo.timeline import clock, said
from tripswitch.model.clocktext import NS_PER_S, rfc3339

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from tripswitch.drive.demo.timeline import Moment, Observed

_SHOWN_MOMENTS = 12
_SHOWN_SIGNALS = ("eval_score", "refusal_rate")
_REFRESHES_PER_S = 8

_STYLES = {
    "incident.opened": "bold red",
    "incident.escalated": "bold red",
    "incident.recovered": "bold green",
    "rollback.confirmed": "green",
    "rollback.failed": "bold red",
    "rollback.unknown": "yellow",
    story.NEW_VERSION: "bold",
}
_FINDING_STYLES = {"regressed": "bold red", "healthy": "green"}


def safe(text: object, style: str = "") -> Text:
    """Return ``text`` for Rich without markup and with ``?`` for what would steer a terminal."""
    plain = "".join(char if char.isprintable() else "?" for char in str(text))
    return Text(plain, style=style)


class LiveView:
    """A progress bar, the arms of the rollout and the growing timeline, redrawn in place."""

    def __init__(self, console: Console, told: story.Story) -> None:
        self._told = told
        self._progress = Progress(
            TextColumn("[bold]tripswitch demo"),
            BarColumn(bar_width=None),
            TextColumn("{task.description}"),
            expand=True,
        )
        self._task = self._progress.add_task("starting", total=told.usual_end_s)
        self._live = Live(
            self._progress,
            console=console,
            refresh_per_second=_REFRESHES_PER_S,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def __call__(self, seen: Observed) -> None:
        """Show what was seen so far."""
        story_s = seen.gateway["story_s"]
        now = rfc3339(story.START_NS + int(story_s * NS_PER_S))[11:19]
        self._progress.update(
            self._task,
            completed=story_s,
            total=max(story_s, self._told.usual_end_s),
            description=f"story time {now}",
        )
        parts: list[RenderableType] = [self._progress, Padding(arms(seen), (1, 0))]
        parts.append(timeline(seen.timeline[-_SHOWN_MOMENTS:], one_line=True))
        self._live.update(Group(*parts))


class PlainView:
    """One line for each new moment."""

    def __init__(self, console: Console, told: story.Story) -> None:
        self._console = console
        self._told = told
        self._shown = 0

    def __enter__(self) -> Self:
        self._console.print(f"tripswitch demo: playing the {self._told.name} story", soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, seen: Observed) -> None:
        """Print what is new."""
        for moment in seen.timeline[self._shown :]:
            self._console.print(
                safe(f"{moment['event']}: {said(moment)}"), soft_wrap=True, highlight=False
            )
        self._shown = len(seen.timeline)


def arms(seen: Observed) -> Table:
    """Return what tripswitch measures on each arm of the refund route, as a table."""
    table = Table(
        *(
            "cohort",
            "version",
            "serving",
            "calls",
            "faithfulness",
            "refusals",
            "evidence",
            "verdict",
        ),
        title=f"{story.REFUND_ROUTE} over 15 minutes, as tripswitch sees it; it acts at evidence 1",
        title_justify="left",
        expand=True,
    )
    serving = seen.gateway["versions"]
    found = seen.arms(story.REFUND_ROUTE)
    for arm in sorted(found, key=lambda arm: arm["scope"]["cohort"] != story.CONTROL):
        cohort, version = arm["scope"]["cohort"], arm["scope"]["prompt_version"]
        finding = _finding(arm)
        table.add_row(
            safe(cohort),
            safe(version),
            "yes" if serving.get(cohort) == version else "no",
            f"{arm['calls_15m']:,}",
            _share(arm, "eval_score", "points"),
            _share(arm, "refusal_rate", "%"),
            _evidence(arm),
            safe(finding, _FINDING_STYLES.get(finding, "dim")),
        )
    if not found:
        table.add_row(story.CONTROL, story.OLD_VERSION, "yes", "-", "-", "-", "-", "warming up")
    return table


def timeline(moments: list[Moment], *, one_line: bool) -> Table:
    """Return moments as a table: story time, who, what; ``one_line`` cuts long sentences."""
    table = Table(box=None, expand=True, pad_edge=False, show_header=not one_line)
    table.add_column("time", no_wrap=True)
    table.add_column("event", no_wrap=True)
    table.add_column("what", no_wrap=one_line, overflow="ellipsis" if one_line else "fold", ratio=1)
    for moment in moments:
        style = _STYLES.get(moment["event"], "")
        table.add_row(
            safe(clock(moment)), safe(moment["event"], style), safe(moment["detail"], style)
        )
    return table


def _finding(arm: dict[str, Any]) -> str:
    if not arm["calls_15m"]:
        return "no traffic"
    findings = {signal["finding"] for signal in _shown(arm)}
    if "regressed" in findings:
        return "regressed"
    return str(findings.pop()) if len(findings) == 1 else "mixed"


def _evidence(arm: dict[str, Any]) -> str:
    evidence = max((signal["evidence"] or 0.0 for signal in _shown(arm)), default=0.0)
    return f"{evidence:.1f}" if evidence >= 0.1 else "<0.1"


def _share(arm: dict[str, Any], name: str, unit: str) -> str:
    for signal in _shown(arm):
        if signal["signal"] == name and signal["samples"] and signal["value"] is not None:
            return f"{100 * signal['value']:.1f} {unit}"
    return "-"


def _shown(arm: dict[str, Any]) -> list[dict[str, Any]]:
    return [signal for signal in arm["signals"] if signal["signal"] in _SHOWN_SIGNALS]
