"""From spans to calls: which spans are LLM calls, and the facts of each.

A call is a span whose own attributes say that it is a chat completion or an embedding, with a
model or tokens to show for it; agents, workflows and tools are not calls, and what an evaluator
does is no user traffic. A retried export counts once. Nothing that a sender writes raises: what
cannot be used is counted in ``Observed.rejected``.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tripswitch.genai import evaluations
from tripswitch.genai.coercion import MAX_TEXT
from tripswitch.genai.content import output_facts
from tripswitch.genai.facts import CommonFacts, SpanFacts
from tripswitch.genai.seen import SpansSeen
from tripswitch.genai.spellings import error_class, error_name, finish_reason
from tripswitch.genai.vocabulary import (
    EVALUATION_EVENT,
    EXCEPTION_EVENT,
    EXCEPTION_TYPE_KEY,
    OUTPUT_CONTENT_KEY,
    Vocabulary,
)
from tripswitch.model.calls import Calls, CostSource, Entry, ErrorClass, Eval, Observed, Score
from tripswitch.otlp.reader import SpanEvent, SpanTable, read_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.model import Read

DEFAULT_COHORTS = ("control", "canary")

# One entry for each combination of scope, tenant and models; about 1 kB each.
_MAX_REMEMBERED_FACTS = 8192
_MAX_EVALS = 64
_MAX_DURATION_NS = 24 * 3600 * 10**9
_SERVER, _CONSUMER = 2, 5
_STATUS_OK, _STATUS_ERROR = 1, 2


class _Judged(NamedTuple):
    """What the evaluations on one call's span say."""

    evals: list[Eval]
    rubrics: list[tuple[str, float]]
    refusal: bool | None
    refusal_kind: str | None


_NOT_JUDGED = _Judged([], [], None, None)


