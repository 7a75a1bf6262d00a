"""Action items, drafted so that each closes a loop: cases, thresholds, canary share, the rollback.

Every number in an item is computed from the series of the incident. Who does it is a person's to
say; a due date and the loop are drafted, and a person may put others in their place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tripswitch.incidents.case import Case
from tripswitch.incidents.postmortem.figures import Figure, share_of_traffic
from tripswitch.incidents.values import day_text, lasted_text
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE

_DAY_NS: Final = 24 * NS_PER_HOUR
_NOISE: Final = 3.0
"""A line closer to the usual than so many standard errors of a window pages for nothing."""

_WINDOW_MINUTES: Final = 15
_MOST_SHARE: Final = 0.5
"""A canary with more than half of the traffic is none."""


@dataclass(frozen=True, slots=True)
class ActionItem:
    """One thing to do. ``key`` stays the same from draft to draft; ``due`` is a date."""

    key: str
    title: str
    detail: str
    loop: str
    due: str
    owner: str = ""

    def missing(self) -> list[str]:
        """Return what a final postmortem does not go without."""
        named = (
            ("an owner", self.owner),
            ("a due date", self.due),
            ("a loop it closes", self.loop),
        )
        return [name for name, value in named if not value.strip()]


def drafted_actions(
    case: Case, figures: tuple[Figure, ...], alpha_start: float
) -> tuple[ActionItem, ...]:
    """Return the items that this incident asks for, most urgent first."""
    moved = [figure for figure in figures if figure.has_moved]
    items = [_cases(case)]
    if moved:
        items.append(_gate(case, moved))
    items += [item for figure in figures if (item := _line(case, figure)) is not None]
    if moved and case.scope.prompt_version is not None:
        # The slowest of what moved says how much traffic a canary needs.
        slowest = max(moved, key=lambda one: one.variance / max(_at_line(one), 1e-9) ** 2)
        items.append(_canary(case, slowest, alpha_start))
    rollback = _rollback(case)
    return tuple([*items, rollback] if rollback is not None else items)


def _cases(case: Case) -> ActionItem:
    traces = ", ".join(one.trace_id for one in case.exemplars)
    count = len(case.exemplars)
    title = f"Add {count} trace{'' if count == 1 else 's'} to the offline case set"
    detail = f"Make a case of each of {traces}, with the answer that would have been right."
    total = sum(calls for _, calls in case.tenants)
    if len(case.tenants) > 1 and case.tenants[0][1] * len(case.tenants) >= 2 * total:
        name, calls = case.tenants[0]
        detail += f" Add more of {name}, which had {calls} of the {total} bad calls."
    if not count:
        title = "Find calls of this incident and add them to the offline case set"
        detail = "No exemplar trace was kept; take some from the time between onset and rollback."
    return ActionItem("cases", title, detail, "production traces to offline cases", _due(case, 3))


def _gate(case: Case, moved: list[Figure]) -> ActionItem:
    parts = []
    most = 0
    for figure in moved:
        allowed = figure.worse_by / 2
        most = max(most, figure.cases_to_see(allowed))
        direction = "falls" if figure.falls else "rises"
        parts.append(
            f"{figure.label()} {direction} by more than {figure.amount(allowed)} "
            f"(half of the {figure.amount(figure.worse_by)} seen here)"
        )
    return ActionItem(
        "gate",
        "Make the gate before a rollout fail on what happened here",
        f"Fail when {'; or when '.join(parts)}. To see that, the set needs about {most:,} cases a "
        "version (two-sided 5 %, power 90 %).",
        "offline gate before rollout",
        _due(case, 7),
    )


def _line(case: Case, figure: Figure) -> ActionItem | None:
    """Return an item to tighten a line that a real change stayed below, None where none is."""
    if figure.page is None or not figure.is_sure or figure.worse_by >= figure.page:
        return None
    window = max(figure.per_minute * _WINDOW_MINUTES, 1.0)
    noise = _NOISE * math.sqrt(2 * figure.variance / window)
    proposed = max(figure.worse_by / 2, noise)
    if proposed >= figure.worse_by:
        # A line that would have caught this would catch noise as well.
        return None
    return ActionItem(
        f"page-line-{figure.name}",
        f"Tighten the page line of {figure.label()} to {figure.amount(proposed)}",
        f"It got worse by {figure.amount(figure.worse_by)} and the line is at "
        f"{figure.amount(figure.page)}: lower it by {figure.amount(figure.page - proposed)}. At "
        f"{figure.per_minute:,.0f} values a minute, {figure.amount(noise)} is what 15 min scatter "
        "(three standard errors); check with `tripswitch replay --suggest`.",
        "live detection",
        _due(case, 7),
    )


def _canary(case: Case, figure: Figure, alpha_start: float) -> ActionItem:
    share = share_of_traffic(case)
    rate = figure.per_minute
    seen = figure.minutes_to_page(figure.worse_by, rate, alpha_start)
    at_line = _at_line(figure)
    line_minutes = figure.minutes_to_page(at_line, rate, alpha_start)
    at = "at the page line" if figure.page else "of half that size"
    detail = (
        f"A canary that gives {rate:,.0f} values of {figure.label()} a minute shows a change of "
        f"{figure.amount(figure.worse_by)} in about {_minutes(seen)}, and one of "
        f"{figure.amount(at_line)} ({at}) in about {_minutes(line_minutes)} (rule of "
        "thumb: 3 ln(1/alpha) 2 var / change^2 values)."
    )
    title = "Check that the canary's share finds a smaller change in time"
    if share is not None:
        wanted = share * line_minutes / _WINDOW_MINUTES
        now = f"{100 * share:.0f} %"
        if wanted <= share:
            title = f"Keep the canary's share at {now}: it is enough"
            detail += (
                f" At {now} of the traffic a change {at} shows within "
                f"{_WINDOW_MINUTES} min; {_share(wanted)} would do, and half the share takes twice "
                "as long."
            )
        elif wanted <= _MOST_SHARE:
            title = f"Give the canary {_share(wanted)} of the traffic instead of {now}"
            detail += (
                f" To see a change {at} within {_WINDOW_MINUTES} min it needs "
                f"{_share(wanted)}, or as many more of its calls scored."
            )
        else:
            best = line_minutes * share / _MOST_SHARE
            title = "Score more of the canary's calls: more traffic alone does not do"
            detail += (
                f" Even half of the traffic needs about {_minutes(best)} for a change {at}; "
                "score every call of the canary, or go by a signal that every call has."
            )
    return ActionItem("canary-share", title, detail, "rollout and canary", _due(case, 7))


def _at_line(figure: Figure) -> float:
    """Return the smallest change that should be found: the page line's, else half of this one."""
    return figure.page or figure.worse_by / 2


def _rollback(case: Case) -> ActionItem | None:
    plan = case.rollback
    if plan is not None and plan.mode == "auto" and plan.state in ("confirmed", "acknowledged"):
        return None
    if plan is None:
        title, detail = "Configure a rollback for this scope", "Nothing was there to roll back."
    else:
        title = f"Settle why the rollback by {plan.target} was {plan.state}"
        detail = plan.reason or f"Its mode was {plan.mode}."
    return ActionItem("rollback", title, detail, "rollback", _due(case, 7))


def _due(case: Case, days: int) -> str:
    return day_text((case.paged_ns or case.detected_ns) + days * _DAY_NS)


def _minutes(minutes: float) -> str:
    if not math.isfinite(minutes):
        return "more time than there is"
    return lasted_text(max(1, math.ceil(minutes)) * NS_PER_MINUTE)


def _share(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"
