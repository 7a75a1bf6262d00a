"""Spans that repeat another span's call: a framework's, a gateway's, a second instrumentation's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tripswitch.genai.sightings import Sighting

CALL_KINDS: Final = frozenset({"chat", "embedding", "rerank"})

# How long after a framework opened a stream the SDK below it may have begun to tell of it.
_OPENED_NS: Final = 100_000_000
# How many more facts an inner span must state than the outer one of the same call to be it.
_CLEARLY_MORE: Final = 3


class Tally:
    """What was counted while settling."""

    __slots__ = ("double", "judged_by_model")

    def __init__(self) -> None:
        self.double = 0
        self.judged_by_model = 0


def mark_repeats(
    candidates: Sequence[Sighting], chains: Mapping[str, list[Sighting]], tally: Tally
) -> None:
    """Mark the spans that repeat another's call as settled, and fill that other's gaps by them.

    A span with calls of its kind below it repeats them. Where it has only one, and no server's span
    lies between, two instrumentations saw one call of one process; otherwise the inner one is the
    call. So it is with two spans of one answer beside each other.
    """
    _join_endings(candidates, tally)
    below: dict[str, list[Sighting]] = {}
    for span in candidates:
        if span.settled:
            continue
        above = _call_above(span, chains[span.span_id])
        if above is None:
            continue
        if above.settled:
            # It came too late to be the leaf.
            _repeat(span, None, tally)
        else:
            below.setdefault(above.span_id, []).append(span)
    outer = [span for span in candidates if span.span_id in below]
    for span in sorted(outer, key=lambda item: -len(chains[item.span_id])):
        inner = [item for item in below[span.span_id] if not item.settled]
        if len(inner) == 1 and not _has_entry_between(chains[inner[0].span_id], span):
            _keep_richer(inner[0], span, tally)
        elif inner:
            _repeat(span, inner[0] if len(inner) == 1 else None, tally)
    answers: dict[str, Sighting] = {}
    for span in candidates:
        call = span.call
        if span.settled or call is None or call.response_id is None:
            continue
        first = answers.setdefault(call.response_id, span)
        if first is not span and call.error_class is None:
            # Of two the one that encloses the other, which began first.
            earlier, later = sorted((first, span), key=lambda item: (item.start, item.span_id))
            kept = _keep_richer(later, earlier, tally)
            answers[call.response_id] = kept
    for first, second in _twins(candidates, chains, below):
        _keep_richer(second, first, tally)


def _join_endings(candidates: Sequence[Sighting], tally: Tally) -> None:
    """Join each span that only tells how a stream ended to the one that began it.

    They are side by side, by one writer and of one model; the one that began it ended when the
    first chunk came, and says nothing of an answer. Of several the first that is left.
    """
    endings = [span for span in candidates if span.call is not None and span.call.is_ending]
    for ending in sorted(endings, key=lambda item: (item.end, item.span_id)):
        began = [
            span
            for span in candidates
            if not span.settled and span.start <= ending.end and _is_beginning(span, ending)
        ]
        if not began or ending.settled:
            continue
        beginning = min(began, key=lambda item: (item.start, item.span_id))
        _repeat(ending, beginning, tally)
        beginning.end = max(beginning.end, ending.end)
        assert beginning.call is not None
        assert ending.call is not None
        beginning.call.streaming = True
        beginning.call.error_type = ending.call.error_type
        beginning.call.error_class = ending.call.error_class


def _is_beginning(span: Sighting, ending: Sighting) -> bool:
    one, other = span.call, ending.call
    assert one is not None
    assert other is not None
    assert span.context is not None
    assert ending.context is not None
    return (
        not one.is_ending
        and span.parent_span_id == ending.parent_span_id
        and span.context.writer == ending.context.writer
        and one.request_model == other.request_model
        and one.is_chat == other.is_chat
        and one.error_class is None
        and one.response_id is None
        and one.input_tokens != one.input_tokens
        and one.streaming is None
    )


def _twins(
    candidates: Sequence[Sighting],
    chains: Mapping[str, list[Sighting]],
    below: Mapping[str, list[Sighting]],
) -> Iterable[tuple[Sighting, Sighting]]:
    """Yield pairs of spans side by side in which two instrumentations saw one call.

    They are under one parent, by different writers, of the same model, one inside the other's time,
    and contradict each other nowhere. A framework's listener hangs its span below others of its
    own, and nothing below that: then the SDK's is under one of the spans above, and has to agree.
    One that ends when a stream is opened is followed by the SDK's, which begins to be read then;
    ``below`` holds the calls below each, of which such a one has none.
    """
    left = [span for span in candidates if not span.settled]
    if len({span.context.writer for span in left if span.context is not None}) < 2:
        return
    left.sort(key=lambda span: (span.start, -span.end, span.span_id))
    for place, first in enumerate(left):
        end = first.end
        is_open = first.call is not None and first.call.streaming and first.span_id not in below
        for second in left[place + 1 :]:
            is_next = second.start >= end
            if second.start >= end + _OPENED_NS or (is_next and not is_open):
                break
            if first.settled or second.settled or not _are_twins(first, second):
                continue
            if first.parent_span_id == second.parent_span_id or (
                not is_next
                and any(a.span_id == second.parent_span_id for a in chains[first.span_id][1:])
                and _agree(first, second)
            ):
                yield first, second
                is_open = False


def _agree(first: Sighting, second: Sighting) -> bool:
    """Return whether two spans that contradict each other nowhere tell the same of one call.

    That is, the same usage; or none, and the same failure over most of the time.
    """
    one, other = first.call, second.call
    assert one is not None
    assert other is not None
    if one.input_tokens == one.input_tokens:
        return other.input_tokens == other.input_tokens
    return (
        other.input_tokens != other.input_tokens
        and one.error_class == other.error_class
        and 2 * (second.end - second.start) >= first.end - first.start
    )


def _are_twins(first: Sighting, second: Sighting) -> bool:
    one, other = first.call, second.call
    assert one is not None
    assert other is not None
    assert first.context is not None
    assert second.context is not None
    return (
        first.context.writer != second.context.writer
        and one.request_model == other.request_model
        and one.is_chat == other.is_chat
        and _answer_is_one(first, second)
        and (second.end <= first.end or second.start >= first.end)
        # A difference of one is a placeholder that a stream counted twice.
        and not abs(one.input_tokens - other.input_tokens) > 1
        and not abs(one.output_tokens - other.output_tokens) > 1
    )


def _answer_is_one(first: Sighting, second: Sighting) -> bool:
    """Return whether the answers that two spans name can be one.

    Who came second may know none: an SDK's own spans have the usage and no id. After a stream was
    opened it is the one who read it.
    """
    one, other = first.call, second.call
    assert one is not None
    assert other is not None
    return one.response_id in (None, other.response_id) or (
        other.response_id is None and second.end <= first.end
    )


def _call_above(span: Sighting, chain: Sequence[Sighting]) -> Sighting | None:
    assert span.call is not None
    for above in chain[1:]:
        if (
            above.call is not None
            and above.context is not None
            and above.context.kind in CALL_KINDS
            and above.call.is_chat == span.call.is_chat
        ):
            return above
    return None


def _has_entry_between(chain: Sequence[Sighting], above: Sighting) -> bool:
    for span in chain[1:]:
        if span is above:
            return False
        if span.is_entry:
            return True
    return False


def _keep_richer(inner: Sighting, outer: Sighting, tally: Tally) -> Sighting:
    """Return the one of two spans that is kept.

    The outer one encloses retries and is what the application asked for, so the inner one must say
    clearly more.
    """
    kept, other = outer, inner
    if _richness(outer) + _CLEARLY_MORE <= _richness(inner):
        kept, other = inner, outer
    _repeat(other, kept, tally)
    if inner.start >= outer.end:
        # The outer one ended when its stream was opened.
        kept.end = inner.end
    return kept


def _repeat(span: Sighting, of: Sighting | None, tally: Tally) -> None:
    """Settle ``span`` as a repetition; its facts fill the gaps of the call it repeats."""
    span.settled = True
    tally.double += 1
    if of is not None and of.call is not None and span.call is not None:
        if of.call.output_tokens - span.call.output_tokens == 1:
            # One of them counted the placeholder that a stream begins with.
            of.call.output_tokens = span.call.output_tokens
        of.call.fill(span.call)


def _richness(span: Sighting) -> int:
    """Return how many facts a span states.

    An id is none: it says which answer it was, and nothing of it.
    """
    call, context = span.call, span.context
    assert call is not None
    assert context is not None
    numbers = (
        call.input_tokens,
        call.output_tokens,
        call.cached_tokens,
        call.reasoning_tokens,
        call.cost_usd,
        call.ttft,
    )
    return (
        sum(number == number for number in numbers)
        # Who knows the usage is nearest to the provider.
        + _CLEARLY_MORE * (call.input_tokens == call.input_tokens)
        + sum(
            item is not None
            for item in (
                context.prompt_name,
                context.prompt_version,
                context.cohort,
                context.tenant,
                context.provider,
                call.request_model,
            )
        )
        + sum(item is not None for item in (call.response_model, call.streaming, span.session))
        + bool(call.finish_reasons)
        + (0 if call.is_inferred else 10)
    )
