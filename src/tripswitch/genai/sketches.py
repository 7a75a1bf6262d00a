"""What alike spans have in common: what they are, where they belong, how they ended.

Spans of one emitter differ in their numbers, ids and text; who called which model for which route,
and whether that went well, is the same in thousands of them. A `Sketch` is worked out from one span
and holds for all with the same marks (see `AttributeReader`); what is each span's own is read from
each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.genai.answers import error_of
from tripswitch.genai.sightings import CallFacts
from tripswitch.genai.spellings import finish_reason, says_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.facts import SpanFacts
    from tripswitch.genai.sightings import Context
    from tripswitch.otlp.reader import SpanEvent

# Kinds of span whose own usage is looked at.
_CALLING: Final = frozenset({"chat", "embedding", "rerank", "raw"})
# What stands in a reason's place where there was none.
_NO_REASON: Final = frozenset({"None", "null"})
# Kinds of span that judge others.
_JUDGING: Final = frozenset({"evaluator", "guardrail", "tool"})


class Sketch:
    """What spans have in common.

    ``is_start`` holds for the start marker of a span that is still to come. ``call`` is what their
    calls have in common, None when they are none; ``words`` are their finish reasons as they stand
    there.
    ``judges`` says that they may judge something without an event that says so; ``is_done`` that
    nothing is left to read from a span without events, ``is_bare`` that nothing is said at all.
    ``is_steady`` says that events and a status message change nothing of what they have in common:
    in a failure these may name the error.
    """

    __slots__ = (
        "call",
        "context",
        "error_class",
        "error_type",
        "has_session",
        "has_user",
        "is_bare",
        "is_done",
        "is_start",
        "is_steady",
        "judges",
        "plan",
        "words",
    )

    def __init__(
        self,
        facts: SpanFacts,
        context: Context,
        status_code: int,
        message: bytes,
        events: Sequence[SpanEvent],
    ) -> None:
        plan = facts.plan
        self.plan = plan
        self.is_bare = plan.is_bare
        self.context = context
        self.call: CallFacts | None = None
        self.words: list[str] = []
        self.is_start = context.kind == "other" and facts.text("span_type") == "pending_span"
        self.is_steady = self.is_start
        if self.is_start:
            return
        self.error_type, self.error_class = error_of(facts, status_code, message, events)
        self.has_session = facts.has("session")
        self.has_user = facts.has("user")
        is_failed = self.error_class is not None
        self.is_steady = not is_failed
        if context.kind in _CALLING and (plan.shows_call or plan.raw or is_failed):
            self._sketch_call(facts)
        self.judges = (
            bool(plan.evaluations)
            or plan.has_guardrail
            or context.kind in _JUDGING
            or facts.has("evaluation_name")
            or facts.has("scores")
            or facts.has("output_content")
            or facts.has("filtered_input")
            or facts.has("filtered_output")
        )
        self.is_done = not (self.has_session or self.has_user or self.call or self.judges)

    def _sketch_call(self, facts: SpanFacts) -> None:
        context = self.context
        call = self.call = CallFacts(is_chat=context.kind not in ("embedding", "rerank"))
        call.error_type, call.error_class = self.error_type, self.error_class
        call.is_inferred = context.is_inferred
        # Logfire writes log records as spans.
        call.is_ending = facts.text("span_type") == "log"
        call.request_model, call.response_model = context.request_model, context.response_model
        call.cache_hit = facts.flag("cache_hit") is True
        words = [word for word in facts.texts("finish_reasons") if word not in _NO_REASON]
        status = facts.text("response_status") if facts.has("response_status") else None
        self.words = words or ([] if status is None else [status])
        call.finish_reasons = [finish_reason(word) for word in self.words]
        call.streaming = facts.flag("streaming")
        # A place in an object may be empty.
        said_at = any(row.member is None for row in facts.plan.rows.get("first_token_at", ()))
        if call.streaming is None and (facts.has("streams") or said_at):
            call.streaming = True
        if call.streaming is None and any(
            says_stream(facts.text(fact) or "") for fact in ("operation", "method")
        ):
            call.streaming = True
