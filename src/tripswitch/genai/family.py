"""The spans of one trace: who is above whom, and what a call inherits.

Nothing here relies on the order in which spans came. A chain of parents ends at a span without
parent, at one whose parent was not seen, or after 64 steps: a hostile sender may write a circle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tripswitch.genai.sightings import Context, Ranked, Sighting
from tripswitch.model.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MAX_DEPTH: Final = 64
# Scopes with a tenant each: an application has some thousands, of about 1 kB.
_MAX_PLACES: Final = 8192

# Kinds of span below which calls may serve a verdict.
JUDGES: Final = frozenset({"evaluator", "guardrail"})

# What can be the outside of a request, besides a server's span and a trace's root.
_OUTER_KINDS: Final = frozenset({"agent", "workflow", "chat", "embedding", "rerank", "retrieval"})


def chain_of(span: Sighting, spans: Mapping[str, Sighting]) -> list[Sighting]:
    """Return the span and those above it, innermost first."""
    chain = [span]
    parent_id = span.parent_span_id
    while parent_id is not None and len(chain) < _MAX_DEPTH:
        parent = spans.get(parent_id)
        if parent is None:
            break
        parent_id = parent.parent_span_id
        # A root is in no circle. Sightings compare by identity.
        if parent_id is not None and parent in chain:
            break
        chain.append(parent)
    return chain


def is_whole(chain: Sequence[Sighting]) -> bool:
    """Return whether nothing of the request can be missing above the chain."""
    if chain[-1].parent_span_id is None or len(chain) == _MAX_DEPTH:
        return True
    return any(span.is_entry for span in chain)


def entry_of(chain: Sequence[Sighting]) -> Sighting | None:
    """Return the outermost GenAI or server span of the chain, else the trace's root.

    None for a call alone below spans that were not seen.
    """
    for span in reversed(chain):
        if span.is_entry or (span.context is not None and span.context.kind in _OUTER_KINDS):
            outer = span
            break
    else:
        outer = chain[-1]
    if outer is chain[0] and chain[-1].parent_span_id is None:
        outer = chain[-1]
    if outer is chain[0] and outer.parent_span_id is not None and not outer.is_entry:
        return None
    return outer


def nearer(best: Ranked | None, other: Ranked) -> Ranked:
    """Return the better of two; of equally good ones the first."""
    return other if best is None or other[:2] < best[:2] else best


def nearest(found: Iterable[Ranked | None]) -> Ranked | None:
    """Return the best of ``found``; of equally good ones the first."""
    best: Ranked | None = None
    for item in found:
        if item is not None:
            best = nearer(best, item)
    return best


# Compared by identity, as `Places` makes each once.
@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What calls have in common whose chains say the same: where they belong, what is around them.

    ``contexts`` are those of the chain, innermost first. ``entry_at`` is where in the chain the
    request's outside is, as `entry_of` says; ``has_judge`` says that the chain has a span whose
    kind judges others.
    """

    contexts: tuple[Context | None, ...]
    scope: Scope
    prompt_label: str | None
    tenant: str | None
    service_version: str | None
    deployment: str | None
    entry_at: int | None
    has_judge: bool


class Places:
    """Works out places, each once for chains that say the same, within a bound."""

    def __init__(self) -> None:
        self._known: dict[tuple[Context | str | bool | None, ...], Place] = {}
        # Each scope once, so that what many calls share is told by its identity.
        self._scopes: dict[Scope, Scope] = {}

    def of(self, chain: Sequence[Sighting], flag_cohort: str | None, model: str | None) -> Place:
        """Return the place of a call of ``model`` by its ``chain``."""
        # Contexts are shared by alike spans, and compare by identity.
        said: list[Context | str | bool | None] = [
            flag_cohort,
            model,
            chain[-1].parent_span_id is None,
        ]
        for span in chain:
            said.append(span.context)
            if span.is_entry:
                said.append(True)
        key = tuple(said)
        place = self._known.get(key)
        if place is None:
            if len(self._known) >= _MAX_PLACES:
                self._known.clear()
                self._scopes.clear()
            place = _place_of(chain, flag_cohort, model)
            scope = self._scopes.setdefault(place.scope, place.scope)
            place = self._known[key] = replace(place, scope=scope)
        return place


def _place_of(chain: Sequence[Sighting], flag_cohort: str | None, model: str | None) -> Place:
    contexts = [span.context for span in chain if span.context is not None]
    cohort = nearest(context.cohort for context in contexts)
    entry = entry_of(chain)
    return Place(
        tuple(span.context for span in chain),
        Scope(
            # Of equal rank the outermost: a gateway's own path is no route of the application.
            text_of(nearest(context.route for context in reversed(contexts))),
            text_of(_closest(context.prompt_name for context in contexts)),
            text_of(_closest(context.prompt_version for context in contexts)),
            flag_cohort if cohort is None else cohort.value,
            model,
            contexts[0].provider,
        ),
        text_of(_closest(context.prompt_label for context in contexts)),
        text_of(nearest(context.tenant for context in contexts)),
        next((one.service_version for one in contexts if one.service_version is not None), None),
        next((one.deployment for one in contexts if one.deployment is not None), None),
        None if entry is None else chain.index(entry),
        any(context.kind in JUDGES for context in contexts),
    )


def _closest(found: Iterable[Ranked | None]) -> Ranked | None:
    """Return the nearest span's word for its prompt, unless a person's own key says otherwise.

    A nested call with a prompt of its own has that one, whatever the agent above it was given.
    """
    best: Ranked | None = None
    for item in found:
        if item is not None and (best is None or item.standing < best.standing):
            best = item
    return best


def text_of(found: Ranked | None) -> str | None:
    """Return the text of what was found."""
    return None if found is None else found.value
