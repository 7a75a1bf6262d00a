"""The plan for a span: which rows are worth trying on it, and what these may tell.

That depends only on which keys it has and who wrote it, so a `Plan` is made once for each key set.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tripswitch.genai.rows import Row
    from tripswitch.genai.vocabulary import Vocabulary

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
LIKE_FACTS: Final = (
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
# What is more to be thought of than two counts, in and out.
_FURTHER_USAGE: Final = frozenset(
    {*_COST_FACTS, "cached_tokens", "reasoning_tokens", "cache_write_tokens", "total_tokens"}
)
_TTFT_FACTS: Final = ("ttft", "first_token_at")
_GUARDRAIL_FACTS: Final = (
    "guardrail_verdict",
    "guardrail_blocked",
    "guardrail_passed",
    "guardrail_name",
)
# Documents that spans of all kinds have: that one is there does not say what it holds.
_DOCUMENTS: Final = frozenset(
    {
        "input.value",
        "output.value",
        "metadata",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "genkit:output",
    }
)


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
    to the first token may stand there, ``may_show_content`` what was answered, ``judges``
    evaluations; ``shows_plain_usage`` that there is no more of usage than tokens in and out.
    ``raw`` maps the parts of a provider's raw answer to their keys; ``is_bare`` says that nothing
    here is of any use,
    ``lacks_proof`` that the usage of a stream is not the provider's, ``counts_apart`` that its
    input tokens leave out the cached ones; ``unsaid`` is the kind of such a span that does not say
    it, or None.
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
        "has_response_id",
        "is_bare",
        "is_memorable",
        "is_sketchable",
        "judges",
        "lacks_proof",
        "may_show_content",
        "plain_keys",
        "raw",
        "raw_provider",
        "rows",
        "scope_name",
        "shows_answer",
        "shows_call",
        "shows_cost",
        "shows_plain_usage",
        "shows_ttft",
        "signs",
        "unsaid",
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
            if rows[0].scale == 1 and not (rows[0].member or rows[0].only)
        }
        common = {row for fact in COMMON_FACTS for row in self.rows.get(fact, ())}
        common_keys = {row.key for row in common} | {row.only[0] for row in common if row.only}
        self.common_keys = tuple(sorted(common_keys & on_span))
        self.common_resource_keys = tuple(
            sorted({row.key for row in common if row.anywhere} & on_resource)
        )
        self.is_memorable = not any(row.member for row in common)
        self.is_sketchable = not any(
            row.member or row.key in vocabulary.private
            for fact in LIKE_FACTS
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
        self.shows_plain_usage = _FURTHER_USAGE.isdisjoint(self.rows)
        self.shows_ttft = any(fact in self.rows for fact in _TTFT_FACTS)
        self.has_guardrail = any(fact in self.rows for fact in _GUARDRAIL_FACTS)
        self.evaluations = tuple(
            found for key in span_keys for found in _numbered(key) if found is not None
        )
        proofs = vocabulary.proofs_of(scope_name)
        self.unsaid = vocabulary.unsaid_of(self.dialect) if "input_tokens" in self.signs else None
        self.counts_apart = scope_name.startswith(vocabulary.apart)
        self.lacks_proof = bool(proofs) and on_span.isdisjoint(proofs)
        self.raw: dict[str, str] = {}
        self.raw_provider = ""
        for key in span_keys:
            match = RAW_PATTERN.fullmatch(key)
            if match:
                self.raw[match["part"]] = key
                self.raw_provider = match["provider"]
        self.has_response_id = "response_id" in self.rows
        self.may_show_content = (
            bool(self.raw) or "output_content" in self.rows or "refusal_text" in self.rows
        )
        self.judges = bool(self.evaluations) or any(fact in self.rows for fact in _JUDGING_FACTS)
        self.is_bare = not self.rows and not self.evaluations and not self.raw


def _present(row: Row, on_span: set[str], on_resource: set[str]) -> Iterable[Row]:
    if "#" not in row.key:
        if row.key in on_span or (row.anywhere and row.key in on_resource):
            yield row
        return
    pattern = numbered_pattern(row.key)
    found = sorted(
        (tuple(int(number) for number in match.groups()), key)
        for key in on_span
        if (match := pattern.fullmatch(key))
    )
    for _, key in found:
        yield replace(row, key=key)


def numbered_pattern(key: str) -> re.Pattern[str]:
    """Return what matches a row's key with numbers in place of its signs."""
    return re.compile(r"(\d{1,4})".join(re.escape(part) for part in key.split("#")))


def _numbered(key: str) -> Iterable[NumberedKey]:
    for pattern in EVALUATION_PATTERNS:
        match = pattern.fullmatch(key)
        if match:
            groups = match.groupdict()
            yield NumberedKey(key, groups["index"], groups["part"] or "value", groups.get("name"))
            return
