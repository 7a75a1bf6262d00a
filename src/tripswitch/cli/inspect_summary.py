"""The summary that ``tripswitch inspect`` prints for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.genai.census import COUNTED_FACTS, SHOWN_VALUES
from tripswitch.genai.event_names import EVALUATION_EVENT
from tripswitch.genai.vocabulary import usual_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.genai.census import Census

_VALUES_SHOWN: Final = 3
_VALUE_WIDTH: Final = 40
_MAX_RANGES_SHOWN: Final = 50

# What the counts of putting traces together mean, in the order they are told.
_COUNTS: Final = {
    "double_counted": "spans repeated a call (a framework's, a gateway's, a second "
    "instrumentation's) and were not counted again",
    "repeated_spans": "spans came more than once and were counted once",
    "model_judge_calls": "calls served an evaluator or a guardrail and are no user traffic",
    "unjoined_scores": "scores found no call: name the call's trace and span, or its response id",
    "repeated_scores": "scores came more than once and were counted once",
    "late_verdicts": "guardrail verdicts came after their call was done with",
    "expired": "traces never showed their root; their calls lack what it says",
    "evicted": "traces were given up early: more than read.max_held_traces at once",
    "late_calls": "calls came after their request was closed",
}


def summary(census: Census, score_ranges: Mapping[str, Mapping[str, float]]) -> str:
    """Return the summary, one fact a line: its share of the calls, then values or a remedy."""
    dialects = ", ".join(f"{_shown(name)} {count}" for name, count in census.dialects.most_common())
    lines = [
        f"{census.calls} calls in {census.spans} spans"
        + (f", {census.errors} with an error" if census.errors else "")
        + (f" (read as: {dialects})" if dialects else "")
    ]
    if census.calls:
        lines += ["", f"{'fact':<18}{'calls having it':>16}"]
        lines += [_line(census, fact) for fact in COUNTED_FACTS]
    if score_ranges:
        lines += ["", "scores, as their range was learnt (evaluations in the configuration fix it)"]
        lines += [
            f"{_shown(name):<18}{found['low']:>8g} to {found['high']:g}"
            for name, found in sorted(score_ranges.items())[:_MAX_RANGES_SHOWN]
        ]
    return "\n".join(lines) + "\n"


def remarks(census: Census, counts: Mapping[str, int]) -> list[str]:
    """Return what a person should know about the reading itself, a sentence each."""
    sentences = []
    if not census.calls:
        sentences.append(
            "no LLM call found: a call is a span that says it is one (gen_ai.operation.name, "
            "openinference.span.kind and the like), or names a model and its usage; describe a "
            "library that is not known under read.dialects"
        )
    if census.unreadable:
        sentences.append(f"{census.unreadable} requests were not readable as OTLP")
    sentences += [
        f"{counts[name]} {meaning}" for name, meaning in _COUNTS.items() if counts.get(name)
    ]
    sentences += [
        f"{_shown(fact)}: present but not usable {count} times"
        for fact, count in sorted(census.rejected.items())
    ]
    return sentences


def _line(census: Census, fact: str) -> str:
    having = census.having[fact]
    line = f"{fact:<18}{having:>8} {having / census.calls:>6.0%}"
    if fact in SHOWN_VALUES and having:
        common = census.values[fact].most_common(_VALUES_SHOWN)
        shown = ", ".join(f"{_shown(value)} {count}" for value, count in common)
        line += f"   {shown}"
        if len(census.values[fact]) > _VALUES_SHOWN:
            line += f", {len(census.values[fact]) - _VALUES_SHOWN} more"
    elif not having:
        line += f"   {_remedy(fact)}"
    return line


def _shown(value: str) -> str:
    """Return a value of telemetry as it may be shown: attackers write terminal codes into spans."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    return printable if len(printable) <= _VALUE_WIDTH else printable[: _VALUE_WIDTH - 3] + "..."


def _remedy(fact: str) -> str:
    if fact == "evals":
        return f"set by {EVALUATION_EVENT} events, evaluator spans, or POST /v1/scores"
    if fact == "refusal":
        return f"set by finish reason refusal, or by a {EVALUATION_EVENT} event named refusal"
    if fact in ("guardrails", "tools"):
        return f"set by spans of a {fact[:-1]}'s own"
    return f"set by {usual_key(fact)}, or name your key: --key {fact}=YOUR.KEY"