class Understanding:
    """Reads OTLP trace requests into calls, entries and scores.

    ``cohort_names`` are the cohorts that a bare tag may name, `DEFAULT_COHORTS` when empty. The
    only thing remembered from one reading to the next is which spans were ``seen``; hand the same
    one to the next instance when settings change.
    """

    def __init__(
        self, read: Read, cohort_names: Sequence[str] = (), seen: SpansSeen | None = None
    ) -> None:
        self._vocabulary = Vocabulary(read.keys, content_facts=read.content_facts)
        self._cohort_names = frozenset(name.lower() for name in (cohort_names or DEFAULT_COHORTS))
        # BLAKE2b takes keys of at most 64 bytes.
        key = read.user_hash_key.get_secret_value().encode()
        self._user_key = key if len(key) <= 64 else hashlib.blake2b(key).digest()
        self._seen = SpansSeen() if seen is None else seen
        self._common_facts: dict[tuple[Any, ...], CommonFacts] = {}

    def observe(self, requests: Sequence[bytes]) -> Observed:
        """Read ``requests``, each a serialised ``ExportTraceServiceRequest``.

        Rows keep the order of the requests and of the spans in them; ``request_index`` is a
        position in ``requests``.
        """
        table = read_spans(requests, self._vocabulary.wanted, self._vocabulary.private)
        observed = Observed(spans=table.read, unreadable=table.unreadable)
        for fact, count in (
            ("bad_ids", table.bad_ids),
            ("bad_attributes", table.bad_attributes),
        ):
            if count:
                observed.rejected[fact] = count
        rows: list[tuple[Any, ...]] = []
        resource_keys = [tuple(resource) for resource in table.resources]
        for row, attributes in enumerate(table.attributes):
            resource = table.resource[row]
            plan = self._vocabulary.plan(tuple(attributes), resource_keys[resource])
            facts = SpanFacts(plan, attributes, table.resources[resource], observed.rejected)
            common = self._common(facts, observed.rejected)
            kind = common.kind
            is_call = plan.shows_call and kind in ("chat", "embedding")
            is_root = table.parent_span_id[row] is None or table.kind[row] in (_SERVER, _CONSUMER)
            if not (is_call or is_root or kind in ("agent", "workflow")):
                continue
            if not self._seen.is_new(table.trace_id[row], table.span_id[row]):
                facts.reject("repeated_span")
                continue
            error_type = _error_type(facts, table.status_code[row], table.events[row])
            if is_root or kind in ("agent", "workflow"):
                observed.entries.append(_entry(table, row, facts, error=error_type is not None))
            if is_call:
                rows.append(self._call(table, row, facts, common, error_type, observed.scores))
        if rows:
            observed.calls = _columns(rows)
        return observed

    def _common(self, facts: SpanFacts, rejected: dict[str, int]) -> CommonFacts:
        key = facts.common_key()
        try:
            found = self._common_facts.get(key)
        except TypeError:
            # A list or an object among the values, tags for instance.
            return facts.common(self._cohort_names)
        if found is None:
            already_rejected = sum(rejected.values())
            found = facts.common(self._cohort_names)
            # Only text is remembered, as True, 1 and 1.0 are the same key of a dict; and only
            # where nothing was rejected, since each span has to be counted.
            if sum(rejected.values()) == already_rejected and all(
                isinstance(value, str) and len(value) <= MAX_TEXT for value in key[1:]
            ):
                if len(self._common_facts) >= _MAX_REMEMBERED_FACTS:
                    self._common_facts.clear()
                self._common_facts[key] = found
        return found

    def _call(
        self,
        table: SpanTable,
        row: int,
        facts: SpanFacts,
        common: CommonFacts,
        error_type: str | None,
        scores: list[Score],
    ) -> tuple[Any, ...]:
        start, end = _times(facts, int(table.start[row]), int(table.end[row]))
        ttft = facts.ttft((end - start) / 1e9)
        streaming = facts.flag("streaming")
        if streaming is False:
            # Some write the whole duration as "first chunk" of answers that were not streamed.
            ttft = math.nan
        input_tokens, cached_tokens = _whole_and_part(facts, "input_tokens", "cached_tokens")
        output_tokens, reasoning_tokens = _whole_and_part(
            facts, "output_tokens", "reasoning_tokens"
        )
        cost_usd = facts.cost_usd()
        cost_source: CostSource = "unknown" if math.isnan(cost_usd) else "reported"
        reasons, refuses = _answer(facts, table.attributes[row].get(OUTPUT_CONTENT_KEY))
        events = table.events[row]
        judged = _judged(facts, events) if events else _NOT_JUDGED
        refusal, refusal_source = _refusal(reasons, judged.refusal, refuses=refuses)
        scope, tenant = common.scope, common.tenant
        trace_id, span_id = table.trace_id[row], table.span_id[row]
        request_index = int(table.request_index[row])
        is_chat = common.kind == "chat"
        if is_chat and judged.rubrics:
            scores += [
                Score(trace_id, span_id, scope, tenant, rubric, score, end, request_index)
                for rubric, score in judged.rubrics
            ]
        failure: ErrorClass | None = None if error_type is None else error_class(error_type)
        # One value a column, in the order of `Calls`.
        return (
            trace_id,
            span_id,
            table.parent_span_id[row],
            facts.text("response_id"),
            start,
            end,
            ttft,
            scope.route,
            scope.prompt_name,
            scope.prompt_version,
            common.prompt_label,
            scope.cohort,
            tenant,
            facts.text("session"),
            self._hashed(facts.whole_text("user")),
            scope.provider,
            scope.request_model,
            common.response_model,
            input_tokens,
            output_tokens,
            cached_tokens,
            reasoning_tokens,
            cost_usd,
            cost_source,
            bool(streaming) if streaming is not None else not math.isnan(ttft),
            reasons,
            refusal,
            refusal_source,
            (judged.refusal_kind or "unknown") if refusal else None,
            [],
            list(judged.evals),
            error_type,
            failure,
            [],
            common.dialect,
            is_chat,
            request_index,
        )

    def _hashed(self, user: str | None) -> str | None:
        if user is None:
            return None
        return hashlib.blake2b(user.encode(), key=self._user_key, digest_size=8).hexdigest()


