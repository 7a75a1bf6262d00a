"""Suggested lines and budgets for a stated number of false pages a month, from a recording.

A page needs two locks open at once, and each is set so that it alone keeps the promise:

- the **budgets** by the guarantee of the evidence: with ``rows`` judged and ``starts`` of versions
  a month, false crossings are at most ``rows * alpha_page + starts * alpha_start``;
- each signal's **line** by what the recording showed: one that its healthy estimates, with all
  their drift, would reach no more often than its share of the promise (see `extremes`).

How large a change is worth a page is for a person to say, so a line is only ever raised; the lowest
that would keep the promise is told beside it. What a line costs is told in minutes: how long a
change of its size takes to page, with the variance and the traffic that were recorded (see
`detect.outlook`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.config.model import Config
from tripswitch.detect.evidence import MINUTES_A_MONTH
from tripswitch.detect.lines import lines_of
from tripswitch.detect.outlook import outlook_of
from tripswitch.detect.signals import SIGNALS, Kind, Rule, rules_of
from tripswitch.drive.extremes import Extremes, Recorder, lowest_line
from tripswitch.drive.replay import replay, replay_session
from tripswitch.engine import Engine
from tripswitch.errors import ConfigError
from tripswitch.model.incident import Incident

_INVESTIGATIONS_A_PAGE: Final = 10.0
"""So many times more investigations than pages may be false: they wake nobody."""

_FIRST_GUESS_MINUTES: Final = 24 * 60
_MINUTES_A_WEEK: Final = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Tuned:
    """Which fields of a signal are tuned, over which lines, and how a line is written there.

    ``grid`` holds lines as the point rule has them; a field's value is ``offset + factor * line``.
    """

    page_field: str
    investigate_field: str | None
    grid: tuple[float, ...]
    factor: float
    offset: float = 0.0

    def value(self, line: float) -> float:
        """Return a line as the configuration has it."""
        return float(f"{self.offset + self.factor * line:.6g}")


def _grid(first: float, step: float, last: float) -> tuple[float, ...]:
    count = round((last - first) / step) + 1
    return tuple(round(first + number * step, 6) for number in range(count))


# What evidence tolerates (`detect.nulls`) is no change that a line could be set for.
_SCORE_POINTS: Final = _grid(0.015, 0.005, 0.5)
_POINTS: Final = _grid(0.01, 0.005, 0.5)
_SHARES: Final = _grid(0.004, 0.001, 0.2)
_RATIOS: Final = _grid(0.1, 0.05, 5.0)
TUNED: Final[dict[str, Tuned]] = {
    "eval_score": Tuned("page_points", "investigate_points", _SCORE_POINTS, 100),
    "refusal_rate": Tuned("page_points", "investigate_points", _POINTS, 100),
    "error_rate": Tuned("page_points", "investigate_points", _POINTS, 100),
    "tool_errors": Tuned("page_points", "investigate_points", _POINTS, 100),
    "p99_latency": Tuned("page_share", None, _SHARES, 1),
    "ttft_p99": Tuned("page_share", None, _SHARES, 1),
    "tool_latency": Tuned("page_share", None, _SHARES, 1),
    "tokens_per_success": Tuned("page_ratio", "investigate_ratio", _RATIOS, 1, offset=1.0),
    "cost_per_success": Tuned("page_ratio", "investigate_ratio", _RATIOS, 1, offset=1.0),
}
"""By signal; one that is not here is judged with the lines it has."""


@dataclass(slots=True)
class SignalSuggestion:
    """What is suggested for one signal, beside what the configuration has.

    ``lowest_page`` is the lowest line that keeps the promise. ``*_a_month`` counts blocks of a
    month in which the line alone would be reached; ``*_minutes`` is how long a change at the line
    takes in the row with the most traffic and in the middle one, None for never. ``decided_by`` is
    the row that strays most.
    """

    signal: str
    rows: int
    page: float
    suggested_page: float
    lowest_page: float
    investigate: float | None
    suggested_investigate: float | None
    a_month: float
    suggested_a_month: float
    busiest_minutes: float | None = None
    suggested_busiest_minutes: float | None = None
    middle_minutes: float | None = None
    suggested_middle_minutes: float | None = None
    decided_by: str = ""


@dataclass(slots=True)
class Suggestion:
    """All that is suggested, and what it stands on."""

    false_pages_a_month: float
    recorded_minutes: int
    incidents: int
    rows: float
    starts_a_month: float
    alpha_page: float
    alpha_start: float
    alpha_investigate: float
    signals: list[SignalSuggestion] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def settings(self) -> dict[str, Any]:
        """Return the ``detect`` section as the configuration would have it."""
        detect: dict[str, Any] = {
            "alpha_page": self.alpha_page,
            "alpha_start": self.alpha_start,
            "alpha_investigate": self.alpha_investigate,
        }
        for one in self.signals:
            tuned = TUNED[one.signal]
            fields = {tuned.page_field: one.suggested_page}
            if tuned.investigate_field is not None and one.suggested_investigate is not None:
                fields[tuned.investigate_field] = one.suggested_investigate
            detect[one.signal] = fields
        return {"detect": detect}


def suggest(
    config: Config,
    paths: Sequence[Path],
    false_pages_a_month: float,
    *,
    all_healthy: bool = False,
) -> Suggestion:
    """Replay ``paths`` and return what is suggested. Raises TripswitchError as `replay` does.

    ``all_healthy`` says that nothing was wrong, so that what looked like an incident counts too.
    """
    session = replay_session(config)
    recorder = Recorder(session.engine)
    session.engine.on_minute = recorder.minute
    incidents: dict[str, Incident] = {}
    for event in replay(config, paths, session):
        if event.incident is not None:
            incidents[event.incident.id] = event.incident
    left_out = [] if all_healthy else list(incidents.values())
    extremes = recorder.extremes(left_out)
    if not extremes:
        raise ConfigError(
            "the recording is too short to suggest anything from",
            hint="an hour after every signal has its baseline is the least; a week is good",
        )
    suggestion = _budgets(session.engine, recorder, false_pages_a_month, len(left_out))
    _remark(suggestion, recorder)
    by_signal: dict[str, list[Extremes]] = {}
    for one in extremes:
        name = SIGNALS[one.key[2]].name
        if name in TUNED:
            by_signal.setdefault(name, []).append(one)
    share = false_pages_a_month / len(by_signal)
    for name, rows in sorted(by_signal.items()):
        suggestion.signals.append(_of_signal(config.detect, name, rows, share))
    _tell_delays(session.engine, suggestion)
    return suggestion


def _of_signal(
    detect: Detect, name: str, rows: list[Extremes], most_a_month: float
) -> SignalSuggestion:
    tuned = TUNED[name]
    lines = lines_of(next(row.key[2] for row in rows), detect)
    lowest = lowest_line(rows, most_a_month, tuned.grid)
    page = max(lowest, lines.page)
    look: float | None = None
    if tuned.investigate_field is not None:
        often = lowest_line(rows, _INVESTIGATIONS_A_PAGE * most_a_month, tuned.grid)
        look = min(max(often, lines.investigate), page)
    widest = max(rows, key=lambda row: row.times_a_month(page))
    return SignalSuggestion(
        signal=name,
        rows=len(rows),
        page=tuned.value(lines.page),
        suggested_page=tuned.value(page),
        lowest_page=tuned.value(lowest),
        investigate=tuned.value(lines.investigate) if look is not None else None,
        suggested_investigate=tuned.value(look) if look is not None else None,
        a_month=sum(row.times_a_month(lines.page) for row in rows),
        suggested_a_month=sum(row.times_a_month(page) for row in rows),
        decided_by=widest.key[0].label()
        + (f" {widest.key[1].rubric}" if widest.key[1].rubric else ""),
    )


def _budgets(
    engine: Engine, recorder: Recorder, false_pages_a_month: float, incidents: int
) -> Suggestion:
    roster = engine.roster
    rows = roster.rows()
    # Leaks have a budget of their own, which says how many hits are too many.
    is_leak = rules_of(roster.kind[rows]) == Rule.LEAKS
    judged = rows[roster.judged[rows] & ~is_leak]
    # A signal looked at in both directions spends half its budget on each.
    weights = np.where(roster.two_sided[judged], 0.5, 1.0)
    minutes = recorder.minutes[-1] - recorder.minutes[0] + 1
    begun = roster.seen_start[judged] & (
        (roster.control_share[judged] > 0) | (roster.previous_share[judged] > 0)
    )
    # An hour with a rollout in it is no sign of seven hundred a month.
    starts = float(weights[begun].sum()) * MINUTES_A_MONTH / max(minutes, _MINUTES_A_WEEK)
    total = float(weights.sum())
    share = false_pages_a_month / (2 if starts else 1)
    alpha_page = _budget(share / max(total, 1.0))
    alpha_start = _budget(share / starts) if starts else engine.config.detect.alpha_start
    return Suggestion(
        false_pages_a_month=false_pages_a_month,
        recorded_minutes=minutes,
        incidents=incidents,
        rows=total,
        starts_a_month=starts,
        alpha_page=alpha_page,
        alpha_start=alpha_start,
        alpha_investigate=_budget(_INVESTIGATIONS_A_PAGE * alpha_page),
    )


def _budget(value: float) -> float:
    """Return a budget rounded down to two digits, within what the configuration takes."""
    value = min(max(value, 1e-9), 0.5)
    digits = 1 - math.floor(math.log10(value))
    return float(f"{math.floor(value * 10**digits + 1e-9) / 10**digits:.2g}")


def _remark(suggestion: Suggestion, recorder: Recorder) -> None:
    if suggestion.recorded_minutes < _FIRST_GUESS_MINUTES:
        hours = suggestion.recorded_minutes / 60
        suggestion.remarks.append(
            f"{hours:.2g} h were recorded: a first guess, which has not seen a whole day"
        )
    if suggestion.incidents:
        suggestion.remarks.append(
            f"{suggestion.incidents} incidents were found in it, whose time is left out; were they "
            "false, say --all-healthy"
        )
    if recorder.dropped:
        suggestion.remarks.append(
            f"{recorder.dropped} row-minutes beyond what is kept are left out"
        )


def _tell_delays(engine: Engine, suggestion: Suggestion) -> None:
    """Fill in how long changes at the lines take, now and then; the engine ends with the latter."""
    detect = engine.config.detect
    before = _delays(engine, detect)
    after = _delays(engine, _suggested(detect, suggestion))
    never = (None, None)
    for one in suggestion.signals:
        one.busiest_minutes, one.middle_minutes = before.get(one.signal, never)
        one.suggested_busiest_minutes, one.suggested_middle_minutes = after.get(one.signal, never)


def _suggested(detect: Detect, suggestion: Suggestion) -> Detect:
    """Return the settings with what is suggested in place, on every route."""
    update = {
        name: getattr(detect, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in suggestion.settings()["detect"].items()
    }
    return detect.model_copy(update=update | {"routes": {}})


def _delays(engine: Engine, detect: Detect) -> dict[str, tuple[float | None, float | None]]:
    """Return by signal the minutes of the row with the most traffic and of the middle one."""
    engine.comparisons.set_lines(detect)
    last = engine.last
    found: dict[str, list[tuple[float, float]]] = {}
    if last is None:
        return {}
    rows, decision = last
    roster = engine.roster
    for index in np.flatnonzero(roster.judged[rows] & decision.is_comparable).tolist():
        row = int(rows[index])
        kind = Kind(roster.kind[row])
        if SIGNALS[kind].is_mirrored:
            continue
        outlook = outlook_of(engine.judge, decision, index, row, detect)
        minutes = math.inf if outlook.minutes is None else outlook.minutes
        found.setdefault(SIGNALS[kind].name, []).append((outlook.per_minute, minutes))
    return {
        name: (_finite(max(pairs)[1]), _finite(median(minutes for _, minutes in pairs)))
        for name, pairs in found.items()
    }


def _finite(minutes: float) -> float | None:
    return minutes if math.isfinite(minutes) else None
