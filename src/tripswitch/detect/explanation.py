"""Explanations: what is seen of every scope and signal, against what, and what a page waits for.

They are made from the same rows and the same decision that acted at the last tick, so that the
numbers in them are the numbers that decided. Of many scopes those that are worst come first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.coming import Coming
from tripswitch.detect.decision import PAGE, Decision
from tripswitch.detect.explain import SLOW_WORDS
from tripswitch.detect.explain_coming import explain_telemetry, explain_traffic
from tripswitch.detect.findings import Findings
from tripswitch.detect.judge import Judge
from tripswitch.detect.outlook import Outlook, baseline_minutes, outlook_of, per_minute_of
from tripswitch.detect.signals import ABSOLUTE, CALLS, REFUSAL, SCORED, SIGNALS, Kind, Rule
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Finding, Verdict
from tripswitch.windows.rings import Floats, Rows

THIN_MINUTES: Final = 120.0
"""Where a change at the line takes longer than this, it is said what would make it shorter."""

_LOST: Final = "telemetry: part of this minute's was lost, and what is left adds no evidence"
_MOST_EVIDENCE: Final = 1e12
_WANTED_MINUTES: Final = 60.0


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing that would shorten the wait, and the minutes it would then take."""

    sentence: str
    minutes: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One row: its verdict, its evidence against the own past and against the control, its outlook.

    ``held_minutes`` counts how long half the page line was held, ``fewest_events`` and
    ``fewest_traces`` what a page of a rate takes. ``missing`` says in sentences what a page waits
    for, empty where it pages; ``remedies`` what would help where traffic is thin.
    """

    verdict: Verdict
    page_line: float
    investigate_line: float
    page_own: float
    page_control: float
    look_own: float
    look_control: float
    held_minutes: float
    fewest_events: int
    fewest_traces: int
    outlook: Outlook
    missing: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()


@dataclass(slots=True)
class Explained:
    """What was asked about: scopes with their rows, worst first, and how many were left out."""

    matched: int = 0
    left_out: int = 0
    scopes: list[tuple[Scope, list[Explanation]]] = field(default_factory=list)


def explain(
    judge: Judge,
    findings: Findings,
    rows: Rows,
    decision: Decision,
    detect: Detect,
    *,
    wants: Callable[[Scope], bool],
    most_scopes: int,
    is_lossy: bool,
    coming: Coming | None = None,
) -> Explained:
    """Explain the rows of the scopes that are wanted, of the ``most_scopes`` worst among them.

    With ``coming`` their traffic too, and, of the scope that is not narrowed, telemetry as a whole.
    """
    roster = judge.roster
    badness = _badness(judge, rows, decision)
    by_scope: dict[Scope, list[int]] = {}
    for index in np.flatnonzero(roster.judged[rows]).tolist():
        scope = roster.scopes[rows[index]]
        if scope is not None:
            by_scope.setdefault(scope, []).append(index)
    wanted = [
        (-max(badness[index] for index in found), _texts(scope), scope)
        for scope, found in by_scope.items()
        if wants(scope)
    ]
    of_coming = {} if coming is None else _of_coming(coming, detect, wants, is_lossy=is_lossy)
    # What rows show comes first where nothing of these has regressed.
    wanted += [
        (-float(one.verdict.finding is Finding.REGRESSED) * 3, _texts(scope), scope)
        for scope, one in of_coming.items()
        if scope not in by_scope
    ]
    wanted.sort()
    explained = Explained(len(wanted), max(0, len(wanted) - most_scopes))
    for _, _, scope in wanted[:most_scopes]:
        found = sorted(by_scope.get(scope, ()), key=lambda index: -badness[index])
        told = [_one(judge, findings, rows, decision, detect, index, is_lossy) for index in found]
        told += [of_coming[scope]] if scope in of_coming else []
        explained.scopes.append((scope, told))
    return explained


def _of_coming(
    coming: Coming, detect: Detect, wants: Callable[[Scope], bool], *, is_lossy: bool
) -> dict[Scope, Explanation]:
    """Return what is told of traffic and telemetry, by the scope that it is told of."""
    told: dict[Scope, Explanation] = {}
    for scope in filter(wants, [*coming.traffic.rows, Scope()]):
        if scope == Scope():
            parts, own = explain_telemetry(coming, detect, is_lossy=is_lossy), 0.0
        else:
            found = explain_traffic(coming, scope, detect, is_lossy=is_lossy)
            if found is None:
                continue
            parts, own = found, float(coming.traffic.evidence()[coming.traffic.rows[scope]])
        verdict, outlook, missing, line = parts
        own = min(own, _MOST_EVIDENCE)
        told[scope] = Explanation(
            verdict, line, math.inf, own, 0.0, 0.0, 0.0, 0.0, 0, 0, outlook, missing
        )
    return told


def _badness(judge: Judge, rows: Rows, decision: Decision) -> list[float]:
    """Return how bad each row stands: its level, then its evidence, then its way to the line."""
    line = judge.roster.line_page[rows]
    # A leak has no share for its line, and is told of by its evidence.
    line = np.where(np.isfinite(line) & (line > 0), line, 1.0)
    evidence: Floats = np.log10(np.clip(decision.evidence, 1e-12, _MOST_EVIDENCE)) / 24
    way = np.clip(decision.reading.estimate / line, -1, 1) / 100
    return list((decision.level + evidence + np.where(decision.is_comparable, way, -1)).tolist())


def _texts(scope: Scope) -> tuple[str, ...]:
    return tuple(part or "" for part in scope)


def _one(
    judge: Judge,
    findings: Findings,
    rows: Rows,
    decision: Decision,
    detect: Detect,
    index: int,
    is_lossy: bool,
) -> Explanation:
    roster, row = judge.roster, int(rows[index])
    verdict = findings.verdict(rows, decision, index, detect, is_lossy=is_lossy)
    at = np.array([row])
    own, control, look_own, look_control = (
        min(float(roster.detectors[name].evidence(at)[0]), _MOST_EVIDENCE)
        for name in ("page_own", "page_control", "look_own", "look_control")
    )
    outlook = outlook_of(judge, decision, index, row, detect)
    is_quiet = verdict.finding is not Finding.REGRESSED
    is_slow = outlook.minutes is None or outlook.minutes > THIN_MINUTES
    return Explanation(
        verdict=verdict,
        page_line=float(roster.line_page[row]),
        investigate_line=float(roster.line_look[row]),
        page_own=own,
        page_control=control,
        look_own=look_own,
        look_control=look_control,
        held_minutes=float(roster.held_half[row]),
        fewest_events=int(roster.fewest_events[row]),
        fewest_traces=int(roster.fewest_traces[row]),
        outlook=outlook,
        missing=(_LOST,) if is_lossy else _missing(judge, decision, index, row, outlook, detect),
        remedies=tuple(_remedies(judge, row, outlook)) if is_quiet and is_slow else (),
    )


def _missing(
    judge: Judge, decision: Decision, index: int, row: int, outlook: Outlook, detect: Detect
) -> tuple[str, ...]:
    """Return what a page waits for, in sentences without a capital and a full stop."""
    roster, reading = judge.roster, decision.reading
    if int(decision.level[index]) == PAGE:
        return ()
    if not decision.is_comparable[index]:
        held = float(judge.own.samples[index]) if index < len(judge.own.samples) else 0.0
        minutes = baseline_minutes(judge, index, outlook.per_minute, detect)
        wait = f", about {minutes_phrase(minutes)} more" if outlook.per_minute > 0 else ""
        past = f"its own past holds {held:.0f} of {detect.min_baseline} samples{wait}"
        return (f"a reference: no control serves beside it, no version before it is known; {past}",)
    is_absolute = bool(roster.is_absolute[row])
    by_control = bool(decision.is_control[index]) and not is_absolute
    fewest = float(roster.fewest[row])
    samples, usual_samples = float(reading.samples[index]), float(reading.usual_samples[index])
    if decision.window[index] < 0:
        short = []
        if samples < fewest:
            short.append(f"{samples:.0f} of {fewest:.0f} samples within 24 h")
        if by_control and usual_samples < fewest:
            short.append(f"{usual_samples:.0f} of {fewest:.0f} samples of the control")
        return ("samples: " + ", ".join(short or ["none within 24 h"]),)
    if roster.mirrored[row] and float(reading.usual[index]) < float(roster.line_page[row]):
        usual, points = 100 * float(reading.usual[index]), 100 * float(roster.line_page[row])
        return (f"nothing that could come: from {usual:.2g} % it cannot fall by {points:g} points",)
    missing = []
    seen = reading.value if is_absolute else reading.estimate
    estimate, line = float(seen[index]), float(roster.line_page[row])
    if estimate < line:
        missing.append(f"a change: {_distance_text(Kind(roster.kind[row]), estimate, line)}")
    evidence = roster.detectors["page_control" if by_control else "page_own"]
    found = float(evidence.evidence(np.array([row]))[0])
    if found < 1:
        missing.append(f"evidence: {found:.2g}, acts at 1")
    missing += _missing_events(judge, row, float(reading.events[index]))
    if not missing:
        window = detect.alert_window / 60
        missing.append(
            "certainty: the estimate less its error is not at 70 % of the line yet, is over "
            f"already, or was held {roster.held_half[row]:.0f} of {window:.0f} min"
        )
    return tuple(missing)


def _missing_events(judge: Judge, row: int, seen: float) -> list[str]:
    """Return how many events, and traces they come from, are lacking of those that were seen."""
    roster, missing = judge.roster, []
    fewest, wanted = float(roster.fewest_events[row]), float(roster.fewest_traces[row])
    if not roster.mirrored[row] and fewest > 0 and seen < fewest:
        missing.append(f"events: {seen:.0f} of {fewest:.0f}")
    if wanted > 0:
        of_day = judge.scopes.rings.window(roster.raw[row : row + 1], "24h")
        if float(of_day[0, 1]) < wanted:
            missing.append(f"traces with an event: {float(of_day[0, 1]):.0f} of {wanted:.0f}")
    return missing


def _distance_text(kind: Kind, estimate: float, line: float) -> str:
    """Return how far an estimate is from its line, in the words of the configuration."""
    signal = SIGNALS[kind]
    if signal.rule is Rule.RATIO:
        return f"{1 + estimate:.2f} times as much, the line is {1 + line:g}"
    if signal.rule is Rule.SLOW:
        unit = f"% {SLOW_WORDS[signal.name]}"
    else:
        unit = "%" if signal.rule in ABSOLUTE else "points"
    return f"{100 * estimate:.2g} {unit}, the line is {100 * line:g}"


def _remedies(judge: Judge, row: int, outlook: Outlook) -> list[Remedy]:
    """Return what would help where a change at the line takes long, best first."""
    roster, scopes = judge.roster, judge.scopes
    scope, kind = roster.scopes[row], Kind(roster.kind[row])
    record = None if scope is None else scopes.records.get(scope)
    if scope is None or record is None:
        return []
    found: list[Remedy] = []
    calls = record.series.get(CALLS)
    calls_a_minute = 0.0 if calls is None else per_minute_of(judge, calls, record.first_seen_ns)
    if roster.measure(row).name in SCORED and outlook.per_minute < 0.9 * calls_a_minute:
        share = 100 * outlook.per_minute / calls_a_minute
        minutes = outlook.minutes_at(calls_a_minute)
        found.append(
            Remedy(
                f"score every call: {share:.2g} % are scored now; with all "
                f"{calls_a_minute:.3g} a minute it takes {minutes_phrase(minutes)}",
                minutes,
            )
        )
    if scope.request_model is not None or scope.provider is not None:
        arm = scopes.records.get(scope.arm())
        series = None if arm is None else arm.series.get(roster.measure(row))
        if arm is not None and series is not None:
            rate = per_minute_of(judge, series, arm.first_seen_ns)
            if rate > 1.2 * outlook.per_minute:
                minutes = outlook.minutes_at(rate)
                found.append(
                    Remedy(
                        f"roll the models up: {arm.scope.label()} over all of them has {rate:.3g} "
                        f"samples a minute and takes {minutes_phrase(minutes)}",
                        minutes,
                    )
                )
    refusals = roster.by_key.get((scope, REFUSAL, Kind.REFUSAL_UP))
    if kind is Kind.EVAL and refusals is not None and calls_a_minute > outlook.per_minute:
        found.append(
            Remedy(
                f"watch refusal_rate, error_rate and tokens meanwhile, which every request has: "
                f"{calls_a_minute:.3g} a minute",
                None,
            )
        )
    # What must be rare takes a few events, not traffic.
    is_frequent = not roster.is_absolute[row]
    if is_frequent and outlook.samples is not None and outlook.per_minute > 0:
        times = math.ceil(outlook.samples / outlook.per_minute / _WANTED_MINUTES)
        if times > 1:
            found.append(
                Remedy(
                    f"send it {times} times the traffic, to know within the hour",
                    outlook.minutes_at(times * outlook.per_minute),
                )
            )
    return sorted(found, key=lambda remedy: math.inf if remedy.minutes is None else remedy.minutes)


def minutes_phrase(minutes: float | None) -> str:
    """Return minutes for people; None is for never.

    >>> [minutes_phrase(minutes) for minutes in (None, 0.2, 40, 300, 7000)]
    ['never', '1 min', '40 min', '5 h', '4.9 days']
    """
    if minutes is None or math.isinf(minutes):
        return "never"
    if minutes < 120:
        return f"{max(1, round(minutes))} min"
    if minutes < 48 * 60:
        return f"{minutes / 60:.2g} h"
    return f"{minutes / 1440:.2g} days"
