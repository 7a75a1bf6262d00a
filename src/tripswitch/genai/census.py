"""The census: how many calls were understood, and how many of them say what.

Counts and a few values, bounded; no text of a person and no content. ``tripswitch inspect`` prints
it of a recording or of a running sidecar.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tripswitch.model.scope import ScopeColumn
from tripswitch.model.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.genai.sightings import Sighted
    from tripswitch.model.calls import Calls

COUNTED_FACTS: Final = (
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
    "guardrails",
    "evals",
    "tools",
)
# The values of these are worth seeing; there are few, and none is a person's.
SHOWN_VALUES: Final = (
    "route",
    "prompt_name",
    "prompt_version",
    "cohort",
    "provider",
    "request_model",
)
# Said where they are not empty.
_LISTS: Final = frozenset({"finish_reasons", "guardrails", "evals", "tools"})
# A scope's model may be the one that answered.
_OF_SCOPE: Final = ("route", "prompt_name", "prompt_version", "cohort", "provider")
_MAX_VALUES_COUNTED: Final = 1000
_MAX_DIALECTS: Final = 100
_MOST_WAITING: Final = 1_000


class Census:
    """Counts what was read and settled; holds no more than counts and a few values."""

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.spans = 0
        self.records = 0
        self.unreadable = 0
        self.having: Counter[str] = Counter()
        self.values: dict[str, Counter[str]] = {fact: Counter() for fact in SHOWN_VALUES}
        self.dialects: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._waiting: Waiting[Calls] = Waiting(_MOST_WAITING, self._count_calls)

    def add_read(self, sighted: Sighted) -> None:
        """Count what one reading yielded."""
        self.spans += sighted.spans
        self.records += sighted.records
        self.unreadable += sighted.unreadable
        self.rejected.update(sighted.rejected)

    def add_calls(self, calls: Calls) -> None:
        """Count settled calls."""
        if len(calls):
            self._waiting.put(calls, len(calls))

    def count(self) -> None:
        """Count the calls that were added and not counted yet; before anything is read."""
        self._waiting.count()

    def _count_calls(self, batches: list[Calls]) -> None:
        total = sum(map(len, batches))
        self.calls += total
        of_scope = _of_scopes(batches)
        for fact in COUNTED_FACTS:
            if fact in of_scope:
                self.having[fact] += total - of_scope[fact].get(None, 0)
            else:
                self.having[fact] += _having(fact, [getattr(calls, fact) for calls in batches])
        for fact, seen in self.values.items():
            counts = of_scope.get(fact)
            _count(seen, counts or _counter(batches, fact), _MAX_VALUES_COUNTED)
        self.errors += total - sum(calls.error_class.count(None) for calls in batches)
        _count(self.dialects, _counter(batches, "dialect"), _MAX_DIALECTS)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        self.count()
        return {
            "calls": self.calls,
            "errors": self.errors,
            "spans": self.spans,
            "records": self.records,
            "unreadable": self.unreadable,
            "having": {fact: self.having[fact] for fact in COUNTED_FACTS},
            "values": {fact: dict(seen) for fact, seen in self.values.items()},
            "dialects": dict(self.dialects),
            "rejected": dict(self.rejected),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Census:
        """Return the census that `as_json` wrote down."""
        census = cls()
        for name in ("calls", "errors", "spans", "records", "unreadable"):
            setattr(census, name, int(document[name]))
        census.having.update(document["having"])
        census.dialects.update(document["dialects"])
        census.rejected.update(document["rejected"])
        for fact, seen in document["values"].items():
            if fact in census.values:
                census.values[fact].update(seen)
        return census


def _having(fact: str, columns: list[Any]) -> int:
    """Return how many calls say a fact."""
    if isinstance(columns[0], np.ndarray):
        numbers = np.concatenate(columns)
        return len(numbers) - int(np.count_nonzero(np.isnan(numbers)))
    if fact in _LISTS:
        return sum(sum(map(bool, column)) for column in columns)
    return sum(len(column) - column.count(None) for column in columns)


def _of_scopes(batches: list[Calls]) -> dict[str, dict[str | None, int]]:
    """Return, of the facts that a scope has, how many calls have which value, as they came."""
    column = ScopeColumn.joined([calls.by_scope() for calls in batches])
    counts: dict[str, dict[str | None, int]] = {fact: {} for fact in _OF_SCOPE}
    rows = np.bincount(column.codes, minlength=len(column.distinct)).tolist()
    for scope, calls_of_scope in zip(column.distinct, rows, strict=True):
        for fact, seen in counts.items() if calls_of_scope else ():
            value = getattr(scope, fact)
            seen[value] = seen.get(value, 0) + calls_of_scope
    return counts


def _counter(batches: list[Calls], fact: str) -> Counter[str | None]:
    return Counter(chain.from_iterable(getattr(calls, fact) for calls in batches))


def _count(seen: Counter[str], counts: Mapping[str | None, int], most: int) -> None:
    for value, count in counts.items():
        if value is not None and (value in seen or len(seen) < most):
            seen[value] += count
