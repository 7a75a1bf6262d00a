"""The vocabulary: every dialect's rows with a user's own in front, and the plan for a span.

Within one fact the rows are tried in this order: tripswitch's own keys, the keys a user configured,
a user's dialects, the shipped dialects. A row's ``rank`` is its place in that order. Which rows are
worth trying on a span depends only on which keys it has and who wrote it, so that is worked out
once for each key set and kept as a `Plan`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from tripswitch.genai.dialects import DIALECTS
from tripswitch.genai.event_names import EVENT_KEYS, WANTED_EVENTS
from tripswitch.genai.rows import FIXED, KNOWN, OWN, Row, dialect_of
from tripswitch.genai.spellings import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tripswitch.config.dialect_section import DialectSection

# Numbered or named evaluations on a span: a pattern, and what the value under it says. The name of
# the evaluation is the group ``name``, or stands under another key of the same ``index``.
EVALUATION_PATTERNS: Final = (
    re.compile(
        r"(?:trace\.)?(?P<index>evaluations\.\d+)\.evaluation\."
        r"(?P<part>name|score|label|annotator_kind|identifier)"
    ),
    re.compile(
        r"(?:trace\.)?(?P<index>annotations\.\d+)\.annotation\."
        r"(?P<part>name|score|label|annotator_kind|identifier)"
    ),
    re.compile(r"(?P<index>evals?\.(?P<name>[^.]+(?:\.[^.]+)*?))\.(?P<part>score|label|value)"),
    re.compile(r"(?P<index>gen_ai\.eval\.(?P<name>[a-z_ -]+))(?P<part>)", re.IGNORECASE),
    re.compile(r"(?P<index>guardrail\.(?P<name>[^.]+))(?P<part>)"),
    re.compile(r"(?P<index>(?P<name>user_feedback|feedback\.score|user\.feedback))(?P<part>)"),
)
# A provider's raw answer on a span of its own below the call.
RAW_PATTERN: Final = re.compile(
    r"llm\.(?P<provider>[A-Za-z0-9_]+)\.(?P<part>id|model|choices|output|usage|status|stop_reason)"
)

# Facts of which an application has few: read once for each combination, not once a span.
COMMON_FACTS: Final = (
    "operation",
    "span_type",
    "route",
    "prompt_name",
    "prompt_version",
    "prompt_label",
    "cohort",
    "tags",
    "tenant",
    "provider",
    "request_model",
    "response_model",
    "service_version",
    "deployment",
    "tool_name",
)
# Facts that alike spans have in common, besides these.
_LIKE_FACTS: Final = (
    *COMMON_FACTS,
    "error_type",
    "error_code",
    "error_message",
    "http_status",
    "level",
    "finish_reasons",
    "response_status",
    "cache_hit",
    "streaming",
    "method",
)
# What a span must show, at least one of them, to be believed when it says it is a call.
_CALL_FACTS: Final = (
    "request_model",
    "response_model",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "provider",
)
# What shows that a span which does not say what it is was a call.
_ANSWER_FACTS: Final = ("input_tokens", "output_tokens", "response_id", "finish_reasons")
_COST_FACTS: Final = ("cost_usd", "cost_input_usd", "cost_output_usd")
_JUDGING_FACTS: Final = ("evaluation_name", "scores")
_TTFT_FACTS: Final = ("ttft", "first_token_at")
_GUARDRAIL_FACTS: Final = (
    "guardrail_verdict",
    "guardrail_blocked",
    "guardrail_passed",
    "guardrail_name",
)
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
        "gen_ai.event.content",
    }
)

# Documents that spans of all kinds have: that one is there does not say what it holds.
_DOCUMENTS: Final = frozenset(
    {"input.value", "output.value", "metadata", "mlflow.spanInputs", "mlflow.spanOutputs"}
)
# Facts that answers are opened for.
_CONTENT_FACTS: Final = frozenset({"output_content", "refusal_text"})
# Where requests stand, text and all, beside what the rows of those name.
_CONTENT_KEYS: Final = frozenset({"input.value", "mlflow.spanInputs"})

# Key sets seen on spans: an application has a few dozen, a hostile sender as many as it likes.
_MAX_PLANS: Final = 4096


class NumberedKey(NamedTuple):
    """A key of the span that belongs to an evaluation: which one, and which part of it."""

    key: str
    group: str
    part: str
    name: str | None


class Plan:
    """The rows worth trying on spans with one set of keys of one writer, by fact.

    ``common_keys`` and ``common_resource_keys`` are the keys, there on every such span and its
    resource, that `COMMON_FACTS` depend on. ``signs`` are the facts that do not only stand inside
    a document that any span may have. ``shows_call`` says that a model or tokens are named,
    ``shows_answer`` that an answer came, ``shows_cost`` and ``shows_ttft`` that dollars or the time
    to the first token may stand there, ``judges`` evaluations; ``raw`` maps the parts of a
    provider's raw answer to their keys; ``is_bare`` says that nothing here is of any use,
    ``lacks_proof`` that the usage of a stream is not the provider's, ``counts_apart`` that its
    input tokens leave out the cached ones.
    ``plain_keys`` are, by fact, the keys that are tried first, where the value is the fact as it
    stands there.
    ``is_memorable`` says that the values of the common keys may be remembered: none is a JSON
    document, which may hold anybody's text. ``is_sketchable`` says so of all that alike spans have
    in common, see `tells`.
    """

    __slots__ = (
        "common_keys",
        "common_resource_keys",
        "counts_apart",
        "dialect",
        "evaluations",
        "has_guardrail",
        "is_bare",
        "is_memorable",
        "is_sketchable",
        "judges",
        "lacks_proof",
        "plain_keys",
        "raw",
        "raw_provider",
        "rows",
        "scope_name",
        "shows_answer",
        "shows_call",
        "shows_cost",
        "shows_ttft",
        "signs",
    )

    def __init__(
        self,
        vocabulary: Vocabulary,
        span_keys: tuple[str, ...],
        resource_keys: tuple[str, ...],
        scope_name: str,
    ) -> None:
        on_span, on_resource = set(span_keys), set(resource_keys)
        self.scope_name = scope_name
        self.dialect = vocabulary.dialect_of(on_span, scope_name)
        self.rows: dict[str, tuple[Row, ...]] = {}
        for fact, candidates in vocabulary.rows.items():
            present = tuple(
                expanded
                for row in candidates
                if vocabulary.counts(row, self.dialect)
                for expanded in _present(row, on_span, on_resource)
            )
            if present:
                self.rows[fact] = present
        self.plain_keys = {
            fact: rows[0].key
            for fact, rows in self.rows.items()
            if rows[0].scale == 1 and not rows[0].member
        }
        common = {row for fact in COMMON_FACTS for row in self.rows.get(fact, ())}
        self.common_keys = tuple(sorted({row.key for row in common} & on_span))
        self.common_resource_keys = tuple(
            sorted({row.key for row in common if row.anywhere} & on_resource)
        )
        self.is_memorable = not any(row.member for row in common)
        self.is_sketchable = not any(
            row.member or row.key in vocabulary.private
            for fact in _LIKE_FACTS
            for row in self.rows.get(fact, ())
        )
        self.shows_call = any(fact in self.rows for fact in _CALL_FACTS)
        self.signs = frozenset(
            fact
            for fact, rows in self.rows.items()
            if any(row.member is None or row.key not in _DOCUMENTS for row in rows)
        )
        self.shows_answer = not self.signs.isdisjoint(_ANSWER_FACTS)
        self.shows_cost = any(fact in self.rows for fact in _COST_FACTS)
        self.shows_ttft = any(fact in self.rows for fact in _TTFT_FACTS)
        self.has_guardrail = any(fact in self.rows for fact in _GUARDRAIL_FACTS)
        self.evaluations = tuple(
            found for key in span_keys for found in _numbered(key) if found is not None
        )
        proofs = vocabulary.proofs_of(scope_name)
        self.counts_apart = scope_name.startswith(vocabulary.apart)
        self.lacks_proof = bool(proofs) and on_span.isdisjoint(proofs)
        self.raw: dict[str, str] = {}
        self.raw_provider = ""
        for key in span_keys:
            match = RAW_PATTERN.fullmatch(key)
            if match:
                self.raw[match["part"]] = key
                self.raw_provider = match["provider"]
        self.judges = bool(self.evaluations) or any(fact in self.rows for fact in _JUDGING_FACTS)
        self.is_bare = not self.rows and not self.evaluations and not self.raw


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
        self._proofs = [proof for dialect in self._dialects for proof in dialect.proofs.items()]
        self.apart = tuple(scope for dialect in self._dialects for scope in dialect.apart)
        exact = {row.key for row in ordered if "#" not in row.key}
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
            *(_numbered_pattern(key) for key in sorted(numbered)),
        )
        self.private = _PRIVATE_KEYS | {
            row.key for row in ordered if row.fact in _PRIVATE_FACTS or row.shape == "content"
        }
        telling = {row.key for row in ordered if row.fact in _LIKE_FACTS}
        self._telling = frozenset(telling)
        self._telling_patterns = tuple(
            _numbered_pattern(key) for key in sorted(telling) if "#" in key
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


def _present(row: Row, on_span: set[str], on_resource: set[str]) -> Iterable[Row]:
    if "#" not in row.key:
        if row.key in on_span or (row.anywhere and row.key in on_resource):
            yield row
        return
    pattern = _numbered_pattern(row.key)
    found = sorted(
        (tuple(int(number) for number in match.groups()), key)
        for key in on_span
        if (match := pattern.fullmatch(key))
    )
    for _, key in found:
        yield replace(row, key=key)


def _numbered_pattern(key: str) -> re.Pattern[str]:
    return re.compile(r"(\d{1,4})".join(re.escape(part) for part in key.split("#")))


def _numbered(key: str) -> Iterable[NumberedKey]:
    for pattern in EVALUATION_PATTERNS:
        match = pattern.fullmatch(key)
        if match:
            groups = match.groupdict()
            yield NumberedKey(key, groups["index"], groups["part"] or "value", groups.get("name"))
            return


# The rows that fill a fact, for telling people what would supply it.
def usual_key(fact: str) -> str:
    """Return the attribute to set for ``fact``: tripswitch's own, else OpenTelemetry's of now."""
    rows = [(dialect, row) for dialect in DIALECTS for row in dialect.rows if row.fact == fact]
    rows.sort(key=lambda item: (item[1].member is not None, item[0].name != "semconv"))
    keys = [row.key for _, row in rows]
    return next((key for key in keys if key.startswith("tripswitch.")), keys[0])


__all__ = ["FIXED", "Plan", "Row", "Vocabulary", "usual_key"]