def _entry(table: SpanTable, row: int, facts: SpanFacts, *, error: bool) -> Entry:
    parent = table.parent_span_id[row]
    start, end = _times(facts, int(table.start[row]), int(table.end[row]))
    return Entry(
        table.trace_id[row],
        table.span_id[row],
        parent,
        start,
        end,
        parent is None or table.kind[row] in (_SERVER, _CONSUMER),
        error,
        int(table.request_index[row]),
    )


def _times(facts: SpanFacts, start: int, end: int) -> tuple[int, int]:
    """Return (start, end) with an unbelievable duration made 0: the end decides the minute."""
    if not 0 <= end - start <= _MAX_DURATION_NS:
        facts.reject("duration")
        return end, end
    return start, end


def _whole_and_part(facts: SpanFacts, whole: str, part: str) -> tuple[float, float]:
    """Return a token count and the share of it that ``part`` counts.

    The conventions include the part in the whole; who reports a larger part counts it apart.
    """
    total, of_which = facts.tokens(whole), facts.tokens(part)
    return (total + of_which if of_which > total else total), of_which


def _answer(facts: SpanFacts, content: Any) -> tuple[list[str], bool]:
    """Return the finish reasons, and whether a part of the answer is a refusal."""
    reasons = facts.texts("finish_reasons")
    refuses = False
    if content is not None:
        found = output_facts(content, need_finish_reasons=not reasons)
        reasons, refuses = reasons or found.finish_reasons, found.refuses
    return [finish_reason(reason) for reason in reasons], refuses


def _refusal(
    reasons: list[str], evaluated: bool | None, *, refuses: bool
) -> tuple[bool | None, str | None]:
    if "refusal" in reasons:
        return True, "provider"
    if refuses:
        return True, "content_part"
    return evaluated, None if evaluated is None else "eval"


def _error_type(facts: SpanFacts, status_code: int, events: Sequence[SpanEvent]) -> str | None:
    # A retry inside the span leaves the first try's error.type behind and sets the status OK.
    if status_code == _STATUS_OK:
        return None
    said = facts.text("error_type")
    if said is not None:
        return error_name(said)
    if status_code != _STATUS_ERROR:
        return None
    for event in reversed(events):
        raised = event.attributes.get(EXCEPTION_TYPE_KEY)
        if event.name == EXCEPTION_EVENT and isinstance(raised, str) and raised.strip():
            return facts.cut("error_type", error_name(raised))
    return "_OTHER"


def _judged(facts: SpanFacts, events: Sequence[SpanEvent]) -> _Judged:
    evals: list[Eval] = []
    rubrics: list[tuple[str, float]] = []
    refusal: bool | None = None
    refusal_kind: str | None = None
    for event in events:
        if event.name != EVALUATION_EVENT:
            continue
        if len(evals) == _MAX_EVALS:
            facts.reject("evals_cut")
            break
        evaluation = evaluations.understand(event.attributes)
        if evaluation is None:
            continue
        if evaluation.rejected is not None:
            facts.reject(evaluation.rejected)
        evals.append(evaluation.entry)
        if evaluation.is_rubric and evaluation.entry.score is not None:
            rubrics.append((evaluation.entry.name, evaluation.entry.score))
        refusal = evaluation.refusal if refusal is None else refusal
        refusal_kind = refusal_kind or evaluation.refusal_kind
    return _Judged(evals, rubrics, refusal, refusal_kind)


def _columns(rows: list[tuple[Any, ...]]) -> Calls:
    columns: list[Any] = [list(column) for column in zip(*rows, strict=True)]
    calls = Calls(*columns)
    for name in ("start", "end", "request_index"):
        setattr(calls, name, np.array(getattr(calls, name), dtype=np.int64))
    for name in (
        "ttft",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "cost_usd",
    ):
        setattr(calls, name, np.array(getattr(calls, name), dtype=np.float64))
    return calls
