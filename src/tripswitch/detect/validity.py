"""What of the evidence is still valid under another configuration, and what has to go.

Nulls use no line that a person sets, so evidence stays when a line is moved. Minutes that a line
was held count only for lines that are no higher than the one that was held. Evidence is in
proportion to the budget it grew from: with a smaller alpha it is lowered with it, and with a larger
one it stays as it is. What changed its meaning goes with its windows: slow requests when slow is
another multiple, scores whose rule is another, money when prices are, and whatever is read from
elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final

import numpy as np

from tripswitch.config.model import Config
from tripswitch.config.signal_sections import Signals
from tripswitch.detect.coming import Coming
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.families import Family
from tripswitch.detect.lines import lines_of
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import SIGNALS, Rule, Signal, kinds_of, rules_of
from tripswitch.genai.evaluations import kind_of, rubric_name
from tripswitch.model.scope import Scope
from tripswitch.windows.rings import Floats
from tripswitch.windows.scopes import Measure

_TOKEN_FACTS: Final = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
_REFUSALS: Final = ("refusal", "wrong_refusal", "right_refusal")
_MEASURES_OF_FACT: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(_TOKEN_FACTS, ("tokens", "cost")),
    "cost_usd": ("cost",),
    "ttft": ("slow_first_token",),
    "finish_reasons": (*_REFUSALS, "tokens", "cost"),
    "error_type": ("error", *_REFUSALS, "tokens", "cost"),
    "tool_name": ("tool_error", "slow_tool"),
    "request_model": ("cost",),
    "response_model": ("cost",),
}
"""What the beginnings of a measure's name are whose values are made from a fact."""

_COUNTED: Final = "calls"
"""Mere calls are the same however they are read."""


@dataclass(slots=True)
class Kept:
    """What became of the evidence: rows that have some still, and what was dropped, in words."""

    rows: int = 0
    dropped: list[str] = field(default_factory=list)


def depends_on(config: Config) -> dict[str, Any]:
    """Return the parts of a configuration that evidence and windows depend on, as JSON values."""
    detect = config.detect
    prices = json.dumps(config.prices.model_dump(mode="json"), sort_keys=True)
    read = config.read.model_dump(mode="json")
    return {
        "clock": config.clock.source,
        "alpha_page": detect.alpha_page,
        "alpha_start": detect.alpha_start,
        "alpha_investigate": detect.alpha_investigate,
        "alpha_pii": detect.alpha_pii,
        "evaluations": [rule.model_dump(mode="json") for rule in config.evaluations],
        "prices": hashlib.sha256(prices.encode()).hexdigest(),
        "keys": read["keys"],
        "otherwise_read": {name: read[name] for name in ("content_facts", "dialects")},
    }


def keep_valid(
    before: dict[str, Any],
    config: Config,
    comparisons: Comparisons,
    coming: Coming,
    now_ns: int,
) -> Kept:
    """Bring rows that were judged under ``before``, see `depends_on`, under ``config``."""
    roster, after = comparisons.roster, depends_on(config)
    kept = Kept()
    _lower_evidence(before, after, roster, coming, kept)
    _set_lines(config, comparisons, kept)
    _set_slow(config, comparisons, kept, now_ns)
    is_changed, what = _changed_meaning(before, after)
    if what:
        dropped = _drop(comparisons, is_changed, now_ns)
        if dropped:
            kept.dropped.append(f"{dropped} series whose meaning changed with {what}")
    kept.rows = _rows_with_evidence(roster)
    return kept


def _lower_evidence(
    before: dict[str, Any],
    after: dict[str, Any],
    roster: Roster,
    coming: Coming,
    kept: Kept,
) -> None:
    rows = roster.rows()
    is_leak = rules_of(roster.kind[rows]) == Rule.LEAKS
    # Of what began with a start budget and grew from the monthly one the smaller share holds.
    factors = {
        "page": min(after[name] / before[name] for name in ("alpha_page", "alpha_start")),
        "look": after["alpha_investigate"] / before["alpha_investigate"],
    }
    # Leaks have a budget of their own, in every detector.
    of_leaks = min(
        after["alpha_pii"] / before.get("alpha_pii", after["alpha_pii"]),
        after["alpha_start"] / before["alpha_start"],
    )
    for name, detector in roster.detectors.items():
        factor = factors.get(name.partition("_")[0], 1.0)
        if factor < 1:
            detector.lower(rows[~is_leak], factor)
        if of_leaks < 1:
            detector.lower(rows[is_leak], of_leaks)
    coming.traffic.lower(min(1.0, after["alpha_page"] / before["alpha_page"]))
    lowered = [name for name, factor in factors.items() if factor < 1]
    lowered += ["leak"] if of_leaks < 1 and is_leak.any() else []
    if lowered:
        kept.dropped.append(f"evidence above the smaller budget ({' and '.join(lowered)})")


def _set_lines(config: Config, comparisons: Comparisons, kept: Kept) -> None:
    roster = comparisons.roster
    page, look = roster.line_page.copy(), roster.line_look.copy()
    comparisons.set_lines(config.detect)
    raised = np.zeros(len(page), dtype=np.bool_)
    for line, old, held in (
        (roster.line_page, page, (roster.held_half, roster.held_recent)),
        (roster.line_look, look, (roster.held_look,)),
    ):
        higher = line > old
        for column in held:
            raised |= _reset(column, higher)
    if raised.any():
        count = int(np.count_nonzero(raised))
        kept.dropped.append(f"the minutes that {count} rows held a line that is higher now")


