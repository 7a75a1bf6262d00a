"""Good calls lately, by arm: what an exemplar is held against, and the facts of a call in words.

For the last minutes a few calls of every arm that neither failed nor refused are kept with their
facts, bounded; prompt and answer are never among them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from tripswitch.model.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.model.calls import Calls
    from tripswitch.model.scope import Scope
    from tripswitch.model.snapshot import Snapshot

_MOST_ARMS: Final = 2_000
_KEPT: Final = 8
_MOST_WAITING: Final = 1_000
_WELL: Final = 0.8
_LONGEST_FACT: Final = 200
_NS_PER_S: Final = 1e9

TraceFact = tuple[str, str]

T = TypeVar("T")


class GoodCall(NamedTuple):
    """One good call: where to find it, whose it was, its worst score (1 for none), its facts."""

    trace_id: str
    tenant: str | None
    worst_score: float
    end_ns: int
    facts: tuple[TraceFact, ...]


class Contrast:
    """The latest good calls by arm."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Scope, deque[GoodCall]] = OrderedDict()
        # Most calls are displaced before anybody asks, and their facts take long to put together.
        self._waiting: Waiting[Calls] = Waiting(_MOST_WAITING, self._keep)

    @property
    def _arms(self) -> OrderedDict[Scope, deque[GoodCall]]:
        self._waiting.count()
        return self._kept

    def take(self, calls: Calls) -> None:
        """Keep the last good call of each scope of a batch."""
        if len(calls):
            self._waiting.put(calls, len(calls))

    def _keep(self, batches: list[Calls]) -> None:
        latest: dict[Scope, deque[tuple[Calls, int]]] = {}
        for calls in batches:
            column = calls.by_scope()
            # Of every scope its last row.
            last = {code: row for row, code in enumerate(column.codes.tolist())}
            for code in sorted(last):
                row = last[code]
                if value_at(calls.refusal, row) or value_at(calls.error_type, row):
                    continue
                if value_at(calls.error_class, row):
                    continue
                arm = column.distinct[code].arm()
                if arm not in self._kept:
                    self._kept[arm] = deque(maxlen=_KEPT)
                    if len(self._kept) > _MOST_ARMS:
                        latest.pop(self._kept.popitem(last=False)[0], None)
                rows = latest.get(arm)
                if rows is None:
                    rows = latest[arm] = deque(maxlen=_KEPT)
                rows.append((calls, row))
        for arm, rows in latest.items():
            self._kept[arm].extend(_good_call_at(calls, row) for calls, row in rows)

    def nearest(self, arms: list[Scope], tenant: str | None) -> GoodCall | None:
        """Return a good call of one of ``arms``: well scored, of the same tenant if it can be."""
        found = [call for arm in arms for call in self._arms.get(arm, ())]
        return max(
            found,
            key=lambda call: (
                call.worst_score >= _WELL,
                call.tenant == tenant,
                call.worst_score,
                call.end_ns,
                call.trace_id,
            ),
            default=None,
        )

    def save(self, snapshot: Snapshot) -> None:
        """Put the calls into ``snapshot``."""
        snapshot.facts["contrast"] = [
            [snapshot.number(arm), [list(call) for call in calls]]
            for arm, calls in self._arms.items()
        ]

    def restore(self, snapshot: Snapshot) -> None:
        """Know again what `save` put there; a snapshot of before had none."""
        for number, calls in snapshot.facts.get("contrast", ()):
            arm = snapshot.scope(number)
            if arm is not None:
                self._arms[arm] = deque((_good_call_of(call) for call in calls), maxlen=_KEPT)

    def forget(self, arm: Scope) -> None:
        """Drop an arm that made way."""
        self._arms.pop(arm, None)


def _good_call_at(calls: Calls, row: int) -> GoodCall:
    scores = [one.score for one in value_at(calls.evals, row) or () if one.score is not None]
    return GoodCall(
        calls.trace_id[row],
        value_at(calls.tenant, row),
        min(scores, default=1.0),
        int(calls.end[row]),
        call_facts(calls, row),
    )


def _good_call_of(kept: list[Any]) -> GoodCall:
    call = GoodCall(*kept)
    return call._replace(facts=tuple((name, value) for name, value in call.facts))


def call_facts(calls: Calls, row: int) -> tuple[TraceFact, ...]:
    """Return the facts of one call that tell its story, in order; what was not said is left out."""
    found: list[TraceFact] = []

    def add(name: str, value: str | None) -> None:
        if value and value != "nan":
            found.append((name, value[:_LONGEST_FACT]))

    for name, texts in (
        ("route", calls.route),
        ("prompt", calls.prompt_name),
        ("version", calls.prompt_version),
        ("cohort", calls.cohort),
        ("model", calls.request_model),
        ("provider", calls.provider),
        ("tenant", calls.tenant),
    ):
        value = texts[row] if len(texts) else None
        if value and value != "nan":
            found.append((name, value[:_LONGEST_FACT]))
    if len(calls.start):
        seconds = (int(calls.end[row]) - int(calls.start[row])) / _NS_PER_S
        add("latency", f"{seconds:.3g} s")
    for name, numbers in (("tokens in", calls.input_tokens), ("tokens out", calls.output_tokens)):
        if len(numbers):
            add(name, f"{float(numbers[row]):.0f}")
    if value_at(calls.refusal, row):
        kind = value_at(calls.refusal_kind, row)
        add("refusal", "yes" if kind in (None, "unknown") else kind)
    add("finish", ", ".join((value_at(calls.finish_reasons, row) or [])[:3]))
    add("error", value_at(calls.error_type, row) or value_at(calls.error_class, row))
    for guardrail in (value_at(calls.guardrails, row) or [])[:3]:
        add("guardrail", f"{guardrail.name}: {guardrail.verdict}")
    for tool in (value_at(calls.tools, row) or [])[:3]:
        failed = ", failed" if tool.error else ""
        add("tool", f"{tool.name}: {tool.latency:.3g} s{failed}")
    for score in (value_at(calls.evals, row) or [])[:3]:
        said = score.label if score.score is None else f"{score.score:.2f}"
        add("score", f"{score.name}: {said}")
    return tuple(found)


def value_at(column: Sequence[T], row: int) -> T | None:
    """Return one value of a column, None where the column was left out."""
    return column[row] if len(column) else None
