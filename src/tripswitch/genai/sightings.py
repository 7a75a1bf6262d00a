"""What one span, or one log record, says by itself, before the rest of its trace is known.

A `Sighting` keeps facts and never content. What belongs to a call but stands elsewhere in its
trace is put together later, by `tripswitch.genai.traces`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from tripswitch.genai.call_index import keys_of, span_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.spellings import Kind
    from tripswitch.model.calls import ErrorClass, Guardrail

# From so many on columns cost less.
_MANY: Final = 8


class Ranked(NamedTuple):
    """A value and how good its source is: lower ``standing``, then lower ``rank``, is better."""

    standing: int
    rank: int
    value: str


# Compared by identity: alike spans share one, and its fields are long to compare.
@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """The facts that hold for everything below a span: what it is, and where it belongs.

    ``writer`` is the name of the instrumentation scope. ``is_inferred`` holds when the span does
    not say what it is and was taken for that by what it carries.
    """

    kind: Kind
    dialect: str
    route: Ranked | None = None
    prompt_name: Ranked | None = None
    prompt_version: Ranked | None = None
    prompt_label: Ranked | None = None
    cohort: Ranked | None = None
    tenant: Ranked | None = None
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    service_version: str | None = None
    deployment: str | None = None
    tool_name: str | None = None
    writer: str = ""
    is_inferred: bool = False


class Flag(NamedTuple):
    """One evaluation of a feature flag."""

    key: str
    variant: str


class Evaluation(NamedTuple):
    """One evaluation as it was sent: nothing is decided about range, direction or purpose.

    ``target_trace_id`` and ``target_span_id`` say which span was evaluated, as far as is known;
    ``response_id`` which answer. ``version`` tells two versions of one evaluator apart. ``at_ns``
    is when it was made. With ``is_boolean`` the score was a true or a false.
    """

    name: str
    score: float | None
    label: str | None
    source: str
    version: str | None
    target_trace_id: str | None
    target_span_id: str | None
    response_id: str | None
    at_ns: int
    is_boolean: bool = False


@dataclass(slots=True)
class CallFacts:
    """What only the call's own span says, and a raw answer below it fills.

    Numbers are NaN and texts None where nothing was said. ``is_estimated`` holds when the tokens
    are the library's guess at an answer that broke off. ``refuses`` means that a part of the answer
    is marked as a refusal, ``lacks_reason`` that the finish reason "error" of a whole answer only
    says that none came.
    """

    is_chat: bool = True
    response_id: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    ttft: float = math.nan
    streaming: bool | None = None
    input_tokens: float = math.nan
    output_tokens: float = math.nan
    cached_tokens: float = math.nan
    cache_write_tokens: float = math.nan
    reasoning_tokens: float = math.nan
    cost_usd: float = math.nan
    cache_hit: bool = False
    finish_reasons: list[str] = field(default_factory=list)
    refuses: bool = False
    error_type: str | None = None
    error_class: ErrorClass | None = None
    is_estimated: bool = False
    is_inferred: bool = False
    is_ending: bool = False
    lacks_reason: bool = False

    def copy(self) -> CallFacts:
        """Return facts of their own, with a list of their own, that say the same."""
        made = CallFacts.__new__(CallFacts)
        made.is_chat = self.is_chat
        made.response_id = self.response_id
        made.request_model = self.request_model
        made.response_model = self.response_model
        made.ttft = self.ttft
        made.streaming = self.streaming
        made.input_tokens = self.input_tokens
        made.output_tokens = self.output_tokens
        made.cached_tokens = self.cached_tokens
        made.cache_write_tokens = self.cache_write_tokens
        made.reasoning_tokens = self.reasoning_tokens
        made.cost_usd = self.cost_usd
        made.cache_hit = self.cache_hit
        made.finish_reasons = [*self.finish_reasons]
        made.refuses = self.refuses
        made.error_type = self.error_type
        made.error_class = self.error_class
        made.is_estimated = self.is_estimated
        made.is_inferred = self.is_inferred
        made.is_ending = self.is_ending
        made.lacks_reason = self.lacks_reason
        return made

    def fill(self, other: CallFacts) -> None:
        """Take from ``other``, which tells of the same call, what is missing here."""
        for name in (
            "ttft",
            "input_tokens",
            "output_tokens",
            "cached_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
            "cost_usd",
        ):
            mine = getattr(self, name)
            if mine != mine:
                setattr(self, name, getattr(other, name))
        if self.response_id is None:
            self.response_id = other.response_id
        asked = other.request_model
        if self.request_model is None or (asked and self.request_model.startswith(f"{asked}-")):
            # The alias that was asked for, not what somebody took it to stand for.
            self.request_model = asked
        if self.response_model is None:
            self.response_model = other.response_model
        if not self.streaming and other.streaming is not None:
            # Who is nearer to the provider knows of the stream that others only hand on whole.
            self.streaming = other.streaming
        if self.error_class is not None and other.error_class is not None:
            # Some only pass on what the failure said.
            self.error_type = self.error_type or other.error_type
            if self.error_class == "unknown":
                self.error_class = other.error_class
        if len(other.finish_reasons) > len(self.finish_reasons) and not self.is_estimated:
            self.finish_reasons = other.finish_reasons
        self.refuses = self.refuses or other.refuses


class Sighting:
    """One span as understood by itself.

    ``is_entry`` holds for a server or consumer span, ``failed`` when the span ended in an error.
    ``context`` is None for a span that says nothing of use; it is kept for its place in the trace.
    ``call`` is set on spans that say they are a model call, or hold its raw answer. ``key`` names
    the span as `span_key` does, once `identify` was asked for it.
    ``settled`` is set once the call or tool run, if it is one, was handed on, ``verdicts_given``
    once its guardrails' verdicts were.
    """

    __slots__ = (
        "call",
        "context",
        "end",
        "evaluations",
        "failed",
        "flags",
        "guardrails",
        "is_entry",
        "key",
        "name",
        "parent_span_id",
        "session",
        "settled",
        "span_id",
        "start",
        "trace_id",
        "user",
        "verdicts_given",
    )

    def __init__(
        self,
        trace_id: str,
        span_id: str,
        parent_span_id: str | None,
        start: int,
        end: int,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_span_id = parent_span_id
        self.start = start
        self.end = end
        self.is_entry = False
        self.failed = False
        self.name = ""
        self.context: Context | None = None
        self.session: Ranked | None = None
        self.user: Ranked | None = None
        self.call: CallFacts | None = None
        self.evaluations: tuple[Evaluation, ...] = ()
        self.guardrails: tuple[Guardrail, ...] = ()
        self.flags: tuple[Flag, ...] = ()
        self.settled = False
        self.verdicts_given = False
        self.key = 0


def identify(spans: Sequence[Sighting]) -> None:
    """Work out the keys of spans."""
    if len(spans) < _MANY:
        for span in spans:
            span.key = span_key(span.trace_id, span.span_id)
        return
    of_spans, _ = keys_of([span.trace_id for span in spans], [span.span_id for span in spans])
    for span, key in zip(spans, of_spans.tolist(), strict=True):
        span.key = key


class Note(NamedTuple):
    """What a log record says of a span that is, or will be, in its trace.

    ``call`` holds facts of that span's call, to fill its gaps; ``error_type`` an exception that was
    logged there.
    """

    trace_id: str | None
    span_id: str | None
    at_ns: int
    evaluation: Evaluation | None = None
    guardrails: tuple[Guardrail, ...] = ()
    flag: Flag | None = None
    call: CallFacts | None = None
    error_type: str | None = None


@dataclass(slots=True)
class Sighted:
    """What one reading of one or more OTLP requests yielded, in their order.

    ``ends`` holds, by request, how many ``items`` there are up to its end. ``spans`` counts every
    span read, ``records`` every log record, ``unreadable`` the requests that were not OTLP; facts
    that were present but unusable (a negative token count) are counted by name in ``rejected``.
    ``latest_ns`` is, by request, the latest end among its spans, None without any. ``earliest_ns``
    is, where it is said, the earliest end of a request that holds nothing but spans, else None.
    """

    items: list[Sighting | Note] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    latest_ns: list[int | None] = field(default_factory=list)
    earliest_ns: list[int | None] = field(default_factory=list)
    spans: int = 0
    records: int = 0
    unreadable: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def by_request(self) -> list[Sighted]:
        """Return one part a request, in order; the counts are all with the first."""
        parts = []
        first = 0
        for end, latest_ns in zip(self.ends, self.latest_ns, strict=True):
            parts.append(Sighted(self.items[first:end], [end - first], [latest_ns]))
            first = end
        if parts:
            parts[0].spans, parts[0].records = self.spans, self.records
            parts[0].unreadable, parts[0].rejected = self.unreadable, self.rejected
        return parts

    def by_tick(self, tick_ns: int) -> list[Sighted]:
        """Return the parts in which the items end between two ticks, requests one after another.

        A recording's request may hold minutes of telemetry; on the time in the data it is taken as
        if it had come bit by bit. What carries no time goes with what stands before it.
        """
        parts = []
        for index, request in enumerate(self.by_request()):
            earliest_ns = self.earliest_ns[index] if self.earliest_ns else None
            latest_ns = request.latest_ns[0]
            if (
                earliest_ns
                and latest_ns is not None
                and earliest_ns // tick_ns == latest_ns // tick_ns
            ):
                # Most requests hold a few seconds.
                parts.append(request)
                continue
            groups: dict[int, list[Sighting | Note]] = {}
            number = None
            for item in request.items:
                at_ns = item.end if isinstance(item, Sighting) else item.at_ns
                number = at_ns // tick_ns if at_ns else number
                groups.setdefault(number or 0, []).append(item)
            if len(groups) < 2:
                parts.append(request)
                continue
            for number in sorted(groups):
                items = groups[number]
                ends = [item.end for item in items if isinstance(item, Sighting)]
                parts.append(Sighted(items, [len(items)], [max(ends, default=None)]))
            first = parts[-len(groups)]
            first.spans, first.records = request.spans, request.records
            first.unreadable, first.rejected = request.unreadable, request.rejected
        return parts
