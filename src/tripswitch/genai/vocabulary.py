"""The vocabulary: every dialect's rows with a user's own in front.

Within one fact the rows are tried in this order: tripswitch's own keys, the keys a user configured,
a user's dialects, the shipped dialects. A row's ``rank`` is its place in that order.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tripswitch.genai.dialects import DIALECTS
from tripswitch.genai.event_names import EVENT_KEYS, WANTED_EVENTS
from tripswitch.genai.plan import (
    EVALUATION_PATTERNS,
    LIKE_FACTS,
    RAW_PATTERN,
    Plan,
    numbered_pattern,
)
from tripswitch.genai.rows import FIXED, KNOWN, OWN, Row, dialect_of
from tripswitch.genai.spellings import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.config.dialect_section import DialectSection

# Content and user ids pass through without being remembered.
_PRIVATE_FACTS: Final = ("user", "output_content", "usage_breakdown", "evaluation_score")
_PRIVATE_KEYS: Final = frozenset(
    {
        "input.value",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "metadata",
        "message",
        "exception.message",
        "exception.stacktrace",
        "gen_ai.event.content",
    }
)

# Facts that answers are opened for.
_CONTENT_FACTS: Final = frozenset({"output_content", "refusal_text"})
# Where requests stand, text and all, beside what the rows of those name.
_CONTENT_KEYS: Final = frozenset({"input.value", "mlflow.spanInputs"})

# Key sets seen on spans: an application has a few dozen, a hostile sender as many as it likes.
_MAX_PLANS: Final = 4096


class Vocabulary:
    """All rows, by fact, and the plans made from them.

    ``own_keys`` maps a fact to attribute keys, best first, which are also looked up among the
    resource attributes; ``own_dialects`` are a user's dialects.
    """

    def __init__(
        self,
        own_keys: Mapping[str, Sequence[str]],
        own_dialects: Sequence[DialectSection] = (),
        *,
        content_facts: bool,
    ) -> None:
        shapes = {row.fact: row.shape for dialect in DIALECTS for row in dialect.rows}
        self._dialects = (*[dialect_of(section, shapes) for section in own_dialects], *DIALECTS)
        own = [
            Row(fact, key, shapes.get(fact, "text"), anywhere=True, standing=OWN)
            for fact, keys in own_keys.items()
            for key in keys
        ]
        known = [
            replace(row, dialect=dialect.name) for dialect in self._dialects for row in dialect.rows
        ]
        if not content_facts:
            content = _CONTENT_KEYS | {row.key for row in known if row.fact in _CONTENT_FACTS}
            known = [row for row in known if row.key not in content]
        ordered = sorted([*own, *known], key=lambda row: (row.standing, row.order))
        by_fact: dict[str, list[Row]] = {}
        for row in ordered:
            by_fact.setdefault(row.fact, []).append(row)
        self.rows: dict[str, tuple[Row, ...]] = {
            fact: tuple(replace(row, rank=rank) for rank, row in enumerate(rows))
            for fact, rows in by_fact.items()
        }
        self.kinds: dict[str, str] = dict(KINDS)
        for dialect in reversed(self._dialects):
            self.kinds.update(dialect.kinds)
        self._sole = {dialect.name: dialect.sole for dialect in self._dialects if dialect.sole}
        self._call_words = {
            dialect.name: frozenset(
                word.encode() for word, kind in dialect.kinds.items() if kind == "chat"
            )
            for dialect in self._dialects
        }
        self._unsaid = {dialect.name: dialect.unsaid for dialect in self._dialects}
        self._proofs = [proof for dialect in self._dialects for proof in dialect.proofs.items()]
        self.apart = tuple(scope for dialect in self._dialects for scope in dialect.apart)
        asked = {row.only[0] for row in ordered if row.only is not None}
        exact = asked | {row.key for row in ordered if "#" not in row.key}
        self.wanted = frozenset(
            exact
            | {marker for dialect in self._dialects for marker in dialect.markers}
            | set(WANTED_EVENTS)
            | EVENT_KEYS
        )
        self.content_facts = content_facts
        numbered = {row.key for row in ordered if "#" in row.key}
        self.patterns: tuple[re.Pattern[str], ...] = (
            *EVALUATION_PATTERNS,
            *((RAW_PATTERN,) if content_facts else ()),
            *(numbered_pattern(key) for key in sorted(numbered)),
        )
        self.private = _PRIVATE_KEYS | {
            row.key for row in ordered if row.fact in _PRIVATE_FACTS or row.shape == "content"
        }
        telling = asked | {row.key for row in ordered if row.fact in LIKE_FACTS}
        self._telling = frozenset(telling)
        self._telling_patterns = tuple(
            numbered_pattern(key) for key in sorted(telling) if "#" in key
        )
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...], str], Plan] = {}

    def wants(self, key: str) -> bool:
        """Return whether an attribute of this name is worth opening."""
        return key in self.wanted or any(pattern.fullmatch(key) for pattern in self.patterns)

    def tells(self, key: str) -> bool:
        """Return whether spans must agree in the value under ``key`` to be alike.

        What alike spans have in common is worked out once for them all: what they are, where they
        belong, how they ended. Their numbers, ids and content are read from each.
        """
        return key in self._telling or any(
            pattern.fullmatch(key) for pattern in self._telling_patterns
        )

    def counts(self, row: Row, dialect: str) -> bool:
        """Return whether a row counts on spans of ``dialect``."""
        if row.dialect == dialect or row.standing < KNOWN:
            return True
        return not row.own_spans and row.fact not in self._sole.get(dialect, ())

    def dialect_of(self, span_keys: set[str], scope_name: str) -> str:
        """Return who wrote a span: by a key that nobody else writes, else by its scope's name."""
        for dialect in self._dialects:
            if any(marker in span_keys for marker in dialect.markers):
                return dialect.name
        for dialect in self._dialects:
            if scope_name.startswith(dialect.scopes):
                return dialect.name
        return "semconv"

    def call_words(self, dialect: str) -> frozenset[bytes]:
        """Return the words that the dialect has of its own for a call of a chat model."""
        return self._call_words.get(dialect, frozenset())

    def unsaid_of(self, dialect: str) -> Kind | None:
        """Return the kind of the dialect's spans that tell of tokens and not of their kind."""
        return self._unsaid.get(dialect)

    def proofs_of(self, scope_name: str) -> tuple[str, ...]:
        """Return the keys of which one stands beside usage that a provider told; else none."""
        for scope, keys in self._proofs:
            if scope_name.startswith(scope):
                return keys
        return ()

    def plan(
        self, span_keys: tuple[str, ...], resource_keys: tuple[str, ...], scope_name: str
    ) -> Plan:
        """Return what to try on spans that have just these keys.

        Spans of one emitter share their keys, so the plan of a key set is made once.
        """
        keys = (span_keys, resource_keys, scope_name)
        plan = self._plans.get(keys)
        if plan is None:
            plan = Plan(self, span_keys, resource_keys, scope_name)
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            self._plans[keys] = plan
        return plan


# The rows that fill a fact, for telling people what would supply it.
def usual_key(fact: str) -> str:
    """Return the attribute to set for ``fact``: tripswitch's own, else OpenTelemetry's of now."""
    rows = [(dialect, row) for dialect in DIALECTS for row in dialect.rows if row.fact == fact]
    rows.sort(key=lambda item: (item[1].member is not None, item[0].name != "semconv"))
    keys = [row.key for _, row in rows]
    return next((key for key in keys if key.startswith("tripswitch.")), keys[0])


__all__ = ["FIXED", "Plan", "Row", "Vocabulary", "usual_key"]
