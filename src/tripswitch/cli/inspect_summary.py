"""The summary that ``tripswitch inspect`` prints for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tripswitch.genai.vocabulary import EVALUATION_EVENT, ROWS

if TYPE_CHECKING:
    from tripswitch.model.calls import Observed

_SHOWN_FACTS = (
    "route",
    "prompt_name",
    "prompt_version",
    "cohort",
    "tenant",
    "session",
    "user",
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
    "ttft",
    "finish_reasons",
    "refusal",
    "evals",
)
# The values of these are worth seeing; there are few, and none is a person's.
_SHOWN_VALUES = frozenset(
    {"route", "prompt_name", "prompt_version", "cohort", "provider", "request_model"}
)
_VALUES_SHOWN = 3
_MAX_VALUES_COUNTED = 1000
_VALUE_WIDTH = 40


class Summary:
    """Counts what was seen, call by call; holds no more than counts and a few values."""

    def __init__(self) -> None:
        self.other_signals: Counter[str] = Counter()
        self._calls = 0
        self._errors = 0
        self._spans = 0
        self._unreadable = 0
        self._having: Counter[str] = Counter()
        self._values: dict[str, Counter[str]] = {fact: Counter() for fact in _SHOWN_VALUES}
        self._dialects: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()

    def add(self, observed: Observed) -> None:
        """Count what one reading yielded."""
        self._spans += observed.spans
        self._unreadable += observed.unreadable
        self._rejected.update(observed.rejected)
        calls = observed.calls
        self._calls += len(calls)
        self._dialects.update(calls.dialect)
        for row in range(len(calls)):
            facts = calls.as_json(row)
            self._errors += facts["error_type"] is not None
            for fact in _SHOWN_FACTS:
                if facts[fact] is not None and facts[fact] != []:
                    self._having[fact] += 1
                    self._count_value(fact, facts[fact])

    def _count_value(self, fact: str, value: Any) -> None:
        seen = self._values.get(fact)
        if seen is not None and (value in seen or len(seen) < _MAX_VALUES_COUNTED):
            seen[value] += 1

    def text(self) -> str:
        """Return the summary, one fact a line: its share of the calls, then values or a remedy."""
        lines = [
            f"{self._calls} calls in {self._spans} spans"
            + (f", {self._errors} with an error" if self._errors else "")
            + (f" ({', '.join(sorted(self._dialects))})" if self._dialects else "")
        ]
        if self._calls:
            lines += ["", f"{'fact':<18}{'calls having it':>16}"]
            lines += [self._line(fact) for fact in _SHOWN_FACTS]
        return "\n".join(lines) + "\n"

    def _line(self, fact: str) -> str:
        having = self._having[fact]
        line = f"{fact:<18}{having:>8} {having / self._calls:>6.0%}"
        if fact in _SHOWN_VALUES and having:
            common = self._values[fact].most_common(_VALUES_SHOWN)
            shown = ", ".join(f"{_shown(value)} {count}" for value, count in common)
            line += f"   {shown}"
            if len(self._values[fact]) > _VALUES_SHOWN:
                line += f", {len(self._values[fact]) - _VALUES_SHOWN} more"
        elif not having:
            line += f"   {_remedy(fact)}"
        return line

    def remarks(self) -> list[str]:
        """Return what a person should know about the reading itself, a sentence each."""
        remarks = []
        if not self._calls:
            remarks.append(
                "no LLM call found: a call is a span whose gen_ai.operation.name is chat, "
                "generate_content, text_completion or embeddings, with a model or tokens"
            )
        if self._unreadable:
            remarks.append(f"{self._unreadable} requests were not readable as OTLP traces")
        remarks += [
            f"{count} {signal} requests were not read: calls stand in traces"
            for signal, count in sorted(self.other_signals.items())
            if signal != "unknown"
        ]
        remarks += [
            f"{fact}: present but not usable {count} times"
            for fact, count in sorted(self._rejected.items())
        ]
        return remarks


def _shown(value: str) -> str:
    """Return a value of telemetry as it may be shown: attackers write terminal codes into spans."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    return printable if len(printable) <= _VALUE_WIDTH else printable[: _VALUE_WIDTH - 3] + "..."


def _remedy(fact: str) -> str:
    if fact == "evals":
        return f"set by events named {EVALUATION_EVENT} on the call's span"
    if fact == "refusal":
        return f"set by finish reason refusal, or by a {EVALUATION_EVENT} event named refusal"
    keys = [row.key for row in ROWS if row.fact == fact]
    return f"set by {keys[0]}, or name your key: --key {fact}=YOUR.KEY"
