"""The postmortem as values: six sections, every sentence of them from the ledger or from people.

`postmortem_of` is pure: the same case, the same file, the same document. `render` turns it into
Markdown and HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tripswitch.incidents.case import Case, Exemplar, Told
from tripswitch.incidents.chart import chart_of
from tripswitch.incidents.chart_svg import draw
from tripswitch.incidents.postmortem.actions import ActionItem, drafted_actions
from tripswitch.incidents.postmortem.cause import Cause, cause_of
from tripswitch.incidents.postmortem.figures import Figure, figures_of, served_while_bad
from tripswitch.incidents.postmortem.filled_in import FilledIn
from tripswitch.incidents.postmortem.gate import Explanation, explanations
from tripswitch.incidents.values import (
    clock_text,
    day_text,
    lasted_text,
    moment_text,
    signal_text,
)
from tripswitch.model.clocktext import NS_PER_HOUR
from tripswitch.model.plain_text import plain_line

_MOST_CHARTS: Final = 3
_TEXT_CHARS: Final = 4000


@dataclass(frozen=True, slots=True)
class PostmortemSettings:
    """When a draft and the published text are due, and the start budget of the detector.

    Durations count from the recovery (from the page, while there is none), in s.
    """

    draft_within_s: float = 48 * 3600.0
    publish_within_s: float = 7 * 86_400.0
    alpha_start: float = 1e-3


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of the summary's table."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One row of the timeline: date and time of day in UTC, what happened, in one sentence."""

    day: str
    time: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class PostmortemChart:
    """One drift chart: its file beside the Markdown, its words, its SVG."""

    file: str
    title: str
    description: str
    svg: str


@dataclass(frozen=True, slots=True)
class Postmortem:
    """The whole document, ready to be rendered. Texts are plain lines, not yet escaped."""

    title: str
    incident_id: str
    is_final: bool
    is_over: bool
    summary: tuple[str, ...]
    customer_impact: str
    facts: tuple[Fact, ...]
    charts: tuple[PostmortemChart, ...]
    pinned: Exemplar | None
    exemplars: tuple[Exemplar, ...]
    contrast: Exemplar | None
    timeline: tuple[TimelineRow, ...]
    told: tuple[Told, ...]
    root_cause: str
    cause: Cause
    gate: tuple[Explanation, ...]
    answers: dict[str, str]
    actions: tuple[ActionItem, ...]
    dropped: tuple[tuple[str, str], ...]
    lessons: tuple[str, ...]
    drafted: tuple[ActionItem, ...]

    def problems(self) -> list[str]:
        """Return why this may not be called final, item by item; empty when it may."""
        return [
            f"{item.key}: without {' and '.join(missing)} ({item.title})"
            for item in self.actions
            if (missing := item.missing())
        ]


def postmortem_of(
    case: Case,
    filled: FilledIn,
    settings: PostmortemSettings,
    *,
    is_final: bool = False,
    prompts: tuple[str, str] | None = None,
) -> Postmortem:
    """Return the postmortem; ``prompts`` are the texts of the good and the bad version."""
    figures = figures_of(case)
    drafted = drafted_actions(case, figures, settings.alpha_start)
    return Postmortem(
        title=f"Postmortem: {_headline(case, figures)}",
        incident_id=case.id,
        is_final=is_final,
        is_over=case.recovered_ns is not None,
        summary=tuple(_summary(case, figures, filled)),
        customer_impact=plain_line(filled.customer_impact, _TEXT_CHARS),
        facts=tuple(_facts(case, settings)),
        charts=tuple(_charts(case, figures)),
        pinned=case.exemplars[0] if case.exemplars else None,
        exemplars=case.exemplars,
        contrast=case.contrast,
        timeline=tuple(_timeline(case)),
        told=case.told,
        root_cause=plain_line(filled.root_cause, _TEXT_CHARS),
        cause=cause_of(case, figures, prompts),
        gate=explanations(case, figures),
        answers={
            key: plain_line(answer, _TEXT_CHARS)
            for key, answer in filled.gate.model_dump().items()
            if answer.strip()
        },
        actions=filled.applied(drafted),
        dropped=filled.dropped(drafted),
        lessons=(
            *(plain_line(one, _TEXT_CHARS) for one in filled.lessons),
            *_lessons(case, figures),
        ),
        drafted=drafted,
    )


def due_ns(case: Case, within_s: float) -> int:
    """Return when something is due that counts from the recovery, or from the page."""
    began_ns = case.recovered_ns or case.paged_ns or case.detected_ns
    return began_ns + int(within_s * 10**9)


def _headline(case: Case, figures: tuple[Figure, ...]) -> str:
    first = next((one for one in figures if one.name == case.signal), None)
    what = signal_text(case.signal)
    if first is not None:
        direction = "down" if first.falls else "up"
        what = f"{first.label()} {direction} {first.amount(first.worse_by)}"
    return f"{what} on {case.label}"


