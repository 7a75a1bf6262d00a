"""Explanations of what comes at all: the traffic of each prompt, and telemetry as a whole.

No row judges these. They are told of in the same form as rows are, from the very counts and
evidence that `Coming` acts on.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.coming import Coming, traffic_sentence
from tripswitch.detect.evidence import MINUTES_A_MONTH
from tripswitch.detect.outlook import Outlook
from tripswitch.detect.signals import TELEMETRY_LOST, TRAFFIC_DROP
from tripswitch.detect.traffic import FEWEST_SEEN, FEWEST_WEEKS, NULL_SHARE, RHOS, Seen
from tripswitch.model.incident import Shape
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding, Verdict

CAP_MINUTES: Final = 3.0


def explain_traffic(
    coming: Coming, scope: Scope, detect: Detect, *, is_lossy: bool
) -> tuple[Verdict, Outlook, tuple[str, ...], float] | None:
    """Return verdict, outlook, what is missing and the page line of one prompt's traffic.

    None for a scope whose traffic nobody watches.
    """
    row = coming.traffic.rows.get(scope)
    if row is None:
        return None
    lines = detect.for_route(scope.route).traffic_drop
    seen = coming.traffic.seen(row, coming.due_minute, lines.min_expected)
    told = next((one for one in coming.told if one.scope == scope), None)
    line = 1 - lines.page_share
    verdict = told or _quiet(scope, seen, lines.page_share, is_lossy=is_lossy)
    return verdict, _outlook(seen, line, detect), _missing(verdict, seen, line, detect), line


def explain_telemetry(
    coming: Coming, detect: Detect, *, is_lossy: bool
) -> tuple[Verdict, Outlook, tuple[str, ...], float]:
    """Return the same of all telemetry; its line is in minutes."""
    arrivals = coming.arrivals
    fewest = max(1.0, round(detect.telemetry_lost.page_after / 60))
    bad = float(max(arrivals.silent_minutes, arrivals.lossy_minutes))
    told = next((one for one in coming.told if one.signal == TELEMETRY_LOST), None)
    known, steady = arrivals.minutes_seen, arrivals.is_steady
    finding = Finding.HEALTHY if steady else Finding.INSUFFICIENT
    if is_lossy or bad:
        finding = Finding.TELEMETRY_LOST
    state = f"stays away or is lost for {bad:g} min" if bad else "comes"
    usual = f"{arrivals.usual:.3g} OTLP requests a minute in the hour before"
    why = f"telemetry {state}, {usual} (a page at {fewest:g} min)"
    verdict = told or _verdict(
        TELEMETRY_LOST, Scope(), finding, why, bad, fewest, arrivals.usual, arrivals.usual, 0, known
    )
    missing = []
    if not steady:
        missing.append(f"a full hour of steady telemetry: {known} of 60 min had any")
    if bad < fewest:
        missing.append(f"minutes without: {bad:g} of {fewest:g}")
    outlook = Outlook(arrivals.usual, None, 0.0, 1.0, 1.0, 0.0, None, fewest, fewest)
    return verdict, outlook, () if told else tuple(missing), fewest


def _quiet(scope: Scope, seen: Seen, page_share: float, *, is_lossy: bool) -> Verdict:
    finding = Finding.HEALTHY
    if is_lossy:
        finding = Finding.TELEMETRY_LOST
        why = (
            f"traffic_drop on {scope.label()} is not judged: part of this minute's telemetry was "
            "lost"
        )
    elif not seen.is_known:
        finding = Finding.INSUFFICIENT
        why = (
            f"traffic_drop on {scope.label()} has nothing to be compared with yet: {seen.weeks} of "
            f"{FEWEST_WEEKS} weeks are known at this time of the week"
        )
    else:
        why = traffic_sentence(
            scope, seen.calls, seen.expected, seen.minutes, seen.evidence, page_share
        )
    share = seen.calls / seen.expected if seen.expected > 0 else 1.0
    found = _verdict(
        TRAFFIC_DROP,
        scope,
        finding,
        why,
        1 - share,
        1 - page_share,
        seen.calls / seen.minutes,
        seen.expected / seen.minutes,
        round(seen.calls),
        round(seen.expected),
    )
    return replace(found, evidence=seen.evidence, window=f"{seen.minutes} min")


def _verdict(
    signal: str,
    scope: Scope,
    finding: Finding,
    why: str,
    estimate: float,
    line: float,
    value: float,
    usual: float,
    samples: int,
    usual_samples: int,
) -> Verdict:
    return Verdict(
        finding=finding,
        severity=None,
        signal=signal,
        rubric=None,
        shape=Shape.OUTAGE,
        direction="down",
        scope=scope,
        comparison=None if finding is Finding.INSUFFICIENT else Comparison.HISTORY,
        reference=None,
        estimate=estimate,
        line=line,
        value=value,
        usual=usual,
        samples=samples,
        usual_samples=usual_samples,
        window=f"{usual_samples} min",
        evidence=0.0,
        onset_ns=0,
        is_common=True,
        why=why,
        measured=scope,
    )


def _outlook(seen: Seen, line: float, detect: Detect) -> Outlook:
    """Return the outlook of a route that falls silent: sooner than that nothing is found."""
    per_minute = seen.expected / seen.minutes
    nats = math.log(MINUTES_A_MONTH / detect.alpha_page)
    gain = float(np.max(1 - RHOS)) * NULL_SHARE * per_minute / seen.spread
    minutes = max(nats / gain, CAP_MINUTES) if gain > 0 and seen.is_known else None
    return Outlook(
        per_minute,
        None,
        per_minute * seen.spread,
        seen.spread,
        line,
        nats,
        None,
        CAP_MINUTES,
        minutes,
    )


def _missing(verdict: Verdict, seen: Seen, line: float, detect: Detect) -> tuple[str, ...]:
    if verdict.finding is Finding.REGRESSED:
        return ()
    if not seen.is_known:
        compared = f"{min(seen.minutes_seen, FEWEST_SEEN):.0f} of {FEWEST_SEEN} min compared"
        weeks = f"{seen.weeks} of {FEWEST_WEEKS} weeks at this time of the week"
        return (f"a reference: {weeks}, and {compared} with them",)
    missing = []
    least = detect.for_route(verdict.scope.route).traffic_drop.min_expected
    if seen.expected < least:
        missing.append(f"traffic: {seen.expected:.0f} of {least:g} calls expected within an hour")
    if verdict.estimate <= line:
        missing.append(
            f"a change: down {100 * verdict.estimate:.0f} %, the line is {100 * line:g} %"
        )
    if seen.evidence < 1:
        missing.append(f"evidence: {seen.evidence:.2g}, acts at 1")
    return tuple(missing)
