"""The spans of one trace: who is above whom, and what a call inherits.

Nothing here relies on the order in which spans came. A chain of parents ends at a span without
parent, at one whose parent was not seen, or after 64 steps: a hostile sender may write a circle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.genai.sightings import Ranked, Sighting
from tripswitch.model.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MAX_DEPTH: Final = 64

# What can be the outside of a request, besides a server's span and a trace's root.
_OUTER_KINDS: Final = frozenset({"agent", "workflow", "chat", "embedding", "rerank", "retrieval"})


def chain_of(span: Sighting, spans: Mapping[str, Sighting]) -> list[Sighting]:
    """Return the span and those above it, innermost first."""
    chain = [span]
    parent_id = span.parent_span_id
    while parent_id is not None and len(chain) < _MAX_DEPTH:
        parent = spans.get(parent_id)
        if parent is None or any(parent is below for below in chain):
            break
        chain.append(parent)
        parent_id = parent.parent_span_id
    return chain


def is_whole(chain: Sequence[Sighting]) -> bool:
    """Return whether nothing of the request can be missing above the chain."""
    return (
        chain[-1].parent_span_id is None
        or len(chain) == _MAX_DEPTH
        or any(span.is_entry for span in chain)
    )


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


def nearest(found: Iterable[Ranked | None]) -> Ranked | None:
    """Return the best of ``found``; of equally good ones the first."""
    best: Ranked | None = None
    for item in found:
        if item is not None and (
            best is None or (item.standing, item.rank) < (best.standing, best.rank)
        ):
            best = item
    return best


class Inherited:
    """What a call knows from the chain above it, and from the flags of its trace."""

    __slots__ = (
        "deployment",
        "prompt_label",
        "scope",
        "service_version",
        "session",
        "tenant",
        "user",
    )

    def __init__(self, chain: Sequence[Sighting], flag_cohort: str | None) -> None:
        own, call = chain[0].context, chain[0].call
        assert own is not None
        assert call is not None
        if len(chain) == 1:
            route, cohort, tenant = own.route, own.cohort, own.tenant
            name, version, label = own.prompt_name, own.prompt_version, own.prompt_label
            session, user = chain[0].session, chain[0].user
            service_version, deployment = own.service_version, own.deployment
        else:
            contexts = [span.context for span in chain if span.context is not None]
            # Of equal rank the outermost: a gateway's own path is no route of the application.
            route = nearest(context.route for context in reversed(contexts))
            cohort = nearest(context.cohort for context in contexts)
            tenant = nearest(context.tenant for context in contexts)
            name = _closest(context.prompt_name for context in contexts)
            version = _closest(context.prompt_version for context in contexts)
            label = _closest(context.prompt_label for context in contexts)
            session = nearest(span.session for span in chain)
            user = nearest(span.user for span in chain)
            service_version = next(
                (c.service_version for c in contexts if c.service_version is not None), None
            )
            deployment = next((c.deployment for c in contexts if c.deployment is not None), None)
        self.scope = Scope(
            _text(route),
            _text(name),
            _text(version),
            flag_cohort if cohort is None else cohort.value,
            # Where nobody says what was asked for, what answered tells calls apart as well.
            call.request_model or call.response_model,
            own.provider,
        )
        self.prompt_label = _text(label)
        self.tenant = _text(tenant)
        self.session = _text(session)
        self.user = _text(user)
        self.service_version = service_version
        self.deployment = deployment


def _closest(found: Iterable[Ranked | None]) -> Ranked | None:
    """Return the nearest span's word for its prompt, unless a person's own key says otherwise.

    A nested call with a prompt of its own has that one, whatever the agent above it was given.
    """
    best: Ranked | None = None
    for item in found:
        if item is not None and (best is None or item.standing < best.standing):
            best = item
    return best


def _text(found: Ranked | None) -> str | None:
    return None if found is None else found.value