def _reset(column: Floats, where: Any) -> Any:
    held = where & (column > 0)
    column[held] = 0.0
    return held


def _set_slow(config: Config, comparisons: Comparisons, kept: Kept, now_ns: int) -> None:
    """Move the cut above which a request, a first token or a run is slow, with its multiple."""
    changed = {
        family.scope: measures
        for family in comparisons.families.values()
        if (measures := _move_limits(family, config.detect.for_route(family.scope.route)))
    }
    if not changed:
        return

    def is_moved(scope: Scope, measure: Measure) -> bool:
        return measure in changed.get(scope.family(), ())

    for record in comparisons.scopes.records.values():
        for measure, series in record.series.items():
            if is_moved(record.scope, measure):
                comparisons.scopes.rings.clear(series)
    roster = comparisons.roster
    for (scope, measure, _), row in roster.by_key.items():
        if is_moved(scope, measure):
            roster.restart(row, now_ns)
    names = [{_signal_of(measure).name for measure in measures} for measures in changed.values()]
    for name in sorted(set().union(*names)):
        count = sum(name in of_family for of_family in names)
        kept.dropped.append(f"what was slow in {count} prompts: {name}.page_multiple moved")


def _move_limits(family: Family, lines: Signals) -> set[Measure]:
    """Bring what is slow in a family to the multiples of ``lines``; return what was moved."""
    moved: set[Measure] = set()
    for measure, yardstick in family.yardsticks.items():
        kind = kinds_of(measure)[0]
        if SIGNALS[kind].rule is not Rule.SLOW:
            continue
        limit = lines_of(kind, lines).page_multiple * yardstick.usual
        if abs(limit - yardstick.limit) > 1e-9 * limit:
            family.yardsticks[measure] = replace(yardstick, limit=limit)
            moved.add(measure)
    return moved


def _signal_of(measure: Measure) -> Signal:
    return SIGNALS[kinds_of(measure)[0]]


def _changed_meaning(
    before: dict[str, Any], after: dict[str, Any]
) -> tuple[Callable[[Measure], bool], str]:
    """Return which measures mean something else now, and the sections that changed."""
    sections: list[str] = []
    beginnings: set[str] = set()
    if before["prices"] != after["prices"]:
        sections.append("prices")
        beginnings.add("cost")
    for fact in sorted({*before["keys"], *after["keys"]}):
        if before["keys"].get(fact) != after["keys"].get(fact) and fact in _MEASURES_OF_FACT:
            sections.append(f"read.keys.{fact}")
            beginnings.update(_MEASURES_OF_FACT[fact])
    is_read_otherwise = before["otherwise_read"] != after["otherwise_read"]
    if is_read_otherwise:
        sections.append("read")
    old_rules, new_rules = before["evaluations"], after["evaluations"]
    if old_rules != new_rules:
        sections.append("evaluations")
        if _harms(old_rules) != _harms(new_rules):
            beginnings.update((*_REFUSALS, "pii_leak", "leak_trace", "prompt_injection"))

    def is_changed(measure: Measure) -> bool:
        if measure.name == _COUNTED:
            return False
        if is_read_otherwise or measure.name.startswith(tuple(beginnings)):
            return True
        if measure.name != "eval_score" or measure.rubric is None or old_rules == new_rules:
            return False
        return _rule_of(measure.rubric, old_rules) != _rule_of(measure.rubric, new_rules)

    return is_changed, ", ".join(sections)


def _harms(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rules that may be about something else than a rubric of quality."""
    return [rule for rule in rules if not _is_of_rubrics(rule)]


def _is_of_rubrics(rule: dict[str, Any]) -> bool:
    if rule["kind"] != "auto":
        return rule["kind"] in ("rubric", "feedback")
    return "*" not in rule["name"] and kind_of(rubric_name(rule["name"])) == "auto"


def _rule_of(rubric: str, rules: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the rule that holds for a rubric, the first whose name fits, as `appraisal` does."""
    # A series of a range that was revised has the range in brackets after the name.
    name = rubric.partition(" (")[0]
    return next((rule for rule in rules if fnmatchcase(name, rubric_name(rule["name"]))), None)


def _drop(comparisons: Comparisons, is_changed: Callable[[Measure], bool], now_ns: int) -> int:
    """Clear the series of all measures that changed, and start their rows anew."""
    dropped = 0
    for record in comparisons.scopes.records.values():
        for measure, series in record.series.items():
            if is_changed(measure):
                comparisons.scopes.rings.clear(series)
                dropped += 1
    roster = comparisons.roster
    for (_, measure, _), row in roster.by_key.items():
        if is_changed(measure):
            roster.restart(row, now_ns)
    return dropped


def _rows_with_evidence(roster: Roster) -> int:
    rows = roster.rows()
    some = np.zeros(len(rows), dtype=np.bool_)
    for detector in roster.detectors.values():
        some |= detector.evidence(rows) > 0
    return int(np.count_nonzero(some))
