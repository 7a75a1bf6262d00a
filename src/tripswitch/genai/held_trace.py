"""One trace while it is held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tripswitch.genai.settling import Settling
    from tripswitch.genai.sightings import Evaluation, Note, Sighting

NEVER: Final = 1 << 62
MAX_SPANS_BY_TRACE: Final = 4096
"""Most spans of one trace that are held together, and most evaluations of it."""


class Trace:
    """What is known of one trace. ``due_ns`` is when it is looked at next, ``listed_ns`` the latest
    time that it was put on the agenda for.

    ``callers`` are those of its ``spans`` that say they are a call, in the order they came;
    ``has_extras`` and ``has_flags`` say that some tell of tools or verdicts, and of feature flags.
    ``calls`` are the settled ones, kept for what comes late; ``served`` the spans whose request was
    handed on.
    """

    __slots__ = (
        "callers",
        "calls",
        "due_ns",
        "evaluations",
        "has_extras",
        "has_flags",
        "is_dirty",
        "is_genai",
        "is_settled",
        "last_ns",
        "listed_ns",
        "notes",
        "rooted_ns",
        "served",
        "spans",
        "trace_id",
    )

    def __init__(self, trace_id: str, last_ns: int) -> None:
        self.trace_id = trace_id
        self.last_ns = last_ns
        self.due_ns = 0
        self.listed_ns = 0
        self.rooted_ns = NEVER
        self.is_genai = False
        self.has_extras = False
        self.has_flags = False
        self.is_settled = False
        self.is_dirty = False
        self.spans: dict[str, Sighting] = {}
        self.callers: list[Sighting] | tuple[Sighting, ...] = ()
        # What many traces have nothing of is made when there is something.
        self.notes: list[Note] | tuple[()] = ()
        self.evaluations: list[Evaluation] | tuple[Evaluation, ...] = ()
        self.calls: list[Settling] | tuple[()] = ()
        self.served: tuple[str, ...] = ()

    def judge(self, evaluation: Evaluation) -> None:
        """Take in an evaluation of one of its spans, as far as there is room."""
        if not self.evaluations:
            self.evaluations = (evaluation,)
        elif isinstance(self.evaluations, tuple):
            # Most traces have one.
            self.evaluations = [*self.evaluations, evaluation]
        elif len(self.evaluations) < MAX_SPANS_BY_TRACE:
            self.evaluations.append(evaluation)

    def hold(self, span: Sighting) -> None:
        """Take a span in, and note what it may tell of."""
        self.spans[span.span_id] = span
        context = span.context
        if context is None:
            return
        if span.call is not None:
            if not self.callers:
                # Most traces have one call.
                self.callers = (span,)
            elif isinstance(self.callers, tuple):
                self.callers = [*self.callers, span]
            else:
                self.callers.append(span)
        kind = context.kind
        if kind != "other":
            self.is_genai = True
            if kind == "tool":
                self.has_extras = True
        if span.guardrails:
            self.has_extras = True
        if span.flags:
            self.has_flags = True

    def empty(self) -> None:
        """Let go of everything it holds: it is done with."""
        self.spans, self.trace_id = {}, ""
        self.callers = self.notes = self.evaluations = self.calls = self.served = ()