def _summary(case: Case, figures: tuple[Figure, ...], filled: FilledIn) -> list[str]:
    said = [plain_line(filled.summary, _TEXT_CHARS)] if filled.summary.strip() else []
    moved = [figure.sentence() for figure in figures if figure.has_moved]
    rollout = case.rollout()
    if not said:
        began = f"On {day_text(case.onset_ns)} at {clock_text(case.onset_ns)} UTC"
        version = f" with {rollout.after}" if rollout is not None else ""
        said.append(f"{began} {case.label} became worse{version}: {case.why}.")
    if moved:
        said.append("Over the minutes in which it served: " + "; ".join(moved) + ".")
    served = served_while_bad(case)
    if served:
        text = f"At least {served:,} answers were given in that state"
        if case.tenants:
            text += f", and {len(case.tenants)} tenants had bad ones"
        said.append(text + ".")
    plan = case.rollback
    if plan is not None and case.called_ns is not None:
        after = lasted_text(case.called_ns - (case.paged_ns or case.detected_ns))
        text = (
            f"The rollback target {plan.target} was asked to put {plan.before} back to "
            f"{plan.after} ({plan.blast_radius}, {plan.mode}) {after} after the page"
        )
        if case.confirmed_ns is not None:
            text += f"; the spans showed the traffic back at {clock_text(case.confirmed_ns)} UTC"
        said.append(text + ".")
    elif plan is not None:
        said.append(f"The rollback was {plan.state}: {plan.reason or plan.mode}.")
    if case.recovered_ns is not None:
        lasted = lasted_text(case.recovered_ns - case.onset_ns)
        said.append(f"Recovery was proven from the spans {lasted} after the onset.")
    else:
        said.append("It has not recovered yet; this draft tells of an incident that is open.")
    return said


def _facts(case: Case, settings: PostmortemSettings) -> list[Fact]:
    paged = "not paged" if case.paged_ns is None else moment_text(case.paged_ns)
    tenants = ", ".join(f"{name} ({calls})" for name, calls in case.tenants)
    rows = [
        ("Incident", case.id),
        ("Shape", case.shape.replace("_", " ") + (", security" if case.security else "")),
        ("Severity", case.severity),
        ("State", case.state + (f", waived: {case.waiver}" if case.waiver else "")),
        ("Scope", case.label),
        ("Onset", moment_text(case.onset_ns)),
        ("Noticed", f"{moment_text(case.detected_ns)} ({_after(case, case.detected_ns)})"),
        ("Paged", paged if case.paged_ns is None else f"{paged} ({_after(case, case.paged_ns)})"),
        ("Rolled back", _when(case, case.called_ns)),
        ("Traffic back", _when(case, case.confirmed_ns)),
        ("Recovered", _when(case, case.recovered_ns)),
        ("Resolved", _when(case, case.resolved_ns)),
        ("Signals", ", ".join(case.signals)),
        ("Tenants with bad calls", tenants or "none named in the telemetry"),
        ("Evidence when it opened", f"{case.evidence:.3g} (acts at 1), n = {case.samples:,}"),
        ("Draft due", moment_text(due_ns(case, settings.draft_within_s))),
        ("To be published by", moment_text(due_ns(case, settings.publish_within_s))),
    ]
    return [Fact(name, value) for name, value in rows]


def _after(case: Case, time_ns: int) -> str:
    return f"{lasted_text(time_ns - case.onset_ns)} after the onset"


def _when(case: Case, time_ns: int | None) -> str:
    return "not yet" if time_ns is None else f"{moment_text(time_ns)} ({_after(case, time_ns)})"


def _charts(case: Case, figures: tuple[Figure, ...]) -> list[PostmortemChart]:
    moved = [figure.name for figure in figures if figure.has_moved]
    names = dict.fromkeys([case.signal, *case.signals, *moved])
    charts: list[PostmortemChart] = []
    for name in names:
        chart = chart_of(case, name)
        if chart is None or len(charts) == _MOST_CHARTS:
            continue
        number = len(charts) + 1
        file = "drift.svg" if number == 1 else f"drift-{number}.svg"
        svg = draw(chart, name=f"drift-{number}")
        charts.append(PostmortemChart(file, chart.title, chart.description, svg))
    return charts


def _timeline(case: Case) -> list[TimelineRow]:
    rows = [
        (change.time_ns, "change seen", change.sentence())
        for change in case.changes
        if change.time_ns >= case.onset_ns - 24 * NS_PER_HOUR
    ]
    rows.append((case.onset_ns, "onset", "from here on the evidence grew, as computed afterwards"))
    rows += [
        (moment.time_ns, moment.name.replace(".", " ").replace("_", " "), moment.detail)
        for moment in case.moments
    ]
    rows.sort(key=lambda row: row[0])
    return [
        TimelineRow(day_text(time_ns), clock_text(time_ns), what, detail)
        for time_ns, what, detail in rows
    ]


def _lessons(case: Case, figures: tuple[Figure, ...]) -> list[str]:
    said: list[str] = []
    took = lasted_text(case.detected_ns - case.onset_ns)
    paged = "it did not page"
    if case.paged_ns is not None:
        paged = f"the page came {lasted_text(case.paged_ns - case.onset_ns)} after it"
    said.append(f"What told first: {signal_text(case.signal)}, {took} after the onset; {paged}.")
    quiet = [one.label() for one in figures if not one.has_moved]
    loud = [one.label() for one in figures if one.has_moved]
    if quiet and loud:
        said.append(f"What moved: {', '.join(loud)}. What did not: {', '.join(quiet)}.")
    if case.called_ns is not None and case.paged_ns is not None:
        took = lasted_text(case.called_ns - case.paged_ns)
        said.append(f"From the page to the rollback's answer it took {took}.")
    if case.recovered_ns is not None and case.called_ns is not None:
        took = lasted_text(case.recovered_ns - case.called_ns)
        said.append(f"From the rollback to proven recovery it took {took}.")
    return said
