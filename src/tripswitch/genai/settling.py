"""Settling a trace: which of its spans are calls, and what the others say of them.

- A call is a leaf: a model span below another of the same kind is the call, and the one above
  repeats it (a framework's span, a gateway behind an SDK). The one above fills what is missing.
- What runs below an evaluator or inside a guardrail is no user traffic.
- A provider's raw answer on a span of its own fills the call above it.
- Evaluations, verdicts and tools go to the call they were about: the span they name; else the last
  call below it; else that of the nearest span above it that has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.genai.call_index import CallRef
from tripswitch.genai.family import (
    JUDGES,
    chain_of,
    entry_of,
    is_whole,
    nearer,
)
from tripswitch.genai.repeats import CALL_KINDS, mark_repeats
from tripswitch.genai.sightings import CallFacts
from tripswitch.genai.spellings import folded
from tripswitch.model.calls import Guardrail, ToolExecution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.genai.family import Place, Places
    from tripswitch.genai.held_trace import Trace
    from tripswitch.genai.repeats import Tally
    from tripswitch.genai.sightings import Evaluation, Note, Ranked, Sighting

_MAX_LISTED: Final = 64
# All that is asked of a call that was handed on.
_CHAT: Final = CallFacts()
_NO_CHAT: Final = CallFacts(is_chat=False)


class Settling:
    """One call that is settled, with everything its trace says of it.

    ``key`` names the call as `span_key` does; ``entry`` is the outside of its request, None where
    that was not seen; ``session`` and ``user`` are the nearest of its chain. ``is_handed_on`` says
    that nothing can be added any more. What many calls have none of is a list once there is one.
    """

    __slots__ = (
        "chain",
        "entry",
        "evaluations",
        "facts",
        "guardrails",
        "is_handed_on",
        "key",
        "place",
        "session",
        "span",
        "tools",
        "user",
    )

    def __init__(self, span: Sighting, chain: list[Sighting], place: Place) -> None:
        facts = span.call
        assert facts is not None
        self.span = span
        self.chain = chain
        self.facts = facts
        self.key = span.key
        self.place = place
        self.entry = None if place.entry_at is None else chain[place.entry_at]
        session: Ranked | None = None
        user: Ranked | None = None
        for above in chain:
            if above.session is not None:
                session = above.session if session is None else nearer(session, above.session)
            if above.user is not None:
                user = above.user if user is None else nearer(user, above.user)
        self.session = None if session is None else session.value
        self.user = None if user is None else user.value
        self.evaluations: list[Evaluation] | tuple[Evaluation, ...] = ()
        self.guardrails: Sequence[Guardrail] = ()
        self.tools: Sequence[ToolExecution] = ()
        self.is_handed_on = False

    @property
    def ref(self) -> CallRef:
        """What a late score needs to know of the call."""
        return CallRef(self.key, self.place.scope, self.place.tenant, self.span.end)

    def hand_on(self) -> None:
        """Keep only what later spans of the trace ask for."""
        self.is_handed_on = True
        self.evaluations = ()
        self.facts = self.span.call = _CHAT if self.facts.is_chat else _NO_CHAT

    def judge(self, evaluation: Evaluation) -> None:
        """Take in what was said of the call."""
        if not self.evaluations:
            self.evaluations = (evaluation,)
        elif isinstance(self.evaluations, tuple):
            # Most calls have one.
            self.evaluations = [*self.evaluations, evaluation]
        else:
            self.evaluations.append(evaluation)


def settle_calls(
    trace: Trace,
    tally: Tally,
    places: Places,
    flag_keys: Sequence[str],
    *,
    final: bool,
) -> list[Settling]:
    """Return the calls of a trace that can be settled, in the order of their ends.

    Marks the spans that are done with. A call whose parents are not all known stays unsettled
    unless this is the ``final`` chance.
    """
    notes = trace.notes
    unsettled = _unsettled(trace, tally, final=final)
    if notes and unsettled:
        _fill_from_notes([span for span, _ in unsettled], notes)
    settled = []
    for span, chain in unsettled:
        span.settled = True
        cohort = _flagged_cohort(chain, notes, flag_keys) if trace.has_flags else None
        facts = span.call
        assert facts is not None
        # Where nobody says what was asked for, what answered tells calls apart as well.
        place = places.of(chain, cohort, facts.request_model or facts.response_model)
        if place.has_judge and _is_for_judging(chain):
            tally.judged_by_model += 1
            continue
        settled.append(Settling(span, chain, place))
    return settled


def _unsettled(trace: Trace, tally: Tally, *, final: bool) -> list[tuple[Sighting, list[Sighting]]]:
    """Return the calls that can be settled now and were not before, each with its chain."""
    callers = trace.callers
    chains: dict[str, list[Sighting]] = {}
    candidates = []
    for span in callers:
        context = span.context
        if span.settled or context is None or context.kind not in CALL_KINDS:
            continue
        chain = chain_of(span, trace.spans)
        if final or chain[-1].parent_span_id is None or is_whole(chain):
            if len(callers) == 1:
                # Most traces have one call, which can repeat no other.
                return [(span, chain)]
            candidates.append(span)
        chains[span.span_id] = chain
    if not candidates:
        return []
    mark_repeats(candidates, chains, tally)
    candidates.sort(key=lambda item: (item.end, item.start, item.span_id))
    found = [span for span in candidates if not span.settled]
    _fill_from_raw(found, callers)
    return [(span, chains[span.span_id]) for span in found]


def owner_of(
    target: str | None,
    calls: Sequence[Settling],
    spans: Mapping[str, Sighting],
) -> Settling | None:
    """Return the call that something about span ``target`` belongs to.

    None when the trace has no call that the span has to do with.
    """
    if not calls:
        return None
    if target is None:
        return calls[-1]
    for call in calls:
        if call.span.span_id == target:
            return call
    found = spans.get(target)
    if found is None:
        return None
    for above in chain_of(found, spans):
        below = [call for call in calls if above in call.chain]
        if below:
            return max(below, key=lambda call: (call.span.end, call.span.span_id))
    return None


def add_tools(calls: Sequence[Settling], spans: Mapping[str, Sighting]) -> None:
    """Give each tool run to the call above it, else to the one that asked for it.

    ``calls`` are all of the trace, in the order of their ends. Where two instrumentations saw one
    run the outer span counts; it failed if the last one inside it did, though what went around it
    made an answer of the error.
    """
    tools = [
        span
        for span in spans.values()
        if span.context is not None and span.context.kind == "tool" and not span.settled
    ]
    tools.sort(key=lambda item: (item.start, item.span_id))
    runs = []
    failed_within: dict[str, bool] = {}
    for span in tools:
        context = span.context
        assert context is not None
        span.settled = True
        name = context.tool_name or _tool_name(span.name)
        chain = chain_of(span, spans)
        outer = [above for above in chain[1:] if _is_same_tool(above, name)]
        if outer:
            failed_within[outer[-1].span_id] = span.failed
        else:
            runs.append((span, name, chain))
    for span, name, chain in runs:
        owner = next((call for above in chain for call in calls if call.span is above), None)
        if owner is None:
            entry = entry_of(chain)
            mine = [call for call in calls if call.entry is entry] or calls
            before = [call for call in mine if call.span.end <= span.start]
            owner = before[-1] if before else mine[0]
        if len(owner.tools) < _MAX_LISTED and not owner.is_handed_on:
            latency_s = (span.end - span.start) / 1e9
            failed = span.failed or failed_within.get(span.span_id, False)
            owner.tools = [*owner.tools, ToolExecution(name, failed, latency_s)]


def add_guardrails(calls: Sequence[Settling], spans: Mapping[str, Sighting]) -> int:
    """Give each verdict to the call it was about; return how many came too late for theirs."""
    late = 0
    for span in spans.values():
        if not span.guardrails:
            continue
        owner = owner_of(span.span_id, calls, spans)
        if owner is None:
            continue
        above = chain_of(span, spans)[1:]
        if span.verdicts_given:
            continue
        span.verdicts_given = True
        for guardrail in span.guardrails:
            if any(_repeats(guardrail, other) for other in above):
                continue
            if owner.is_handed_on:
                late += 1
            else:
                add_guardrail(owner, guardrail)
    return late


def add_guardrail(call: Settling, *guardrails: Guardrail) -> None:
    """Note verdicts about ``call``."""
    facts = call.facts
    for guardrail in guardrails:
        if len(call.guardrails) < _MAX_LISTED and guardrail not in call.guardrails:
            call.guardrails = [*call.guardrails, guardrail]
        if guardrail.verdict == "block" and facts.error_class in ("client", "unknown"):
            # The exception is the guardrail's way to block: the model had answered.
            facts.error_class = "guardrail"
            facts.error_type = None


def _is_for_judging(chain: Sequence[Sighting]) -> bool:
    for span in chain:
        context = span.context
        if context is not None and context.kind in JUDGES:
            return any(_is_judge(span) for span in chain[1:])
    return False


def _is_judge(span: Sighting) -> bool:
    """Return whether calls below a span serve a verdict.

    A guardrail's span may also go around the user's own call: it is a judge when it says of itself
    that it is a guardrail, or at which stage it looked.
    """
    context = span.context
    if context is None or context.kind not in JUDGES:
        return False
    return (
        context.kind == "evaluator"
        or not context.is_inferred
        or any(guardrail.stage is not None for guardrail in span.guardrails)
    )


def _fill_from_raw(settled: Sequence[Sighting], callers: Sequence[Sighting]) -> None:
    raws: dict[str, list[Sighting]] = {}
    for span in callers:
        if span.context is not None and span.context.kind == "raw":
            raws.setdefault(span.parent_span_id or "", []).append(span)
    if not raws:
        return
    for span in settled:
        facts = span.call
        assert facts is not None
        below = raws.get(span.span_id, [])
        for raw in below:
            found = raw.call
            assert found is not None
            # With several below, one span was used for several calls: the last one's is left on it.
            if len(below) > 1 and found.response_id != facts.response_id:
                continue
            if found.response_model is not None:
                facts.response_model = found.response_model
            facts.fill(found)


def _fill_from_notes(settled: Sequence[Sighting], notes: Sequence[Note]) -> None:
    for note in notes:
        if note.call is None and note.error_type is None:
            continue
        for span in settled:
            if span.span_id != note.span_id:
                continue
            facts = span.call
            assert facts is not None
            if note.call is not None and (
                facts.response_id is None or note.call.response_id in (None, facts.response_id)
            ):
                facts.fill(note.call)
            if note.error_type is not None and facts.error_class is not None:
                facts.error_type = facts.error_type or note.error_type


def _flagged_cohort(
    chain: Sequence[Sighting], notes: Sequence[Note], flag_keys: Sequence[str]
) -> str | None:
    """Return the variant of the flag that decides on cohorts, None without one.

    The configured flags in their order; without any, the only flag of chain and notes: of several
    nobody can tell which one it is.
    """
    flags = [flag for span in chain for flag in span.flags]
    flags += [note.flag for note in notes if note.flag is not None]
    for key in flag_keys:
        for flag in flags:
            if flag.key == key:
                return flag.variant
    if flag_keys or len({flag.key for flag in flags}) != 1:
        return None
    return flags[0].variant


def _repeats(guardrail: Guardrail, above: Sighting) -> bool:
    return any(
        folded(other.name) == folded(guardrail.name) and other.verdict == guardrail.verdict
        for other in above.guardrails
    )


def _is_same_tool(span: Sighting, name: str) -> bool:
    return (
        span.context is not None
        and span.context.kind == "tool"
        and (span.context.tool_name or _tool_name(span.name)) == name
    )


def _tool_name(span_name: str) -> str:
    """Return the tool's name from a span's: ``execute_tool search`` is ``search``."""
    for prefix in ("execute_tool ", "tool ", "running tool: "):
        if span_name.lower().startswith(prefix):
            return span_name[len(prefix) :]
    return span_name.removesuffix(".tool") or "tool"
