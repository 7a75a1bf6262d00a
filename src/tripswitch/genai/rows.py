"""What a dialect is made of: rows that say where a fact may stand, and the words it uses.

A dialect is data. Shipped ones are the modules of `tripswitch.genai.dialects`; users add their own
under ``read.dialects`` in the same form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tripswitch.genai.spellings import Kind, folded

if TYPE_CHECKING:
    from tripswitch.config.dialect_section import DialectSection

Shape = Literal["text", "number", "flag", "list", "content"]

# How a row may be overtaken: tripswitch's own keys never, a user's only by those.
FIXED, OWN, KNOWN = 0, 1, 2


# Fields of a named tuple take six times as long to read, and every span has these read.
@dataclass(frozen=True, slots=True)
class Row:
    """One key that may hold ``fact``.

    ``key`` is an attribute's name; a ``#`` in it stands for a number, and the values under all
    numbers make one list. With ``member``, names joined by dots, the value is JSON or a Python
    literal (structured or as text) and the fact is that member of it; a number selects an item of
    a list. ``shape`` is how the value is coerced, ``scale`` turns a number into the fact's unit.
    ``order`` breaks ties within a fact: rows of a lower one are tried first, whatever their
    dialect. ``anywhere`` looks among the resource attributes too, after the span's. A row with
    ``own_spans`` counts only on spans that are recognised as its dialect's: the key means
    something else elsewhere. ``without`` is another member, and where the value has it too it is
    about something else; ``beside`` is one that has to be there as well. ``only`` is another
    attribute and what it has to say for the row to count. ``apart`` says that what is counted here
    is not in the count of the whole.
    """

    fact: str
    key: str
    shape: Shape = "text"
    member: str | None = None
    scale: float = 1.0
    order: int = 0
    anywhere: bool = False
    own_spans: bool = False
    without: str | None = None
    beside: str | None = None
    only: tuple[str, str] | None = None
    apart: bool = False
    dialect: str = ""
    standing: int = KNOWN
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Dialect:
    """Who writes, by what it is recognised, and where it puts what.

    ``scopes`` are beginnings of instrumentation scope names, ``markers`` attribute keys that
    nobody else writes. ``kinds`` maps its words for what a span is, as `spellings.folded` writes
    them, to ours. ``sole`` are facts that on its own spans only its own rows tell: what stands
    there under other names was made up on the way. ``proofs`` maps beginnings of scope names to
    keys of which one stands beside usage that a provider told, ``apart`` are beginnings of scopes
    whose input tokens leave out the cached ones. ``unsaid`` is the kind of those of its spans that
    tell of tokens and do not say what they are.
    """

    name: str
    rows: tuple[Row, ...] = ()
    scopes: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    sole: frozenset[str] = frozenset()
    proofs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apart: tuple[str, ...] = ()
    unsaid: Kind | None = None


def dialect_of(section: DialectSection, shapes: Mapping[str, Shape]) -> Dialect:
    """Return a dialect that a user described; ``shapes`` says how each fact is coerced."""
    return Dialect(
        section.name,
        tuple(
            Row(
                row.fact,
                row.key,
                shapes.get(row.fact, "text"),
                row.member,
                row.scale,
                order=-10,
                anywhere=row.resource,
            )
            for row in section.rows
        ),
        tuple(section.scopes),
        tuple(section.markers),
        {folded(word): kind for word, kind in section.kinds.items()},
    )


def bag(prefix: str, *, order: int = 5, json: bool = False) -> tuple[Row, ...]:
    """Return the rows of a place where an application keeps tags of its own.

    With ``json`` the place is one attribute that holds an object; otherwise every tag is an
    attribute whose name begins with ``prefix``.
    """
    rows = []
    for fact, names in BAG_NAMES.items():
        for name in names:
            if json:
                rows.append(Row(fact, prefix, member=name, order=order))
            else:
                rows.append(Row(fact, f"{prefix}{name}", order=order))
    if not json:
        # LangChain's own, which it puts among an application's. An object says of itself only that
        # it is there, and that is no sign of a model.
        rows.append(Row("request_model", f"{prefix}ls_model_name", order=order))
        rows.append(Row("provider", f"{prefix}ls_provider", order=order))
    return tuple(rows)


def bare(prefix: str, *, order: int) -> tuple[Row, ...]:
    """Return the rows of attributes that applications give these very names."""
    return tuple(
        Row(fact, f"{prefix}{name}", order=order)
        for fact, names in BARE_NAMES.items()
        for name in names
    )


# Plain names that hardly mean anything else.
BARE_NAMES: dict[str, tuple[str, ...]] = {
    "route": ("route",),
    "prompt_name": ("prompt.name", "prompt_name"),
    "prompt_version": ("prompt.version", "prompt_version"),
    "cohort": ("cohort", "variant", "experiment.variant"),
    "tenant": ("tenant", "tenant_id", "org_id", "customer_id", "customer.id"),
    "session": ("session_id", "thread_id", "conversation_id"),
    "user": ("user_id",),
}

# Under which names applications put these facts into metadata, most telling first.
BAG_NAMES: dict[str, tuple[str, ...]] = {
    "route": ("route", "endpoint", "feature"),
    "prompt_name": ("prompt_name", "promptName", "prompt_id", "prompt.name"),
    "prompt_version": ("prompt_version", "promptVersion", "prompt.version"),
    "cohort": ("cohort", "variant", "experiment", "experiment_variant", "arm"),
    "tenant": (
        "tenant",
        "tenant_id",
        "tenantId",
        "org_id",
        "organization_id",
        "customer_id",
        "team_id",
    ),
    "session": (
        "session_id",
        "sessionId",
        "session",
        "thread_id",
        "threadId",
        "conversation_id",
        "conversationId",
        "chat_id",
    ),
    "user": ("user_id", "userId", "user", "end_user_id"),
}
