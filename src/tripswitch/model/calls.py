"""What was understood of the telemetry, as columns: calls, entry spans, scores.

A *call* is one leaf LLM call. Its columns bear the fixed names that ``tripswitch inspect --json``
prints. A column is a list or a numpy array with one element a call, all in the same order; text
is None and a number is NaN where the telemetry did not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tripswitch.model.scope import Scope, ScopeColumn

IntColumn = npt.NDArray[np.int64]
FloatColumn = npt.NDArray[np.float64]
Text = str | None

CostSource = Literal["reported", "priced", "unknown"]
ErrorClass = Literal[
    "provider", "provider_throttle", "timeout", "client", "guardrail", "cancelled", "unknown"
]


class Eval(NamedTuple):
    """One evaluation of one call. ``score`` is 0..1, higher is better, None when only a label."""

    name: str
    score: float | None
    raw: float | None
    label: str | None
    source: str


class Guardrail(NamedTuple):
    """One guardrail verdict: pass, flag, redact, block, error or not_run."""

    name: str
    category: str
    verdict: str
    stage: str | None


class ToolExecution(NamedTuple):
    """One tool run below a call; ``latency`` in seconds."""

    name: str
    error: bool
    latency: float


def _ints() -> IntColumn:
    return np.empty(0, dtype=np.int64)


def _floats() -> FloatColumn:
    return np.empty(0, dtype=np.float64)


@dataclass(slots=True)
class Calls:
    """A batch of calls as columns of equal length.

    ``start`` and ``end`` are nanoseconds since the epoch, ``ttft`` seconds, ``cost_usd`` US
    dollars, token counts whole numbers held as float so that NaN can mean "not said".
    ``is_chat`` is False for embeddings and rerankers, which are listed but judged nowhere.
    ``request_index`` says which of the moments given beside a batch holds for the row. ``scopes``
    says the narrowest scopes, each once; it may be left out, and is then made when asked for. Where
    nobody said which model was asked for, a scope has the one that answered.
    """

    trace_id: list[str] = field(default_factory=list)
    span_id: list[str] = field(default_factory=list)
    parent_span_id: list[Text] = field(default_factory=list)
    response_id: list[Text] = field(default_factory=list)
    start: IntColumn = field(default_factory=_ints)
    end: IntColumn = field(default_factory=_ints)
    ttft: FloatColumn = field(default_factory=_floats)
    route: list[Text] = field(default_factory=list)
    prompt_name: list[Text] = field(default_factory=list)
    prompt_version: list[Text] = field(default_factory=list)
    prompt_label: list[Text] = field(default_factory=list)
    cohort: list[Text] = field(default_factory=list)
    tenant: list[Text] = field(default_factory=list)
    session: list[Text] = field(default_factory=list)
    user: list[Text] = field(default_factory=list)
    provider: list[Text] = field(default_factory=list)
    request_model: list[Text] = field(default_factory=list)
    response_model: list[Text] = field(default_factory=list)
    input_tokens: FloatColumn = field(default_factory=_floats)
    output_tokens: FloatColumn = field(default_factory=_floats)
    cached_tokens: FloatColumn = field(default_factory=_floats)
    reasoning_tokens: FloatColumn = field(default_factory=_floats)
    cost_usd: FloatColumn = field(default_factory=_floats)
    cost_source: list[CostSource] = field(default_factory=list)
    streaming: list[bool] = field(default_factory=list)
    finish_reasons: list[list[str]] = field(default_factory=list)
    refusal: list[bool | None] = field(default_factory=list)
    refusal_source: list[Text] = field(default_factory=list)
    refusal_kind: list[Text] = field(default_factory=list)
    guardrails: list[Sequence[Guardrail]] = field(default_factory=list)
    evals: list[list[Eval]] = field(default_factory=list)
    error_type: list[Text] = field(default_factory=list)
    error_class: list[ErrorClass | None] = field(default_factory=list)
    tools: list[Sequence[ToolExecution]] = field(default_factory=list)
    dialect: list[str] = field(default_factory=list)
    is_chat: list[bool] = field(default_factory=list)
    request_index: IntColumn = field(default_factory=_ints)
    scopes: ScopeColumn | None = None

    def __len__(self) -> int:
        return len(self.trace_id)

    def scope(self, row: int) -> Scope:
        """Return the narrowest scope of the call at ``row``."""
        scopes = self.by_scope()
        return scopes.distinct[int(scopes.codes[row])]

    def by_scope(self) -> ScopeColumn:
        """Return the scopes of all rows as a column."""
        if self.scopes is None:
            self.scopes = ScopeColumn.of(
                zip(
                    self.route,
                    self.prompt_name,
                    self.prompt_version,
                    self.cohort,
                    self.request_model,
                    self.provider,
                    strict=True,
                )
            )
        return self.scopes

    def as_json(self, row: int) -> dict[str, Any]:
        """Return the call at ``row`` under the fixed names, as plain JSON values."""
        start, end = int(self.start[row]), int(self.end[row])
        return {
            "trace_id": self.trace_id[row],
            "span_id": self.span_id[row],
            "response_id": self.response_id[row],
            "start": start,
            "end": end,
            "latency": (end - start) / 1e9,
            "ttft": _number(self.ttft[row]),
            "route": self.route[row],
            "prompt_name": self.prompt_name[row],
            "prompt_version": self.prompt_version[row],
            "prompt_label": self.prompt_label[row],
            "cohort": self.cohort[row],
            "tenant": self.tenant[row],
            "session": self.session[row],
            "user": self.user[row],
            "provider": self.provider[row],
            "request_model": self.request_model[row],
            "response_model": self.response_model[row],
            "input_tokens": _whole(self.input_tokens[row]),
            "output_tokens": _whole(self.output_tokens[row]),
            "cached_tokens": _whole(self.cached_tokens[row]),
            "reasoning_tokens": _whole(self.reasoning_tokens[row]),
            "cost_usd": _number(self.cost_usd[row]),
            "cost_source": self.cost_source[row],
            "streaming": self.streaming[row],
            "finish_reasons": self.finish_reasons[row],
            "refusal": self.refusal[row],
            "refusal_source": self.refusal_source[row],
            "refusal_kind": self.refusal_kind[row],
            "guardrails": [guardrail._asdict() for guardrail in self.guardrails[row]],
            "evals": [evaluation._asdict() for evaluation in self.evals[row]],
            "error_type": self.error_type[row],
            "error_class": self.error_class[row],
            "tools": [tool._asdict() for tool in self.tools[row]],
            "dialect": self.dialect[row],
        }


class Score(NamedTuple):
    """One judgement of one call, with the scope of that call. ``end`` is the call's end in ns.

    ``score`` is 0..1 with higher better. The ids are those the score named, empty where it named
    the provider's answer instead. ``request_index`` as in `Calls`. ``signal`` is what was judged:
    a rubric (`eval_score`), or whether there was a ``pii_leak`` or a successful
    ``prompt_injection``; these have no rubric, and a score of 0 says that there was.
    """

    trace_id: str
    span_id: str
    scope: Scope
    tenant: str | None
    rubric: str
    score: float
    end: int
    request_index: int = 0
    signal: str = "eval_score"


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else int(value)
